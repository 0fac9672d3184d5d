//! R1, R2, R3: every job can be ended, in every state, and nothing of it is left.

use serde_json::{Value, json};

use crate::harness::{Home, LOOP, Server, User, alive_in_group, waits_for};

/// Runs a script that has to be aborted and gives the job as it ended.
async fn abort_running(user: &mut User, script: &str) -> Value {
    let id = user.submit("stubborn", script).await;
    let group = user.line(&id, "group").await;
    assert_eq!(user.call("run.abort", json!({"why": "enough"})).await["state"], "aborting");
    let job = user.ends(&id, "aborted").await;
    assert_eq!(alive_in_group(&group), Vec::<String>::new());
    job
}

#[tokio::test]
async fn r02_an_endless_loop_is_aborted_and_its_finally_block_runs() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import os\ntry:\n    print('group', os.getpgid(0), flush=True)\n    while True: pass\nfinally:\n    print('cleaned up', flush=True)\n";
    let job = abort_running(&mut user, script).await;
    let output = user.output(job["id"].as_str().unwrap()).await;
    assert!(output.contains(&"cleaned up".to_owned()), "{output:?}");
    assert_eq!(user.queue().await["state"], "held");
}

#[tokio::test]
async fn r02_a_long_sleep_is_aborted_and_its_finally_block_runs() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import os, time\nprint('group', os.getpgid(0), flush=True)\ntry:\n    time.sleep(1e6)\nfinally:\n    print('cleaned up', flush=True)\n";
    let job = abort_running(&mut user, script).await;
    assert!(user.output(job["id"].as_str().unwrap()).await.contains(&"cleaned up".to_owned()));
}

#[tokio::test]
async fn r02_a_blocking_call_into_c_is_ended() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import ctypes, os\nprint('group', os.getpgid(0), flush=True)\nlibc = ctypes.PyDLL(None)\nwhile True:\n    libc.sleep(1000000)\n";
    abort_running(&mut user, script).await;
}

#[tokio::test]
async fn r02_a_loop_that_passes_over_exceptions_is_ended() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import os, time\nprint('group', os.getpgid(0), flush=True)\nwhile True:\n    try:\n        while True: time.sleep(0.001)\n    except Exception:\n        pass\n";
    abort_running(&mut user, script).await;
}

#[tokio::test]
async fn r02_a_loop_that_passes_over_everything_and_ignores_signals_is_killed() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('group', os.getpgid(0), flush=True)\nwhile True:\n    try:\n        while True: time.sleep(0.001)\n    except BaseException:\n        pass\n";
    abort_running(&mut user, script).await;
}

#[tokio::test]
async fn r02_children_of_an_aborted_script_are_ended_with_it() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import os, subprocess, sys, time\nchildren = [subprocess.Popen([sys.executable, '-c', 'import signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\ntime.sleep(1e6)']) for _ in range(3)]\nif os.fork() == 0:\n    time.sleep(1e6)\nprint('group', os.getpgid(0), flush=True)\nfor child in children:\n    child.wait()\n";
    abort_running(&mut user, script).await;
}

#[tokio::test]
async fn r02_a_second_abort_presses_harder() {
    // Grace times that no test would wait for: only more aborts can end this.
    let server = Home::new("abort: {cooperative: \"10m\", terminate: \"10m\"}\n").start().await;
    let mut user = server.client().await;
    let script = "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('group', os.getpgid(0), flush=True)\nn = 0\nwhile True:\n    try:\n        n = 0\n        while True: n += 1\n    except BaseException:\n        print('ignored', flush=True)\n";
    let id = user.submit("stubborn", script).await;
    let group = user.line(&id, "group").await;
    user.call("run.abort", json!({})).await;
    user.line(&id, "ignored").await;
    assert_eq!(user.call("run.abort", json!({})).await["state"], "aborting");
    assert_eq!(user.call("run.abort", json!({})).await["state"], "aborting");
    user.ends(&id, "aborted").await;
    assert_eq!(alive_in_group(&group), Vec::<String>::new());
}

#[tokio::test]
async fn r02_a_paused_job_is_aborted_and_its_finally_block_runs() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "try:\n    print('here', flush=True)\n    while True:\n        pass\nfinally:\n    print('cleaned up', flush=True)\n";
    let id = user.submit("paused", script).await;
    user.line(&id, "here").await;
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    assert!(user.output(&id).await.contains(&"cleaned up".to_owned()));
}

#[tokio::test]
async fn r02_a_pausing_job_is_aborted() {
    let server = Server::start().await;
    let mut user = server.client().await;
    // In a blocking call of C there is no next line, so the pause stays pending.
    let script =
        "import ctypes, os\nprint('group', os.getpgid(0), flush=True)\nctypes.PyDLL(None).sleep(1000000)\n";
    let id = user.submit("pausing", script).await;
    let group = user.line(&id, "group").await;
    let reply = user.call("run.pause", json!({})).await;
    assert_eq!(reply["state"], "pausing");
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    assert_eq!(alive_in_group(&group), Vec::<String>::new());
}

#[tokio::test]
async fn r02_a_starting_job_is_aborted_and_never_runs() {
    let gate = tempfile::tempdir().unwrap();
    // The interpreter does not come up before the gate opens, so the job stays `starting`.
    let interpreter = gate.path().join("python");
    std::fs::write(
        &interpreter,
        "#!/bin/sh\nwhile [ ! -e \"$0.open\" ]; do sleep 0.02; done\nexec python3 \"$@\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&interpreter, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::with(&format!("engine: {{python: {{interpreter: {:?}}}}}\n", interpreter)).await;
    let mut user = server.client().await;
    let id = user.submit("never", "print('it ran')").await;
    user.settles(&id, "starting").await;
    assert_eq!(user.call("run.abort", json!({})).await["state"], "aborting");
    user.ends(&id, "aborted").await;
    std::fs::write(gate.path().join("python.open"), "").unwrap();
    assert_eq!(user.output(&id).await, Vec::<String>::new());
    // The server goes on with the next job.
    user.call("queue.release", json!({})).await;
    let next = user.submit("next", "print('ran')").await;
    user.ends(&next, "succeeded").await;
}

#[tokio::test]
async fn r02_a_waiting_job_is_taken_off_and_an_abort_without_an_active_job_says_what_works() {
    let server = Server::start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let id = user.submit("waits", "print('it ran')").await;
    let refusal = user.refused("run.abort", json!({})).await;
    assert_eq!((refusal.code, refusal.kind()), (-32010, "wrong_state"));
    user.call("job.remove", json!({"ids": [id]})).await;
    user.ends(&id, "cancelled").await;
}

#[tokio::test]
async fn r03_abort_affects_that_job_alone() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("first", LOOP).await;
    let second = user.submit("second", "print('second')").await;
    let third = user.submit("third", "print('third')").await;
    user.line(&id, "group").await;
    user.call("run.abort", json!({"why": "wrong sample"})).await;
    user.ends(&id, "aborted").await;
    let queue = user.queue().await;
    assert_eq!(queue["state"], "held", "{queue:#}");
    assert_eq!(queue["active"], Value::Null);
    assert_eq!(user.order().await, [second.clone(), third.clone()]);
    for id in [&second, &third] {
        assert_eq!(user.job(id).await["state"], "queued");
    }
    user.call("queue.release", json!({})).await;
    user.ends(&second, "succeeded").await;
    user.ends(&third, "succeeded").await;
}

#[tokio::test]
async fn r03_with_the_setting_the_queue_goes_on_after_an_abort_and_a_failure() {
    let server = Server::with("queue: {after_abort: continue, after_failure: continue}\n").await;
    let mut user = server.client().await;
    let first = user.submit("aborted", LOOP).await;
    let second = user.submit("failing", "raise ValueError('no')").await;
    let third = user.submit("good", "print('third')").await;
    user.line(&first, "group").await;
    user.call("run.abort", json!({})).await;
    user.ends(&first, "aborted").await;
    user.ends(&second, "failed").await;
    user.ends(&third, "succeeded").await;
}

#[tokio::test]
async fn r03_stop_after_the_current_job_holds_the_queue_and_can_be_taken_back() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let refusal = user.refused("queue.stop_after_current", json!({})).await;
    assert_eq!(refusal.kind(), "wrong_state");
    let gate = server.home.path().join("gate");
    let first = user.submit("first", &waits_for(&gate)).await;
    let second = user.submit("second", "print('second')").await;
    user.line(&first, "group").await;
    assert_eq!(user.call("queue.stop_after_current", json!({})).await["state"], "draining");
    assert_eq!(user.call("queue.cancel_stop", json!({})).await["state"], "busy");
    assert_eq!(user.refused("queue.cancel_stop", json!({})).await.kind(), "wrong_state");
    assert_eq!(user.call("queue.stop_after_current", json!({})).await["state"], "draining");
    std::fs::write(&gate, "").unwrap();
    user.ends(&first, "succeeded").await;
    user.queue_is("held").await;
    assert_eq!(user.job(&second).await["state"], "queued");
    user.call("queue.release", json!({})).await;
    user.ends(&second, "succeeded").await;
}

#[tokio::test]
async fn r03_clear_takes_the_waiting_jobs_and_leaves_the_active_one() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let first = user.submit("first", &waits_for(&gate)).await;
    let others = [user.submit("b", "print()").await, user.submit("c", "print()").await];
    user.line(&first, "group").await;
    let cleared = user.call("queue.clear", json!({})).await;
    assert_eq!(cleared["removed"], json!(others));
    std::fs::write(&gate, "").unwrap();
    user.ends(&first, "succeeded").await;
    for id in &others {
        assert_eq!(user.job(id).await["state"], "cancelled");
    }
}

#[tokio::test]
async fn r01_what_the_state_does_not_allow_is_refused_with_the_reason_and_what_works() {
    let server = Server::start().await;
    let mut user = server.client().await;
    for method in ["run.pause", "run.resume", "run.skip", "run.abort", "run.cancel_pause"] {
        let error = user.refused(method, json!({})).await;
        assert_eq!((error.code, error.kind()), (-32010, "wrong_state"), "{method}");
        assert_eq!(error.text("state"), Some("idle"), "{method} {error:?}");
        assert!(
            error.data["allowed"].as_array().is_some_and(|works| !works.is_empty()),
            "{method} {error:?}"
        );
    }
    let gate = server.home.path().join("gate");
    let id = user.submit("runs", &waits_for(&gate)).await;
    user.line(&id, "group").await;
    for method in ["run.resume", "run.cancel_pause"] {
        let error = user.refused(method, json!({})).await;
        assert_eq!((error.kind(), error.text("state")), ("wrong_state", Some("running")), "{method}");
    }
    for (method, params) in [
        ("job.edit", json!({"id": id, "name": "x"})),
        ("job.hold", json!({"id": id})),
        ("job.unhold", json!({"id": id})),
        ("job.remove", json!({"ids": [id]})),
        ("queue.move", json!({"ids": [id], "place": "front"})),
        ("job.rerun", json!({"id": id})),
    ] {
        let error = user.refused(method, params).await;
        assert_eq!((error.kind(), error.text("state")), ("wrong_state", Some("running")), "{method}");
    }
    let allowed = |error: &beamq::client::RpcError| error.data["allowed"].clone();
    let error = user.refused("job.rerun", json!({"id": id})).await;
    assert_eq!(allowed(&error), json!(["job.duplicate"]), "a job that runs cannot be edited");
    let error = user.refused("job.remove", json!({"ids": [id]})).await;
    assert_eq!(allowed(&error), json!(["run.pause", "run.skip", "run.abort"]));
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    for method in ["run.pause", "run.cancel_pause"] {
        let error = user.refused(method, json!({})).await;
        assert_eq!((error.kind(), error.text("state")), ("wrong_state", Some("paused")), "{method}");
    }
    let error = user.refused("job.edit", json!({"id": id, "name": "x"})).await;
    assert_eq!(allowed(&error), json!(["run.resume", "run.skip", "run.abort"]), "it is paused already");
    user.call("run.resume", json!({})).await;
    std::fs::write(&gate, "").unwrap();
    user.ends(&id, "succeeded").await;
    for (method, params) in [
        ("job.edit", json!({"id": id, "name": "x"})),
        ("job.hold", json!({"id": id})),
        ("job.remove", json!({"ids": [id]})),
        ("queue.move", json!({"ids": [id], "place": "front"})),
    ] {
        let error = user.refused(method, params).await;
        assert_eq!(error.kind(), "wrong_state", "{method} {error:?}");
        assert!(error.data["allowed"].as_array().unwrap().contains(&json!("job.rerun")), "{error:?}");
    }
}
