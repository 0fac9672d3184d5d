//! The connection to NICOS, against a real daemon: order of replies, time-outs, floods, endings.

use std::time::Duration;

use beamq::{
    nicos::{Connection, Level, Login, NicosError, Options},
    security::Secret,
    wire::nicos::{Command, Event},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    harness::DEADLINE,
    nicos_daemon::{Daemon, event, free_port, login},
};

async fn eval(nicos: &Connection, expression: &str) -> Value {
    nicos.call(Command::Eval, &[json!(expression), json!(false)]).await.unwrap()
}

async fn run(nicos: &Connection, script: &str) -> Value {
    nicos.call(Command::Queue, &[json!("a script"), json!(script)]).await.unwrap()
}

/// What is true of both serializers.
async fn speaks(daemon: &Daemon) {
    let (nicos, mut events) = daemon.admin().await;
    assert_eq!(nicos.banner().protocol_version, 24);
    assert!(nicos.banner().daemon_version.starts_with("3."), "{:?}", nicos.banner());
    assert_eq!(nicos.banner().rest.get("rsakey"), None, "of no use here");
    assert_eq!(nicos.level(), Level::Admin);

    for (expression, value) in [
        ("None", json!(null)),
        ("1/4", json!(0.25)),
        ("10**30", json!({"$int": "1000000000000000000000000000000"})),
        ("float('nan')", json!({"$float": "nan"})),
        ("'\\ud800'", json!({"$wtf8": "7aCA"})),
        ("b'\\x00\\xff'", json!({"$bytes": "AP8="})),
        ("(1, [2, (3,)])", json!([1, [2, [3]]])),
        ("{'a': {1, 2}}", json!({"a": {"$set": [1, 2]}})),
    ] {
        assert_eq!(eval(&nicos, expression).await, value, "{expression}");
    }
    let raised = eval(&nicos, "1/0").await;
    assert!(raised["$object"].as_str().unwrap().ends_with("ZeroDivisionError"), "{raised}");

    // What is sent arrives, tagged forms and all.
    let file = nicos.call(Command::Transfer, &[json!({"$bytes": "c29tZSBieXRlcyAA/w=="})]).await.unwrap();
    let content = eval(&nicos, &format!("open({file}, 'rb').read()")).await;
    assert_eq!(content, json!({"$bytes": "c29tZSBieXRlcyAA/w=="}));
    assert_eq!(eval(&nicos, "'ü\u{1F600}\\n'").await, json!("ü\u{1F600}\n"));

    // Mistakes are refusals in NICOS's words, and cost nothing.
    let refused = nicos.call(Command::Unqueue, &[json!("nosuch")]).await.unwrap_err();
    assert!(matches!(refused, NicosError::Refused { command: Command::Unqueue, .. }), "{refused:?}");
    assert_eq!(refused.refusal(), Some("script already executing"));
    let wrong = nicos.call(Command::Queue, &[]).await.unwrap_err();
    assert_eq!(wrong.refusal(), Some("invalid number of arguments"));

    let request = run(&nicos, "print('héllo')\nprint(1)").await;
    let message =
        event(&mut events, Event::Message, |message| message[3] == "héllo\n" && message[5] == request).await;
    assert_eq!(message[2], 20);
    let done = event(&mut events, Event::Done, |done| done["reqid"] == request).await;
    assert_eq!(done["success"], true);
    let status = nicos.call(Command::GetStatus, &[]).await.unwrap();
    assert_eq!(status["scriptname"], "a script");
    nicos.quit().await;
    timeout(DEADLINE, async { while events.next().await.is_some() {} }).await.expect("the events end");
}

#[tokio::test]
async fn both_serializers_carry_every_value() {
    let (pickle, json) = tokio::join!(Daemon::start(), Daemon::with_json());
    speaks(&pickle).await;
    speaks(&json).await;
}

#[tokio::test]
async fn logins_fail_with_a_reason() {
    let daemon = Daemon::start().await;
    let wrong = Login { password: Secret::new("wrong".into()), ..login("adam") };
    let refused = Connection::open("127.0.0.1", daemon.port, &wrong, Options::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "NICOS refuses the login: Invalid username or password!");
    assert!(!format!("{refused:?}").contains("wrong"), "{refused:?}");

    for (user, level) in [("gus", Level::Guest), ("uma", Level::User), ("adam", Level::Admin)] {
        let (nicos, _events) = daemon.connect(user, Options::default()).await.unwrap();
        assert_eq!(nicos.level(), level);
    }

    let port = free_port();
    let nobody = Connection::open("127.0.0.1", port, &login("adam"), Options::default()).await.unwrap_err();
    assert!(nobody.to_string().starts_with(&format!("no NICOS daemon can be reached at 127.0.0.1:{port}: ")));

    // Somebody probes the port and stays.
    let silent = TcpStream::connect(("127.0.0.1", daemon.port)).await.unwrap();
    let options = Options { open_within: Duration::from_millis(300), ..Options::default() };
    let blocked = daemon.connect("adam", options).await.unwrap_err();
    assert!(matches!(blocked, NicosError::Silent { .. }), "{blocked:?}");
    drop(silent);
    daemon.connect("adam", Options::default()).await.unwrap();
}

#[tokio::test]
async fn every_call_gets_its_own_reply() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.admin().await;

    // Without a cache `gethistory` is answered twice.
    for number in 0..3 {
        let history = json!(["exp/scripts", 0, 2_000_000_000]);
        let reply = nicos.call(Command::GetHistory, history.as_array().unwrap()).await.unwrap();
        assert_eq!(reply, json!([]));
        assert_eq!(eval(&nicos, &format!("{number} + 40")).await, json!(number + 40));
    }

    // While a script is being stopped, so is `finish`.
    run(&nicos, "try:\n    sleep(60)\nfinally:\n    import time as t\n    t.sleep(2)\n").await;
    event(&mut events, Event::Status, |status| status[0] == 0 && status[1] == 2).await;
    nicos.call(Command::Stop, &[json!(3)]).await.unwrap();
    event(&mut events, Event::Status, |status| status[0] == 2).await;
    let finish = nicos.call(Command::Finish, &[]).await;
    assert_eq!(finish.unwrap_err().refusal(), Some("script is stopping"));
    assert_eq!(eval(&nicos, "6 * 7").await, json!(42));
    event(&mut events, Event::Done, |_| true).await;

    // Many at once, and one that is given up in between.
    let calls = (0..50).map(|number| {
        let nicos = nicos.clone();
        tokio::spawn(async move {
            let slow = format!("(__import__('time').sleep(0.2), {number})[1]");
            if number == 20 {
                let call = [json!(slow), json!(false)];
                let given_up = nicos.call_within(Command::Eval, &call, Duration::from_millis(20)).await;
                assert!(matches!(given_up, Err(NicosError::TimedOut { .. })), "{given_up:?}");
            } else {
                assert_eq!(eval(&nicos, &format!("{number} * 2")).await, json!(number * 2));
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_flood_of_states_loses_no_message_and_holds_little() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.admin().await;
    let script = "print('begin')\nfor i in range(60000):\n    x = i\nprint('end')\n";
    let request = run(&nicos, script).await;
    // Nobody takes events while the script runs.
    let give_up = tokio::time::Instant::now() + DEADLINE;
    while eval(&nicos, "session.daemon_device._controller.status < 0 and x == 59999").await != json!(true) {
        assert!(tokio::time::Instant::now() < give_up, "the script does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut states, mut texts) = (0, Vec::new());
    loop {
        let next = timeout(DEADLINE, events.next()).await.expect("an event").expect("the connection lives");
        match next.event {
            Event::Status => states += 1,
            Event::Message => texts.push(next.value().unwrap()[3].as_str().unwrap().to_owned()),
            Event::Done => break,
            _ => {}
        }
    }
    assert!(texts.contains(&"begin\n".to_owned()) && texts.contains(&"end\n".to_owned()), "{texts:?}");
    // The script made two for each of its turns, 60 000 a second. How many the sockets hold, and not we, is the
    // system's affair.
    assert!(states < 108_000, "{states} states came");

    // Masked, none comes.
    nicos.mask(&[Event::Status]).await.unwrap();
    let again = run(&nicos, script).await;
    assert_ne!(again, request);
    loop {
        let next = timeout(DEADLINE, events.next()).await.expect("an event").expect("the connection lives");
        assert_ne!(next.event, Event::Status);
        if next.event == Event::Done {
            break;
        }
    }
}

#[tokio::test]
async fn a_connection_ends_once_and_for_both_sides_with_a_reason() {
    let mut daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.admin().await;
    let (other, other_events) = daemon.admin().await;
    let (third, _third_events) = daemon.admin().await;

    // Without its events a connection is of no use to the daemon.
    drop(other_events);
    assert_eq!(&*timeout(DEADLINE, other.closed()).await.unwrap(), "nobody listens to its events any longer");
    let lost = other.call(Command::GetVersion, &[]).await.unwrap_err();
    assert!(matches!(lost, NicosError::Lost { .. }), "{lost:?}");

    // A daemon that is stopped does not answer; calls end all the same.
    daemon.signal(Signal::SIGSTOP);
    let unanswered =
        third.call_within(Command::GetVersion, &[], Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(unanswered.to_string(), "NICOS did not answer `getversion` within 0.05 s");
    daemon.signal(Signal::SIGCONT);
    assert_eq!(eval(&third, "1").await, json!(1), "and later replies are in order");

    let waiting = tokio::spawn({
        let nicos = nicos.clone();
        async move { nicos.call(Command::Eval, &[json!("__import__('time').sleep(60)"), json!(false)]).await }
    });
    daemon.end(Signal::SIGTERM).await;
    let lost = timeout(DEADLINE, waiting).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(lost, NicosError::Lost { .. }), "{lost:?}");
    timeout(DEADLINE, async { while events.next().await.is_some() {} }).await.expect("the events end");
    assert!(nicos.is_closed());
    assert!(nicos.closed().await.contains("closed the connection"), "{}", nicos.closed().await);
}

#[tokio::test]
async fn with_a_cache_there_is_a_history_and_a_dry_run() {
    let daemon = Daemon::with_cache().await;
    let (nicos, mut events) = daemon.admin().await;
    let history = json!(["exp/scripts", 0, 4_000_000_000_u64]);
    let history = nicos.call(Command::GetHistory, history.as_array().unwrap()).await.unwrap();
    assert!(history.is_array(), "{history}");
    assert_eq!(eval(&nicos, "6 * 7").await, json!(42));

    let simulate = [json!("dry"), json!("sleep(5)\nsleep(2)\n"), json!("a dry run")];
    assert_eq!(nicos.call(Command::Simulate, &simulate).await.unwrap(), json!(null));
    let result = event(&mut events, Event::SimResult, |result| result[2] == "a dry run").await;
    assert!(result[0].as_f64().is_some_and(|seconds| (7.0..8.0).contains(&seconds)), "{result}");
}
