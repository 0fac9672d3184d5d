//! The demo, and the example client.

use std::{fs, path::Path, process::Command};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::support::{Process, Server, program, run, until};

#[test]
fn the_demo_shows_the_experiment_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let ended = run(program().env("TMPDIR", temporary.path()).arg("demo"), b"").expect_code(0);
    for part in [
        "cells.py: paused at line",
        "blackbox.py: succeeded",
        "NameError",
        "a dry run of it finds no mistake",
        "the dry run of “",
        "queue held by beamq: job 3",
        "Summary",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "the data directory is removed");
}

#[test]
fn a_kept_server_can_be_talked_to_and_stopped() {
    let temporary = tempfile::tempdir().unwrap();
    let ended =
        run(program().env("TMPDIR", temporary.path()).args(["demo", "--keep", "--json"]), b"").expect_code(0);
    let kept: Value = ended.documents().pop().expect("a last line");
    let pid = Pid::from_raw(kept["kept"]["pid"].as_i64().unwrap().try_into().unwrap());
    let data = kept["kept"]["data"].as_str().unwrap();
    let status = run(program().args(["--data", data, "status", "--json"]), b"");
    let stopped = kill(pid, Signal::SIGTERM);
    assert_eq!(status.expect_code(0).document()["queue"]["state"], "idle");
    stopped.expect("the server was there");
    until("the kept server has ended", || {
        run(program().args(["--data", data, "status"]), b"").code == Some(3)
    });
}

#[test]
fn an_interrupted_demo_stops_its_server() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Process::spawn(
        program().env("TMPDIR", temporary.path()).arg("demo").stdout(std::process::Stdio::piped()),
    );
    let lines = demo.lines();
    while !lines.recv_timeout(crate::support::DEADLINE).expect("the demo runs").contains("running") {}
    demo.signal(Signal::SIGINT);
    assert_eq!(demo.wait().code(), Some(1));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "the data directory is removed");
}

#[test]
fn the_example_scripts_run_without_beamq() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/scripts");
    for (script, code) in [("cells.py", 0), ("blackbox.py", 0), ("failing.py", 1)] {
        run(Command::new("python3").arg(scripts.join(script)), b"").expect_code(code);
    }
}

#[test]
fn the_raw_client_follows_its_job_to_the_end() {
    let server = Server::start();
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients/raw_client.py");
    let script = server.script("hello.py", "print('hello from the raw client')\n");
    let ended = run(Command::new("python3").arg(&client).arg(server.data()).arg(&script), b"").expect_code(0);
    assert!(ended.out.contains("  hello from the raw client\n"), "{}", ended.out);
    assert!(ended.out.ends_with("hello.py: succeeded\n"), "{}", ended.out);
    let script = server.script("bad.py", "1 / 0\n");
    run(Command::new("python3").arg(&client).arg(server.data()).arg(&script), b"").expect_code(1);
}
