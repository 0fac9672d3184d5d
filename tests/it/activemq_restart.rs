//! R31: requests that wait in `ss_admin` while the broker is killed, with and without persistence.

use beamq::wire::stomp::{Command, Frame};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    access::hash,
    broker::{Broker, RawStomp, request, state_is},
    harness::{User, text},
};

/// An account, since the token is another one after a restart of the server.
fn accounts() -> String {
    format!("accounts:\n  - {{user: ibex, role: user, password_hash: \"{}\"}}\n", hash("ibex secret"))
}

/// The messages that log in and submit, as the GUI sends them.
fn submission(name: &str) -> [(String, Frame); 2] {
    [
        ("login", json!({"command": "authenticate", "login": "ibex", "passwd": "ibex secret"})),
        ("queue", json!({"command": "queue", "name": name, "code": "pass"})),
    ]
    .map(|(what, body)| {
        let correlation = format!("{what} {name}");
        let frame = request(&correlation, &body.to_string()).header("persistent", "true");
        (correlation, frame)
    })
}

/// Submits, which nobody answers now, and waits until the broker has it: on its disk, if it keeps anything
/// there.
async fn entrust(raw: &mut RawStomp, name: &str) {
    for (_, message) in submission(name) {
        raw.send(message.header("receipt", "entrusted")).await;
        let frame = raw.frame().await;
        assert_eq!((frame.command, frame.get("receipt-id")), (Command::Receipt, Some("entrusted")));
    }
}

/// Submits and gives the id of the job.
async fn submit(raw: &mut RawStomp, name: &str) -> Value {
    let mut payload = Value::Null;
    for (correlation, message) in submission(name) {
        raw.send(message).await;
        let mut answer = raw.message().await;
        // Who is logged in hears events, too.
        while answer.0.get("correlation-id") != Some(correlation.as_str()) {
            answer = raw.message().await;
        }
        assert_eq!(answer.1["success"], true, "{answer:?}");
        payload = answer.1["payload"].clone();
    }
    payload
}

/// The waiting jobs, once the server has done with everything that was in the queue: requests are
/// delivered in order, and this sends one more.
async fn jobs_after(broker: &Broker, watcher: &User, last: &str) -> Vec<String> {
    state_is(watcher, "connected").await;
    submit(&mut broker.raw().await, last).await;
    waiting(watcher).await
}

/// The names of the waiting jobs, sorted: passwords of several clients are checked side by side.
async fn waiting(watcher: &User) -> Vec<String> {
    let queue = watcher.queue().await;
    let mut names: Vec<_> =
        queue["waiting"].as_array().unwrap().iter().map(|job| text(&job["name"])).collect();
    names.sort();
    names
}

#[tokio::test]
async fn activemq_r31_a_persistent_request_outlives_a_broker_that_is_killed_and_is_done_once() {
    let mut broker = Broker::configured(&[]);
    broker.launch().await;
    let server = broker.server(&accounts()).await;
    let watcher = server.client().await;
    watcher.call("queue.hold", json!({})).await;

    // One that was carried out before the broker is killed, and perhaps not forgotten by its disk.
    let id = submit(&mut broker.raw().await, "done").await;
    // Some that it was sent and may have in its socket, but cannot have acknowledged.
    server.signal(Signal::SIGSTOP);
    for n in 0..3 {
        entrust(&mut broker.raw().await, &format!("waits {n}")).await;
    }
    broker.end(Signal::SIGKILL).await;
    broker.launch().await;
    server.signal(Signal::SIGCONT);
    let all = ["done", "last", "waits 0", "waits 1", "waits 2"];
    assert_eq!(jobs_after(&broker, &watcher, "last").await, all);
    assert_eq!(watcher.order().await.first(), Some(&text(&id)));

    // One that nobody but the disk of the broker has.
    let home = server.kill().await;
    entrust(&mut broker.raw().await, "kept").await;
    broker.end(Signal::SIGKILL).await;
    broker.launch().await;
    let server = home.start().await;
    let watcher = server.client().await;
    let all = ["done", "kept", "last", "very last", "waits 0", "waits 1", "waits 2"];
    assert_eq!(jobs_after(&broker, &watcher, "very last").await, all);
}

#[tokio::test]
async fn activemq_r31_a_broker_without_persistence_forgets_a_request_and_the_next_try_is_done_once() {
    let mut broker = Broker::configured(&["--not-persistent"]);
    broker.launch().await;
    let server = broker.server(&accounts()).await;
    server.client().await.call("queue.hold", json!({})).await;
    // Without a server it is nowhere but in the broker.
    let home = server.kill().await;
    entrust(&mut broker.raw().await, "lost").await;
    broker.end(Signal::SIGKILL).await;
    broker.launch().await;
    let server = home.start().await;
    let watcher = server.client().await;
    assert_eq!(jobs_after(&broker, &watcher, "last").await, ["last"]);

    // Its sender has heard nothing and tries until there is an answer, here once more than it would have to.
    let (mut raw, mut ids) = (broker.raw().await, Vec::new());
    for _ in 0..2 {
        ids.push(submit(&mut raw, "lost").await);
    }
    assert_eq!(ids.first(), ids.last());
    assert_eq!(waiting(&watcher).await, ["last", "lost"]);
}
