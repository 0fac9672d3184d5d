//! What a header says proves nothing: forged, injected and unusable messages.

use beamq::wire::stomp::{Command, Frame};
use serde_json::json;

use crate::{
    broker::{Broker, REQUESTS, RawStomp, call, request, state_is},
    harness::text,
    java::{Classes, Talking},
};

#[tokio::test]
async fn activemq_r30_only_clients_may_ask_and_only_the_server_reads() {
    let broker = Broker::start().await;
    let _server = broker.server("").await;
    // A client may neither read requests nor forge what the broker tells.
    let mut client = broker.raw().await;
    for destination in [REQUESTS, "/queue/other"] {
        let frame = Frame::new(Command::Subscribe)
            .header("id", destination)
            .header("destination", destination)
            .header("receipt", destination);
        client.send(frame).await;
        let refused = client.frame().await;
        assert_eq!(refused.command, Command::Error, "{refused:?}");
        assert!(refused.get("message").unwrap().contains("not authorized"), "{refused:?}");
    }
    for destination in ["/topic/ActiveMQ.Advisory.TempQueue", "/topic/beamq.DEMO.events", "/queue/other"] {
        let frame =
            Frame::new(Command::Send).header("destination", destination).header("receipt", destination);
        client.send(frame.with_body("{}")).await;
        let refused = client.frame().await;
        assert_eq!(refused.command, Command::Error, "{destination}: {refused:?}");
    }
    // Whoever has no account has nothing at all.
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", broker.stomp)).await.unwrap();
    drop(stream);
    let refused = tokio::spawn(async move { RawStomp::open(broker.stomp, "nobody", "x").await }).await;
    assert!(refused.is_err(), "nobody came in");
}

#[tokio::test]
async fn activemq_a_reply_to_that_is_no_temporary_queue_is_dropped_and_harms_nothing() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut raw = broker.raw().await;
    for reply_to in [None, Some("/queue/ss_admin"), Some("/topic/x"), Some("/queue/a,b")] {
        let mut frame = Frame::new(Command::Send).header("destination", REQUESTS);
        if let Some(reply_to) = reply_to {
            frame = frame.header("reply-to", reply_to);
        }
        raw.send(frame.with_body(call("server.info", json!({})))).await;
    }
    // The first message announces a client whatever it holds, and is answered by the banner; rubbish after
    // it is told that it is rubbish.
    for (n, body) in ["", "{", "null", "[[[[", "\u{1}"].into_iter().enumerate() {
        raw.send(request("rubbish", body)).await;
        let (frame, reply) = raw.message().await;
        assert_eq!(frame.get("correlation-id"), Some("rubbish"));
        assert_eq!(reply["success"], n == 0, "{reply}");
        assert_eq!(reply["payload"].get("daemon_version").is_some(), n == 0, "{reply}");
    }
    assert!(raw.call("info", "server.info", json!({})).await.get("result").is_some());
    state_is(&server.client().await, "connected").await;
    assert_eq!(server.home.log().matches("not connected to the broker").count(), 0);
}

#[tokio::test]
async fn activemq_r37_a_message_for_somebody_elses_session_is_refused_and_audited() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut victim = broker.raw().await;
    victim.call("login", "session.login", json!({"token": server.token})).await;
    victim.call("hold", "queue.hold", json!({})).await;

    // Somebody else with the broker's credentials sends in the victim's name.
    let sessions = server.client().await;
    let audit = sessions.call("audit.list", json!({"limit": 20})).await;
    let hold = audit["entries"].as_array().unwrap().iter().find(|e| e["method"] == "queue.hold").unwrap();
    let client = text(&hold["client"]);
    let owner = &client[client.find("ID:").unwrap()..];
    let owner = owner.trim_end_matches(')');
    let mut thief = RawStomp::open(broker.stomp, "other", &broker.password("other")).await;
    let submit = call("job.submit", json!({"job": {"name": "not mine", "script": "pass"}}));
    for reply_to in [format!("/remote-temp-queue/{owner}:1"), format!("/remote-temp-queue/{owner}:2")] {
        let frame = Frame::new(Command::Send)
            .header("destination", REQUESTS)
            .header("reply-to", reply_to)
            .header("correlation-id", "forged")
            .with_body(submit.clone());
        thief.send(frame).await;
    }
    let (frame, reply) = victim.message().await;
    assert_eq!(frame.get("correlation-id"), Some("forged"));
    assert_eq!(reply["error"]["code"], -32002, "{reply}");
    let queue = victim.call("queue", "queue.get", json!({})).await;
    assert_eq!(queue["result"]["waiting"], json!([]));
    let audit = sessions.call("audit.list", json!({"limit": 20})).await;
    let entries = audit["entries"].as_array().unwrap();
    let refused = entries.iter().filter(|entry| entry["outcome"] == "forbidden").count();
    assert!(refused >= 1, "{entries:#?}");
}

#[tokio::test]
async fn activemq_a_message_that_breaks_the_connection_does_so_a_few_times_at_most() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    // The broker passes on the names of properties as they are: one of these ends the headers early.
    let classes = Classes::compile(server.home.path(), &["tests/peers/activemq/Forger.java"]).await;
    let address = format!("tcp://127.0.0.1:{}", broker.openwire);
    let mut command = classes.command("Forger", &broker, &server, &address);
    command.arg("injects");
    let mut forger = Talking::spawn(command);
    forger.says("sent").await;
    let mut raw = broker.raw().await;
    // Requests behind it are answered all the same; one that travelled with it may have to be sent again.
    let mut answered = false;
    for n in 0..20 {
        let correlation = format!("after-{n}");
        raw.send(request(&correlation, &call("server.info", json!({})))).await;
        let answer = tokio::time::timeout(std::time::Duration::from_secs(3), async {
            loop {
                let (frame, _) = raw.message().await;
                if frame.get("correlation-id") == Some(correlation.as_str()) {
                    return;
                }
            }
        });
        if answer.await.is_ok() {
            answered = true;
            break;
        }
    }
    assert!(answered, "{}", server.home.log());
    state_is(&server.client().await, "connected").await;
    let log = server.home.log();
    assert!(log.contains("breaks the rules of STOMP"), "the message did no harm at all: {log}");
}

#[tokio::test]
async fn activemq_a_message_that_never_comes_to_the_length_it_claims_holds_others_up_twice_at_most_and_costs_them_nothing()
 {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let watcher = server.client().await;
    watcher.call("queue.hold", json!({})).await;
    let mut raw = broker.raw().await;
    raw.call("login", "session.login", json!({"token": server.token})).await;
    let classes = Classes::compile(server.home.path(), &["tests/peers/activemq/Forger.java"]).await;
    let mut command =
        classes.command("Forger", &broker, &server, &format!("tcp://127.0.0.1:{}", broker.openwire));
    command.arg("overstates");
    let mut forger = Talking::spawn(command);
    forger.says("sent").await;
    // This is swallowed as a part of that message at first, and not lost.
    raw.send(request("behind", &call("job.submit", json!({"job": {"name": "behind", "script": "pass"}}))))
        .await;
    let (frame, reply) = raw.message().await;
    assert_eq!(frame.get("correlation-id"), Some("behind"));
    assert_eq!(watcher.order().await, [text(&reply["result"]["id"])]);
    let log = server.home.log();
    // The broker leaves out a heart-beat after it has sent something else, so that the first time can be taken for
    // silence. When the message comes again it comes first, with nothing but heart-beats behind it.
    assert!((1..=2).contains(&log.matches("not connected to the broker").count()), "it came again: {log}");
    assert!(log.contains("the broker has sent the beginning of a message"), "{log}");
}

#[tokio::test]
async fn activemq_a_reply_larger_than_brokers_take_is_refused_and_costs_nobody_the_connection() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let watcher = server.client().await;
    watcher.call("queue.hold", json!({})).await;
    let mut raw = broker.raw().await;
    raw.call("login", "session.login", json!({"token": server.token})).await;
    // Beyond the BMP a character is written with three times its bytes.
    let script = format!("# {}", "\u{1F600}".repeat(2_500_000));
    let mut ids = Vec::new();
    for n in 0..3 {
        let job = json!({"job": {"name": format!("large {n}"), "script": script}});
        let reply = raw.call(&format!("submit {n}"), "job.submit", job).await;
        ids.push(text(&reply["result"]["id"]));
    }
    let refused = raw.call("all", "queue.get", json!({"scripts": true})).await;
    assert!(refused["error"]["data"]["kind"] == "too_large", "{} bytes", refused.to_string().len());
    raw.send(request("proxy", r#"{"command": "getstatus"}"#)).await;
    let (_, refused) = raw.message().await;
    let why = text(&refused["payload"]);
    assert!(refused["success"] == false && why.contains("bytes; at most"), "{}", why.len());
    // Two of them go through, which is more than the memory that a client's queue has.
    watcher.call("job.remove", json!({"ids": [ids[0]]})).await;
    let two = raw.call("two", "queue.get", json!({"scripts": true})).await;
    assert!(two["result"]["waiting"][1]["script"] == script.as_str());
    // The command line's client takes as much.
    let direct = watcher.call("queue.get", json!({"scripts": true})).await;
    assert!(direct["waiting"] == two["result"]["waiting"]);
    let log = server.home.log();
    assert_eq!(log.matches("not connected to the broker").count(), 0, "{log}");
}
