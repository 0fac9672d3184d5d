//! Whoever has a NICOS client runs, pauses and queues scripts beside ours: real clients, a real daemon.

use beamq::{
    nicos::{Connection, EventStream, Options},
    wire::nicos::{Command, Event},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    harness::{Home, User, text},
    nicos_daemon::{Daemon, event},
    nicos_engine::{TIGHT, is_engine, serving},
};

/// A script that runs until there is a file of this name in the daemon's folder.
fn until(daemon: &Daemon, name: &str) -> String {
    let path = daemon.path().join(name);
    format!("from os.path import exists\nwhile not exists({path:?}):\n    sleep(0.02)\n")
}

fn touch(daemon: &Daemon, name: &str) {
    std::fs::write(daemon.path().join(name), "").unwrap();
}

/// Brings about that somebody's script runs until `NAME-theirs` is there, and that a job of ours waits behind it in
/// NICOS's own queue: the job, its request in NICOS, and their request.
async fn wait_behind_theirs(
    daemon: &Daemon,
    (nicos, events): (&Connection, &mut EventStream),
    user: &mut User,
    name: &str,
) -> (String, Value, Value) {
    let before = user.submit("before", &until(daemon, &format!("{name}-before"))).await;
    user.settles(&before, "running").await;
    let theirs = [json!("theirs.py"), json!(until(daemon, &format!("{name}-theirs")))];
    let theirs = nicos.call(Command::Queue, &theirs).await.unwrap();
    let ours = user.submit(name, &format!("print('{name}')\nprint('end')\n")).await;
    touch(daemon, &format!("{name}-before"));
    let begins = format!("print('{name}')");
    let request = event(events, Event::Request, |request| {
        request["user"] == "service" && text(&request["script"]).starts_with(&begins)
    })
    .await;
    is_engine(user, "unavailable", "\"theirs.py\" of ulf").await;
    assert_eq!(user.job(&ours).await["state"], "starting");
    (ours, request["reqid"].clone(), theirs)
}

async fn done(events: &mut EventStream, request: &Value) -> Value {
    event(events, Event::Done, |done| done["reqid"] == *request).await["success"].clone()
}

#[tokio::test]
async fn a_request_of_ours_that_somebody_takes_off_nicoss_queue_is_reported_and_the_queue_goes_on() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) =
        daemon.connect("ulf", Options { mask: vec![Event::Status], ..Options::default() }).await.unwrap();
    // Only an account of no lower level may stop what beamq has queued last.
    let (admin, _admins) = daemon.admin().await;
    let (_server, mut user) = serving(&daemon).await;

    for name in ["unqueued", "blocked"] {
        let (ours, request, theirs) =
            wait_behind_theirs(&daemon, (&nicos, &mut events), &mut user, name).await;
        if name == "unqueued" {
            nicos.call(Command::Unqueue, std::slice::from_ref(&request)).await.unwrap();
        } else {
            admin.call(Command::Stop, &[json!(3)]).await.unwrap();
        }
        user.ends(&ours, "failed").await;
        let report = user.job(&ours).await["report"].clone();
        assert_eq!(report["type"], "Stopped", "{report:#}");
        assert!(text(&report["message"]).contains("off NICOS's queue before it began"), "{report:#}");
        assert_eq!(user.output(&ours).await, Vec::<String>::new());
        let next = user.submit("next", "print('next')\n").await;
        touch(&daemon, &format!("{name}-theirs"));
        assert_eq!(done(&mut events, &theirs).await, name == "unqueued");
        user.ends(&next, "succeeded").await;
        is_engine(&mut user, "ready", "").await;
    }

    // We take it off ourselves when the job is aborted, and touch nothing else.
    let (ours, request, theirs) =
        wait_behind_theirs(&daemon, (&nicos, &mut events), &mut user, "aborted").await;
    user.call("run.abort", json!({})).await;
    let blocked = event(&mut events, Event::Blocked, |_| true).await;
    assert_eq!(blocked, json!([request]));
    user.ends(&ours, "aborted").await;
    touch(&daemon, "aborted-theirs");
    assert_eq!(done(&mut events, &theirs).await, true);
    is_engine(&mut user, "ready", "").await;
}

#[tokio::test]
async fn by_its_policy_the_queue_is_held_after_somebody_took_our_request_off_nicoss() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.connect("ulf", Options::default()).await.unwrap();
    let server = daemon.server("").await;
    let mut user = server.client().await;
    let (ours, request, _) = wait_behind_theirs(&daemon, (&nicos, &mut events), &mut user, "held").await;
    let next = user.submit("next", "print('next')\n").await;
    nicos.call(Command::Unqueue, &[request]).await.unwrap();
    user.ends(&ours, "failed").await;
    touch(&daemon, "held-theirs");
    is_engine(&mut user, "ready", "").await;
    user.queue_is("held").await;
    let queue = user.call("queue.get", json!({})).await;
    assert!(text(&queue["why"]).contains("failed"), "{queue:#}");
    assert_eq!(user.job(&next).await["state"], "queued");
    user.call("queue.release", json!({})).await;
    user.ends(&next, "succeeded").await;
}

#[tokio::test]
async fn a_job_that_waits_in_nicos_behind_a_script_that_ends_everything_is_interrupted() {
    let mut daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.connect("ulf", Options::default()).await.unwrap();
    let (_server, mut user) = serving(&daemon).await;
    let (ours, ..) = wait_behind_theirs(&daemon, (&nicos, &mut events), &mut user, "first").await;
    drop((nicos, events));
    daemon.end(Signal::SIGKILL).await;
    let job = user.ends(&ours, "interrupted").await;
    assert!(text(&job["report"]["message"]).contains("ended before the script began"), "{job:#}");

    daemon.launch().await;
    is_engine(&mut user, "ready", "").await;
    user.call("queue.release", json!({})).await;
    let (nicos, mut events) = daemon.connect("ulf", Options::default()).await.unwrap();
    let before = user.submit("before", &until(&daemon, "second-before")).await;
    user.settles(&before, "running").await;
    let exits = format!("{}raise KeyboardInterrupt\n", until(&daemon, "second-theirs"));
    nicos.call(Command::Queue, &[json!("theirs.py"), json!(exits)]).await.unwrap();
    let ours = user.submit("second", "print('second')\n").await;
    touch(&daemon, "second-before");
    event(&mut events, Event::Request, |request| text(&request["script"]).starts_with("print('second')"))
        .await;
    touch(&daemon, "second-theirs");
    let job = user.ends(&ours, "interrupted").await;
    assert!(
        text(&job["report"]["message"]).contains("another script ended NICOS's script thread"),
        "{job:#}"
    );
    is_engine(&mut user, "unavailable", "restart the NICOS daemon").await;
}

#[tokio::test]
async fn a_script_that_somebody_changes_in_nicos_is_reported_as_it_runs() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.connect("ulf", Options::default()).await.unwrap();
    let (_server, mut user) = serving(&daemon).await;
    let (ours, request, _) = wait_behind_theirs(&daemon, (&nicos, &mut events), &mut user, "ours").await;
    let (admin, _admins) = daemon.admin().await;
    let instead = "print('ours')\nx = 1\nraise ValueError('theirs')\n";
    admin.call(Command::Update, &[json!(instead), json!("why not"), request]).await.unwrap();
    touch(&daemon, "ours-theirs");
    user.ends(&ours, "failed").await;
    let report = user.job(&ours).await["report"].clone();
    assert_eq!(
        (&report["line"], &report["text"]),
        (&json!(3), &json!("raise ValueError('theirs')")),
        "{report:#}"
    );
    let lines = user.output(&ours).await;
    assert!(lines[0].contains("adam has changed the script in NICOS"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("has changed")).count(), 1, "{lines:?}");
}

#[tokio::test]
async fn pauses_of_others_are_followed_and_either_side_lets_the_script_go_on() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;
    let (nicos, mut events) = daemon.admin().await;
    let id = user.submit("shared", "while True:\n    sleep(0.02)\n").await;
    user.settles(&id, "running").await;
    event(&mut events, Event::Status, |status| status[0] == 0 && status[1] == 2).await;

    // Paused there, let go on here.
    nicos.call(Command::Break, &[json!(1)]).await.unwrap();
    user.settles(&id, "paused").await;
    let from = user.seen.len();
    user.call("run.resume", json!({})).await;
    let runs = [json!("session.daemon_device._controller.status == 0"), json!(false)];
    while nicos.call(Command::Eval, &runs).await.unwrap() != json!(true) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(user.job(&id).await["state"], "running");

    // Paused there, let go on there.
    nicos.call(Command::Break, &[json!(1)]).await.unwrap();
    user.settles(&id, "paused").await;
    nicos.call(Command::Continue, &[]).await.unwrap();
    user.settles(&id, "running").await;

    // Paused here, let go on there.
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    nicos.call(Command::Continue, &[]).await.unwrap();
    user.settles(&id, "running").await;

    user.catch_up();
    let asked = user.seen.iter().skip(from).any(|event| event["method"] == "event.prompt");
    assert!(!asked, "a pause is no question");
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn a_script_of_ours_that_somebody_stops_in_nicos_has_failed_and_the_report_says_who_did() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;
    let (admin, mut events) = daemon.admin().await;
    for (command, args) in [(Command::Stop, vec![json!(3)]), (Command::Emergency, vec![])] {
        let id = user.submit("ours", TIGHT).await;
        user.settles(&id, "running").await;
        event(&mut events, Event::Status, |status| status[0] == 0 && status[1] == 3).await;
        let next = user.submit("next", "print('next')\n").await;
        admin.call(command, &args).await.unwrap();
        user.ends(&id, "failed").await;
        let report = user.job(&id).await["report"].clone();
        assert_eq!(report["type"], "Stopped", "{report:#}");
        assert!(text(&report["message"]).contains("in NICOS by adam"), "{report:#}");
        // Ours waits in beamq, where nobody empties it.
        user.ends(&next, "succeeded").await;
    }
}

#[tokio::test]
async fn scripts_of_others_hold_our_queue_and_are_never_touched() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.connect("ulf", Options::default()).await.unwrap();
    let (_server, mut user) = serving(&daemon).await;

    // Ours runs; theirs waits, and survives that ours is aborted.
    let id = user.submit("ours", TIGHT).await;
    user.settles(&id, "running").await;
    let theirs = nicos
        .call(Command::Queue, &[json!("theirs.py"), json!("while True:\n    sleep(0.02)\n")])
        .await
        .unwrap();
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    event(&mut events, Event::Processing, |request| request["reqid"] == theirs).await;

    // Theirs runs: ours waits, and everybody sees why.
    is_engine(&mut user, "unavailable", "\"theirs.py\" of ulf").await;
    user.queue_is("blocked").await;
    let id = user.submit("ours", "print('now')\n").await;
    assert_eq!(user.job(&id).await["state"], "queued");
    nicos.call(Command::Stop, &[json!(3)]).await.unwrap();
    user.ends(&id, "succeeded").await;
    is_engine(&mut user, "ready", "").await;

    // Theirs takes NICOS's script thread with it.
    nicos.call(Command::Queue, &[json!("exits.py"), json!("raise KeyboardInterrupt\n")]).await.unwrap();
    is_engine(&mut user, "unavailable", "restart the NICOS daemon").await;
    user.queue_is("blocked").await;
}

/// Catches what stops it, so many times, and goes on until `go` is there.
fn stubborn(times: u32, go: &std::path::Path) -> String {
    format!(
        "import os, time as t\ncaught = 0\nprint('begun')\nwhile not os.path.exists({go:?}):\n    \
         try:\n        while not os.path.exists({go:?}):\n            t.sleep(0.02)\n    \
         except BaseException:\n        caught += 1\n        print('caught', caught)\n        \
         if caught > {times}: raise\nprint('let go')\n"
    )
}

#[tokio::test]
async fn a_script_that_cannot_be_stopped_says_so_and_nobody_elses_request_is_lost() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.connect("ulf", Options::default()).await.unwrap();
    let (_server, mut user) = serving(&daemon).await;
    let go = daemon.path().join("go");

    // Whoever catches it once is stopped by the last stage.
    for others in [false, true] {
        let id = user.submit("catches", &stubborn(1, &go)).await;
        user.line(&id, "begun").await;
        let theirs = [json!("theirs.py"), json!("x = 1\n")];
        let theirs = if others { Some(nicos.call(Command::Queue, &theirs).await.unwrap()) } else { None };
        user.call("run.abort", json!({})).await;
        user.ends(&id, "aborted").await;
        assert!(!user.output(&id).await.contains(&"let go".to_owned()));
        if let Some(theirs) = theirs {
            event(&mut events, Event::Done, |done| done["reqid"] == theirs && done["success"] == true).await;
        }
    }

    let id = user.submit("stubborn", &stubborn(1_000, &go)).await;
    user.line(&id, "begun").await;
    let theirs = nicos.call(Command::Queue, &[json!("theirs.py"), json!("x = 1\n")]).await.unwrap();
    user.call("run.abort", json!({})).await;
    user.line(&id, "NICOS cannot interrupt what the script is doing").await;
    assert_eq!(user.job(&id).await["state"], "aborting");
    std::fs::write(&go, "").unwrap();
    user.ends(&id, "aborted").await;
    event(&mut events, Event::Done, |done| done["reqid"] == theirs && done["success"] == true).await;
}

#[tokio::test]
async fn the_later_stages_of_an_abort_stop_the_devices_and_keep_whatever_others_queue_meanwhile() {
    // What moves is known to NICOS from its cache.
    let daemon = Daemon::with_cache().await;
    let (nicos, mut events) =
        daemon.connect("ulf", Options { mask: vec![Event::Status], ..Options::default() }).await.unwrap();
    let (_server, mut user) = serving(&daemon).await;
    let go = daemon.path().join("go");
    for paused in [false, true] {
        let id = user
            .submit("moves", &format!("slow.start(slow.read(0) + 40)\nslow.status(0)\n{}", stubborn(1, &go)))
            .await;
        user.line(&id, "begun").await;
        if paused {
            user.call("run.pause", json!({})).await;
            user.settles(&id, "paused").await;
        }
        user.call("run.abort", json!({})).await;
        // The first of these waits already, the others come while NICOS ends ours, and behind that.
        let looks = "for i in range(100):\n    if slow.isCompleted(): break\n    sleep(0.02)\n\
                     print('moves: %s' % (not slow.isCompleted()))\n";
        let mut theirs = Vec::new();
        while user.job(&id).await["state"] != "aborted" {
            theirs.push(nicos.call(Command::Queue, &[json!("looks.py"), json!(looks)]).await.unwrap());
        }
        let mut told = Vec::new();
        for request in &theirs {
            let message = event(&mut events, Event::Message, |message| {
                message[5] == *request && text(&message[3]).starts_with("moves")
            });
            told.push(message.await[3].clone());
            assert_eq!(done(&mut events, request).await, true);
        }
        assert!(told.iter().all(|told| text(told) == "moves: False\n"), "{told:?}");
        let lines = user.output(&id).await;
        assert!(!lines.contains(&"let go".to_owned()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("NICOS cannot")), "{lines:?}");
        is_engine(&mut user, "ready", "").await;
    }
}

#[tokio::test]
async fn an_abort_beside_requests_of_others_ends_our_script_between_any_two_statements() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) =
        daemon.connect("ulf", Options { mask: vec![Event::Status], ..Options::default() }).await.unwrap();
    // The first stage has to be enough.
    let patient =
        "abort: {cooperative: 60s}\nestimates: {background: false}\nqueue: {after_abort: continue}\n";
    let server = Home::new(&format!("{patient}{}", daemon.engine())).start().await;
    let mut user = server.client().await;
    is_engine(&mut user, "ready", "").await;
    // It is between two statements for a good part of the time.
    let source = format!("x = 0\n{}print('through')\n", "for i in range(50): x += 1\n".repeat(8_000));
    for _ in 0..4 {
        let id = user.submit("many statements", &source).await;
        user.settles(&id, "running").await;
        let theirs = nicos.call(Command::Queue, &[json!("theirs.py"), json!("y = 1\n")]).await.unwrap();
        user.call("run.abort", json!({})).await;
        user.ends(&id, "aborted").await;
        assert!(!user.output(&id).await.contains(&"through".to_owned()));
        event(&mut events, Event::Done, |done| done["reqid"] == theirs && done["success"] == true).await;
    }
}
