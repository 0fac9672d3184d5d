//! R9, R10 and the orderly stop: what was acknowledged survives, nothing runs again by itself, and no two
//! servers share a directory.

use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{DEADLINE, LOOP, Server, User, alive_in_group, eventually, text, waits_for};

fn last_seq(user: &User) -> u64 {
    user.seen.iter().filter_map(|event| event["params"]["seq"].as_u64()).max().unwrap_or(0)
}

/// What must be the same after a crash: the waiting jobs, whole and in order.
async fn waiting(user: &User) -> Value {
    user.call("queue.get", json!({"scripts": true})).await["waiting"].clone()
}

/// Kills a server with an active job that has said `group`, and checks what holds afterwards in every case.
async fn killed_while_active(server: Server, mut user: User, id: &str) -> (Server, User) {
    let group = user.line(id, "group").await;
    let before = waiting(&user).await;
    let revision = user.revision().await;
    user.catch_up();
    let seq = last_seq(&user);
    let home = server.kill().await;
    let dead = jiff::Timestamp::now();
    drop(user);
    eventually("the job's processes are gone", || alive_in_group(&group).is_empty()).await;

    let server = home.start().await;
    let user = server.client().await;
    let queue = user.queue().await;
    assert_eq!((&queue["state"], &queue["active"]), (&json!("held"), &Value::Null), "{queue:#}");
    assert!(queue["why"].is_string(), "nobody is told why: {queue:#}");
    assert_eq!(waiting(&user).await, before);
    assert!(queue["revision"].as_u64().unwrap() >= revision);
    let job = user.job(id).await;
    assert_eq!(job["state"], "interrupted", "{job:#}");
    assert!(job["report"]["message"].is_string(), "{job:#}");
    let tail = job["report"]["output_tail"].as_array().unwrap();
    assert!(
        tail.iter().any(|line| text(line).starts_with("group")),
        "what it wrote is not reported: {job:#}"
    );
    let finished: jiff::Timestamp = text(&job["finished_at"]).parse().unwrap();
    assert!(finished <= dead, "the time without a server counts as part of the run: {job:#}");
    assert!(user.output(id).await.iter().any(|line| line.starts_with("group")), "its output is lost");
    let listed = user.call("history.list", json!({"state": "interrupted"})).await;
    assert_eq!(listed["jobs"][0]["id"], id, "{listed:#}");
    let now = user.call("events.subscribe", json!({})).await["seq"].as_u64().unwrap();
    assert!(now > seq, "event {now} after the restart, {seq} before");
    (server, user)
}

#[tokio::test]
async fn r09_a_server_killed_while_a_job_runs_comes_back_held_with_the_job_interrupted() {
    let server = Server::start().await;
    let user = server.client().await;
    let id = user.submit("runs", LOOP).await;
    let waits = user.submit_job(json!({"name": "waits", "script": "print('once')", "tags": ["t"]})).await;
    user.submit_job(json!({"name": "held", "script": "pass", "held": true, "group": "g"})).await;
    let (_server, mut user) = killed_while_active(server, user, &id).await;
    assert_eq!(user.job(&waits).await["state"], "queued", "it ran by itself");
    user.call("queue.release", json!({})).await;
    user.ends(&waits, "succeeded").await;
    assert_eq!(user.output(&waits).await, ["once"]);
    let again = text(&user.call("job.rerun", json!({"id": id, "script": "print('again')"})).await["id"]);
    user.ends(&again, "succeeded").await;
}

#[tokio::test]
async fn r09_a_server_killed_while_a_job_is_paused() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("paused", LOOP).await;
    user.submit("waits", "pass").await;
    user.line(&id, "group").await;
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    killed_while_active(server, user, &id).await;
}

#[tokio::test]
async fn r09_a_server_killed_while_a_job_is_aborted_with_children_that_ignore_everything() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork() == 0:\n    while True: pass\nprint('group', os.getpgid(0), flush=True)\nwhile True:\n    try:\n        while True: pass\n    except BaseException:\n        pass\n";
    let id = user.submit("stubborn", script).await;
    user.line(&id, "group").await;
    user.call("run.abort", json!({})).await;
    user.settles(&id, "aborting").await;
    let group = user.line(&id, "group").await;
    let home = server.kill().await;
    let server = home.start().await;
    let user = server.client().await;
    assert!(["interrupted", "aborted"].map(Some).contains(&user.job(&id).await["state"].as_str()));
    assert_eq!(user.queue().await["state"], "held");
    // Whoever survived the server is found by the next one, before it takes clients or soon after.
    eventually("the job's processes are gone", || alive_in_group(&group).is_empty()).await;
}

#[tokio::test]
async fn r09_what_was_acknowledged_just_before_the_crash_is_there_and_identical() {
    let mut server = Server::start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({"why": "filling"})).await;
    for round in 0..8 {
        let job = json!({"name": format!("job {round}"), "script": format!("print({round})"), "tags": ["é", "\u{1f600}"],
            "timeout": "1h", "not_before": "2099-01-01T00:00:00Z"});
        let id = user.submit_job(job).await;
        match round % 4 {
            1 => drop(user.call("queue.move", json!({"ids": [id], "place": "front"})).await),
            2 => drop(user.call("job.hold", json!({"id": id})).await),
            3 => drop(user.call("job.edit", json!({"id": id, "name": "edited"})).await),
            _ => {}
        }
        let (before, revision) = (waiting(&user).await, user.revision().await);
        server = server.kill().await.start().await;
        user = server.client().await;
        assert_eq!(waiting(&user).await, before, "round {round}");
        assert_eq!(user.revision().await, revision, "round {round}");
        assert_eq!(user.queue().await["state"], "held");
    }
}

#[tokio::test]
async fn r09_a_server_that_was_killed_idle_comes_back_held_only_if_something_waits_for_a_person() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("done", "print('done')").await;
    let before = user.ends(&id, "succeeded").await;
    let server = server.kill().await.start().await;
    let user = server.client().await;
    let mut after = user.job(&id).await;
    for member in ["script", "output"] {
        after.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(after, before);
    assert_eq!(user.output(&id).await, ["done"]);
}

#[tokio::test]
async fn r09_a_client_learns_from_the_events_why_the_queue_is_held() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("runs", LOOP).await;
    user.line(&id, "group").await;
    user.catch_up();
    let seq = last_seq(&user);
    let server = server.kill().await.start().await;
    let mut user = server.client().await;
    user.call("events.subscribe", json!({"from": seq})).await;
    let interrupted = user
        .event("the interruption", 0, |event| {
            event["method"] == "event.job" && event["params"]["job"]["state"] == "interrupted"
        })
        .await;
    assert_eq!(interrupted["params"]["job"]["id"], id);
    assert!(interrupted["params"]["seq"].as_u64().unwrap() > seq);
}

#[tokio::test]
async fn r10_a_second_server_on_the_same_directory_is_refused_and_says_who_holds_it() {
    let server = Server::start().await;
    let mut second = server.home.serve();
    second.stderr(Stdio::piped());
    let output = tokio::time::timeout(DEADLINE, second.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&server.pid().to_string()) && said.contains("--data"), "{said}");
    // The first one does not notice.
    let mut user = server.client().await;
    user.run("print('fine')").await;
}

#[tokio::test]
async fn r39_a_stop_waits_for_the_active_job_starts_no_other_and_keeps_the_queue() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let id = user.submit("active", &waits_for(&gate)).await;
    let waits = user.submit("waits", "print('later')").await;
    user.line(&id, "group").await;
    let token = server.token.clone();
    server.signal(Signal::SIGTERM);
    user.event("the word that the server stops", 0, |event| event["params"]["notice"] == "stopping").await;
    // Who comes later, or has not listened, is told as well.
    let status = user.call("server.status", json!({})).await;
    assert_eq!(status["queue"]["why"], "the server is being stopped: no further job starts", "{status:#}");
    let late = user.submit("late", "print('late')").await;
    std::fs::write(&gate, "").unwrap();
    let (status, home) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{}", home.log());
    assert!(!home.data().join("endpoint.json").exists());
    let server = home.start().await;
    assert_ne!(server.token, token, "the token is new at every start");
    let mut user = server.client().await;
    assert_eq!(user.job(&id).await["state"], "succeeded");
    assert_eq!(user.output(&id).await.last().map(String::as_str), Some("seen"));
    // What was taken while it stopped was queued, and waited for the next start.
    assert_eq!(user.order().await, [waits.clone(), late.clone()]);
    user.call("queue.release", json!({})).await;
    user.ends(&waits, "succeeded").await;
    user.ends(&late, "succeeded").await;
}

#[tokio::test]
async fn r39_with_the_setting_a_stop_aborts_the_active_job() {
    let server = Server::with("shutdown: {active: abort}\n").await;
    let mut user = server.client().await;
    let id = user.submit("endless", LOOP).await;
    let group = user.line(&id, "group").await;
    server.signal(Signal::SIGINT);
    let (status, home) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{}", home.log());
    assert_eq!(alive_in_group(&group), Vec::<String>::new());
    let server = home.start().await;
    let user = server.client().await;
    assert_eq!(user.job(&id).await["state"], "aborted");
}

#[tokio::test]
async fn r39_a_stop_that_waits_does_not_wait_for_ever() {
    let server = Server::with("shutdown: {active: wait, at_most: \"1s\"}\n").await;
    let mut user = server.client().await;
    let id = user.submit("endless", LOOP).await;
    let group = user.line(&id, "group").await;
    server.signal(Signal::SIGTERM);
    let (status, home) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{}", home.log());
    eventually("the job's processes are gone", || alive_in_group(&group).is_empty()).await;
    let server = home.start().await;
    let user = server.client().await;
    let job = user.job(&id).await;
    assert!(["aborted", "interrupted"].map(Some).contains(&job["state"].as_str()), "{job:#}");
}

#[tokio::test]
async fn r09_a_token_of_an_earlier_start_is_refused() {
    let server = Server::start().await;
    let old = server.token.clone();
    let server = server.restart().await;
    let stale = beamq::client::Credentials::token(&old);
    let error = beamq::client::Client::connect(&server.address, stale).await.unwrap_err();
    assert!(matches!(error, beamq::client::ClientError::Refused { .. }), "{error:?}");
    // With the new one at the door, the old one does not log in either.
    let stranger = server.stranger().await;
    let refused = stranger.call::<Value>("session.login", json!({"token": old})).await.unwrap_err();
    assert_eq!(refused.rpc().map(|error| (error.code, error.kind())), Some((-32002, "forbidden")));
    assert!(!refused.to_string().contains(&old));
}

#[tokio::test]
async fn r09_in_a_storm_of_submissions_nothing_that_was_acknowledged_is_lost_or_doubled() {
    let mut server = Server::start().await;
    let user = server.client().await;
    user.call("queue.hold", json!({})).await;
    drop(user);
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let mut storm = JoinSet::new();
        let (told, mut count) = tokio::sync::mpsc::unbounded_channel();
        for sender in 0..4 {
            let (client, told) = (server.client().await, told.clone());
            storm.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let name = format!("{round}/{sender}/{}", done.len());
                    let job = json!({"job": {"name": name, "script": "pass"}});
                    match client.client.call::<Value>("job.submit", job).await {
                        Ok(reply) => done.push((text(&reply["id"]), name)),
                        Err(_) => return done,
                    }
                    let _nobody_counts = told.send(());
                }
            });
        }
        // The server dies in the middle of it, with requests on their way.
        for _ in 0..40 * (round + 1) {
            count.recv().await.unwrap();
        }
        let home = server.kill().await;
        acknowledged.extend(storm.join_all().await.into_iter().flatten());
        server = home.start().await;
        let user = server.client().await;
        let queue = user.queue().await;
        let waiting = queue["waiting"].as_array().unwrap();
        let names: std::collections::BTreeMap<_, _> =
            waiting.iter().map(|job| (text(&job["id"]), text(&job["name"]))).collect();
        assert_eq!(names.len(), waiting.len(), "an id stands for two jobs");
        for (id, name) in &acknowledged {
            assert_eq!(names.get(id), Some(name), "job {id} was acknowledged and is not there");
        }
        // A request that was not answered may have been carried out, at most once.
        assert!(waiting.len() <= acknowledged.len() + 4 * (round + 1));
    }
}
