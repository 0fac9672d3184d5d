//! Reports on what went wrong.

use beamq::engine::OutputStream;
use beamq_machines::{Ending, Phase, Report};

use super::fixture::Engine;

async fn report_on(source: &str) -> Report {
    let mut engine = Engine::start();
    let told = engine.run(source).await;
    assert_eq!(told.end().ending, Ending::Failed, "{source}");
    told.end().report.clone()
}

#[tokio::test]
async fn an_exception_is_reported_with_the_users_frames_alone() {
    let report = report_on(
        "import json\n\ndef load(text):\n    try:\n        return json.loads(text)\n    except ValueError as error:\n        raise RuntimeError('bad settings') from error\n\nprint('before')\nload('{')\n",
    )
    .await;
    assert_eq!(report.error_type, "RuntimeError");
    assert_eq!(report.message, "bad settings");
    assert_eq!((report.line, report.phase), (Some(7), Phase::Run));
    assert_eq!(report.text.as_deref(), Some("        raise RuntimeError('bad settings') from error"));
    let frames: Vec<_> =
        report.traceback.iter().map(|f| (f.file.as_str(), f.line, f.function.as_str())).collect();
    assert_eq!(frames, [("test.py", 10, "<module>"), ("test.py", 7, "load")]);
    assert_eq!(report.causes.len(), 1);
    assert!(report.causes[0].starts_with("json.decoder.JSONDecodeError: "), "{:?}", report.causes);
    assert!(report.output_tail.contains(&"before".to_owned()));
    assert!(
        report.output_tail.iter().any(|line| line.contains("raise RuntimeError")),
        "{:?}",
        report.output_tail
    );
    assert!(!report.output_tail.iter().any(|line| line.contains("beamq_worker")), "{:?}", report.output_tail);
}

#[tokio::test]
async fn an_error_in_finally_names_the_one_it_came_after() {
    let report = report_on(
        "def measure():\n    try:\n        raise ValueError('no beam')\n    finally:\n        {}['shutter']\n\nmeasure()\n",
    )
    .await;
    assert_eq!((report.error_type.as_str(), report.line), ("KeyError", Some(5)));
    assert_eq!(report.causes, ["ValueError: no beam"]);

    // A long chain is bounded, and one that goes in a circle ends.
    let report = report_on(
        "error = None\nfor n in range(100):\n    new = ValueError(n)\n    new.__cause__ = error\n    error = new\nraise error\n",
    )
    .await;
    assert_eq!((report.message.as_str(), report.causes.len()), ("99", 10));
    let report =
        report_on("a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a\n")
            .await;
    assert_eq!(report.causes, ["ValueError: b"]);
}

#[tokio::test]
async fn a_report_is_made_also_when_the_script_has_left_nothing_to_make_it_with() {
    for (source, kind) in [
        (
            "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nfiles = []\nwhile True: files.append(open('/dev/null'))\n",
            "OSError",
        ),
        ("import sys\nsys.modules['traceback'] = sys.modules['ast'] = None\n1 / 0\n", "ZeroDivisionError"),
        ("import sys\nsys.path[:] = []\nsys.meta_path[:] = []\n1 / 0\n", "ZeroDivisionError"),
        ("import sys\nsys.setrecursionlimit(60)\ndef f(): f()\nf()\n", "RecursionError"),
        ("import sys\nsys.stdout = sys.stderr = None\n1 / 0\n", "ZeroDivisionError"),
        ("import sys\nsys.stderr.close()\nsys.stdout.close()\n1 / 0\n", "ZeroDivisionError"),
        (
            "import sys\ndef hook(*_): raise SystemExit(9)\nsys.excepthook = hook\n1 / 0\n",
            "ZeroDivisionError",
        ),
    ] {
        let report = report_on(source).await;
        assert_eq!(report.error_type, kind, "{source}: {report:?}");
    }
}

#[tokio::test]
async fn a_syntax_error_has_line_column_and_text_and_never_starts() {
    let mut engine = Engine::start();
    let told = engine.run("x = 1\nfor i in range(3)\n    print(i)\n").await;
    assert!(!told.started);
    let report = &told.end().report;
    assert_eq!((report.error_type.as_str(), report.phase), ("SyntaxError", Phase::Syntax));
    assert_eq!((report.line, report.text.as_deref()), (Some(2), Some("for i in range(3)")));
    assert_eq!(report.column, Some(18));
    assert_eq!(report.hint.as_deref(), Some("a colon is missing at the end of the line"));
    assert!(
        told.texts(OutputStream::Stderr).iter().any(|line| line.trim_end().ends_with('^')),
        "the caret is shown"
    );
}

#[tokio::test]
async fn a_failing_import_has_its_own_phase() {
    let report = report_on("import sys\nimport nmpy_that_is_not_there\n").await;
    assert_eq!((report.error_type.as_str(), report.phase), ("ModuleNotFoundError", Phase::Import));
    assert_eq!(report.line, Some(2));
    assert!(report.hint.unwrap().contains("engine.python.path"));
    for (source, phase) in [
        ("import os; 1/0\n", Phase::Run),
        ("1 if 1/0 else 2; import os\n", Phase::Run),
        ("import os; import nothing_of_this_name\n", Phase::Import),
        ("from os import nothing_of_this_name\n", Phase::Import),
        ("def late():\n    import nothing_of_this_name\nlate()\n", Phase::Import),
    ] {
        assert_eq!(report_on(source).await.phase, phase, "{source}");
    }
}

#[tokio::test]
async fn exits_are_told_apart() {
    let mut engine = Engine::start();
    for source in ["import sys\nsys.exit()", "raise SystemExit(0)"] {
        assert_eq!(engine.run(source).await.end().ending, Ending::Completed);
    }
    for (source, code, message) in [
        ("import sys\nsys.exit(3)", 3, "exit code 3"),
        ("import sys\nsys.exit('no beam')", 1, "no beam"),
        ("import os\nos._exit(3)", 3, "before the script came to its end"),
        ("import os\nos._exit(0)", 0, "before the script came to its end"),
    ] {
        let report = report_on(source).await;
        assert_eq!((report.error_type.as_str(), report.phase), ("SystemExit", Phase::Run), "{source}");
        assert_eq!(report.exit_code, Some(code), "{source}");
        assert!(report.message.contains(message), "{}", report.message);
    }
}

#[tokio::test]
async fn signals_are_named() {
    for (source, signal) in [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "SIGKILL"),
        ("import ctypes\nctypes.string_at(0)\n", "SIGSEGV"),
        ("import os\nos.abort()\n", "SIGABRT"),
    ] {
        let report = report_on(source).await;
        assert_eq!((report.error_type.as_str(), report.phase), ("Signal", Phase::Killed));
        assert_eq!(report.signal.as_deref(), Some(signal));
        assert!(report.hint.is_some());
    }
}

#[tokio::test]
async fn the_usual_mistakes_get_a_hint() {
    for (source, hint) in [
        ("counts = 3\nprint(count)", "did you mean 'counts'?"),
        ("print(time.time())", "'import time' is missing"),
        ("import maths", "did you mean 'import math'?"),
        ("from math import squirt", "did you mean 'sqrt'?"),
        ("if True:\nprint(1)", "indent the lines"),
        ("if True:\n\tx = 1\n        y = 2", "tabs and spaces"),
        ("  x = 1", "remove the extra spaces"),
        ("print 'hello'", "print(…) with parentheses"),
        ("print((1, 2)\n", "not closed"),
        ("x = 'abc\n", "quote"),
        ("if x = 1: pass", "=="),
        ("open('nothing.txt')", "relative path"),
        ("open('/nonexistent/nothing.txt')", "does not exist"),
        ("def f(a): pass\nf(1, 2)", "check the arguments"),
        ("d = {'temperature': 1}\nd['temprature']", "did you mean 'temperature'?"),
        ("[1][3]", "indices 0 to n-1"),
        ("1 / 0", "divisor is 0"),
        ("int('five')", "not a number"),
        ("'a' + 1", "different types"),
        ("def f(): pass\nf().x", "returned nothing"),
        ("def f(): f()\nf()", "calls itself"),
        ("raise MemoryError()", "fit into memory"),
        ("def f():\n    x += 1\nx = 1\nf()", "global x"),
        ("return 3", "only work in a function"),
        ("print(math.pi)", "'import math' is missing"),
        ("np.zeros(3)", "'import numpy as np' is missing"),
        ("import pandas_that_is_not_there", "not installed"),
        ("import subprocess\nsubprocess.run(['no_such_program'])", "no program 'no_such_program'"),
        ("for i in 5: pass", "range("),
        ("'3' < 5", "different types"),
        ("range(1.5)", "whole one"),
        ("import time\ntime.sleep('5')", "float("),
        ("import os\nos.mkdir('/tmp')", "there already"),
        ("import json\njson.loads('{a}')", "not JSON"),
        ("x = 010", "without the zeros"),
        ("break", "only work in a loop"),
        ("import json\njson.lods('1')", "did you mean 'loads'?"),
        ("{'abc': 1}['abd']", "check the key"),
        ("d = {'abc': 1}\nd['abd']", "did you mean 'abc'?"),
    ] {
        let mut engine = Engine::start();
        let report = engine.run(source).await.end().report.clone();
        let said = report.hint.clone().unwrap_or_default();
        assert!(said.contains(hint), "{source}: {said:?} of {report:?}");
    }
}

/// A wrong hint is worse than none: it sends people looking at the wrong place.
#[tokio::test]
async fn no_hint_leads_astray() {
    for (source, wrong) in [
        ("import numpy.that_is_not_there", "enum"),
        ("import h5py.that_is_not_there", "did you mean"),
        ("print(f'{x!}')", "line before"),
        ("raise Exception('the beam is off')", ""),
    ] {
        let mut engine = Engine::start();
        let report = engine.run(source).await.end().report.clone();
        let said = report.hint.clone();
        assert!(said.as_ref().is_none_or(|said| !said.contains(wrong)), "{source}: {said:?}");
    }
}

#[tokio::test]
async fn extreme_errors_are_bounded() {
    let report = report_on("raise ValueError('x' * 5_000_000)\n").await;
    assert!(report.message.len() < 20_000);
    assert!(report.output_tail.iter().all(|line| line.chars().count() <= 2001));

    let report = report_on("def f(n): return f(n + 1)\nf(0)\n").await;
    assert_eq!(report.error_type, "RecursionError");
    assert!(report.traceback.len() <= 50);

    let report =
        report_on("class Odd(Exception):\n    def __str__(self): raise KeyError(1)\nraise Odd()\n").await;
    assert_eq!(report.error_type, "Odd");

    let report = report_on("x = 1\n\0").await;
    assert_eq!(report.phase, Phase::Syntax);

    let report = report_on("raise ValueError('\\udcff lone')\n").await;
    assert_eq!(report.message, "? lone");
}

#[tokio::test]
async fn a_disturbed_control_channel_ends_that_job_alone() {
    let mut engine = Engine::start();
    let find = "import os, stat\nfds = [fd for fd in range(3, 1024) if os.path.exists('/proc/self/fd/%d' % fd) and stat.S_ISSOCK(os.fstat(fd).st_mode)]\n";
    for (disturb, message) in [
        (
            "os.set_blocking(fds[0], True)\nos.write(fds[0], b'x' * 3_000_000)\nimport time; time.sleep(100)\n",
            "1 MiB",
        ),
        (
            "os.set_blocking(fds[0], True)\nos.write(fds[0], b'{}\\n' * 1000)\nimport time; time.sleep(100)\n",
            "no messages",
        ),
        (
            "import socket\nsocket.socket(fileno=fds[0]).shutdown(socket.SHUT_WR)\nwhile True: pass\n",
            "closed its control",
        ),
    ] {
        let told = engine.run(&format!("{find}{disturb}")).await;
        let report = &told.end().report;
        assert_eq!(report.error_type, "WorkerError", "{report:?}");
        assert!(report.message.contains(message), "{report:?}");
    }
    assert!(engine.run("print(1)").await.printed("1"));
}
