//! R29: clients behind a real ActiveMQ.

use std::{collections::BTreeSet, path::Path, time::Instant};

use beamq::wire::stomp::Command;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    broker::{Broker, RawStomp, call, request, state_is},
    harness::text,
    support,
};

#[tokio::test]
async fn activemq_r29_a_client_submits_and_follows_a_job_through_the_broker() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut user = broker.user(&server).await;
    let id = user.submit("hello", "print('grüße 😀')").await;
    user.ends(&id, "succeeded").await;
    assert_eq!(user.line(&id, "grüße").await, "😀");
    assert_eq!(user.output(&id).await, ["grüße 😀"]);

    // The audit knows the connection that it came over.
    let direct = server.client().await;
    let audit = direct.call("audit.list", json!({"limit": 50})).await;
    let entries = audit["entries"].as_array().unwrap();
    let submitted = entries.iter().find(|entry| entry["method"] == "job.submit").unwrap();
    assert_eq!(submitted["transport"], "activemq", "{submitted}");
    assert!(text(&submitted["client"]).contains("ID:"), "{submitted}");
}

#[tokio::test]
async fn activemq_replies_are_text_with_the_correlation_id_and_an_end() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut raw = broker.raw().await;
    raw.send(request("c:1\\\n", &call("server.info", json!({})))).await;
    let (frame, reply) = raw.message().await;
    assert_eq!(reply["result"]["instrument"], "DEMO", "{reply}");
    assert_eq!(frame.get("correlation-id"), Some("c:1\\\n"));
    assert_eq!(frame.get("content-length"), None, "a JMS client would get bytes");
    let expires: u128 = frame.get("expires").unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(expires > now && expires < now + 600_000, "{expires}");

    // Characters beyond the BMP come as escapes, which Java's text messages can carry.
    let reply = raw.call("2", "session.login", json!({"token": server.token})).await;
    assert_eq!(reply["result"]["role"], "admin", "{reply}");
    let job = json!({"job": {"name": "😀", "script": "pass"}});
    let id = raw.call("3", "job.submit", job).await["result"]["id"].clone();
    raw.send(request("4", &call("job.get", json!({"id": id})))).await;
    let (frame, reply) = raw.message().await;
    assert_eq!(reply["result"]["job"]["name"], "😀", "{reply}");
    assert!(frame.body.windows(12).any(|part| part == br"\ud83d\ude00"), "{frame:?}");

    // Java's own form of UTF-8 is understood.
    let mut body = br#"{"jsonrpc":"2.0","id":5,"method":"job.submit","params":{"job":{"name":""#.to_vec();
    body.extend(b"\xED\xA0\xBD\xED\xB8\x80");
    body.extend(br#"","script":"pass"}}}"#);
    raw.send(request("5", "").with_body(body).with_content_length()).await;
    let (_, reply) = raw.message().await;
    let id = reply["result"]["id"].clone();
    let reply = raw.call("6", "job.get", json!({"id": id})).await;
    assert_eq!(reply["result"]["job"]["name"], "😀", "{reply}");

    // Somebody who leaves is no client any more.
    let watcher = server.client().await;
    drop(raw);
    let give_up = Instant::now() + crate::harness::DEADLINE;
    while watcher.call("server.status", json!({})).await["clients"] != 1 {
        assert!(Instant::now() < give_up, "the client is not gone");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn activemq_r29_five_hundred_clients_and_large_messages() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut crowd = JoinSet::new();
    let began = Instant::now();
    for n in 0..500 {
        let mut raw = broker.raw().await;
        let token = server.token.clone();
        crowd.spawn(async move {
            let reply = raw.call("login", "session.login", json!({"token": token})).await;
            assert!(reply.get("result").is_some(), "{reply}");
            for round in 0..4 {
                let reply = raw.call(&format!("{n}-{round}"), "server.info", json!({})).await;
                assert_eq!(reply["result"]["instrument"], "DEMO");
            }
            raw
        });
    }
    let mut crowd = crowd.join_all().await;
    eprintln!("500 clients, 2 500 requests: {:?}", began.elapsed());
    let mut raw = crowd.pop().unwrap();
    let status = raw.call("status", "server.status", json!({})).await;
    assert_eq!(status["result"]["clients"], 500);

    // 5 MB go through; what is above the limit is refused, and everything goes on.
    let script = format!("x = '{}'\nprint(len(x))", "y".repeat(5_000_000));
    let reply = raw.call("large", "job.submit", json!({"job": {"name": "large", "script": script}})).await;
    let id = text(&reply["result"]["id"]);
    let reply = raw.call("get", "job.get", json!({"id": id})).await;
    assert_eq!(reply["result"]["job"]["script"].as_str().map(str::len), Some(script.len()));
    let huge = "z".repeat(20 << 20);
    let reply = raw.call("huge", "job.submit", json!({"job": {"name": "huge", "script": huge}})).await;
    assert_eq!(reply["error"]["code"], -32020, "{}", &reply.to_string()[..200]);
    // The broker itself refuses what is beyond its own limit, and cuts that client off.
    let mut giant = broker.raw().await;
    giant.send(request("giant", &"g".repeat(101 << 20))).await;
    let refused = giant.frame().await;
    assert_eq!(refused.command, Command::Error, "{refused:?}");
    let status = raw.call("after", "server.status", json!({})).await;
    assert!(status["result"]["transports"]["activemq"].as_str().unwrap().starts_with("connected"));
}

#[tokio::test]
async fn activemq_events_reach_fifty_observers_and_fifty_clients_whole_and_in_order() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut observers = Vec::new();
    for n in 0..100 {
        let mut raw = broker.raw().await;
        if n % 2 == 0 {
            raw.subscribe("/topic/beamq.DEMO.events").await;
        } else {
            raw.call("login", "session.login", json!({"token": server.token})).await;
            raw.call("events", "events.subscribe", json!({"kinds": ["output"]})).await;
        }
        observers.push(raw);
    }
    let mut user = server.client().await;
    let lines = 20_000;
    let id = user.submit("chatty", &format!("for n in range({lines}):\n    print('line', n)")).await;
    user.ends(&id, "succeeded").await;
    let mut reading = JoinSet::new();
    for mut observer in observers {
        let id = id.clone();
        reading.spawn(async move {
            let (mut seq, mut heard) = (0, Vec::new());
            while heard.len() < lines {
                let (_, event) = observer.message().await;
                let next = event["params"]["seq"].as_u64().unwrap();
                assert!(next > seq, "{next} after {seq}");
                seq = next;
                if event["method"] == "event.output" && event["params"]["job"] == id.as_str() {
                    let lines = event["params"]["lines"].as_array().unwrap();
                    heard.extend(lines.iter().map(|line| text(&line["text"])));
                }
            }
            heard
        });
    }
    let wanted: Vec<_> = (0..lines).map(|n| format!("line {n}")).collect();
    for heard in reading.join_all().await {
        assert!(heard == wanted, "an observer missed lines");
    }
}

/// Reads events of jobs until so many different ones were there, in the order of their numbers.
async fn states_heard(client: &mut RawStomp, wanted: usize) -> BTreeSet<(u64, String)> {
    let (mut seq, mut heard) = (0, BTreeSet::new());
    while heard.len() < wanted {
        let (_, event) = client.message().await;
        let next = event["params"]["seq"].as_u64().unwrap();
        assert!(next > seq, "{next} after {seq}");
        seq = next;
        let job = &event["params"]["job"];
        heard.insert((text(&job["id"]).parse().unwrap(), text(&job["state"])));
    }
    heard
}

#[tokio::test]
async fn activemq_every_single_event_reaches_fifty_clients_that_read() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let user = server.client().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut raw = broker.raw().await;
        raw.call("login", "session.login", json!({"token": server.token})).await;
        raw.call("events", "events.subscribe", json!({"kinds": ["job"]})).await;
        clients.push(raw);
    }
    // Each of these events tells something of its own, so none may stand for another. Not more of them at
    // once than may wait for one client: the benchmark `broker` has ten times as many.
    let (rounds, at_once) = (4, 250);
    for round in 0..rounds {
        let jobs: Vec<_> = (0..at_once)
            .map(|n| json!({"name": format!("job {n}"), "script": "pass", "held": true, "group": "all"}))
            .collect();
        let verdicts = user.call("job.submit_batch", json!({"jobs": jobs})).await["verdicts"].clone();
        user.call("job.remove", json!({"group": "all"})).await;
        let ids = verdicts.as_array().unwrap().iter().map(|verdict| text(&verdict["id"]).parse().unwrap());
        let wanted: BTreeSet<(u64, String)> =
            ids.flat_map(|id: u64| [(id, "held".to_owned()), (id, "cancelled".to_owned())]).collect();
        assert_eq!(wanted.len(), 2 * at_once);
        let reading = clients.iter_mut().map(|client| states_heard(client, wanted.len()));
        for heard in futures_util::future::join_all(reading).await {
            assert_eq!(heard, wanted, "round {round}");
        }
    }
}

#[tokio::test]
async fn activemq_the_command_line_works_through_the_broker() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let script = server.home.path().join("hello.py");
    std::fs::write(&script, "print('hello from afar')").unwrap();
    let (url, data, password) = (broker.url(), server.home.data(), broker.password_file("ss_client"));
    let run = move |arguments: Vec<String>| {
        let mut command = support::program();
        command.arg("--server").arg(&url).arg("--data").arg(&data).args(arguments);
        support::run(command.env("BEAMQ_PASSWORD_FILE", &password), b"")
    };
    tokio::task::spawn_blocking(move || {
        let run = |line: &str| run(line.split_whitespace().map(str::to_owned).collect());
        let file = script.display();
        let submitted = run(&format!("--json submit {file} --wait --quiet")).expect_code(0);
        let id = submitted.documents()[0]["jobs"][0]["id"].as_str().map(str::to_owned);
        let id = id.unwrap_or_else(|| panic!("{:?}", submitted.documents()));
        let output = run(&format!("output {id}")).expect_code(0);
        assert!(output.out.contains("hello from afar"), "{}", output.out);
        let status = run("--json status").expect_code(0).document();
        assert!(status.to_string().contains("connected to stomp://"), "{status}");
        run("queue hold --why beam").expect_code(0);
        run(&format!("submit {file}")).expect_code(0);
        let list = run("--json queue list").expect_code(0).document();
        assert_eq!(list["waiting"].as_array().map(Vec::len), Some(1), "{list}");
        let waits = text(&list["waiting"][0]["id"]);
        for line in [
            "queue duplicate ID",
            "queue edit ID --name another",
            "queue move ID --back",
            "queue hold ID",
            "queue release ID",
            "dry-run --job ID",
            "dry-run --queue",
            "commands",
            "queue remove ID",
        ] {
            run(&line.replace("ID", &waits)).expect_code(0);
        }
        run("queue clear").expect_code(0);
        run("queue release").expect_code(0);
        run("history").expect_code(0);
        run(&format!("rerun {id} --wait --quiet")).expect_code(0);
        run("pause").expect_code(5);

        // A running job is steered from afar as from nearby.
        std::fs::write(&script, "import time\nprint('begun')\nwhile True: time.sleep(0.01)").unwrap();
        let file = script.display();
        let submitted = run(&format!("--json submit {file}")).expect_code(0);
        let id = text(&submitted.documents()[0]["jobs"][0]["id"]);
        let becomes = |state: &str| {
            let give_up = Instant::now() + crate::harness::DEADLINE;
            while run("--json status").expect_code(0).document()["active"]["state"] != state {
                assert!(Instant::now() < give_up, "the job is not {state}");
            }
        };
        becomes("running");
        run("pause").expect_code(0);
        becomes("paused");
        run("resume").expect_code(0);
        becomes("running");
        run("abort --why enough").expect_code(0);
        assert!(run(&format!("watch {id}")).expect_code(1).out.contains("aborted"));
        let history = run("history").expect_code(0);
        assert!(history.out.contains("Aborted: enough"), "{}", history.out);
    })
    .await
    .unwrap();
    state_is(&server.client().await, "connected").await;
}

#[tokio::test]
async fn activemq_r38_the_command_line_is_told_the_brokers_password_where_no_list_of_processes_shows_it() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let (url, data, port) = (broker.url(), server.home.data(), broker.stomp);
    let [right, wrong] = ["ss_client", "other"].map(|user| broker.password_file(user));
    let status = move |url: &str, password: Option<&Path>| {
        let mut command = support::program();
        command.args(["--server", url, "--data"]).arg(&data);
        if let Some(password) = password {
            command.arg("--password-file").arg(password);
        }
        support::run(command.arg("status"), b"")
    };
    tokio::task::spawn_blocking(move || {
        status(&url, Some(&right)).expect_code(0);
        let refused = status(&url, Some(&wrong)).expect_code(4);
        assert!(refused.err.contains("password is invalid"), "{}", refused.err);
        let missing = status(&url, None).expect_code(2);
        assert!(missing.err.contains("no password of ss_client"), "{}", missing.err);
        assert!(missing.err.contains("BEAMQ_PASSWORD_FILE"), "{}", missing.err);
        let nowhere = status(&url, Some(Path::new("/nowhere/password"))).expect_code(2);
        assert!(
            nowhere.err.contains("the password file /nowhere/password cannot be read"),
            "{}",
            nowhere.err
        );
        // A password in the URL comes first, for scripts that keep the whole URL in BEAMQ_SERVER.
        status(&format!("stomp://ss_client:wrong@127.0.0.1:{port}"), Some(&right)).expect_code(4);
    })
    .await
    .unwrap();
}
