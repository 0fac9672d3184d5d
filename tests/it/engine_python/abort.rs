//! Abort works in every state, and what it leaves behind is nothing.

use std::time::Duration;

use beamq::engine::EngineCall;
use beamq_machines::{AbortStage, Ending, PauseLevel};

use super::fixture::{Engine, is_alive};

const GRACE: Duration = Duration::from_millis(700);

/// Runs a script that prints its process number, aborts it, and says which stages it took.
async fn stages_for(source: &str) -> Vec<AbortStage> {
    let mut engine = Engine::start();
    engine.submit(&format!("import os; print(os.getpid())\n{source}\nprint('up')\nstay()\n"));
    engine.until_printed("up").await;
    let pid: i32 = engine.told.stdout()[0].parse().unwrap();
    let stages = engine.abort_with_grace(GRACE).await;
    assert_eq!(engine.told.end().ending, Ending::Failed, "{source}");
    assert!(!is_alive(pid));
    stages
}

#[tokio::test]
async fn finally_and_exit_functions_run_when_asked() {
    let mut engine = Engine::start();
    engine.submit(
        "import atexit, time\natexit.register(lambda: print('atexit ran'))\ntry:\n    print('up')\n    while True: pass\nfinally:\n    time.sleep(0.5)\n    print('finally ran')\n",
    );
    engine.until_printed("up").await;
    engine.call(EngineCall::Abort(engine.job(), AbortStage::Ask));
    let told = engine.until_ended().await;
    assert_eq!(told.stdout(), ["up", "finally ran", "atexit ran"]);
    let report = &told.end().report;
    assert_eq!(report.error_type, "Abort");
    assert!(matches!(report.line, Some(4 | 5)), "{:?}", report.line);
    assert_eq!(report.traceback.len(), 1, "nothing of the worker: {:?}", report.traceback);
}

/// From 3.11 on, what a signal handler raises at the jump of a loop can be looked up outside the `try` that
/// the loop is the first statement of.
#[tokio::test]
async fn a_finally_block_around_a_loop_runs_wherever_the_loop_is() {
    for (line, source) in [
        (3, "print('up')\ntry:\n    while True: pass\nfinally:\n    print('finally ran')"),
        (4, "n = 1\nprint('up')\ntry:\n    while n: n = 2\nfinally:\n    print('finally ran')"),
        (
            4,
            "import itertools\nprint('up')\ntry:\n    for _ in itertools.repeat(0): pass\nfinally:\n    print('finally ran')",
        ),
        (
            4,
            "import beamq\nprint('up')\ntry:\n    while True: len('')\nexcept beamq.Abort:\n    print('finally ran')\n    raise",
        ),
        (
            4,
            "print('up')\ntry:\n    try:\n        while True: pass\n    except ValueError: pass\nfinally:\n    print('finally ran')",
        ),
        // A function that is no part of the script.
        (
            4,
            "text = \"def wait():\\n  try:\\n    while True: pass\\n  finally:\\n    print('finally ran')\"\nexec(compile(text, 'library.py', 'exec'))\nprint('up')\nwait()",
        ),
    ] {
        for paused in [false, true] {
            let mut engine = Engine::start();
            engine.submit(source);
            // What is printed shows before the `try` is entered; the line shows when it has been.
            engine.until(|told| told.progress.iter().any(|progress| progress.line == Some(line))).await;
            // Within a library no line pauses.
            if paused && !source.contains("library.py") {
                engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
                engine.until(|told| !told.paused.is_empty()).await;
            }
            engine.call(EngineCall::Abort(engine.job(), AbortStage::Ask));
            let told = engine.until_ended().await;
            assert_eq!(told.stdout(), ["up", "finally ran"], "paused: {paused}, {source}");
            assert_eq!(told.end().report.error_type, "Abort");
        }
    }
}

#[tokio::test]
async fn an_abort_is_no_error_in_the_output_and_its_report_says_where_in_a_library_the_script_was() {
    let mut engine = Engine::start();
    let packages = engine.folder.path().join("site-packages");
    std::fs::create_dir(&packages).unwrap();
    // Whatever it does, it does it in line 2.
    let library = "def wait(said=[]):\n    while True: said or said.append(print('up'))\n";
    std::fs::write(packages.join("hanging.py"), library).unwrap();
    engine.submit(&format!("import sys\nsys.path.append({packages:?})\nimport hanging\nhanging.wait()\n"));
    engine.until_printed("up").await;
    engine.call(EngineCall::Abort(engine.job(), AbortStage::Ask));
    let told = engine.until_ended().await;
    assert_eq!(told.lines.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["up"]);
    let report = &told.end().report;
    let frames: Vec<_> = report.traceback.iter().map(|frame| (&*frame.function, frame.line)).collect();
    assert_eq!((report.line, &frames[..]), (Some(4), &[("<module>", 4), ("wait", 2)][..]));
}

#[tokio::test]
async fn python_code_ends_when_asked() {
    for source in [
        "def stay():\n    while True: pass",
        "import time\ndef stay(): time.sleep(1e6)",
        "import beamq\ndef stay(): beamq.sleep(1e6)",
        "def stay(): input('?')",
        "import threading\ndef stay(): threading.Event().wait()",
        "import subprocess\ndef stay(): subprocess.run(['sleep', '1000'])",
        "import ctypes\ndef stay(): ctypes.CDLL(None).sleep(1000)",
        "import ctypes\ndef stay(): ctypes.PyDLL(None).sleep(1000)",
        // A thread that never ends keeps a process open after its main thread.
        "import threading, time\ndef spin():\n    while True: time.sleep(1)\nthreading.Thread(target=spin).start()\ndef stay():\n    while True: pass",
        "import socket\na, b = socket.socketpair()\ndef stay(): a.recv(1)",
    ] {
        assert_eq!(stages_for(source).await, [AbortStage::Ask], "{source}");
    }
}

#[tokio::test]
async fn threads_that_outlive_the_script_end_with_it_when_asked() {
    let mut engine = Engine::start();
    engine.submit(
        "import atexit, threading, time\natexit.register(lambda: print('atexit ran'))\ndef spin():\n    while True: time.sleep(1)\nthreading.Thread(target=spin).start()\nprint('up')\n",
    );
    engine.until_printed("up").await;
    assert_eq!(engine.abort_with_grace(GRACE).await, [AbortStage::Ask]);
    assert!(engine.told.printed("atexit ran"));
}

#[tokio::test]
async fn what_goes_on_after_the_end_of_the_script_ends_too() {
    for source in [
        "import atexit, time\natexit.register(time.sleep, 1e6)\nprint('up')\n",
        "import atexit\ndef spin():\n    while True: pass\natexit.register(spin)\nprint('up')\n",
        "class Last:\n    def __del__(self):\n        while True: pass\nlast = Last()\nprint('up')\n",
        "import threading, time\ndef spin():\n    while True:\n        try: time.sleep(1)\n        except BaseException: pass\nfor _ in range(3): threading.Thread(target=spin).start()\nprint('up')\n",
    ] {
        let mut engine = Engine::start();
        engine.submit(source);
        engine.until_printed("up").await;
        let stages = engine.abort_with_grace(GRACE).await;
        assert!(stages.len() <= 2, "{stages:?} for {source}");
    }
}

#[tokio::test]
async fn loops_that_swallow_everything_end() {
    for source in [
        "def stay():\n    while True:\n        try:\n            while True: pass\n        except: pass",
        "import time\ndef stay():\n    while True:\n        try: time.sleep(0.01)\n        except BaseException: pass",
    ] {
        let stages = stages_for(source).await;
        assert!(stages.len() <= 2, "{stages:?} for {source}");
    }
}

#[tokio::test]
async fn what_does_not_listen_is_terminated_or_killed() {
    for (source, expected) in [
        (
            "import ctypes\nlibc = ctypes.PyDLL(None)\ndef stay():\n    while True:\n        try: libc.sleep(1000)\n        except BaseException: libc.sleep(1000)",
            2,
        ),
        (
            "import signal\nfor s in (signal.SIGTERM, signal.SIGURG): signal.signal(s, signal.SIG_IGN)\ndef stay():\n    while True: pass",
            3,
        ),
        (
            "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nsignal.signal(signal.SIGTERM, lambda *_: None)\ndef stay():\n    while True:\n        try: pass\n        except BaseException: pass",
            3,
        ),
        ("import os, signal\ndef stay(): os.kill(os.getpid(), signal.SIGSTOP)", 2),
    ] {
        let stages = stages_for(source).await;
        assert!(stages.len() <= expected, "{stages:?} for {source}");
    }
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_goes_with_its_job() {
    let mut engine = Engine::start();
    engine.submit(
        "import subprocess\nchild = subprocess.Popen(['sh', '-c', 'trap \"\" TERM; echo up; sleep 1000 & wait'], stdout=subprocess.PIPE)\nchild.stdout.readline()\nprint(child.pid)\nprint('up')\nwhile True:\n    try: child.wait()\n    except BaseException: pass\n",
    );
    engine.until_printed("up").await;
    let child = engine.told.stdout().iter().find_map(|text| text.parse().ok()).unwrap();
    engine.abort_with_grace(GRACE).await;
    assert!(!is_alive(child));
}

#[tokio::test]
async fn a_paused_and_a_black_box_job_end_when_asked() {
    let mut engine = Engine::start();
    engine.submit("print('up')\nwhile True: pass\n");
    engine.until_printed("up").await;
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
    engine.until(|told| !told.paused.is_empty()).await;
    assert_eq!(engine.abort_with_grace(GRACE).await, [AbortStage::Ask]);

    engine.submit_as("import time\nprint('up')\ntime.sleep(1e6)\n", true);
    engine.until_printed("up").await;
    assert_eq!(engine.abort_with_grace(GRACE).await, [AbortStage::Ask]);
}

#[tokio::test]
async fn an_abort_affects_its_job_alone() {
    let mut engine = Engine::start();
    engine.submit("print('up')\nwhile True: pass\n");
    engine.until_printed("up").await;
    engine.abort_with_grace(GRACE).await;
    let told = engine.run("print('next')").await;
    assert_eq!(told.end().ending, Ending::Completed);
    assert!(told.printed("next"));
}
