//! Clients that log in with accounts of NICOS, against a real daemon: a connection of their own, calls, events,
//! detector data, a daemon that goes and comes back.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use beamq::{
    client::LoginWith,
    wire::nicos::{Command, Event},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    access::hash,
    harness::{DEADLINE, Server, User, text},
    nicos_daemon::{Daemon, event, gui},
    nicos_engine::is_engine,
    proxy::Gui,
};

async fn account(server: &Server, user: &str) -> User {
    server.account(user, &format!("{user}pw")).await
}

async fn eval(user: &User, expression: &str) -> Value {
    user.call("nicos.call", json!({"command": "eval", "args": [expression]})).await
}

/// Runs a script in NICOS itself, past beamq.
async fn run_in_nicos(daemon: &Daemon, script: &str) {
    let (nicos, _events) = daemon.admin().await;
    nicos.call(Command::Queue, &[json!("elsewhere"), json!(script)]).await.unwrap();
    nicos.quit().await;
}

#[tokio::test]
async fn the_role_follows_from_the_level_and_decides_what_may_be_called() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let (guest, scientist) = (account(&server, "gus").await, account(&server, "uma").await);

    let status = guest.call("nicos.call", json!({"command": "getstatus"})).await;
    assert_eq!(status["mode"], "master", "{status}");
    let refused = guest.refused("nicos.call", json!({"command": "eval", "args": ["1"]})).await;
    assert_eq!((refused.code, &refused.data["value"]), (-32002, &json!("viewer")));
    // NICOS would let a guest do all of these.
    for (command, args) in [
        ("watch", json!([["1:x"]])),
        ("unwatch", json!([["*"]])),
        ("complete", json!(["m", "m"])),
        ("transfer", json!([{"$bytes": "AA=="}])),
        ("exec", json!(["1"])),
        ("debug", json!(["1"])),
        ("debuginput", json!(["c"])),
    ] {
        let refused = guest.refused("nicos.call", json!({"command": command, "args": args})).await;
        assert_eq!((refused.code, &refused.data["value"]), (-32002, &json!("viewer")), "{command}");
    }
    for command in ["queue", "start", "stop", "emergency", "break", "continue", "update", "unqueue", "finish"]
    {
        for user in [&guest, &scientist] {
            let refused = user.refused("nicos.call", json!({"command": command, "args": ["a", "b"]})).await;
            assert_eq!(refused.code, -32602, "{command} is up to beamq: {refused:?}");
        }
    }
    assert_eq!(eval(&scientist, "1 + 1").await, 2);
    scientist.call("nicos.call", json!({"command": "exec", "args": ["beamq_was_here = 7"]})).await;
    let mine = guest.refused("nicos.call", json!({"command": "exec", "args": ["1"]})).await;
    assert_eq!(mine.code, -32002);

    assert_eq!(eval(&scientist, "1 + 1").await, 2);
    let entries = server.client().await.call("audit.list", json!({})).await;
    let methods: Vec<_> = entries["entries"].as_array().unwrap().iter().collect();
    let evaluated = methods.iter().filter(|entry| entry["method"] == "nicos.eval" && entry["user"] == "uma");
    let evaluated: Vec<_> = evaluated.map(|entry| &entry["after"]["args"][0]).collect();
    assert_eq!(evaluated, ["1 + 1"], "an expression is audited once in a session");
    assert!(
        methods.iter().any(|entry| entry["method"] == "nicos.exec"
            && entry["user"] == "uma"
            && entry["role"] == "scientist"
            && entry["after"] == json!({"args": ["beamq_was_here = 7"]})),
        "{methods:#?}"
    );

    let with_roles =
        daemon.engine().replace("user: service", "user: service, roles: {guest: user, user: admin}");
    let server = Server::with(&with_roles).await;
    let mut user = gui(&server, "gus", 10).await;
    assert_eq!(user.does(json!(["eval", ["2", false]])).await, 2);
    for meddling in [json!(["exec", ["1"]]), json!(["debug", ["1"]]), json!(["debuginput", ["c"]])] {
        assert!(user.refused(meddling).await.contains("scientist"));
    }
    assert_eq!(gui(&server, "uma", 20).await.does(json!(["getversion"])).await, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn wrong_passwords_are_refused_and_other_logins_have_no_connection() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut gui = Gui::stranger(&server).await;
    let wrong = json!({"command": "authenticate", "login": "adam", "passwd": "wrong", "display": ""});
    assert_eq!(gui.refused(wrong).await, "Invalid username or password!");
    let right = json!({"command": "authenticate", "login": "adam", "passwd": "adampw", "display": ""});
    assert_eq!(gui.does(right).await, json!({"user_level": 20}), "a failed login can be tried again");
    assert_eq!(gui.does(json!(["eval", ["6 * 7", false]])).await, 42);

    let by_token = server.client().await;
    let refused = by_token.refused("nicos.call", json!({"command": "getstatus"})).await;
    assert_eq!(refused.code, -32014);
    assert!(refused.data["hint"].as_str().unwrap().contains("NICOS account"), "{refused:?}");
    let mut gui = Gui::login(&server, "ibex").await;
    let refused = gui.refused(json!(["eval", ["1", false]])).await;
    assert!(refused.contains("did not log in with an account of NICOS"), "{refused}");

    let accounts =
        format!("accounts: [{{user: ibex, role: admin, password_hash: \"{}\"}}]\n", hash("secret"));
    let server = daemon.server(&accounts).await;
    let of_the_configuration = server.account("ibex", "secret").await;
    let refused = of_the_configuration.refused("nicos.call", json!({"command": "getstatus"})).await;
    assert_eq!(refused.code, -32014);
    assert!(refused.message.contains("has no connection to NICOS"), "{refused:?}");

    let stranger = server.stranger().await;
    let with = LoginWith::Account { user: "adam".into(), password: "wrong".into() };
    assert!(stranger.login(with, "tests").await.unwrap_err().to_string().contains("credentials"));
}

#[tokio::test]
async fn calls_give_bare_values_refusals_and_exceptions() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let user = account(&server, "adam").await;

    assert_eq!(eval(&user, "None").await, Value::Null);
    assert_eq!(eval(&user, "(1, {2: {3}})").await, json!([1, {"$map": [[2, {"$set": [3]}]]}]));
    assert_eq!(eval(&user, "session.devices").await["m1"], "m1", "a device is its name");
    assert_eq!(eval(&user, "m1.classes").await[0], "nicos.devices.generic.virtual.VirtualMotor");
    let raised = eval(&user, "1/0").await;
    assert_eq!(raised, json!({"$object": "exceptions.ZeroDivisionError", "args": ["division by zero"]}));
    let as_text = json!({"command": "eval", "args": {"expr": "m1", "stringify": true}});
    assert!(text(&user.call("nicos.call", as_text).await).starts_with("<device m1"));

    let file = user
        .call("nicos.call", json!({"command": "transfer", "args": [{"$bytes": "c29tZSBieXRlcyAA/w=="}]}))
        .await;
    let content = eval(&user, &format!("open({file}, 'rb').read()")).await;
    assert_eq!(content, json!({"$bytes": "c29tZSBieXRlcyAA/w=="}));

    let refused = user.refused("nicos.call", json!({"command": "debug", "args": [""]})).await;
    assert_eq!((refused.code, refused.message.as_str()), (-32016, "no piece of code to debug given"));
    let unsent = json!({"command": "watch", "args": [{"$object": "os.system", "args": ["true"]}]});
    let refused = user.refused("nicos.call", unsent).await;
    assert_eq!((refused.code, &refused.data["field"]), (-32602, &json!("args")));
    let missing = user.refused("nicos.call", json!({"command": "gethistory", "args": ["m1/value"]})).await;
    assert!(missing.message.contains("fromtime"), "{missing:?}");
    let unknown = user.refused("nicos.call", json!({"command": "getstats"})).await;
    assert_eq!((unknown.code, &unknown.data["field"]), (-32011, &json!("command")));
    let queue = user.refused("nicos.call", json!({"command": "queue", "args": ["a", "b"]})).await;
    assert_eq!((queue.code, &queue.data["hint"]), (-32602, &json!("use job.submit")));

    let mut gui = gui(&server, "adam", 20).await;
    let raised = gui.does(json!(["eval", ["m1.maw(1000)", false]])).await;
    assert_eq!(raised["exception"], "nicos.core.errors.LimitError");
    assert_eq!(raised["details"], json!({"device": "m1"}));
    assert_eq!(gui.refused(json!(["debug", [""]])).await, "no piece of code to debug given");
    // The status is beamq's; what it says of the instrument is NICOS's.
    let status = gui.does(json!(["getstatus"])).await;
    assert_eq!((&status["scriptname"], &status["requests"]), (&json!(""), &json!([])));
    assert!(status["devices"].as_array().unwrap().contains(&json!("m1")), "{status}");
    assert_eq!(status["setups"][1], json!(["startup"]), "{status}");
}

#[tokio::test]
async fn replies_of_the_proxy_dialect_keep_their_order_while_nicos_takes_its_time() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut gui = gui(&server, "adam", 20).await;
    let slow = "__import__('time').sleep(0.3) or 'slow'";
    let replies = gui
        .ask_all(&[json!(["eval", [slow, false]]), json!(["getversion"]), json!(["eval", ["'fast'", false]])])
        .await;
    let payloads: Vec<_> = replies.iter().map(|reply| &reply["payload"]).collect();
    assert_eq!(payloads, [&json!("slow"), &json!(env!("CARGO_PKG_VERSION")), &json!("fast")]);
}

#[tokio::test]
async fn events_of_nicos_reach_the_client_unless_they_are_masked() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut listens = gui(&server, "uma", 10).await;
    let mut masks = gui(&server, "adam", 20).await;
    let masked = json!({"command": "eventmask", "events": ["device"]});
    assert_eq!(masks.does(masked).await, Value::Null);
    // The mask has reached the daemon, or else holds here.
    run_in_nicos(&daemon, "RemoveDevice('man')\nSetMode('maintenance')").await;
    assert_eq!(listens.until_event("device").await, json!(["destroy", ["man"]]));
    let passed = masks.until("mode", |event| event["event"] == "mode").await;
    assert!(passed.iter().all(|event| event["event"] != "device"), "{passed:#?}");
    assert_eq!(passed.last().unwrap()["payload"], "maintenance");

    let (nicos, _events) = daemon.admin().await;
    let deaf = async || {
        let count = "sum('device' in h.event_mask for h in session.daemon_device._server.handlers.values())";
        nicos.call(Command::Eval, &[json!(count), json!(false)]).await.unwrap()
    };
    let before = deaf().await;
    assert_eq!(masks.does(json!({"command": "eventunmask", "events": ["device"]})).await, Value::Null);
    let begun = Instant::now();
    while deaf().await == before {
        assert!(begun.elapsed() < DEADLINE, "the daemon is not told");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run_in_nicos(&daemon, "CreateDevice('man')").await;
    assert_eq!(masks.until_event("device").await, json!(["create", ["man"]]));
}

#[tokio::test]
async fn what_nicos_says_outside_of_jobs_reaches_the_client_and_jobs_are_told_once() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut gui = gui(&server, "adam", 20).await;
    let mut other = Gui::login(&server, "ibex").await;
    let says = |text: &str| json!({"command": "exec", "args": [format!("print('{text}')")]});
    let heard = |events: &[Value], text: &str| {
        let lines = events.iter().filter(|event| event["event"] == "message");
        lines.filter(|event| event["payload"][3].as_str().unwrap().trim_end() == text).count()
    };

    gui.does(says("first")).await;
    gui.until_message("first").await;
    let id = gui.queue("a job", "print('of the job')\n").await;
    let passed = gui.until_done(&id).await;
    assert_eq!(heard(&passed, "of the job"), 1, "{passed:#?}");
    // NICOS gives this the id of the job that has ended.
    gui.does(says("second")).await;
    let passed = gui.until("second", |event| event["payload"][3] == "second\n").await;
    assert_eq!(heard(&passed, "of the job"), 0, "{passed:#?}");

    // A script that is nobody's job is heard, too; a session without a connection hears beamq alone.
    run_in_nicos(&daemon, "print('elsewhere')").await;
    gui.until_message("elsewhere").await;
    gui.does(json!({"command": "eventmask", "events": ["message"]})).await;
    gui.does(says("third")).await;
    gui.does(json!({"command": "eventunmask", "events": ["message"]})).await;
    gui.does(says("fourth")).await;
    let passed = gui.until("fourth", |event| event["payload"][3] == "fourth\n").await;
    assert_eq!(heard(&passed, "third"), 0, "{passed:#?}");

    let passed = other.until_done(&id).await;
    assert_eq!((heard(&passed, "of the job"), heard(&passed, "first")), (1, 0), "{passed:#?}");
}

#[tokio::test]
async fn clients_of_nicos_answer_questions_whether_they_have_an_account_there_or_not() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    for account in [None, Some("uma")] {
        let mut gui = match account {
            None => Gui::login(&server, "ibex").await,
            Some(user) => gui(&server, user, 10).await,
        };
        let id = gui
            .queue(
                "asks.py",
                "pause('Look!')\nprint('said ' + userinput('How many?'))\nprint(userinput('Age?', int, 7))\n",
            )
            .await;
        let prompt = gui.until_event("prompt").await;
        assert_eq!(prompt, json!(["Look!", prompt[1]]));
        gui.until_status(1).await;
        assert_eq!(gui.refused(json!(["break", [1]])).await, "script is already paused");
        assert_eq!(gui.does(json!({"command": "continue"})).await, Value::Null);
        let prompt = gui.until_event("prompt").await;
        assert_eq!(prompt[0], "How many?");
        assert!(gui.refused(json!({"command": "continue"})).await.contains("setUserinput"));
        let uid = text(&prompt[1]);
        let answer = format!("from nicos import session; session.setUserinput('{uid}', 'th\\'ree')");
        assert_eq!(gui.does(json!({"command": "exec", "cmd": answer})).await, Value::Null);
        assert_eq!(gui.does(json!({"command": "continue"})).await, Value::Null);
        assert_eq!(gui.until_event("promptdone").await, json!([uid]));
        assert_eq!(gui.until_event("prompt").await[3], 7);
        assert_eq!(gui.does(json!({"command": "continue"})).await, Value::Null);
        assert_eq!(gui.until_done(&id).await.last().unwrap()["payload"]["success"], true);
        let written = gui.does(json!({"command": "getmessages"})).await;
        let written: String = written.as_array().unwrap().iter().map(|line| text(&line[3])).collect();
        for line in ["said th'ree", "7"] {
            assert!(written.lines().any(|written| written == line), "{line}: {written}");
        }
    }
}

/// What a question is in NICOS's eyes, and in those of a client of the proxy dialect.
#[tokio::test]
async fn questions_have_the_validator_of_nicos_which_judges_the_answers() {
    let daemon = Daemon::start().await;
    let (_nicos, mut events) = daemon.admin().await;
    let server = daemon.server("").await;
    let mut user = server.client().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let absent = json!({"$global": "__builtin__.Ellipsis"});
    // Each with a refused answer, if any, one that is taken, and what the script gets.
    let one_of = json!({"$object": "nicos.core.params.oneof", "state": {"__doc__": "one of 'a', 'b'", "vals": ["a", "b"]}});
    let range = json!({"$object": "nicos.core.params.intrange",
        "state": {"__doc__": "an integer in the range [1, 5]", "fr": 1, "to": 5}});
    let listed = json!({"$object": "nicos.core.params.listof",
        "state": {"__doc__": "a list of float", "conv": {"$global": "__builtin__.float"}}});
    for (validator, told, default, refused, taken, result) in [
        ("int", json!({"$global": "__builtin__.long"}), absent.clone(), Some("'many'"), "'41'", "41"),
        ("float, 2.5", json!({"$global": "__builtin__.float"}), json!(2.5), None, "4", "4.0"),
        ("str", json!({"$global": "__builtin__.unicode"}), absent.clone(), None, "7", "'7'"),
        ("bool, True", json!({"$global": "__builtin__.bool"}), json!(true), None, "False", "False"),
        ("oneof('a', 'b')", one_of, absent.clone(), None, "'b'", "'b'"),
        ("intrange(1, 5), 3", range, json!(3), Some("6"), "4", "4"),
        ("listof(float)", listed, absent, Some("'x'"), "[1.5, 2]", "[1.5, 2]"),
    ] {
        let source = format!(
            "from nicos.core.params import oneof, intrange, listof\nprint('got ' + repr(userinput('Which?', {validator})))\n"
        );
        println!("{validator}");
        let id = gui.queue("asks.py", &source).await;
        let of_nicos = event(&mut events, Event::Prompt, |_| true).await;
        assert_eq!((&of_nicos[2], &of_nicos[3]), (&told, &default), "{validator}");
        let mut prompt = gui.until_event("prompt").await;
        assert_eq!((&prompt[2], &prompt[3]), (&told, &default), "{validator}");
        let answer = |prompt: &Value, value: &str| {
            json!(["eval", [format!("session.setUserinput('{}', {value})", text(&prompt[1])), false]])
        };
        if let Some(value) = refused {
            assert_eq!(gui.does(answer(&prompt, value)).await, Value::Null);
            gui.until_message("NICOS refuses the answer: ValueError").await;
            let again = gui.until_event("prompt").await;
            assert_ne!(again[1], prompt[1]);
            assert_eq!((&again[0], &again[2], &again[3]), (&prompt[0], &told, &default));
            prompt = again;
        }
        assert_eq!(gui.does(answer(&prompt, taken)).await, Value::Null);
        assert_eq!(gui.does(json!({"command": "continue"})).await, Value::Null);
        gui.until_message(&format!("got {result}")).await;
        gui.until_done(&id).await;
    }

    // Natively, there are choices where NICOS knows them.
    let from = user.seen.len();
    let id = user
        .submit(
            "asks",
            "from nicos.core.params import oneof, intrange, listof\nprint(userinput('Which way?', oneof('up', 'down'), 'up'))\n",
        )
        .await;
    let asked = user.event("the question", from, |event| event["params"]["text"] == "Which way?").await;
    let prompt = &asked["params"];
    assert_eq!((&prompt["choices"], &prompt["default"]), (&json!(["up", "down"]), &json!("up")));
    user.refused("run.answer", json!({"prompt": prompt["prompt"], "value": "left"})).await;
    user.call("run.answer", json!({"prompt": prompt["prompt"], "value": "down"})).await;
    user.ends(&id, "succeeded").await;
    assert!(user.output(&id).await.contains(&"down".to_owned()));
}

#[tokio::test]
async fn a_daemon_that_stops_answering_is_noticed_on_a_connection_that_nobody_uses() {
    let daemon = Daemon::start().await;
    let often = "user: service, sessions: {ask_every: 150ms, answer_within: 300ms}";
    let server = Server::with(&daemon.engine().replace("user: service", often)).await;
    let user = account(&server, "adam").await;
    assert_eq!(eval(&user, "1").await, 1);
    daemon.signal(Signal::SIGSTOP);
    let call = json!({"command": "eval", "args": ["1"]});
    let begun = Instant::now();
    // Nothing was asked when it stopped; a call would wait for half a minute on the old connection.
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let soon = Duration::from_millis(100);
            if let Ok(refused) = tokio::time::timeout(soon, user.refused("nicos.call", call.clone())).await {
                break assert_eq!(refused.code, -32030, "{refused:?}");
            }
        }
    })
    .await
    .expect("it is noticed");
    daemon.signal(Signal::SIGCONT);
    while user.client.call::<Value>("nicos.call", call.clone()).await.ok() != Some(json!(1)) {
        assert!(begun.elapsed() < DEADLINE * 2, "the connection does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_that_is_stopped_says_goodbye_to_nicos_for_everybody() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut user = server.client().await;
    is_engine(&mut user, "ready", "").await;
    let _native = account(&server, "uma").await;
    let _proxy = gui(&server, "adam", 20).await;
    let goodbyes = || daemon.log().matches("] disconnect").count();
    let before = goodbyes();
    server.signal(Signal::SIGTERM);
    let (status, home) = server.ended().await;
    assert!(status.success(), "{status}: {}", home.log());
    // Two sessions, and the engine.
    assert_eq!(goodbyes(), before + 3, "{}", daemon.log());
}

#[tokio::test]
async fn detector_data_is_announced_and_fetched() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut gui = gui(&server, "uma", 10).await;
    run_in_nicos(&daemon, "SetDetectors(det)\nscan(m1, 0, 1, 2, t=0.05)").await;
    let scan = gui.until_event("dataset").await;
    assert_eq!(scan["class"], "ScanData");
    let live = gui.until_event("livedata").await;
    let blob = &live["blobs"][0];
    assert_eq!(blob["shape"], live["datadescs"][0]["shape"]);
    assert!(live["uid"].is_string(), "{live}");
    let array = gui.does(json!({"command": "getlivedata", "uid": live["uid"], "index": 0})).await;
    let array = STANDARD.decode(array["$bytes"].as_str().unwrap()).unwrap();
    assert_eq!(json!(array.len()), blob["bytes"]);
    let values: u64 = blob["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).product();
    assert_eq!(array.len() as u64 % values, 0, "whole values");
    assert!(gui.refused(json!(["getlivedata", ["nosuch"]])).await.contains("nosuch"));
}

#[tokio::test]
async fn a_connection_that_is_lost_is_made_again() {
    let mut daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let user = account(&server, "adam").await;
    let mut gui = gui(&server, "uma", 10).await;
    gui.does(json!({"command": "eventmask", "events": ["device"]})).await;

    // One that hangs keeps nobody from beamq's own status.
    daemon.signal(Signal::SIGSTOP);
    let status = gui.does(json!(["getstatus"])).await;
    assert_eq!((&status["status"], &status["devices"]), (&json!([-1, -1]), &json!([])), "{status}");
    daemon.signal(Signal::SIGCONT);

    daemon.end(Signal::SIGKILL).await;
    let begun = Instant::now();
    let lost = loop {
        match user.client.call::<Value>("nicos.call", json!({"command": "eval", "args": ["1"]})).await {
            Err(beamq::client::ClientError::Rpc(error)) => break error,
            other => assert!(begun.elapsed() < DEADLINE, "{other:?}"),
        }
    };
    assert_eq!(lost.code, -32030, "{lost:?}");
    // beamq itself does what it does.
    assert_eq!(user.call("server.status", json!({})).await["clients"], 2);
    assert_eq!(gui.does(json!(["keepalive"])).await, Value::Null);
    let stranger = server.stranger().await;
    let with = LoginWith::Account { user: "adam".into(), password: "adampw".into() };
    let unavailable = stranger.login(with, "tests").await.unwrap_err().to_string();
    assert!(unavailable.contains("no NICOS daemon can be reached"), "{unavailable}");

    daemon.launch().await;
    let begun = Instant::now();
    while user.client.call::<Value>("nicos.call", json!({"command": "eval", "args": ["1"]})).await.ok()
        != Some(json!(1))
    {
        assert!(begun.elapsed() < DEADLINE, "the connection does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begun = Instant::now();
    while gui.ask(json!(["eval", ["1", false]])).await["success"] != true {
        assert!(begun.elapsed() < DEADLINE, "the connection does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The mask is told to the new connection.
    run_in_nicos(&daemon, "RemoveDevice('man')\nSetMode('maintenance')").await;
    let passed =
        gui.until("mode", |event| event["event"] == "mode" && event["payload"] == "maintenance").await;
    assert!(passed.iter().all(|event| event["event"] != "device"), "{passed:#?}");
}

#[tokio::test]
async fn the_connection_ends_with_the_session() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let (nicos, _events) = daemon.admin().await;
    let connected = async || {
        let count = "len([s for s in session.daemon_device._server.handlers.values()])";
        nicos.call(Command::Eval, &[json!(count), json!(false)]).await.unwrap()
    };
    let before = connected().await;
    // NICOS notes whether somebody said goodbye, or the connection broke.
    let goodbyes = || daemon.log().matches("] disconnect").count();
    let said_before = goodbyes();
    let user = account(&server, "uma").await;
    let mut gui = gui(&server, "adam", 20).await;
    assert_eq!(connected().await.as_u64(), before.as_u64().map(|count| count + 2));
    user.call("session.logout", json!({})).await;
    gui.does(json!(["quit"])).await;
    let begun = Instant::now();
    while connected().await != before {
        assert!(begun.elapsed() < DEADLINE, "{} connections, before {before}", connected().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(goodbyes(), said_before + 2, "{}", daemon.log());
}
