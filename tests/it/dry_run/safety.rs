//! Nothing that a script tries in a dry run reaches the outside, and people are told what it tried.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::fixture::{Fixture, codes};

/// What is watched: files, a network port, a process.
struct Outside {
    folder: tempfile::TempDir,
    port: TcpListener,
    process: Child,
}

impl Outside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("precious.txt"), "precious").unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("inner/more.txt"), "more").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        port.set_nonblocking(true).unwrap();
        let process = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        Self { folder, port, process }
    }

    fn script(&self, text: &str) -> String {
        text.replace("OUT", &self.folder.path().display().to_string())
            .replace("PORT", &self.port.local_addr().unwrap().port().to_string())
            .replace("PID", &self.process.id().to_string())
    }

    fn listing(&self) -> Vec<(PathBuf, String, u32)> {
        use std::os::unix::fs::PermissionsExt;
        let mut files: Vec<_> = walk(self.folder.path())
            .into_iter()
            .map(|file| {
                let mode = fs::symlink_metadata(&file).unwrap().permissions().mode();
                let text = fs::read_to_string(&file).unwrap_or_default();
                (file, text, mode)
            })
            .collect();
        files.sort();
        files
    }

    #[track_caller]
    fn is_untouched(&mut self, before: &[(PathBuf, String, u32)], by: &str) {
        assert_eq!(self.listing(), before, "{by}");
        assert!(self.port.accept().is_err(), "somebody has connected: {by}");
        assert!(self.process.try_wait().unwrap().is_none(), "the process was ended: {by}");
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

/// Attempts, and the finding that tells of each.
const DENIED: [(&str, &str); 23] = [
    ("import socket as s\ns.create_connection(('127.0.0.1', PORT))", "denied_network"),
    ("__import__('socket').socket().connect(('127.0.0.1', PORT))", "denied_network"),
    ("import importlib\nimportlib.import_module('so' + 'cket').socket()", "denied_network"),
    ("import urllib.request as u\nu.urlopen('http://127.0.0.1:PORT/')", "denied_network"),
    ("import socket\na, b = socket.socketpair()\na.connect('/run/x')", "denied_network"),
    ("import os\nos.system('touch OUT/made')", "denied_process"),
    ("getattr(__import__('os'), 'sys' + 'tem')('touch OUT/made')", "denied_process"),
    ("import subprocess\nsubprocess.run(['touch', 'OUT/made'])", "denied_process"),
    ("from subprocess import *\nPopen('touch OUT/made', shell=True)", "denied_process"),
    ("import os\nos.execv('/bin/touch', ['touch', 'OUT/made'])", "denied_process"),
    ("import os\nif os.fork() == 0:\n    open('OUT/made', 'w')", "denied_process"),
    ("import os\nos.posix_spawn('/bin/touch', ['touch', 'OUT/made'], {})", "denied_process"),
    ("import pty\npty.spawn(['touch', 'OUT/made'])", "denied_process"),
    ("import multiprocessing as m\nm.Process(target=print).start()", "denied_process"),
    ("import os\nos.kill(PID, 9)", "denied_process"),
    ("import os, signal\nos.kill(os.getppid(), signal.SIGTERM)", "denied_process"),
    ("import os\nos.killpg(PID, 9)", "denied_process"),
    ("import ctypes\nctypes.CDLL(None).system(b'touch OUT/made')", "denied_call"),
    ("from ctypes import *\ncdll.LoadLibrary('libc.so.6').kill(PID, 9)", "denied_call"),
    ("import sqlite3\nsqlite3.connect('OUT/made')", "denied_write"),
    ("import os; os.symlink('OUT/precious.txt', 'link')\nopen('link', 'w').write('x')", "denied_write"),
    ("import epics\nepics.caput('X', 1)", "hardware_import"),
    ("from genie_python import genie as g\ng.begin()", "hardware_import"),
];

#[tokio::test]
async fn what_a_script_tries_to_reach_is_denied_and_told() {
    let fixture = Fixture::new();
    let mut outside = Outside::new();
    let before = outside.listing();
    for (attempt, code) in DENIED {
        let report = fixture.run(&outside.script(attempt)).await.report;
        outside.is_untouched(&before, attempt);
        let line = u32::try_from(attempt.lines().count().min(2)).unwrap();
        let found = report.findings.iter().find(|finding| finding.code == code);
        let Some(found) = found else { panic!("{attempt}: {:#?}", report.findings) };
        let line = if attempt.contains("import epics") || attempt.contains("genie") { 1 } else { line };
        let line = if attempt.contains("a.connect") { 3 } else { line };
        assert_eq!(found.line, Some(line), "{attempt}");
        assert_eq!((report.truncated, report.totals.seconds.at_least), (Some(true), true), "{attempt}");
        // It may well work in the job.
        assert!(report.ok, "{attempt}: {:#?}", report.findings);
    }
}

/// What goes to the scratch folder instead; each looks at what it has done.
const DIVERTED: [&str; 14] = [
    "open('OUT/precious.txt', 'w').write('x')\nassert open('OUT/precious.txt').read() == 'x'",
    "f = open('OUT/precious.txt', 'a')\nf.write('!')\nf.close()\nassert open('OUT/precious.txt').read() == 'precious!'",
    "with open('OUT/precious.txt', 'r+') as f:\n    f.write('P')\nassert open('OUT/precious.txt').read() == 'Precious'",
    "open('OUT/new.txt', 'x').close()\nimport os\nassert 'new.txt' in os.listdir('OUT')\nassert os.path.getsize('OUT/new.txt') == 0",
    "import os\nos.remove('OUT/precious.txt')\nassert not os.path.exists('OUT/precious.txt')\nassert os.listdir('OUT') == ['inner']",
    "import shutil, os\nshutil.rmtree('OUT')\nassert not os.path.exists('OUT')",
    "import os\nos.rename('OUT/precious.txt', 'OUT/moved.txt')\nassert open('OUT/moved.txt').read() == 'precious'\nassert not os.path.exists('OUT/precious.txt')",
    "import pathlib\np = pathlib.Path('OUT') / 'inner' / 'deep' / 'er'\np.mkdir(parents=True)\n(p / 'x').write_text('1')\nassert (p / 'x').read_text() == '1'\nassert [q.name for q in p.iterdir()] == ['x']",
    "import os\nos.truncate('OUT/precious.txt', 2)\nassert open('OUT/precious.txt').read() == 'pr'",
    "import os\nfd = os.open('OUT/precious.txt', os.O_WRONLY | os.O_TRUNC)\nos.write(fd, b'y')\nos.close(fd)\nassert open('OUT/precious.txt').read() == 'y'",
    "import os\nos.chmod('OUT/precious.txt', 0)\nos.utime('OUT/precious.txt')",
    "import shutil\nshutil.copy2('OUT/precious.txt', 'OUT/copy.txt')\nshutil.move('OUT/copy.txt', 'OUT/inner')\nassert open('OUT/inner/copy.txt').read() == 'precious'",
    "import tempfile, os\nwith tempfile.TemporaryDirectory() as d:\n    open(os.path.join(d, 'x'), 'w').close()\nwith tempfile.NamedTemporaryFile('w') as f:\n    f.write('x')",
    "import os\nos.chdir('OUT')\nopen('precious.txt', 'w').write('z')\nassert open('OUT/precious.txt').read() == 'z'",
];

#[tokio::test]
async fn files_that_a_script_changes_are_its_own() {
    let fixture = Fixture::new();
    let mut outside = Outside::new();
    let before = outside.listing();
    for attempt in DIVERTED {
        // What it asserts about its own view holds.
        let report = fixture.good(&outside.script(attempt)).await;
        outside.is_untouched(&before, attempt);
        assert_eq!(report.findings, [], "{attempt}");
    }
}

#[tokio::test]
async fn a_script_that_undoes_pythons_guards_gains_nothing() {
    let fixture = Fixture::new();
    let mut outside = Outside::new();
    let before = outside.listing();
    let undo = "import gc, sys, _io, posix\n\
                for thing in gc.get_objects():\n\
                \x20   if type(thing).__name__ == 'Guard':\n\
                \x20       thing.deny = lambda *_: None\n\
                \x20       thing.__class__.deny = lambda *_: None\n";
    for attempt in [
        "_io.FileIO('OUT/made', 'w')",
        "posix.open('OUT/precious.txt', 1 | 512)",
        "posix.unlink('OUT/precious.txt')",
        "posix.chmod('OUT/precious.txt', 0)",
        "posix.rename('OUT/precious.txt', 'x')",
        "posix.link('OUT/precious.txt', 'x')\nopen('x', 'w').write('y')",
        "posix.system('touch OUT/made')",
        "posix.fork()",
        "posix.kill(PID, 9)",
        "posix.kill(posix.getppid(), 15)",
        "posix.execv('/bin/touch', ['touch', 'OUT/made'])",
        "import socket\nsocket.socket().connect(('127.0.0.1', PORT))",
        "import ctypes\nctypes.CDLL(None).system(b'touch OUT/made')",
        "import ctypes\nctypes.CDLL(None).unlink(b'OUT/precious.txt')",
        "import ctypes\nctypes.string_at(0)",
        "while True:\n    posix.fork()",
    ] {
        // The system says no to each, or ends the process.
        let script = format!(
            "{undo}try:\n    {}\nexcept OSError:\n    pass\nprint(1)\n",
            attempt.replace('\n', "\n    ")
        );
        let report = fixture.run(&outside.script(&script)).await.report;
        outside.is_untouched(&before, attempt);
        assert!(!codes(&report).iter().any(|found| found.0 == "script_error"), "{attempt}: {report:#?}");
    }
}

const CATALOGUE: &str = "catalogue: 1\ncommands:\n  move_stage:\n    summary: Moves.\n    parameters:\n      \
    position: {type: number, unit: mm, minimum: 0, maximum: 50, description: Where to.}\n    \
    implementation: lab_real:move_stage\n    simulate: lab_hooks:move_stage\n    devices: [stage]\n";

#[tokio::test]
async fn no_dry_run_calls_the_implementation_of_a_command() {
    let mark = tempfile::tempdir().unwrap();
    let mark = mark.path().join("called");
    // Whoever gets as far as running a line of it, leaves a mark that the test is told of by a finding.
    let real =
        format!("open({mark:?}, 'w').write('imported')\nraise SystemExit('the real one was imported')\n");
    let hooks = "import time\ndef move_stage(position):\n    time.sleep(position)\n";
    let fixture = Fixture::with(CATALOGUE, &[("lab_real.py", &real), ("lab_hooks.py", hooks)]);
    let good = fixture.good("from beamq.commands import move_stage\nmove_stage(7)\n").await;
    assert_eq!(good.timeline[0].dt_s, 7.0);
    for attempt in [
        "import lab_real",
        "from lab_real import move_stage",
        "__import__('lab_real')",
        "import importlib\nimportlib.import_module('lab_real')",
        "import beamq\nbeamq.in_dry_run = False\nfrom beamq.commands import move_stage\nmove_stage(7)\nimport lab_real",
        "import beamq\nbeamq._server = None\nfrom beamq.commands import move_stage\nmove_stage(7)\nimport lab_real",
    ] {
        let report = fixture.run(attempt).await.report;
        assert!(codes(&report).iter().any(|found| found.0 == "hardware_import"), "{attempt}: {report:#?}");
        assert!(!codes(&report).iter().any(|found| found.0 == "script_exit"), "{attempt}: {report:#?}");
        assert!(!mark.exists(), "{attempt}");
    }
}
