//! R4, R5, R7: pause, resume, run again.

use serde_json::{Value, json};

use crate::harness::{LOOP, Server, waits_for};

#[tokio::test]
async fn r04_a_pause_acts_at_the_next_line_and_says_where_the_script_is() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script =
        "import time\nprint('here', flush=True)\nn = 0\nwhile True:\n    n += 1\n    time.sleep(0.001)\n";
    let id = user.submit("loop", script).await;
    user.line(&id, "here").await;
    // The line is sampled, so it is known a moment after the script is there.
    user.event("a line of the loop", 0, |event| {
        event["method"] == "event.progress" && event["params"]["progress"]["line"].as_u64() >= Some(4)
    })
    .await;
    let reply = user.call("run.pause", json!({"level": "line"})).await;
    assert_eq!(reply["state"], "pausing");
    let acts = reply["acts"].as_str().unwrap();
    assert!(acts.starts_with("at the next line") && acts.contains("line "), "{acts}");
    let job = user.settles(&id, "paused").await;
    assert!((4..=6).contains(&job["progress"]["line"].as_u64().unwrap()), "{job:#}");
    assert_eq!(user.call("run.resume", json!({})).await["state"], "running");
    user.settles(&id, "running").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn r04_a_pause_acts_in_a_loop_of_a_single_instruction() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("spins", "print('here', flush=True)\nwhile True: pass\n").await;
    user.line(&id, "here").await;
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    user.call("run.resume", json!({})).await;
    user.settles(&id, "running").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn r04_a_pause_now_acts_inside_a_wait_and_one_at_a_line_after_it() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("waits", "import time\nprint('here', flush=True)\ntime.sleep(1e6)\n").await;
    user.line(&id, "here").await;
    assert_eq!(user.call("run.pause", json!({"level": "line"})).await["state"], "pausing");
    // The pending pause is visible and can be taken back.
    assert_eq!(user.job(&id).await["state"], "pausing");
    assert_eq!(user.call("run.cancel_pause", json!({})).await["state"], "running");
    // And it can be made stronger.
    user.call("run.pause", json!({"level": "line"})).await;
    let reply = user.call("run.pause", json!({"level": "now"})).await;
    assert!(reply["acts"].as_str().unwrap().starts_with("at once"), "{reply}");
    let job = user.settles(&id, "paused").await;
    assert_eq!(job["progress"]["line"], 3, "{job:#}");
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn r04_a_pause_after_the_last_line_lets_the_job_finish_and_holds_the_queue() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    // The last line never comes to a next one.
    let script = format!(
        "import os, subprocess\nprint('here', flush=True)\nsubprocess.run(['sh', '-c', 'until [ -e {} ]; do sleep 0.02; done'])",
        gate.display()
    );
    let id = user.submit("last line", &script).await;
    let next = user.submit("next", "print('next')").await;
    user.line(&id, "here").await;
    assert_eq!(user.call("run.pause", json!({})).await["state"], "pausing");
    std::fs::write(&gate, "").unwrap();
    user.ends(&id, "succeeded").await;
    user.queue_is("held").await;
    assert_eq!(user.job(&next).await["state"], "queued");
}

#[tokio::test]
async fn r04_a_black_box_answers_a_pause_with_not_pausable() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let job = json!({"name": "black", "script": waits_for(&gate), "black_box": true});
    let id = user.submit_job(job).await;
    user.line(&id, "group").await;
    for level in ["line", "point", "now"] {
        let error = user.refused("run.pause", json!({"level": level})).await;
        assert_eq!((error.code, error.kind()), (-32013, "not_pausable"));
    }
    assert_eq!(user.job(&id).await["state"], "running");
    std::fs::write(&gate, "").unwrap();
    user.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn r05_everybody_is_reminded_of_a_paused_job_again_and_again_until_it_goes_on() {
    let server = Server::with("jobs: {pause_reminder: \"100ms\", pause_reminder_again: \"50ms\"}\n").await;
    let mut user = server.client().await;
    let mut other = server.client().await;
    let id = user.submit("paused", LOOP).await;
    user.line(&id, "group").await;
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    for reader in [&mut user, &mut other] {
        let mut seq = 0;
        for _ in 0..3 {
            let reminder = reader
                .event("a reminder", 0, |event| {
                    event["params"]["notice"] == "paused_long" && event["params"]["seq"].as_u64() > Some(seq)
                })
                .await;
            assert_eq!(reminder["params"]["job"], id.as_str(), "{reminder:#}");
            seq = reminder["params"]["seq"].as_u64().unwrap();
        }
    }
    user.call("run.resume", json!({})).await;
    user.settles(&id, "running").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn r05_while_a_job_is_paused_no_other_starts_and_the_queue_can_be_edited() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("paused", LOOP).await;
    user.line(&id, "group").await;
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    let second = user.submit("second", "print(2)").await;
    let third = user.submit_job(json!({"name": "third", "script": "print(3)"})).await;
    user.call("queue.move", json!({"ids": [third], "place": "front"})).await;
    user.call("job.edit", json!({"id": second, "name": "renamed", "script": "print('edited')"})).await;
    user.call("queue.hold", json!({})).await;
    user.call("queue.release", json!({})).await;
    let queue = user.queue().await;
    assert_eq!((&queue["active"]["id"], &queue["active"]["state"]), (&json!(id), &json!("paused")));
    assert_eq!(user.order().await, [third.clone(), second.clone()]);
    user.call("run.resume", json!({})).await;
    user.settles(&id, "running").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    user.call("queue.release", json!({})).await;
    user.ends(&third, "succeeded").await;
    user.ends(&second, "succeeded").await;
    assert_eq!(user.output(&second).await, ["edited"]);
    assert!(
        !user.seen.iter().any(|event| event["params"]["job"]["id"] == second
            && event["params"]["job"]["state"] == "starting"
            && event["params"]["seq"].as_u64()
                < user.seen.iter().find(|e| e["params"]["job"]["state"] == "aborted").unwrap()["params"]["seq"]
                    .as_u64()),
        "the second job started before the paused one had ended"
    );
}

#[tokio::test]
async fn r06_a_wait_is_skipped_without_an_abort() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import beamq\nprint('here', flush=True)\nbeamq.sleep(1e6)\nprint('after', flush=True)\n";
    let id = user.submit("skips", script).await;
    user.line(&id, "here").await;
    // The wait begins a moment after the line; a skip before it finds nothing to skip.
    for _ in 0..1000 {
        if user.lines(&id).contains(&"after".to_owned()) {
            break;
        }
        let from = user.seen.len();
        if user.client.call::<Value>("run.skip", json!({})).await.is_ok() {
            user.event("the outcome of the skip", from, |event| {
                event["params"]["job"]["state"] != "skipping"
                    && matches!(event["method"].as_str(), Some("event.job" | "event.notice"))
            })
            .await;
        }
    }
    user.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn r07_an_aborted_job_is_run_again_edited_as_a_new_job() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let job = json!({"name": "scan", "script": LOOP, "tags": ["a", "b"], "group": "night"});
    let id = user.submit_job(job).await;
    user.line(&id, "group").await;
    user.call("run.abort", json!({})).await;
    let before = user.ends(&id, "aborted").await;
    let again =
        user.call("job.rerun", json!({"id": id, "script": "print('corrected')", "place": "front"})).await;
    let new = again["id"].as_str().unwrap().to_owned();
    assert_ne!(new, id);
    // Nothing runs by itself: the queue holds after an abort.
    let view = user.job(&new).await;
    assert_eq!((&view["state"], &view["rerun_of"]), (&json!("queued"), &json!(id)));
    assert_eq!(
        (&view["name"], &view["tags"], &view["group"]),
        (&json!("scan"), &json!(["a", "b"]), &json!("night"))
    );
    user.call("queue.release", json!({})).await;
    user.ends(&new, "succeeded").await;
    assert_eq!(user.output(&new).await, ["corrected"]);
    let after = user.job(&id).await;
    assert_eq!(after["state"], "aborted");
    assert_eq!(after["report"], before["report"]);
    assert_eq!(after["script"], LOOP);
}
