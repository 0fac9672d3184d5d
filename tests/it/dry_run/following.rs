//! Simulations that follow on each other.

use std::fs;

use tokio::time::Instant;

use super::fixture::{Fixture, expected};
use crate::harness::{DEADLINE, children, eventually};

/// A script that takes as many seconds as its parent has for a number, in part.
const WHOSE_CHILD: &str = "import os, time\ntime.sleep(os.getppid() % 1_000_000)\n";

/// Simulates scripts until they are forked from one process. Returns an assertion of a script that it is.
async fn until_forked(fixture: &Fixture) -> String {
    let own = f64::from(std::process::id() % 1_000_000);
    let give_up = Instant::now() + DEADLINE;
    let mut before = own;
    loop {
        let parent = expected(&fixture.good(WHOSE_CHILD).await);
        if parent != own && parent == before {
            return format!("import os; assert os.getppid() % 1_000_000 == {parent}\n");
        }
        before = parent;
        assert!(Instant::now() < give_up, "each script has an interpreter of its own");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn scripts_that_follow_on_each_other_are_forked_from_one_process_which_ends_when_none_comes() {
    let fixture = Fixture::new();
    until_forked(&fixture).await;
    eventually("no interpreter waits any more", || children(std::process::id()) == 0).await;
    let scratch = fixture.folder.path().join("dryrun/scratch");
    eventually("nothing is left of it", || fs::read_dir(&scratch).unwrap().count() == 0).await;
}

/// Leaves something wherever a script can.
const LEAVES: &str = "\
import builtins, json, os, random, sys, threading, time
import beamq
from beamq.commands import *
for folder in ('.', '..', os.environ['HOME'], os.environ['TMPDIR']):
    open(os.path.join(folder, 'left'), 'w').write('x')
os.makedirs('left behind')
os.symlink('/', 'left behind/link')
os.environ['LEFT'] = 'x'
for module in (builtins, json, os, sys, time, beamq):
    module.left = 'x'
sys.path.insert(0, '/left')
sys.modules['left'] = beamq
json.loads = begin = time.sleep = None
threading.Thread(target=threading.Event().wait, daemon=True).start()
cset('Theta', 1)
";

/// Looks for it.
const LOOKS: &str = "\
import builtins, json, os, sys, time, threading
import beamq
for folder in ('.', '..', os.environ['HOME'], os.environ['TMPDIR']):
    found = [name for name in os.listdir(folder) if 'left' in name]
    assert not found, (folder, found)
assert 'LEFT' not in os.environ and '/left' not in sys.path and 'left' not in sys.modules
for module in (builtins, json, os, sys, time, beamq):
    assert not hasattr(module, 'left'), module
assert json.loads('1') == 1 and threading.active_count() == 1
import logging
age = logging.LogRecord('x', 10, 'x', 1, 'x', (), None).relativeCreated
assert 0 <= age < 1000, ('a module was there that has looked at the clock', age)
time.sleep(3)
";

#[tokio::test]
#[cfg(target_os = "linux")]
async fn nothing_of_a_forked_simulation_reaches_the_next() {
    let fixture = Fixture::new();
    let is_forked = until_forked(&fixture).await;
    for _ in 0..3 {
        let left = fixture.run(&format!("{is_forked}{LEAVES}")).await.report;
        assert!(left.ok && left.findings.is_empty(), "{left:#?}");
        let report = fixture.good(&format!("{is_forked}{LOOKS}")).await;
        assert_eq!((expected(&report), &report.findings[..]), (3.0, &[][..]));
    }
}

/// Ends that are not those of a script that comes to its last line.
const ENDS: [&str; 7] = [
    "import os\nos._exit(3)\n",
    "import os\nos.abort()\n",
    "import faulthandler\nfaulthandler._sigsegv()\n",
    "x = 'x' * (3 << 30)\n",
    "def f(): f()\nf()\n",
    "while True:\n    pass\n",
    "import socket\nsocket.create_connection(('127.0.0.1', 9))\n",
];

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_forked_simulation_tells_the_same_however_it_ends_and_the_next_one_is_none_the_worse() {
    let fixture = Fixture::new();
    for script in ENDS {
        let alone = Fixture::new().run(script).await.report;
        let is_forked = until_forked(&fixture).await;
        let forked = fixture.run(script).await.report;
        assert!(!alone.findings.is_empty(), "{script}");
        assert_eq!(forked.findings, alone.findings, "{script}");
        fixture.good(&is_forked).await;
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_forked_simulation_that_nobody_waits_for_ends() {
    let fixture = Fixture::new();
    let is_forked = until_forked(&fixture).await;
    let (mark, script) = (
        fixture.folder.path().join("dryrun/scratch"),
        "import time\nopen('../begun', 'w')\nwhile True: time.monotonic()\n",
    );
    let begun = || fs::read_dir(&mark).unwrap().any(|folder| folder.unwrap().path().join("begun").exists());
    let source = format!("{is_forked}{script}");
    tokio::select! {
        _ = fixture.run(&source) => panic!("it has no end"),
        () = eventually("it runs", begun) => {}
    }
    eventually("no interpreter is left", || children(std::process::id()) == 0).await;
    eventually("nothing is left of it", || fs::read_dir(&mark).unwrap().count() == 0).await;
}

#[tokio::test]
async fn an_interpreter_that_was_started_for_another_catalogue_is_not_taken() {
    let settle = |seconds: u32| {
        format!(
            "catalogue: 1\ncommands:\n  settle:\n    summary: Settles.\n    implementation: lab:settle\n    estimate: {seconds}\n"
        )
    };
    let (one, other) = (Fixture::with(&settle(7), &[]), Fixture::with(&settle(11), &[]));
    let source = "from beamq.commands import *\nsettle()\n";
    for _ in 0..3 {
        assert_eq!(expected(&one.good(source).await), 7.0);
    }
    let mut wish = one.wish(source);
    wish.catalogue = other.catalogue;
    assert_eq!(expected(&one.simulator.simulate(wish).await.report), 11.0);
}

#[test]
fn an_interpreter_does_not_outlive_the_runtime_that_talks_to_it() {
    let fixture = Fixture::new();
    for _ in 0..4 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(fixture.good("import time\ntime.sleep(3)\n"));
        assert_eq!(expected(&report), 3.0);
    }
}
