//! R31: the broker goes away, in every way, and so do clients.

use std::time::{Duration, Instant};

use beamq::wire::stomp::{Command, Frame};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    broker::{Broker, RawStomp, call, request, state_is},
    harness::{DEADLINE, Home, QUICK, eventually, text, waits_for},
    http::metrics,
    java::{Classes, Talking},
};

#[tokio::test]
async fn activemq_r31_a_broker_that_stops_and_comes_back_disturbs_no_job() {
    let mut broker = Broker::configured(&[]);
    // A server starts without its broker.
    let server = Home::new(&format!("{QUICK}{}", broker.transport())).start().await;
    let mut watcher = server.client().await;
    state_is(&watcher, "away: the broker cannot be reached").await;
    broker.launch().await;
    state_is(&watcher, "connected").await;

    let user = broker.user(&server).await;
    let go = server.home.path().join("go");
    let id = user.submit("long", &waits_for(&go)).await;
    watcher.line(&id, "group").await;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        broker.end(signal).await;
        state_is(&watcher, "away").await;
        // What a client sends before the server is back waits in the broker.
        server.signal(Signal::SIGSTOP);
        broker.launch().await;
        let mut raw = broker.raw().await;
        raw.send(request("early", &call("server.info", json!({})))).await;
        server.signal(Signal::SIGCONT);
        let (frame, reply) = raw.message().await;
        assert_eq!(frame.get("correlation-id"), Some("early"));
        assert_eq!(reply["result"]["instrument"], "DEMO");
        state_is(&watcher, "connected").await;
        assert_eq!(watcher.job(&id).await["state"], "running", "{signal}");
    }
    std::fs::write(&go, "").unwrap();
    watcher.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn activemq_r31_a_broker_that_falls_silent_is_left_and_found_again() {
    let broker = Broker::start().await;
    let config = "  http: {address: \"127.0.0.1:0\"}\nsessions: {grace: \"1s\"}\n";
    let server = broker.server(config).await;
    let watcher = server.client().await;
    let mut raw = broker.raw().await;
    raw.call("login", "session.login", json!({"token": server.token})).await;
    assert_eq!(metrics(&server).await["beamq_broker_connected"], 1.0);
    broker.signal(Signal::SIGSTOP);
    state_is(&watcher, "away: nothing was heard").await;
    assert_eq!(metrics(&server).await["beamq_broker_connected"], 0.0);
    // The grace of its session ends while the broker is away.
    let give_up = Instant::now() + DEADLINE;
    while watcher.call("server.status", json!({})).await["clients"] != 1 {
        assert!(Instant::now() < give_up, "the session lives on: {}", server.home.log());
    }
    broker.signal(Signal::SIGCONT);
    state_is(&watcher, "connected").await;
    let told = metrics(&server).await;
    assert_eq!((told["beamq_broker_connected"], told["beamq_broker_connections_total"]), (1.0, 2.0));
    let refused = raw.call("status", "server.status", json!({})).await;
    assert_eq!(refused["error"]["code"], -32001, "{refused}");
    broker.user(&server).await;
}

#[tokio::test]
async fn activemq_a_wrong_password_is_told_and_mended_without_a_restart_of_the_broker() {
    let broker = Broker::start().await;
    let wrong = broker.transport().replace("passwords/beamq", "passwords/other");
    let server = Home::new(&format!("{QUICK}{wrong}")).start().await;
    let watcher = server.client().await;
    state_is(&watcher, "away: the broker refuses the account").await;
    let log = server.home.log();
    assert!(!log.contains(&broker.password("other")), "the log holds a password");
    assert!(log.matches("not connected to the broker").count() < 5, "{log}");
    drop(watcher);
    drop(server);
    // An account that may not read requests.
    let wrong = wrong.replace("user: beamq", "user: other");
    let server = Home::new(&format!("{QUICK}{wrong}")).start().await;
    state_is(&server.client().await, "away: the broker refuses the account: User other is not authorized")
        .await;
}

#[tokio::test]
async fn activemq_a_new_password_is_made_in_one_place_and_only_the_broker_is_restarted_for_it() {
    let mut broker = Broker::configured(&["--not-persistent"]);
    broker.launch().await;
    let server = broker.server("").await;
    let mut watcher = server.client().await;
    let go = server.home.path().join("go");
    let id = watcher.submit("long", &waits_for(&go)).await;
    watcher.line(&id, "group").await;
    let before = broker.password("beamq");

    // As docs/activemq.md says: delete or edit the file, run the command again, restart the broker.
    std::fs::remove_file(broker.password_file("beamq")).unwrap();
    let chosen = r#"a "b" <c> & 'd' \ : ü $ # {x}"#;
    std::fs::write(broker.password_file("ss_client"), format!("{chosen}\n")).unwrap();
    let made = broker.configure(&["--not-persistent"]);
    assert!(made.status.success(), "{made:?}");
    assert_ne!(broker.password("beamq"), before);
    broker.end(Signal::SIGTERM).await;
    broker.launch().await;
    state_is(&watcher, "connected").await;
    let mut raw = RawStomp::open(broker.stomp, "ss_client", chosen).await;
    raw.subscribe("/temp-queue/r").await;
    raw.call("info", "server.info", json!({})).await;
    assert_eq!(watcher.job(&id).await["state"], "running");
    let log = server.home.log();
    assert!(!log.contains(&before) && !log.contains(&broker.password("beamq")), "the log holds a password");

    // A wrong one, and then the right one again, without a restart of anything.
    let right = std::fs::read(broker.password_file("beamq")).unwrap();
    std::fs::write(broker.password_file("beamq"), "wrong").unwrap();
    broker.end(Signal::SIGKILL).await;
    broker.launch().await;
    state_is(&watcher, "away: the broker refuses the account").await;
    std::fs::remove_file(broker.password_file("beamq")).unwrap();
    state_is(&watcher, "away: the password file").await;
    std::fs::write(broker.password_file("beamq"), right).unwrap();
    state_is(&watcher, "connected").await;
    std::fs::write(&go, "").unwrap();
    watcher.ends(&id, "succeeded").await;

    // What the broker would make something else of is refused.
    for password in ["${activemq.base}", "#{1}", "blank ", "two\nlines", ""] {
        std::fs::write(broker.password_file("other"), password).unwrap();
        let refused = broker.configure(&[]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("other"), "{password:?}: {said}");
    }
}

#[tokio::test]
async fn activemq_r31_a_client_that_falls_behind_is_spared_what_is_out_of_date_and_closed_when_that_is_not_enough()
 {
    let broker = Broker::start().await;
    let server = broker.server("sessions: {grace: \"10m\"}\n").await;
    let watcher = server.client().await;
    let mut clients = Vec::new();
    for kind in ["queue", "job"] {
        let mut raw = broker.raw().await;
        raw.call("login", "session.login", json!({"token": server.token})).await;
        raw.call("events", "events.subscribe", json!({"kinds": [kind]})).await;
        clients.push(raw);
    }
    // Nothing reaches them while the broker hangs.
    broker.signal(Signal::SIGSTOP);
    state_is(&watcher, "away").await;
    let (rounds, at_once) = (500, 1500);
    for _ in 0..rounds {
        watcher.call("queue.hold", json!({})).await;
        watcher.call("queue.release", json!({})).await;
    }
    let last = watcher.call("queue.hold", json!({"why": "the last word"})).await;
    assert_eq!(last["state"], "held", "{last}");
    // Each of these tells something of its own: with their ends they are more than may wait for one client.
    for _ in 0..2 {
        let jobs: Vec<_> = (0..at_once)
            .map(|n| json!({"name": format!("job {n}"), "script": "pass", "held": true, "group": "all"}))
            .collect();
        watcher.call("job.submit_batch", json!({"jobs": jobs})).await;
        watcher.call("job.remove", json!({"group": "all"})).await;
    }
    let revision = watcher.revision().await;
    broker.signal(Signal::SIGCONT);
    state_is(&watcher, "connected").await;

    // The one hears the newest after far fewer events than there were.
    let (mut heard, mut seq) = (0, 0);
    loop {
        let (_, event) = clients[0].message().await;
        assert_eq!(event["method"], "event.queue", "{event}");
        let next = event["params"]["seq"].as_u64().unwrap();
        // What was on its way when the connection was lost may come twice.
        assert!(next > seq || heard < 64, "{next} after {seq}");
        (heard, seq) = (heard + 1, next);
        if event["params"]["revision"] == revision {
            assert_eq!(event["params"]["state"], "held", "{event}");
            break;
        }
    }
    assert!((512..700).contains(&heard), "{heard} of more than {} events", 2 * rounds);
    let status = clients[0].call("status", "server.status", json!({})).await;
    assert_eq!(status["result"]["clients"], 2, "the session goes on, the other one's is closed: {status}");
    // The other one is closed, and the journal says why.
    let refused = clients[1].call("status", "server.status", json!({})).await;
    assert_eq!(refused["error"]["code"], -32001, "{refused}");
    let audit = watcher.call("audit.list", json!({"limit": 50})).await;
    let closed: Vec<_> =
        audit["entries"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "closed").collect();
    assert_eq!(closed.len(), 1, "{audit:#}");
    assert!(text(&closed[0]["after"]["why"]).contains("slow"), "{audit:#}");
    assert_eq!(closed[0]["transport"], "activemq", "{audit:#}");
}

#[tokio::test]
async fn activemq_r31_a_request_that_comes_again_is_answered_again_and_done_once() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut raw = broker.raw().await;
    raw.call("login", "session.login", json!({"token": server.token})).await;
    raw.call("hold", "queue.hold", json!({})).await;
    let submit = call("job.submit", json!({"job": {"name": "once", "script": "pass"}}));
    let mut ids = Vec::new();
    for _ in 0..3 {
        raw.send(request("same", &submit)).await;
        let (frame, reply) = raw.message().await;
        assert_eq!(frame.get("correlation-id"), Some("same"));
        ids.push(text(&reply["result"]["id"]));
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let queue = raw.call("queue", "queue.get", json!({})).await;
    assert_eq!(queue["result"]["waiting"].as_array().unwrap().len(), 1);
    // The same id on another request is not a repetition, and from then on no hint of one.
    let other = call("job.submit", json!({"job": {"name": "other", "script": "pass"}}));
    raw.send(request("same", &other)).await;
    assert_ne!(text(&raw.message().await.1["result"]["id"]), ids[0]);
    let queue = raw.call("queue2", "queue.get", json!({})).await;
    assert_eq!(queue["result"]["waiting"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn activemq_r31_what_was_not_acknowledged_is_done_once_after_the_servers_connection_was_cut() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let watcher = server.client().await;
    watcher.call("queue.hold", json!({})).await;
    let mut raw = broker.raw().await;
    raw.call("login", "session.login", json!({"token": server.token})).await;
    // Requests go in all the time while the broker freezes so long that the server gives it up. What was
    // acknowledged too late is delivered once more.
    let jobs = 200;
    for n in 0..jobs {
        if n == jobs / 2 {
            broker.signal(Signal::SIGSTOP);
            let frozen = tokio::time::timeout(Duration::from_secs(1), async {
                state_is(&watcher, "away").await;
            });
            let _still_hoping = frozen.await;
            state_is(&watcher, "away").await;
            broker.signal(Signal::SIGCONT);
        }
        let body = call("job.submit", json!({"job": {"name": format!("job {n}"), "script": "pass"}}));
        raw.send(request(&format!("{n}"), &body)).await;
    }
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < jobs {
        let (frame, reply) = raw.message().await;
        assert!(reply.get("result").is_some(), "{reply}");
        answered.insert(frame.get("correlation-id").unwrap().to_owned());
    }
    let names: Vec<_> =
        watcher.queue().await["waiting"].as_array().unwrap().iter().map(|job| text(&job["name"])).collect();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((names.len(), sorted.len()), (jobs, jobs), "jobs were lost or made twice");
}

#[tokio::test]
async fn activemq_r31_a_client_that_does_not_read_stalls_nobody_and_is_closed() {
    let broker = Broker::configured(&["--not-persistent", "--client-memory", "1"]);
    a_silent_client_is_closed(broker).await;
}

#[tokio::test]
async fn activemq_r31_neither_does_it_where_a_full_queue_holds_producers_back() {
    let broker = Broker::configured(&["--not-persistent", "--client-memory", "1"]);
    // As brokers are without our configuration.
    broker.edit(|xml| xml.replace(r#" sendFailIfNoSpace="true""#, ""));
    let answers = a_silent_client_is_closed(broker).await;
    // For seconds the broker has held back what goes to the silent client. Held up by that, the other one would have
    // had one or two answers.
    assert!(answers > 100, "the silent client held up another: {answers} answers until it was cut off");
}

/// Gives the number of answers that another client was given until then.
async fn a_silent_client_is_closed(mut broker: Broker) -> u32 {
    broker.launch().await;
    let server = broker.server("").await;
    let mut watcher = server.client().await;
    // It logs in, asks for every event, and reads no more: its subscription is gone, its queue is not.
    let mut silent = broker.raw().await;
    silent.call("login", "session.login", json!({"token": server.token})).await;
    silent.call("events", "events.subscribe", json!({})).await;
    silent
        .send(
            Frame::new(Command::Unsubscribe).header("id", "/temp-queue/r").header("receipt", "unsubscribed"),
        )
        .await;
    while silent.frame().await.command != Command::Receipt {}
    let mut other = broker.raw().await;
    other.call("login", "session.login", json!({"token": server.token})).await;
    let clients = |status: serde_json::Value| status["clients"].as_u64().unwrap();
    assert_eq!(clients(watcher.call("server.status", json!({})).await), 3);
    let id = watcher.submit("chatty", "for n in range(30000):\n    print('x' * 100)").await;
    let began = Instant::now();
    let mut n = 0;
    loop {
        n += 1;
        other.call(&format!("{n}"), "server.info", json!({})).await;
        let left = clients(watcher.call("server.status", json!({})).await);
        if left == 2 {
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{left} clients, {}", server.home.log());
    }
    watcher.ends(&id, "succeeded").await;
    state_is(&watcher, "connected").await;
    eventually("the log says why", || server.home.log().contains("a client is gone")).await;
    let audit = watcher.call("audit.list", json!({"limit": 50})).await;
    let end = audit["entries"].as_array().unwrap().iter().find(|entry| entry["outcome"] == "closed");
    let end = end.unwrap_or_else(|| panic!("the audit does not say why: {audit:#}"));
    assert!(end["after"]["why"].is_string() && text(&end["client"]).contains("ID:"), "{end:#}");
    n
}

#[tokio::test]
async fn activemq_r31_a_session_outlives_the_servers_connection_to_the_broker() {
    let broker = Broker::start().await;
    let server = broker.server("sessions: {grace: \"30s\"}\n").await;
    let watcher = server.client().await;
    let mut raw = broker.raw().await;
    raw.call("login", "session.login", json!({"token": server.token})).await;
    raw.call("events", "events.subscribe", json!({"kinds": ["job"]})).await;
    broker.signal(Signal::SIGSTOP);
    state_is(&watcher, "away").await;
    let id = watcher.submit("meanwhile", "pass").await;
    broker.signal(Signal::SIGCONT);
    // It hears of what happened meanwhile without a new login, once or twice.
    loop {
        let (_, event) = raw.message().await;
        if event["params"]["job"]["id"] == id.as_str() && event["params"]["job"]["state"] == "succeeded" {
            break;
        }
    }
    assert!(raw.call("status", "server.status", json!({})).await.get("result").is_some());
}

#[tokio::test]
async fn activemq_r31_a_failover_client_keeps_its_session_when_the_broker_dies() {
    let mut broker = Broker::start().await;
    let server = broker.server("").await;
    let sources = ["examples/java/BeamqClient.java", "tests/peers/activemq/Survivor.java"];
    let classes = Classes::compile(server.home.path(), &sources).await;
    let address = format!("failover:(tcp://127.0.0.1:{})", broker.openwire);
    let mut client = Talking::spawn(classes.command("Survivor", &broker, &server, &address));
    client.says("in").await;
    broker.end(Signal::SIGKILL).await;
    broker.launch().await;
    client.tell("go on").await;
    client.says("done").await;
    let audit = server.client().await.call("audit.list", json!({"limit": 50})).await;
    let over_broker =
        |entry: &&serde_json::Value| entry["method"] == "session.login" && entry["transport"] == "activemq";
    assert_eq!(audit["entries"].as_array().unwrap().iter().filter(over_broker).count(), 1);
}

#[tokio::test]
async fn activemq_r31_a_broker_without_advisories_tells_by_a_refusal_that_a_client_is_gone() {
    let mut broker = Broker::configured(&["--not-persistent"]);
    broker.edit(|xml| {
        assert!(xml.contains(r#"advisorySupport="true""#), "{xml}");
        xml.replace(r#"advisorySupport="true""#, r#"advisorySupport="false""#)
    });
    broker.launch().await;
    let server = broker.server("").await;
    let watcher = server.client().await;
    let clients = async || watcher.call("server.status", json!({})).await["clients"].as_u64().unwrap();
    let mut leaving = broker.raw().await;
    let mut staying = broker.raw().await;
    for raw in [&mut leaving, &mut staying] {
        raw.call("login", "session.login", json!({"token": server.token})).await;
        raw.call("events", "events.subscribe", json!({"kinds": ["job"]})).await;
    }
    drop(leaving);
    assert_eq!(clients().await, 3, "there is nobody who could have told");
    // The next event finds no queue: that client is gone, and only that one.
    let id = watcher.submit_job(json!({"name": "job", "script": "pass", "held": true})).await;
    eventually("the log says why", || server.home.log().contains("a client is gone")).await;
    let give_up = Instant::now() + DEADLINE;
    while clients().await != 2 {
        assert!(Instant::now() < give_up, "{}", server.home.log());
    }
    let (_, event) = staying.message().await;
    assert_eq!(event["params"]["job"]["id"], id.as_str(), "{event}");
    // Nothing more is sent to the queue that is not there.
    let refused = || broker.log().matches("not authorized to create: temp-queue").count();
    let once = refused();
    assert!(once >= 1, "{}", broker.log());
    watcher.submit_job(json!({"name": "another", "script": "pass", "held": true})).await;
    staying.message().await;
    assert!(staying.call("status", "server.status", json!({})).await.get("result").is_some());
    assert_eq!(refused(), once, "{}", broker.log());
}
