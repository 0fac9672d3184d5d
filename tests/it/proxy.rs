//! The proxy dialect over the embedded endpoint, with real CPython: what clients of NICOS's commands see.

use std::{collections::VecDeque, time::Instant};

use serde_json::{Value, json};

use crate::{
    harness::{DEADLINE, LOOP, Server, text, waits_for},
    raw::Raw,
};

/// A client of the proxy dialect that keeps events until they are asked for.
pub struct Gui {
    raw: Raw,
    events: VecDeque<Value>,
}

impl Gui {
    /// A connection that has said nothing yet.
    pub async fn stranger(server: &Server) -> Self {
        Self { raw: Raw::connect(server).await, events: VecDeque::new() }
    }

    /// A client whose first message is its login with the token.
    pub async fn login(server: &Server, user: &str) -> Self {
        let mut gui = Self::stranger(server).await;
        let login =
            json!({"command": "authenticate", "login": user, "passwd": server.token, "display": "test"});
        assert_eq!(gui.ask(login).await, json!({"success": true, "payload": {"user_level": 20}}));
        gui
    }

    /// A client with an account of its role.
    pub async fn with_account(server: &Server, role: &str, level: u8) -> Self {
        let mut gui = Self::stranger(server).await;
        let login = json!({"login": format!("{role}-1"), "passwd": format!("{role} secret"), "display": ""});
        assert_eq!(gui.does(json!(["authenticate", [login]])).await, json!({"user_level": level}));
        gui
    }

    /// Sends a message and gives its reply.
    pub async fn ask(&mut self, message: Value) -> Value {
        self.ask_bytes(message.to_string()).await
    }

    pub async fn ask_bytes(&mut self, message: impl Into<Vec<u8>>) -> Value {
        self.raw.body(message).await;
        loop {
            let message = self.raw.message().await;
            if message.get("success").is_some() {
                assert_eq!(message.as_object().unwrap().len(), 2, "{message}");
                return message;
            }
            self.events.push_back(message);
        }
    }

    /// Sends messages at once and gives their replies.
    pub async fn ask_all(&mut self, messages: &[Value]) -> Vec<Value> {
        let bodies: Vec<_> = messages.iter().map(Value::to_string).collect();
        self.raw.bodies(&bodies).await;
        let mut replies = Vec::new();
        while replies.len() < messages.len() {
            let message = self.raw.message().await;
            if message.get("success").is_some() {
                replies.push(message);
            } else {
                self.events.push_back(message);
            }
        }
        replies
    }

    /// Sends a command that is to succeed and gives its payload.
    #[track_caller]
    pub fn does(&mut self, message: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.ask(message.clone()).await;
            assert_eq!(reply["success"], true, "{caller}: {message}: {reply}");
            reply["payload"].clone()
        }
    }

    /// Sends a command that is to be refused and gives the text.
    #[track_caller]
    pub fn refused(&mut self, message: Value) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.ask(message.clone()).await;
            assert_eq!(reply["success"], false, "{caller}: {message}: {reply}");
            text(&reply["payload"])
        }
    }

    pub async fn queue(&mut self, name: &str, code: &str) -> String {
        text(&self.does(json!({"command": "queue", "name": name, "code": code})).await)
    }

    /// The next event, of whatever kind.
    pub async fn event(&mut self) -> Value {
        match self.events.pop_front() {
            Some(event) => event,
            None => self.raw.message().await,
        }
    }

    /// All events up to the first one that satisfies a condition, that one last.
    pub async fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut passed = Vec::new();
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < DEADLINE, "no {what} in {passed:#?}");
            passed.push(self.event().await);
            if passed.last().is_some_and(&fits) {
                return passed;
            }
        }
    }

    pub async fn until_event(&mut self, name: &str) -> Value {
        self.until(name, |event| event["event"] == name).await.pop().unwrap()["payload"].clone()
    }

    pub async fn until_done(&mut self, id: &str) -> Vec<Value> {
        self.until("done", |event| event["event"] == "done" && event["payload"]["reqid"] == id).await
    }

    pub async fn until_status(&mut self, code: i64) -> Value {
        let fits = |event: &Value| event["event"] == "status" && event["payload"][0] == code;
        self.until("status", fits).await.pop().unwrap()["payload"].clone()
    }

    pub async fn until_message(&mut self, begin: &str) -> Value {
        let fits = |event: &Value| {
            event["event"] == "message" && event["payload"][3].as_str().unwrap().starts_with(begin)
        };
        self.until(begin, fits).await.pop().unwrap()["payload"].clone()
    }
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_first_message_is_answered_by_the_banner_unless_it_is_a_command() {
    let server = Server::start().await;
    let mut gui = Gui::stranger(&server).await;
    let banner = gui.ask_bytes("hello").await;
    assert_eq!(banner["success"], true);
    let expected: Value = serde_json::from_str(include_str!("../fixtures/proxy/banner.json")).unwrap();
    assert_eq!(keys(&banner["payload"]), keys(&expected), "the keys of NICOS's banner, without its RSA key");
    assert_eq!(banner["payload"]["protocol_version"], 24);
    assert_eq!(banner["payload"]["pw_hashing"], "plain");
    assert_eq!(banner["payload"]["serializer"], "json");
    let again = gui.ask_bytes("hello").await;
    assert_eq!(again["success"], false, "only once: {again}");
    // A login as the first message counts as both.
    Gui::login(&server, "ibex").await;
}

fn keys(object: &Value) -> Vec<&String> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn nothing_but_a_login_is_answered_before_it() {
    let server = Server::start().await;
    let mut gui = Gui::stranger(&server).await;
    for command in ["getstatus", "getversion", "keepalive", "getmessages", "emergency", "getscript"] {
        let said = gui.refused(json!({"command": command})).await;
        assert!(said.contains("not logged in"), "{command}: {said}");
    }
    let said = gui.refused(json!({"command": "queue", "name": "x", "code": "pass"})).await;
    assert!(said.contains("authenticate"), "{said}");
    let wrong = json!({"command": "authenticate", "login": "ibex", "passwd": "nope", "display": ""});
    assert_eq!(gui.refused(wrong).await, "Invalid username or password!");
    let nobody = json!({"command": "authenticate", "login": "", "passwd": server.token, "display": ""});
    assert_eq!(gui.refused(nobody).await, "No username, please identify yourself!");
    // As NICOS's own clients do it: everything in one dictionary, by position.
    let login = json!(["authenticate", [{"login": "ibex", "passwd": server.token, "display": "x"}]]);
    assert_eq!(gui.does(login).await, json!({"user_level": 20}));
    assert_eq!(gui.does(json!(["getversion"])).await, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_script_is_queued_runs_and_is_told_in_the_events_of_nicos() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let code = "print('a')\nprint('b')";
    let id = gui.queue("two.py", code).await;
    let events = gui.until_done(&id).await;
    let request = json!({"reqid": id, "name": "two.py", "script": format!("{code}\n"), "user": "ibex"});
    let of = |name: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["event"] == name).map(|event| &event["payload"]).collect()
    };
    assert_eq!(of("request"), [&request]);
    assert_eq!(of("processing"), [&request]);
    let mut done = request.clone();
    done["success"] = true.into();
    assert_eq!(of("done"), [&done]);
    assert_eq!(of("eta"), [&json!([1, -1])]);
    let status = of("status");
    assert_eq!(status.first(), Some(&&json!([0, -1])));
    assert_eq!(status.last(), Some(&&json!([-1, -1])));
    let messages = of("message");
    assert_eq!(messages.len(), 2, "{messages:?}");
    for (message, line) in messages.iter().zip(["a\n", "b\n"]) {
        assert_eq!(message.as_array().unwrap().len(), 6);
        assert_eq!((&message[0], &message[2], &message[3]), (&json!("nicos"), &json!(20), &json!(line)));
        assert!(message[1].as_f64().unwrap() > 1.7e9);
        assert_eq!((&message[4], &message[5]), (&Value::Null, &json!(id)));
    }
    let order = names(&events);
    let at = |name: &str| order.iter().position(|other| *other == name).unwrap();
    assert!(at("request") < at("processing") && at("processing") < at("message"), "{order:?}");
    // The same lines are there for somebody who comes later.
    let kept = gui.does(json!({"command": "getmessages", "n": "*"})).await;
    assert_eq!(kept.as_array().unwrap().iter().collect::<Vec<_>>(), messages);
    assert_eq!(gui.does(json!({"command": "getmessages", "n": 1})).await, json!([messages[1]]));
    assert_eq!(gui.does(json!({"command": "getscript"})).await, format!("{code}\n"));
}

#[tokio::test]
async fn a_script_that_fails_is_a_message_with_its_traceback_and_an_unsuccessful_done() {
    let server = Server::with("queue: {after_failure: continue}\n").await;
    let mut gui = Gui::login(&server, "ibex").await;
    let id = gui.queue("bad.py", "import sys\nprint('w', file=sys.stderr)\n1/0\n").await;
    let events = gui.until_done(&id).await;
    assert_eq!(events.last().unwrap()["payload"]["success"], false);
    let messages: Vec<_> = events.iter().filter(|event| event["event"] == "message").collect();
    assert_eq!(messages[0]["payload"][2], 30, "standard error is a warning");
    let error = &messages.last().unwrap()["payload"];
    assert_eq!((&error[2], &error[3]), (&json!(40), &json!("ZeroDivisionError - division by zero\n")));
    let traceback = error[4].as_str().unwrap();
    assert!(traceback.starts_with("Traceback (most recent call last):\n"), "{traceback}");
    assert!(traceback.contains("line 3") && traceback.contains("1/0"), "{traceback}");
    assert_eq!(gui.does(json!({"command": "getstatus"})).await["status"], json!([-2, -1]));
    // The error stays until the next script.
    let good = gui.queue("good.py", "pass").await;
    gui.until_done(&good).await;
    assert_eq!(gui.does(json!({"command": "getstatus"})).await["status"], json!([-1, -1]));
}

#[tokio::test]
async fn a_break_and_its_end_take_effect_once_each() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    assert_eq!(gui.refused(json!({"command": "break", "level": 1})).await, "no script is running");
    assert_eq!(gui.refused(json!({"command": "continue"})).await, "no script is running");
    let id = gui.queue("loop.py", LOOP).await;
    gui.until_message("group").await;
    assert_eq!(gui.refused(json!({"command": "continue"})).await, "script is not paused");
    assert_eq!(gui.does(json!({"command": "break", "level": 1})).await, Value::Null);
    let status = gui.until_status(1).await;
    assert!(status[1] == 4 || status[1] == 5, "in the loop: {status}");
    assert_eq!(gui.refused(json!(["break", [2]])).await, "script is already paused");
    assert_eq!(gui.does(json!({"command": "getstatus"})).await["status"][0], 1);
    let trace = text(&gui.does(json!({"command": "gettrace"})).await);
    assert!(trace.contains("loop.py"), "{trace}");
    assert_eq!(gui.does(json!({"command": "continue"})).await, Value::Null);
    gui.until_status(0).await;
    assert_eq!(gui.does(json!({"command": "stop", "level": 2})).await, Value::Null);
    let events = gui.until_done(&id).await;
    assert_eq!(events.last().unwrap()["payload"]["success"], false);
    assert!(names(&events).contains(&"status"));
    assert_eq!(gui.does(json!({"command": "gettrace"})).await, "");
}

#[tokio::test]
async fn a_stop_ends_the_script_keeps_the_queue_and_continue_lets_it_go_on() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let running = gui.queue("loop.py", LOOP).await;
    gui.until_message("group").await;
    let waiting = gui.queue("next.py", "print('next')").await;
    assert_eq!(
        gui.refused(json!({"command": "start", "name": "x", "code": "pass"})).await,
        "a script is running"
    );
    gui.does(json!({"command": "stop", "level": 5})).await;
    let events = gui.until_done(&running).await;
    assert_eq!(events.last().unwrap()["payload"]["success"], false);
    let status = gui.does(json!({"command": "getstatus"})).await;
    assert_eq!(status["status"], json!([-2, -1]));
    assert_eq!(status["scriptname"], "loop.py", "the last one's");
    assert_eq!(status["requests"][0]["reqid"], waiting.as_str());
    gui.does(json!({"command": "continue"})).await;
    let events = gui.until_done(&waiting).await;
    assert_eq!(events.last().unwrap()["payload"]["success"], true);
}

#[tokio::test]
async fn a_setting_lets_stop_empty_the_queue_as_nicos_does() {
    let server = Server::with("queue: {proxy_stop_empties_queue: true}\n").await;
    let mut gui = Gui::login(&server, "ibex").await;
    let running = gui.queue("loop.py", LOOP).await;
    gui.until_message("group").await;
    let one = gui.queue("one", "pass").await;
    let two = gui.queue("two", "pass").await;
    gui.does(json!({"command": "stop", "level": 1})).await;
    assert_eq!(gui.until_event("blocked").await, json!([one, two]));
    gui.until_done(&running).await;
    // What comes afterwards runs without anybody having to release the queue.
    let next = gui.queue("next", "print(1)").await;
    assert_eq!(gui.until_done(&next).await.last().unwrap()["payload"]["success"], true);
}

#[tokio::test]
async fn waiting_scripts_are_changed_taken_off_and_put_in_order() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let gate = server.home.path().join("gate");
    let running = gui.queue("gate.py", &waits_for(&gate)).await;
    gui.until_message("group").await;
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(gui.queue(&format!("q{n}.py"), &format!("print({n})")).await);
    }
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| ids[n].as_str());

    let update =
        json!({"command": "update", "newcode": "print('changed')\n", "reason": "a typo", "reqid": a});
    assert_eq!(gui.does(update).await, Value::Null);
    let updated = gui.until_event("updated").await;
    assert_eq!(updated, json!({"reqid": a, "name": "q1.py", "script": "print('changed')\n", "user": "ibex"}));
    let said =
        gui.refused(json!({"command": "update", "newcode": "pass", "reason": "", "reqid": running})).await;
    assert!(said.contains("a running script cannot be changed"), "{said}");
    let said = gui.refused(json!(["update", ["pass", "because"]])).await;
    assert!(said.contains("a running script cannot be changed"), "{said}");

    assert_eq!(gui.does(json!({"command": "unqueue", "reqid": b})).await, Value::Null);
    assert_eq!(gui.until_event("blocked").await, json!([b]));
    for gone in [b, running.as_str(), "nosuch-id"] {
        assert_eq!(gui.refused(json!(["unqueue", [gone]])).await, "script already executing");
    }

    // What has run may stand in front, what is newest may be missing.
    gui.does(json!({"command": "rearrange", "ids": [running, c, a]})).await;
    assert_eq!(gui.until_event("rearranged").await, json!([c, a, d]));
    for ids in [json!([d]), json!([c, c, d]), json!([c, b, a, d]), json!(["x"]), json!([c, a, d, "99"])] {
        let said = gui.refused(json!({"command": "rearrange", "ids": ids})).await;
        assert_eq!(said, "Inconsistency between clients script IDs and queued IDs");
    }
    let status = gui.does(json!({"command": "getstatus"})).await;
    let order: Vec<_> = status["requests"].as_array().unwrap().iter().map(|r| r["reqid"].clone()).collect();
    assert_eq!(order, [c, a, d]);
    let expected: Value = serde_json::from_str(include_str!("../fixtures/proxy/getstatus.json")).unwrap();
    assert_eq!(keys(&status), keys(&expected), "the shape of NICOS's answer");
    assert_eq!(status["scriptname"], "gate.py");

    gui.does(json!({"command": "unqueue", "reqid": "*"})).await;
    assert_eq!(gui.until_event("blocked").await, json!([c, a, d]));
    std::fs::write(gate, "").unwrap();
    gui.until_done(&running).await;
}

#[tokio::test]
async fn clients_of_both_dialects_see_the_same_job() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let mut native = server.client().await;
    let id = gui.queue("shared", "print('hello')").await;
    let job = native.ends(&id, "succeeded").await;
    assert_eq!((&job["name"], &job["owner"]), (&json!("shared"), &json!("ibex")));
    gui.until_done(&id).await;
    // And the other way round, also what only the native dialect can do.
    let id = native.submit("from native", "print('again')").await;
    let events = gui.until_done(&id).await;
    assert!(events.iter().all(|event| event.get("event").is_some() && event.get("method").is_none()));
    let processing = events.iter().find(|event| event["event"] == "processing").unwrap();
    assert_eq!(processing["payload"]["user"], "admin");
    native.catch_up();
    assert!(native.seen.iter().all(|event| event.get("method").is_some()));
    native.call("queue.hold", json!({})).await;
    let first = native.submit("first", "pass").await;
    let front = native
        .call("job.submit", json!({"job": {"name": "front", "script": "pass"}, "place": "front"}))
        .await;
    assert_eq!(gui.until_event("rearranged").await, json!([front["id"], first]));
    let entries = native.call("audit.list", json!({"user": "ibex"})).await;
    let entries = entries["entries"].as_array().unwrap();
    assert!(
        entries.iter().any(|entry| entry["method"] == "job.submit" && entry["outcome"] == "ok"),
        "{entries:?}"
    );
}

#[tokio::test]
async fn replies_come_in_the_order_of_the_requests() {
    let server = crate::access::with_accounts().await;
    let mut raw = Raw::connect(&server).await;
    // A login that takes its time, and what follows it without waiting.
    raw.body(json!(["authenticate", ["user-1", "user secret", ""]]).to_string()).await;
    raw.body(
        json!(["eventmask", [["request", "processing", "eta", "status", "message", "done"]]]).to_string(),
    )
    .await;
    for n in 0..5 {
        raw.body(json!(["queue", [format!("q{n}"), format!("print({n})\n").repeat(2000)]]).to_string()).await;
        raw.body(json!(["getstatus"]).to_string()).await;
        raw.body(json!(["getversion"]).to_string()).await;
        raw.body(json!(["getmessages", ["*"]]).to_string()).await;
    }
    assert_eq!(raw.reply().await["payload"], json!({"user_level": 10}));
    assert_eq!(raw.reply().await["payload"], Value::Null);
    for n in 1..=5 {
        assert_eq!(raw.reply().await["payload"], n.to_string());
        assert!(raw.reply().await["payload"]["requests"].is_array());
        assert_eq!(raw.reply().await["payload"], env!("CARGO_PKG_VERSION"));
        assert!(raw.reply().await["payload"].is_array());
    }
}

#[tokio::test]
async fn masked_events_stay_away_until_they_are_unmasked() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    gui.does(json!({"command": "eventmask", "events": ["status", "message", "request", "cache"]})).await;
    let id = gui.queue("quiet", "print(1)").await;
    let events = gui.until_done(&id).await;
    assert_eq!(names(&events), ["processing", "eta", "done"]);
    gui.does(json!(["eventunmask", [["message"]]])).await;
    let id = gui.queue("loud", "print(1)").await;
    let events = gui.until_done(&id).await;
    assert_eq!(names(&events), ["processing", "eta", "message", "done"]);
    let said = gui.refused(json!({"command": "eventmask", "events": ["mesage"]})).await;
    assert!(said.contains("did you mean message?"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_a_command_is_said() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    for (message, part) in [
        (json!({"command": "quue", "name": "x", "code": "pass"}), "did you mean queue?"),
        (json!(["getstaus", []]), "did you mean getstatus?"),
        (json!({"command": "queue", "name": "x"}), "missing argument code"),
        (json!({"command": "queue", "name": "x", "cod": "pass"}), "did you mean code?"),
        (json!({"command": "queue", "name": "x", "code": 7}), "code must be text"),
        (json!({"command": "queue", "name": "x", "code": "pass", "args": []}), "either by name or"),
        (json!(["queue", ["x", "pass", 3]]), "invalid number of arguments"),
        (json!({"command": "queue", "name": "x", "code": "  "}), "empty"),
        (json!({"command": "break", "level": 0}), "level must be"),
        (json!({"command": "getmessages", "n": "x"}), "n must be"),
        (json!({"command": "eval", "expr": "1"}), "needs the nicos engine"),
        (json!({"command": 7}), "not a command"),
    ] {
        let said = gui.refused(message.clone()).await;
        assert!(said.contains(part), "{message}: {said}");
    }
    for message in [json!({"command": "keepalive"}), json!({"command": "unlock"})] {
        assert_eq!(gui.does(message).await, Value::Null);
    }
    assert_eq!(gui.does(json!({"command": "quit"})).await, Value::Null);
}

#[tokio::test]
async fn roles_hold_for_this_dialect_too() {
    let server = crate::access::with_accounts().await;
    let mut viewer = Gui::with_account(&server, "viewer", 0).await;
    let said = viewer.refused(json!({"command": "queue", "name": "x", "code": "pass"})).await;
    assert!(said.contains("viewer"), "{said}");
    let mut user = Gui::with_account(&server, "user", 10).await;
    let mut scientist = Gui::with_account(&server, "scientist", 10).await;
    Gui::with_account(&server, "admin", 20).await;

    let id = scientist.queue("loop.py", LOOP).await;
    scientist.until_message("group").await;
    let waiting = user.queue("mine.py", "pass").await;
    for command in ["break", "stop", "emergency", "finish"] {
        for gui in [&mut viewer, &mut user] {
            gui.refused(json!({"command": command})).await;
        }
    }
    assert_eq!(viewer.does(json!({"command": "getstatus"})).await["status"][0], 0, "it still runs");
    viewer.refused(json!({"command": "unqueue", "reqid": waiting})).await;
    user.does(json!({"command": "update", "newcode": "print('better')", "reason": "", "reqid": waiting}))
        .await;
    scientist.does(json!({"command": "emergency"})).await;
    scientist.until_done(&id).await;
    // Who controls only their own jobs stops only those, and the queue follows its policy.
    scientist.does(json!({"command": "continue"})).await;
    user.until_done(&waiting).await;
}

/// The largest queue that a GUI has to live with.
#[tokio::test]
async fn the_status_of_two_hundred_long_scripts_is_served_whole_and_quickly() {
    let server = Server::start().await;
    let native = server.client().await;
    native.call("queue.hold", json!({})).await;
    let line = format!("# {}\n", "x".repeat(97));
    let script = line.repeat(200);
    let jobs: Vec<_> = (0..200).map(|n| json!({"name": format!("q{n}"), "script": script})).collect();
    for jobs in jobs.chunks(50) {
        native.call("job.submit_batch", json!({"jobs": jobs})).await;
    }
    let mut gui = Gui::login(&server, "ibex").await;
    let status = gui.does(json!({"command": "getstatus"})).await;
    let requests = status["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 200);
    assert!(requests.iter().all(|request| request["script"] == script));
    assert_eq!(requests[199]["name"], "q199");
    // Each script is written as JSON once; afterwards the answer is put together from what is there.
    let mut fastest = f64::MAX;
    for _ in 0..20 {
        let begun = Instant::now();
        gui.raw.body(json!({"command": "getstatus"}).to_string()).await;
        let size = gui.raw.frame().await.unwrap().body.len();
        fastest = fastest.min(begun.elapsed().as_secs_f64() * 1000.0);
        assert!(size > 200 * script.len(), "{size}");
    }
    println!("getstatus of 200 scripts of 20 kB: {fastest:.1} ms");
    assert!(fastest < 100.0, "{fastest} ms, unoptimised and on a busy machine");
}

#[tokio::test]
async fn a_flood_of_lines_arrives_whole_and_in_order_and_the_status_stays_calm() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let begun = Instant::now();
    let id = gui.queue("flood.py", "for n in range(20000):\n    print(n)\n").await;
    let events = gui.until_done(&id).await;
    let tenths = usize::try_from(begun.elapsed().as_millis() / 100).unwrap();
    let told: String = events
        .iter()
        .filter(|event| event["event"] == "message")
        .map(|event| event["payload"][3].as_str().unwrap())
        .collect();
    let written: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    assert!(told == written, "{} bytes of {}", told.len(), written.len());
    let statuses = events.iter().filter(|event| event["event"] == "status").count();
    assert!(statuses <= tenths + 5, "{statuses} in {tenths} tenths of a second");
    // What is kept is bounded; the newest is there.
    let kept = gui.does(json!({"command": "getmessages", "n": 2})).await;
    assert!(kept[1][3].as_str().unwrap().ends_with("19999\n"), "{kept}");
}

#[tokio::test]
async fn a_question_is_asked_and_answered_in_the_way_of_nicos() {
    let server = Server::start().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let id = gui.queue("ask.py", "from beamq import ask\nprint('said', ask('How many?'))\n").await;
    let prompt = gui.until_event("prompt").await;
    assert_eq!(prompt[0], "How many?");
    let uid = text(&prompt[1]);
    // As in NICOS, a script that asks stands still.
    gui.until_status(1).await;
    assert_eq!(gui.does(json!({"command": "getstatus"})).await["status"][0], 1);
    assert_eq!(gui.refused(json!(["break", [1]])).await, "script is already paused");
    assert!(gui.refused(json!(["continue"])).await.contains("setUserinput"));
    let said = gui.refused(json!(["exec", ["print(1)"]])).await;
    assert!(said.contains("needs the nicos engine"), "{said}");
    let answer = format!("from nicos import session; session.setUserinput('{uid}', 'three')");
    assert_eq!(gui.does(json!({"command": "exec", "cmd": answer})).await, Value::Null);
    // NICOS's clients let the script go on themselves; once is enough.
    let replies = gui.ask_all(&[json!(["continue"]), json!(["continue"])]).await;
    assert_eq!(replies[0], json!({"success": true, "payload": null}));
    assert_eq!(replies[1]["success"], false, "{replies:?}");
    assert_eq!(gui.until_event("promptdone").await, json!([uid]));
    gui.until_message("said three").await;
    gui.until_done(&id).await;

    // What only waits for somebody to look goes on by `continue`, and so does what has a default.
    let id = gui
        .queue(
            "look.py",
            "from beamq import ask\nask('Look!', choices=['continue'])\nprint('said', ask('How many?', default=7))\n",
        )
        .await;
    let prompt = gui.until_event("prompt").await;
    assert_eq!(prompt.as_array().map(Vec::len), Some(2), "{prompt}");
    assert_eq!(gui.does(json!(["continue"])).await, Value::Null);
    assert_eq!(gui.until_event("prompt").await[3], 7);
    assert_eq!(gui.does(json!(["continue"])).await, Value::Null);
    gui.until_message("said 7").await;
    gui.until_done(&id).await;
}

#[tokio::test]
async fn a_session_that_is_bound_to_a_key_is_not_taken_over_in_this_dialect() {
    let server = Server::start().await;
    let mut raw = Raw::connect(&server).await;
    raw.call("session.login", json!({"token": server.token, "bind": true})).await;
    let reply = raw.ask(json!({"command": "queue", "name": "x", "code": "pass"}).to_string()).await;
    assert_eq!(reply["success"], false, "{reply}");
    assert!(reply["payload"].as_str().unwrap().contains("key"), "{reply}");
}
