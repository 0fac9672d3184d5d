//! What holds where a part of the confinement is missing, and that the tests of the confinement would notice.

use std::{fs, process::Command, thread};

use beamq::dryrun::simulation::{SimulationSettings, Simulator};
use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
use serde_json::{Value, json};

use super::fixture::{Fixture, codes, settings};
use crate::support::{Ended, program, run};

/// Runs a script on a system that does not know some calls, as older kernels and some containers do not: the
/// thread that starts `beamq` is told so by a filter, and what it starts inherits that.
fn dry_run_without(calls: &[i64], script: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.py");
    fs::write(&file, script).unwrap();
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, architecture).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    let running = thread::spawn(move || {
        apply_filter(&filter).unwrap();
        run(program().args(["dry-run", "--json"]).arg(&file), b"")
    });
    running.join().unwrap()
}

fn report_of(ended: Ended) -> Value {
    ended.expect_code(0).document()["scripts"][0]["report"].clone()
}

fn finding<'a>(report: &'a Value, code: &str) -> Option<&'a str> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["code"] == code)
        .map(|finding| finding["message"].as_str().unwrap())
}

/// Writes a file and opens a connection, both by ways that Python's own guards know.
const ATTEMPTS: &str = "import os, socket\nopen(os.path.expanduser('~/../outside.txt'), 'w').write('x')\n\
    try:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError:\n    pass\nprint(1)\n";

#[test]
fn without_landlock_the_rest_holds_and_the_report_says_what_is_missing() {
    let report = report_of(dry_run_without(&[libc::SYS_landlock_create_ruleset], ATTEMPTS));
    let told = finding(&report, "confinement").unwrap();
    assert!(told.contains("not confined by Landlock: Python's own guards hold"), "{told}");
    assert!(finding(&report, "denied_network").is_some(), "{report}");
    assert_eq!(report["unreached_lines"], json!([]), "it came to its end: {report}");
}

#[test]
fn without_seccomp_and_landlock_pythons_guards_still_hold_and_the_report_says_so() {
    let report =
        report_of(dry_run_without(&[libc::SYS_landlock_create_ruleset, libc::SYS_seccomp], ATTEMPTS));
    let told = finding(&report, "confinement").unwrap();
    assert!(told.contains("not confined by Landlock and seccomp"), "{told}");
    assert!(finding(&report, "denied_network").is_some(), "{report}");
}

#[test]
fn with_all_of_it_the_report_says_nothing_about_it() {
    let report = report_of(dry_run_without(&[libc::SYS_kexec_load], ATTEMPTS));
    assert_eq!(finding(&report, "confinement"), None, "{report}");
}

#[tokio::test]
async fn a_script_that_undoes_pythons_guards_is_held_by_the_system_alone() {
    let outside = tempfile::tempdir().unwrap();
    let made = outside.path().join("made");
    let script = format!(
        "import gc, _io\nfor thing in gc.get_objects():\n    if type(thing).__name__ == 'Guard':\n        \
         thing.__class__.deny = lambda *_: None\ntry:\n    _io.FileIO({made:?}, 'w')\nexcept OSError:\n    pass\n"
    );
    let fixture = Fixture::new();
    let confined = fixture.run(&script).await.report;
    assert!(!made.exists(), "{confined:#?}");
    assert_eq!(codes(&confined), []);
    // The same attempt without the system's limits: it is a real one, and the report warns of that.
    let bare = SimulationSettings { launcher: None, ..settings(&fixture.folder.path().join("bare")) };
    let unconfined = Simulator::new(bare).simulate(fixture.wish(&script)).await.report;
    assert!(made.exists(), "{unconfined:#?}");
    assert_eq!(codes(&unconfined), [("confinement".to_owned(), None)]);
}

/// Of what the system denies to a confined interpreter, what can be done here without harm.
const REAL: [&str; 13] = [
    "making a file",
    "changing a file",
    "truncating a file",
    "removing a file",
    "renaming a file",
    "moving a file away",
    "making a folder",
    "making a link",
    "the mode of a file",
    "the times of a file",
    "a local socket",
    "a process",
    "a program in a process",
];

#[test]
fn what_is_denied_to_a_confined_interpreter_works_in_any_other() {
    for name in REAL {
        let (_, attempt) = super::limits::DENIED.iter().find(|(known, _)| *known == name).unwrap();
        let (outside, scratch) =
            (tempfile::tempdir_in("/var/tmp").unwrap(), tempfile::tempdir_in("/var/tmp").unwrap());
        fs::write(outside.path().join("precious"), "precious").unwrap();
        let attempt = attempt.replace("OUT", &outside.path().display().to_string());
        let scratch = scratch.path().display().to_string();
        let source = format!("import os, socket\nos.chdir({scratch:?})\n{attempt}\nos.write(1, b'done ')\n");
        let ended = Command::new("python3").args(["-I", "-c", &source]).output().unwrap();
        assert!(ended.stdout.starts_with(b"done "), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}
