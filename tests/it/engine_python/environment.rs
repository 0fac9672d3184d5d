//! What a script finds around it, and that it finds nothing of the job before.

use beamq::engine::{EngineState, OutputStream};
use beamq_machines::{Ending, Phase};

use super::fixture::Engine;

#[tokio::test]
async fn no_state_leaks_between_jobs() {
    let mut engine = Engine::start();
    engine
        .run("import os, sys, json, builtins\nos.environ['LEAK'] = '1'\njson.leak = builtins.leak = leak = True\nsys.path.append('/leak')\nos.chdir('/')\nos.umask(0)\n")
        .await;
    let told = engine
        .run("import os, sys, json, builtins\nprint('LEAK' in os.environ, hasattr(json, 'leak'), hasattr(builtins, 'leak'), 'leak' in globals(), '/leak' in sys.path, os.getcwd() == '/')\n")
        .await;
    assert_eq!(told.stdout(), ["False False False False False False"]);
}

#[tokio::test]
async fn a_script_is_main_in_a_clean_namespace_and_a_folder_of_its_own() {
    let mut engine = Engine::start();
    let file = engine.folder.path().join("scripts/1/test.py");
    let told = engine
        .run("import sys, os\nprint(__name__, __file__, sys.argv, sys.modules['__main__'].__dict__ is globals())\nprint(sorted(n for n in dir() if not n.startswith('__')))\nprint(os.getcwd())\nprint(sys.stdout.encoding, os.environ['MPLBACKEND'], 'µ')\nprint(repr(os.read(0, 10)))\n")
        .await;
    let lines = told.stdout();
    assert_eq!(lines[0], format!("__main__ {} ['test.py'] True", file.display()));
    assert!(!file.exists(), "the script's file goes with the job");
    assert_eq!(lines[1], "['os', 'sys']");
    assert!(lines[2].ends_with("/jobs/1"), "{}", lines[2]);
    assert_eq!(lines[3], "utf-8 Agg µ");
    assert_eq!(lines[4], "b''", "standard input is empty");
}

/// A Python that a script starts anew imports the script's own functions from its file.
#[tokio::test]
async fn processes_that_a_script_spawns_know_its_functions() {
    let source = "import multiprocessing\n\ndef square(x):\n    return x * x\n\nif __name__ == '__main__':\n    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.map(square, [2, 3]))\n";
    let mut engine = Engine::start();
    for black_box in [false, true] {
        engine.submit_as(source, black_box);
        let told = engine.until_ended().await;
        assert_eq!(told.stdout(), ["[4, 9]"], "{:?}", told.end().report);
    }
}

#[tokio::test]
async fn an_empty_working_directory_goes_and_one_with_files_stays() {
    let mut engine = Engine::start();
    engine.run("pass").await;
    assert!(!engine.folder.path().join("jobs/1").exists());
    engine.run("open('data.txt', 'w').write('kept')").await;
    assert_eq!(std::fs::read_to_string(engine.folder.path().join("jobs/2/data.txt")).unwrap(), "kept");
}

#[tokio::test]
async fn path_preload_and_startup_are_there_before_the_job() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("instrument.py"), "import time\nLOADED = time.time()\n").unwrap();
    let startup = folder.path().join("prepare.py");
    std::fs::write(&startup, "import instrument\ninstrument.ready = True\nprint('not for the job')\n")
        .unwrap();
    let path = folder.path().to_owned();
    let mut engine = Engine::with(|settings| {
        settings.path = vec![path];
        settings.preload = vec!["instrument".into()];
        settings.startup = vec![startup];
    });
    let told = engine
        .run("import sys\nprint('instrument' in sys.modules)\nimport instrument\nprint(instrument.ready)\n")
        .await;
    assert_eq!(told.stdout(), ["True", "True"]);
}

#[tokio::test]
async fn a_failing_preload_or_startup_blocks_with_the_reason() {
    let mut engine = Engine::with(|settings| settings.preload = vec!["no_such_module".into()]);
    let why = engine.until_state(EngineState::Unavailable).await.unwrap();
    assert!(why.contains("no_such_module") && why.contains("engine.python.preload"), "{why}");

    let folder = tempfile::tempdir().unwrap();
    let startup = folder.path().join("prepare.py");
    std::fs::write(&startup, "x = 1\nx / 0\n").unwrap();
    let file = startup.clone();
    let mut engine = Engine::with(|settings| settings.startup = vec![file]);
    let why = engine.until_state(EngineState::Unavailable).await.unwrap();
    assert!(
        why.contains("prepare.py") && why.contains("line 2") && why.contains("ZeroDivisionError"),
        "{why}"
    );
    // Mended, it is taken up without anybody asking.
    std::fs::write(&startup, "x = 1\n").unwrap();
    engine.until_state(EngineState::Ready).await;
}

#[tokio::test]
async fn a_virtual_environment_is_an_interpreter() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new(super::fixture::interpreter())
        .args(["-m", "venv", "--without-pip"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(made.success());
    let packages = std::fs::read_dir(folder.path().join("lib")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(packages.join("site-packages/only_here.py"), "ANSWER = 42\n").unwrap();
    let python = folder.path().join("bin/python");
    let mut engine = Engine::with(|settings| settings.interpreter = python);
    let told = engine.run("import sys, only_here\nprint(sys.prefix, only_here.ANSWER)\n").await;
    assert_eq!(told.stdout(), [format!("{} 42", folder.path().display())]);
}

#[tokio::test]
async fn memory_that_leaves_no_room_is_refused_with_its_key() {
    let mut engine = Engine::with(|settings| settings.memory = Some(1 << 20));
    let why = engine.until_state(EngineState::Unavailable).await.unwrap();
    assert!(why.contains("engine.python.memory") && why.contains("MiB already"), "{why}");
}

#[tokio::test]
async fn children_and_forks_of_a_script_do_not_speak_for_it() {
    let mut engine = Engine::start();
    let told = engine
        .run("import os, subprocess, sys, multiprocessing, beamq\npid = os.fork()\nif pid == 0:\n    beamq.note('from the fork')\n    sys.exit(5)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n    print(pool.map(abs, [-1, -2]))\nprint(subprocess.run([sys.executable, '-c', 'import os; print([fd for fd in os.listdir(\"/proc/self/fd\") if int(fd) > 3])'], capture_output=True, text=True).stdout.strip())\n")
        .await;
    assert_eq!(told.stdout(), ["5", "[1, 2]", "[]"]);
    assert_eq!(told.texts(OutputStream::Stderr), [""; 0], "no warning about the worker's own thread");
    assert_eq!(told.end().ending, Ending::Completed);
}

#[tokio::test]
async fn a_black_box_runs_untouched_and_is_still_watched() {
    let mut engine = Engine::start();
    engine.submit_as(
        "# %% Not a step\nimport time\nprint(time.sleep.__class__.__name__, hasattr(__builtins__, '__beamq_cell__'))\ntime.sleep(0.5)\n1 / 0\n",
        true,
    );
    let told = engine.until_ended().await;
    assert_eq!(told.stdout(), ["builtin_function_or_method False"]);
    assert!(told.progress.iter().any(|progress| progress.line == Some(4)));
    assert!(told.progress.iter().all(|progress| progress.step.is_none()));
    assert_eq!((told.end().report.line, told.end().report.phase), (Some(5), Phase::Run));
}

#[tokio::test]
async fn exceptions_in_threads_are_seen_and_daemon_threads_do_not_keep_a_job() {
    let mut engine = Engine::start();
    let told = engine
        .run("import threading, time\nt = threading.Thread(target=lambda: 1 / 0)\nt.start(); t.join()\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n")
        .await;
    assert_eq!(told.end().ending, Ending::Completed);
    assert!(told.end().report.output_tail.iter().any(|line| line.contains("ZeroDivisionError")));
    let errors = &told.end().command_errors;
    assert_eq!(errors.len(), 1, "it is counted, so that the job is no plain success: {errors:?}");
    assert!(errors[0].command.starts_with("thread Thread-"), "{errors:?}");
    assert_eq!(
        (errors[0].message.as_str(), errors[0].line),
        ("ZeroDivisionError: division by zero", Some(2))
    );
}
