//! From start to end: workers, their processes, and what happens when there are none.

use std::{
    io::{BufRead, BufReader},
    os::unix::{fs::symlink, process::CommandExt},
    process::{Command, Stdio},
    sync::Arc,
};

use beamq::engine::{EngineCall, EngineState};
use beamq_machines::{AbortStage, Ending, JobId};

use super::fixture::{Engine, interpreter, is_alive, until_gone};

#[tokio::test]
async fn a_job_is_started_heard_and_ended_once() {
    let mut engine = Engine::start();
    engine.until_state(EngineState::Ready).await;
    let told = engine.run("print('hello')\nimport sys\nprint('oops', file=sys.stderr)\n").await;
    assert!(told.started);
    assert_eq!(told.stdout(), ["hello"]);
    assert_eq!(told.lines.iter().map(|line| line.n).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(told.end().ending, Ending::Completed);
    assert_eq!(told.end().report.error_type, "");
    assert_eq!(told.end().report.output_tail.len(), 2);
}

#[tokio::test]
async fn jobs_follow_each_other_without_a_spare_too() {
    let mut engine = Engine::with(|settings| settings.spare_workers = 0);
    engine.until_state(EngineState::Ready).await;
    for number in 0..3 {
        let told = engine.run(&format!("print({number})")).await;
        assert_eq!(told.stdout(), [number.to_string()]);
    }
}

#[tokio::test]
async fn a_job_that_comes_before_the_worker_is_ready_waits_for_it() {
    let mut engine = Engine::start();
    assert_eq!(engine.run("print(1)").await.stdout(), ["1"]);
}

#[tokio::test]
async fn a_missing_interpreter_is_named_with_its_key_and_taken_when_it_appears() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let missing = folder.path().join("python");
    let mut engine =
        Engine::in_folder(Arc::clone(&folder), |settings| settings.interpreter = missing.clone());
    let why = engine.until_state(EngineState::Unavailable).await.unwrap();
    assert!(why.contains(missing.to_str().unwrap()), "{why}");
    assert!(why.contains("engine.python.interpreter"), "{why}");

    let real =
        Command::new(interpreter()).args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    symlink(String::from_utf8(real.stdout).unwrap().trim(), &missing).unwrap();
    engine.until_state(EngineState::Ready).await;
    assert_eq!(engine.run("print(1)").await.stdout(), ["1"]);
}

#[tokio::test]
async fn a_job_started_while_nothing_can_run_waits_and_can_be_aborted() {
    let mut engine = Engine::with(|settings| settings.interpreter = "/nonexistent/python".into());
    engine.until_state(EngineState::Unavailable).await;
    engine.submit("print(1)");
    engine.call(EngineCall::Abort(engine.job(), AbortStage::Ask));
    let told = engine.until_ended().await;
    assert!(!told.started);
    assert_eq!(told.end().ending, Ending::Failed);
}

#[tokio::test]
async fn what_is_no_python_and_what_is_too_old_are_refused_with_a_reason() {
    let mut engine = Engine::with(|settings| settings.interpreter = "/bin/true".into());
    let why = engine.until_state(EngineState::Unavailable).await.unwrap();
    assert!(why.contains("/bin/true") && why.contains("3.9"), "{why}");

    let folder = Arc::new(tempfile::tempdir().unwrap());
    let old = folder.path().join("old-python");
    std::fs::write(
        &old,
        format!(
            "#!/bin/sh\nexec {} -c 'import sys; sys.version_info = (3, 8, 1, \"final\", 0)
sys.argv = [sys.argv[2]]; exec(open(sys.argv[0]).read())' \"$@\"\n",
            interpreter().display()
        ),
    )
    .unwrap();
    make_executable(&old);
    let mut engine = Engine::in_folder(folder, |settings| settings.interpreter = old);
    let why = engine.until_state(EngineState::Unavailable).await.unwrap();
    assert!(why.contains("Python 3.8 is too old"), "{why}");
}

fn make_executable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_spare_that_dies_is_replaced() {
    let mut engine = Engine::start();
    engine.until_state(EngineState::Ready).await;
    for pid in workers(&engine) {
        nix_kill(pid);
        until_gone(pid).await;
    }
    assert_eq!(engine.run("print(1)").await.stdout(), ["1"]);
}

#[tokio::test]
async fn dropping_the_link_and_shutting_down_end_every_process() {
    for shut_down in [true, false] {
        let mut engine = Engine::start();
        engine.submit("import os\nprint(os.getpid())\nwhile True: pass\n");
        engine.until(|told| !told.lines.is_empty()).await;
        let pid: i32 = engine.told.lines[0].text.parse().unwrap();
        let spares = workers(&engine);
        if shut_down {
            engine.call(EngineCall::Shutdown);
            engine.until_ended().await;
            assert!(!is_alive(pid));
        } else {
            drop(engine);
        }
        until_gone(pid).await;
        for spare in spares {
            until_gone(spare).await;
        }
    }
}

#[tokio::test]
async fn calls_about_another_job_are_ignored() {
    let mut engine = Engine::start();
    engine.submit("import time\nprint('up')\ntime.sleep(0.2)\nprint('done')\n");
    engine.until_printed("up").await;
    for stage in [AbortStage::Ask, AbortStage::Terminate, AbortStage::Kill] {
        engine.call(EngineCall::Abort(JobId(999), stage));
    }
    let told = engine.until_ended().await;
    assert_eq!(told.end().ending, Ending::Completed);
    assert!(told.printed("done"));
}

#[tokio::test]
async fn children_that_ignore_sigterm_are_gone_when_the_job_has_ended() {
    let mut engine = Engine::start();
    let told = engine
        .run("import subprocess\nchild = subprocess.Popen(['sh', '-c', 'trap \"\" TERM; sleep 1000 & wait'])\nprint(child.pid)\n")
        .await;
    assert_eq!(told.end().ending, Ending::Completed);
    assert!(!is_alive(told.stdout()[0].parse().unwrap()));
}

/// Starts a program in a session of its own, below a parent that ends at once, without the environment of the
/// job, and prints its number.
const DETACH: &str = "\
import os, subprocess, sys
def detach(*program, **options):
    starter = 'import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdin=-3, stdout=-3, stderr=-3, start_new_session=True).pid)'
    subprocess.run([sys.executable, '-c', starter, *program], check=True, **options)
";

#[tokio::test]
async fn a_child_in_a_session_of_its_own_goes_with_the_job_and_does_not_delay_the_end() {
    let mut engine = Engine::start();
    // What waited for the child would not be back before the deadline of the tests.
    let told = engine
        .run("import subprocess\nchild = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nprint(child.pid)\n")
        .await;
    assert_eq!(told.end().ending, Ending::Completed);
    assert!(!is_alive(told.stdout()[0].parse().unwrap()));
}

#[tokio::test]
async fn what_left_group_parent_and_environment_goes_with_the_job_however_it_ends() {
    for (end, ending) in [
        ("", Ending::Completed),
        ("raise ValueError", Ending::Failed),
        ("import atexit\natexit.register(detach, 'sleep', '1000', env={})", Ending::Completed),
    ] {
        let mut engine = Engine::start();
        let told = engine.run(&format!("{DETACH}\ndetach('sleep', '1000', env={{}})\n{end}\n")).await;
        assert_eq!(told.end().ending, ending, "{end}");
        assert!(!told.stdout().is_empty());
        for pid in told.stdout() {
            assert!(!is_alive(pid.parse().unwrap()), "{end}: {pid}");
        }
    }
}

#[tokio::test]
async fn what_left_the_group_is_ended_when_the_script_dies_or_is_killed() {
    let mut engine = Engine::start();
    // No word of its own and nothing to look below any more: the mark in the environment remains.
    let told = engine.run(&format!("{DETACH}\ndetach('sleep', '1000')\nos.kill(os.getpid(), 9)\n")).await;
    assert!(!is_alive(told.stdout()[0].parse().unwrap()));

    for stage in [AbortStage::Terminate, AbortStage::Kill] {
        engine
            .submit(&format!("{DETACH}\ndetach('sleep', '1000', env={{}})\nprint('up')\nwhile True: pass\n"));
        engine.until_printed("up").await;
        let detached = engine.told.stdout()[0].parse().unwrap();
        assert!(is_alive(detached));
        engine.call(EngineCall::Abort(engine.job(), stage));
        engine.until_ended().await;
        assert!(!is_alive(detached), "{stage:?}");
    }
}

#[tokio::test]
async fn what_is_said_to_outlive_the_job_stays_and_what_another_started_too() {
    let mut engine = Engine::start();
    let mut bystander = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    let told = engine
        .run(&format!("{DETACH}\ndetach('sleep', '1000', env={{**os.environ, 'BEAMQ_OUTLIVES_JOB': '1'}})\n"))
        .await;
    let detached = told.stdout()[0].parse().unwrap();
    let alive = (is_alive(detached), is_alive(bystander.id().cast_signed()));
    nix_kill(detached);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert_eq!(alive, (true, true));
}

#[tokio::test]
async fn a_restarted_engine_ends_what_a_killed_one_left_behind() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    // What a server that was killed leaves: a live group and an entry that names it.
    let mut orphan = Command::new("setsid")
        .args(["sh", "-c", "trap '' TERM; echo ready; sleep 1000 & wait"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(orphan.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let pid = orphan.id();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let started = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    // It has left the group, and only its mark is known.
    let mark = format!("test-{pid}");
    let mut stray =
        Command::new("sleep").arg("1000").env("BEAMQ_WORKER", &mark).process_group(0).spawn().unwrap();
    let workers = folder.path().join("workers");
    std::fs::create_dir_all(&workers).unwrap();
    let entry =
        format!(r#"{{"pid": {pid}, "started": {started}, "boot": "{}", "mark": "{mark}"}}"#, boot.trim());
    std::fs::write(workers.join(format!("{pid}.json")), entry).unwrap();

    let mut engine = Engine::in_folder(folder, |_| {});
    engine.until_state(EngineState::Ready).await;
    until_gone(pid.cast_signed()).await;
    until_gone(stray.id().cast_signed()).await;
    orphan.wait().unwrap();
    stray.wait().unwrap();
    assert!(!workers.join(format!("{pid}.json")).exists());
}

/// Set for the process that is killed.
const TO_BE_KILLED: &str = "BEAMQ_TEST_SERVER_TO_BE_KILLED";

/// Not a test of its own: the server that the next test kills.
#[test]
#[ignore = "run by the test below in a process of its own"]
fn server_to_be_killed() {
    if std::env::var_os(TO_BE_KILLED).is_none() {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut engine = Engine::start();
        engine.submit("import os\nprint(os.getpid())\nwhile True: pass\n");
        engine.until(|told| !told.lines.is_empty()).await;
        println!("\nworker {}", engine.told.lines[0].text);
        engine.until_ended().await;
    });
}

#[tokio::test]
async fn a_worker_dies_with_a_server_that_is_killed() {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "engine_python::lifecycle::server_to_be_killed"])
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let worker: i32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("worker ")?.parse().ok())
        .expect("the server tells of its worker");
    assert!(is_alive(worker));
    server.kill().unwrap();
    server.wait().unwrap();
    until_gone(worker).await;
}

fn workers(engine: &Engine) -> Vec<i32> {
    std::fs::read_dir(engine.folder.path().join("workers"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().path().file_stem()?.to_str()?.parse().ok())
        .collect()
}

fn nix_kill(pid: i32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}
