//! Whatever arrives from outside is answered with an error that names what is wrong, or costs its sender
//! the connection; the running job and everybody else go on.

use beamq::wire::stomp::{Command, Frame};
use serde_json::{Value, json};

use crate::{
    harness::{Server, User, waits_for},
    raw::Raw,
};

/// A server with a running job, its gate, and a client who watches.
async fn busy() -> (Server, User, String, std::path::PathBuf) {
    busy_with("").await
}

async fn busy_with(config: &str) -> (Server, User, String, std::path::PathBuf) {
    let server = Server::with(config).await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let id = user.submit("bystander", &waits_for(&gate)).await;
    user.line(&id, "group").await;
    (server, user, id, gate)
}

/// The job that ran through all of it comes to its good end.
async fn unharmed(user: &mut User, id: &str, gate: &std::path::Path) {
    assert_eq!(user.job(id).await["state"], "running");
    std::fs::write(gate, "").unwrap();
    user.ends(id, "succeeded").await;
}

#[tokio::test]
async fn bad_calls_are_answered_with_the_field_the_value_and_what_is_allowed() {
    let (_server, mut user, id, gate) = busy().await;
    let mut wrong = Vec::new();
    for (method, params, code, field) in [
        ("job.submitt", json!({}), -32601, Some("method")),
        ("", json!({}), -32601, Some("method")),
        ("job.submit", json!({}), -32602, Some("job")),
        ("job.submit", json!({"job": 7}), -32602, Some("job")),
        ("job.submit", json!({"job": {"script": "pass"}}), -32602, Some("job.name")),
        ("job.submit", json!({"job": {"name": 7, "script": "pass"}}), -32602, Some("job.name")),
        ("job.submit", json!({"job": {"name": "x"}}), -32602, Some("job.script")),
        (
            "job.submit",
            json!({"job": {"name": "x", "script": "pass", "commands": []}}),
            -32602,
            Some("job.script"),
        ),
        ("job.submit", json!({"job": {"name": "x", "script": "pass", "prio": 1}}), -32602, Some("job.prio")),
        ("job.submit", json!({"job": {"name": "x", "script": "pass"}, "extra": 1}), -32602, Some("extra")),
        (
            "job.submit",
            json!({"job": {"name": "x", "script": "pass", "timeout": 5}}),
            -32602,
            Some("job.timeout"),
        ),
        (
            "job.submit",
            json!({"job": {"name": "x", "script": "pass", "timeout": "soon"}}),
            -32015,
            Some("job.timeout"),
        ),
        (
            "job.submit",
            json!({"job": {"name": "x", "script": "pass", "deadline": "tomorrow"}}),
            -32015,
            Some("job.deadline"),
        ),
        (
            "job.submit",
            json!({"job": {"name": "x", "script": "pass", "tags": "a"}}),
            -32602,
            Some("job.tags"),
        ),
        ("job.submit", json!({"job": {"name": "", "script": "pass"}}), -32015, Some("job.name")),
        ("job.get", json!({}), -32602, Some("id")),
        ("job.get", json!({"id": true}), -32602, Some("id")),
        ("job.get", json!({"id": "999"}), -32011, Some("id")),
        ("job.get", json!({"id": "../../etc/passwd"}), -32011, Some("id")),
        ("job.edit", json!({"id": "999", "name": "x"}), -32011, Some("id")),
        ("job.rerun", json!({"id": "999"}), -32011, Some("id")),
        ("job.duplicate", json!({"id": "0"}), -32011, Some("id")),
        ("output.get", json!({"job": "18446744073709551616"}), -32011, Some("job")),
        ("queue.move", json!({"ids": "all", "place": "front"}), -32602, Some("ids")),
        ("queue.move", json!({"place": "front"}), -32602, None),
        ("queue.reorder", json!({"ids": []}), -32602, Some("revision")),
        ("run.pause", json!({"level": "soon"}), -32602, Some("level")),
        ("run.answer", json!({"prompt": "5", "value": 1}), -32011, Some("prompt")),
        ("server.status", json!({"verbose": true}), -32602, Some("verbose")),
        ("server.status", json!([1]), -32602, None),
        ("events.subscribe", json!({"from": -1}), -32602, Some("from")),
        ("history.list", json!({"state": "done"}), -32602, Some("state")),
        ("history.list", json!({"state": ["failed", "done"]}), -32602, Some("state[1]")),
        ("history.list", json!({"state": 7}), -32602, Some("state")),
        (
            "job.submit",
            json!({"job": {"name": "x", "script": "pass"}, "place": {"after": "999"}}),
            -32011,
            Some("place"),
        ),
        ("history.list", json!({"limit": "all"}), -32602, Some("limit")),
        ("history.list", json!({"since": "yesterday"}), -32602, Some("since")),
    ] {
        let error = user.refused(method, params.clone()).await;
        let said = error.text("field");
        if error.code != code || field.is_some_and(|field| said != Some(field)) || error.message.is_empty() {
            wrong.push(format!("{method} {params} is to be {code} {field:?} and is {error:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(user.refused("job.submitt", json!({})).await.hint(), Some("did you mean job.submit?"));
    unharmed(&mut user, &id, &gate).await;
}

#[tokio::test]
async fn bad_json_is_answered_in_the_dialect_of_its_sender() {
    let (server, mut user, id, gate) = busy().await;
    let mut raw = Raw::login(&server).await;
    for (body, code) in [
        (&br#"{"jsonrpc": "2.0", "id": 1, "method": "#[..], -32700),
        (br#"{"jsonrpc": "1.0", "id": 1, "method": "server.info"}"#, -32600),
        (br#"{"jsonrpc": "2.0", "id": 1}"#, -32600),
        (br#"{"jsonrpc": "2.0", "id": 1, "method": 7}"#, -32600),
        (br#"{"jsonrpc": "2.0", "id": {"a": 1}, "method": "server.info"}"#, -32600),
        (br#"{"jsonrpc": "2.0", "id": 1, "method": "server.info", "parms": {}}"#, -32602),
        (b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"server.info\xff\"}", -32700),
    ] {
        let reply = raw.ask(body).await;
        assert_eq!(reply["error"]["code"], code, "{}: {reply}", String::from_utf8_lossy(body));
    }
    for body in
        [&b"hello"[..], b"", b"\x00\x01\x02\xff", b"{}", b"[]", b"7", b"null", b"[1, 2]", b"{\"x\": 1}"]
    {
        let reply = raw.ask(body).await;
        assert_eq!(reply["success"], false, "{}: {reply}", String::from_utf8_lossy(body));
        assert!(reply["payload"].is_string());
    }
    let deep = format!(
        "{{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"server.info\", \"params\": {}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(raw.ask(deep).await["error"]["code"], -32700);
    // The session is as good as before.
    assert!(raw.call("server.status", json!({})).await["result"]["active"].is_object());
    unharmed(&mut user, &id, &gate).await;
}

#[tokio::test]
async fn a_batch_of_calls_is_answered_as_one_and_a_notification_not_at_all() {
    let (server, mut user, id, gate) = busy().await;
    let mut raw = Raw::login(&server).await;
    let reply = raw
        .ask(r#"[{"jsonrpc": "2.0", "id": 1, "method": "server.info"}, {"jsonrpc": "2.0", "method": "queue.hold"},
            {"jsonrpc": "2.0", "id": 2, "method": "no.such"}, 7]"#)
        .await;
    let replies = reply.as_array().unwrap();
    assert_eq!(replies.len(), 3, "{reply}");
    let find = |id: Value| replies.iter().find(|reply| reply["id"] == id).unwrap();
    assert!(find(json!(1))["result"].is_object());
    assert_eq!(find(json!(2))["error"]["code"], -32601);
    assert_eq!(find(Value::Null)["error"]["code"], -32600);
    raw.body(r#"{"jsonrpc": "2.0", "method": "queue.release"}"#).await;
    assert!(raw.is_quiet().await);
    assert_eq!(user.queue().await["state"], "busy");
    unharmed(&mut user, &id, &gate).await;
}

#[tokio::test]
async fn bad_frames_cost_their_sender_the_connection_and_nobody_else_anything() {
    let (server, mut user, id, gate) = busy().await;
    for (what, bytes) in [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("a wrong command", b"SHOUT\n\n\0"),
        ("a header without colon", b"SEND\ndestination\n\n\0"),
        ("a header that never ends", &[b'x'; 200_000][..]),
        ("a length that is none", b"SEND\ndestination:/queue/ss_admin\ncontent-length:-1\n\n\0"),
        ("a length that is wrong", b"SEND\ndestination:/queue/ss_admin\ncontent-length:3\n\nabcdef\0"),
        ("nul bytes in a header", b"SEND\ndest\0ination:/queue/ss_admin\n\n\0"),
    ] {
        for connected in [false, true] {
            let mut raw = if connected { Raw::connect(&server).await } else { Raw::open(&server).await };
            raw.bytes(bytes).await;
            raw.bytes(b"\n\0").await;
            let last = raw.is_cut().await;
            assert!(last.is_none_or(|frame| frame.command == Command::Error), "{what}, {connected}");
        }
    }
    for frame in [
        Frame::new(Command::Send).header("destination", "/queue/other").header("reply-to", "/temp-queue/r"),
        Frame::new(Command::Send).header("destination", "/temp-queue/r"),
        Frame::new(Command::Subscribe).header("id", "2").header("destination", "/queue/ss_admin"),
        Frame::new(Command::Subscribe).header("id", "2").header("destination", "/topic/beamq.OTHER.events"),
    ] {
        let mut raw = Raw::login(&server).await;
        raw.send(frame.clone()).await;
        let answer = raw.frame().await.unwrap();
        assert_eq!(answer.command, Command::Error, "{frame:?}");
        assert!(answer.get("message").is_some());
    }
    unharmed(&mut user, &id, &gate).await;
}

#[tokio::test]
async fn bad_sizes_are_refused_and_half_a_frame_waits_without_harm() {
    let (server, mut user, id, gate) = busy_with("limits: {message: \"1 MiB\"}\n").await;
    // A frame that says it is larger than allowed costs the connection before its body is read.
    let mut raw = Raw::login(&server).await;
    raw.bytes(b"SEND\ndestination:/queue/ss_admin\nreply-to:/temp-queue/r\ncontent-length:1048577\n\n").await;
    assert_eq!(raw.is_cut().await.unwrap().command, Command::Error);
    // One that does not say so, while it is read.
    let mut raw = Raw::login(&server).await;
    raw.bytes(b"SEND\ndestination:/queue/ss_admin\nreply-to:/temp-queue/r\n\n").await;
    raw.bytes(&vec![b' '; 3 << 20]).await;
    raw.is_cut().await;
    // One that fits is taken.
    let big = json!({"name": "big", "script": format!("#{}\n", "x".repeat(900_000)), "held": true});
    let big = user.submit_job(big).await;
    assert_eq!(user.job(&big).await["script"].as_str().unwrap().len(), 900_002);
    // Half a frame, and then nothing, or the end.
    let mut half = Raw::login(&server).await;
    half.bytes(
        b"SEND\ndestination:/queue/ss_admin\nreply-to:/temp-queue/r\ncontent-length:500\n\n{\"jsonrpc\"",
    )
    .await;
    let mut gone = Raw::login(&server).await;
    gone.bytes(b"SEND\ndestination:/queue/ss_ad").await;
    drop(gone);
    user.call("server.status", json!({})).await;
    assert!(half.is_quiet().await);
    unharmed(&mut user, &id, &gate).await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_alone_while_everybody_else_goes_on() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let mut deaf = Raw::login(&server).await;
    deaf.call("events.subscribe", json!({})).await;
    let clients = user.call("server.status", json!({})).await["clients"].as_u64().unwrap();
    assert_eq!(clients, 2);
    // As many messages as are more than what may wait for one client, each of some size.
    let tags: Vec<_> = (0..20).map(|n| format!("{n} {}", "x".repeat(60))).collect();
    let id = user.submit_job(json!({"name": "changes", "script": "pass", "tags": tags, "held": true})).await;
    let mut edits = 0;
    while user.call("server.status", json!({})).await["clients"] != 1 {
        assert!(edits < 60_000, "the deaf client is still there");
        for _ in 0..10 {
            let some =
                (0..50).map(|n| user.call("job.edit", json!({"id": id, "name": format!("{edits} {n}")})));
            futures_util::future::join_all(some).await;
            edits += 50;
        }
    }
    // The one that reads has heard of every change.
    user.event("the last change", 0, |event| event["params"]["job"]["name"] == format!("{} 49", edits - 50))
        .await;
    // It was cut, with what had been written for it before.
    deaf.is_cut().await;
    assert_eq!(user.run("print('well')").await["state"], "succeeded");
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_of_a_request_harms_nobody() {
    let (server, mut user, id, gate) = busy().await;
    for n in 0..20 {
        let mut raw = Raw::login(&server).await;
        let job = json!({"name": format!("from a ghost {n}"), "script": "pass", "held": true});
        let request = json!({"jsonrpc": "2.0", "id": n, "method": "job.submit", "params": {"job": job}});
        raw.body(request.to_string()).await;
        drop(raw);
    }
    // Each was carried out whole or not at all.
    let waiting = user.queue().await["waiting"].as_array().unwrap().clone();
    assert!(waiting.iter().all(|job| job["state"] == "held"));
    let give_up = tokio::time::Instant::now() + crate::harness::DEADLINE;
    while user.call("server.status", json!({})).await["clients"] != 1 {
        assert!(tokio::time::Instant::now() < give_up, "sessions of clients that are gone stay");
    }
    unharmed(&mut user, &id, &gate).await;
}

#[tokio::test]
async fn every_request_gets_its_reply_also_when_the_session_ends_in_between() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    for round in 0..20 {
        let mut requests =
            vec![json!({"jsonrpc": "2.0", "id": "bye", "method": "session.logout"}).to_string()];
        for n in 0..10 {
            requests.push(json!({"jsonrpc": "2.0", "id": n, "method": "queue.get"}).to_string());
        }
        raw.bodies(&requests).await;
        assert_eq!(raw.reply().await["id"], "bye", "round {round}");
        for n in 0..10 {
            let reply = raw.reply().await;
            assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(n), &json!(-32001)), "{reply}");
        }
        let reply = raw.call("session.login", json!({"token": server.token})).await;
        assert!(reply["result"]["session"].is_string(), "{reply}");
    }
}
