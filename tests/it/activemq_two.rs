//! R10: of two servers on the same queue of one broker only one takes part, and the other one says so.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    broker::{Broker, RawStomp, call, request, state_is},
    harness::{Home, QUICK, Server, eventually},
};

/// A server of another instrument that was told to use the same queue.
async fn second(broker: &Broker) -> Server {
    Home::new(&format!("instrument: SECOND\n{QUICK}{}", broker.transport())).start().await
}

/// Which server answers.
async fn who_answers(raw: &mut RawStomp, correlation: &str) -> String {
    let info = raw.call(correlation, "server.info", json!({})).await;
    info["result"]["instrument"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn activemq_r10_a_second_server_stands_by_says_so_and_takes_over_when_the_first_is_gone() {
    let broker = Broker::start().await;
    let first = broker.server("").await;
    let second = second(&broker).await;
    let mut watcher = second.client().await;
    state_is(&watcher, "standing by: another server answers on ss_admin (connection ID:").await;
    let log = second.home.log();
    assert!(log.contains("another server answers here: this one stands by"), "{log}");
    eventually("the first server tells of the second", || {
        first.home.log().contains("another server was started here and stands by")
    })
    .await;

    // An observer of the second one's events, and a client with more requests than one server is sent at once.
    let mut observer = RawStomp::open(broker.stomp, "ss_client", &broker.password("ss_client")).await;
    observer.subscribe("/topic/beamq.SECOND.events").await;
    let mut raw = broker.raw().await;
    for n in 0..100 {
        raw.send(request(&n.to_string(), &call("server.info", json!({})))).await;
    }
    for _ in 0..100 {
        assert_eq!(raw.message().await.1["result"]["instrument"], "DEMO");
    }
    raw.call("login", "session.login", json!({"token": first.token})).await;
    // The second server does its work for its own clients all the same; the broker's hear nothing of it.
    let done = watcher.run("print('here')").await;
    assert_eq!(done["state"], "succeeded");

    first.kill().await;
    state_is(&watcher, "standing by: no server answers on ss_admin, taking over in 10 s").await;
    state_is(&watcher, "connected").await;
    assert_eq!(who_answers(&mut raw, "who").await, "SECOND");
    // To clients it is a fresh server: nobody is logged in.
    let refused = raw.call("status", "server.status", json!({})).await;
    assert_eq!(refused["error"]["code"], -32001, "{refused}");
    raw.call("again", "session.login", json!({"token": second.token})).await;
    let event = loop {
        // What it told while it stood by was never sent: the first event is one of now.
        let id = watcher.submit("seen", "pass").await;
        watcher.ends(&id, "succeeded").await;
        let (_, event) = observer.message().await;
        if event["method"] == "event.job" {
            break event;
        }
    };
    assert_eq!(event["params"]["job"]["name"], "seen", "{event}");
}

#[tokio::test]
async fn activemq_r10_a_server_that_comes_back_finds_its_place_taken_or_takes_it_back() {
    let mut broker = Broker::configured(&["--not-persistent"]);
    broker.launch().await;
    let first = broker.server("").await;
    let watcher = first.client().await;
    let second = second(&broker).await;
    let other = second.client().await;
    state_is(&other, "standing by: another").await;
    // A restart of the broker changes nothing: the one that stood by lets the other one come first.
    broker.end(Signal::SIGKILL).await;
    state_is(&other, "away").await;
    broker.launch().await;
    state_is(&watcher, "connected").await;
    state_is(&other, "standing by: another").await;
    let mut raw = broker.raw().await;
    assert_eq!(who_answers(&mut raw, "one").await, "DEMO");
    raw.call("login", "session.login", json!({"token": first.token})).await;

    // A first server that hangs is given up by the broker, and when it goes on it has lost its place.
    first.signal(Signal::SIGSTOP);
    state_is(&other, "connected").await;
    assert_eq!(who_answers(&mut raw, "two").await, "SECOND");
    first.signal(Signal::SIGCONT);
    state_is(&watcher, "standing by: another").await;
    assert_eq!(who_answers(&mut raw, "three").await, "SECOND");
    // It forgot the sessions that it had, so that nobody takes it for the other one later.
    let status = watcher.call("server.status", json!({})).await;
    assert_eq!(status["clients"], 1, "{status}");
    drop(second);
    tokio::time::timeout(Duration::from_secs(60), state_is(&watcher, "connected")).await.unwrap();
    let refused = raw.call("status", "server.status", json!({})).await;
    assert_eq!(refused["error"]["code"], -32001, "{refused}");
}
