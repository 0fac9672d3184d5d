//! Plays the conversations of `tests/conversations` against a real server and compares what it says.
//!
//! A line `> json` is sent and its reply follows as `< json`. `@ event.job ID STATE`, `@ event.queue STATE`,
//! `@ event.prompt` and `@ output BEGIN` wait for an event, in the proxy dialect `@ status CODE`, `@ done ID`,
//! `@ message BEGIN` and `@ NAME`: all events up to that one follow as `< json`,
//! with lines of output one by one. `! touch NAME` makes a file in the folder `$HOME`, which scripts can
//! wait for; What differs from run to run is written as `…`. With `BEAMQ_BLESS=1` the files are written anew.

use std::{collections::VecDeque, env, fs, path::PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{broker::Broker, harness::Server, nicos_daemon::Daemon, nicos_engine::is_engine, raw::Raw};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conversations")
}

macro_rules! conversations {
    ($($name:ident $file:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            play($file).await;
        })*

        #[test]
        fn every_conversation_is_played() {
            let mut there: Vec<_> = fs::read_dir(folder())
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            there.sort();
            assert_eq!(there, [$($file),*]);
        }
    };
}

conversations! {
    first_contact "01-first-contact";
    submit_run_finish "02-submit-run-finish";
    pause_resume_abort "03-pause-resume-abort";
    edits_and_conflicts "04-edits-and-conflicts";
    batch "05-batch";
    groups "06-groups";
    failure_and_rerun "07-failure-and-rerun";
    questions "08-questions";
    errors "09-errors";
    hold_stop_cancel "10-hold-stop-cancel";
    proxy_login_to_stop "proxy_01-login-to-stop";
    proxy_waiting_scripts "proxy_02-waiting-scripts";
    proxy_either_engine "proxy_03-either-engine";
}

#[tokio::test]
async fn nicos_says_the_same_in_the_proxy_dialect_as_the_python_engine() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    is_engine(&mut server.client().await, "ready", "").await;
    play_to("proxy_03-either-engine", &server, Raw::connect(&server).await, false).await;
}

#[tokio::test]
async fn activemq_r33_clients_behind_a_broker_hear_word_for_word_the_same() {
    let broker = Broker::start().await;
    for name in [
        "01-first-contact",
        "04-edits-and-conflicts",
        "proxy_01-login-to-stop",
        "proxy_02-waiting-scripts",
        "proxy_03-either-engine",
    ] {
        let server = broker.server("").await;
        play_to(name, &server, Raw::by_way_of(&broker).await, false).await;
        // It takes its leave of the broker, so that the next one is the only one.
        server.signal(Signal::SIGTERM);
        assert!(server.ended().await.0.success());
    }
}

async fn play(name: &str) {
    let server = Server::start().await;
    play_to(name, &server, Raw::connect(&server).await, env::var_os("BEAMQ_BLESS").is_some()).await;
}

async fn play_to(name: &str, server: &Server, raw: Raw, bless: bool) {
    let path = folder().join(format!("{name}.txt"));
    let written = fs::read_to_string(&path).unwrap();
    let mut peer = Peer { raw, events: VecDeque::new(), last_seq: 0, status: None };
    let home = server.home.path().display().to_string();
    let mut played = String::new();
    for line in written.lines().filter(|line| !line.starts_with('<')) {
        played.push_str(line);
        played.push('\n');
        let answers = match line.split_once(' ') {
            Some((">", body)) => {
                let body = body.replace("$TOKEN", &server.token).replace("$HOME", &home);
                vec![peer.ask(&body).await]
            }
            Some(("@", what)) => peer.wait_for(what).await,
            Some(("!", action)) => {
                let file = action.strip_prefix("touch ").expect("an action is `touch NAME`");
                fs::write(server.home.path().join(file), "").unwrap();
                Vec::new()
            }
            _ => Vec::new(),
        };
        for mut answer in answers {
            redact(&mut answer);
            played.push_str(&format!("< {answer}\n").replace(&home, "$HOME"));
        }
    }
    if bless {
        fs::write(&path, played).unwrap();
        return;
    }
    for (number, (expected, said)) in written.lines().zip(played.lines()).enumerate() {
        assert_eq!(said, expected, "{}:{}", path.display(), number + 1);
    }
    assert_eq!(played.lines().count(), written.lines().count(), "{}", path.display());
}

struct Peer {
    raw: Raw,
    /// What has arrived and was not written down yet.
    events: VecDeque<Value>,
    last_seq: u64,
    /// The code of the last status of the proxy dialect.
    status: Option<Value>,
}

fn is_event(message: &Value) -> bool {
    message.get("method").is_some() || message.get("event").is_some()
}

impl Peer {
    async fn ask(&mut self, body: &str) -> Value {
        self.raw.body(body).await;
        loop {
            let message = self.raw.message().await;
            if !is_event(&message) {
                return message;
            }
            self.take(message);
        }
    }

    /// Takes in an event, and the lines of an output event one by one.
    fn take(&mut self, event: Value) {
        if let Some(name) = event.get("event") {
            // The line depends on the moment; only a new code is worth noting.
            let code = (name == "status").then(|| event["payload"][0].clone());
            let points = name == "message" && only_points(&event["payload"][3]);
            if !points && (code.is_none() || code != self.status) {
                self.events.push_back(event);
            }
            self.status = code.or(self.status.take());
            return;
        }
        let seq = event["params"]["seq"].as_u64().unwrap();
        assert!(seq > self.last_seq, "event {seq} after {}", self.last_seq);
        self.last_seq = seq;
        match event["params"]["lines"].as_array() {
            Some(lines) => {
                for line in lines.iter().filter(|line| !only_points(&line["text"])) {
                    let mut one = event.clone();
                    one["params"]["lines"] = json!([line]);
                    self.events.push_back(one);
                }
            }
            None => self.events.push_back(event),
        }
    }

    async fn wait_for(&mut self, what: &str) -> Vec<Value> {
        let mut passed = Vec::new();
        loop {
            while let Some(event) = self.events.pop_front() {
                let fits = fits(what, &event);
                passed.push(event);
                if fits {
                    return passed;
                }
            }
            let message = self.raw.message().await;
            assert!(is_event(&message), "a reply to nothing: {message}");
            self.take(message);
        }
    }
}

fn fits(what: &str, event: &Value) -> bool {
    let params = &event["params"];
    let words: Vec<_> = what.split(' ').collect();
    match words[..] {
        ["output", begin] => params["lines"][0]["text"].as_str().is_some_and(|text| text.starts_with(begin)),
        ["event.job", id, state] => params["job"]["id"] == id && params["job"]["state"] == state,
        ["event.queue", state] => event["method"] == "event.queue" && params["state"] == state,
        ["event.prompt"] => event["method"] == "event.prompt" && params.get("settled").is_none(),
        ["status", code] => event["event"] == "status" && event["payload"][0].as_i64() == code.parse().ok(),
        ["done", id] => event["event"] == "done" && event["payload"]["reqid"] == id,
        ["message", begin] => {
            event["event"] == "message" && event["payload"][3].as_str().unwrap().starts_with(begin)
        }
        [name] => event["event"] == name,
        _ => panic!("nobody can wait for {what:?}"),
    }
}

/// Whether a line only points at a part of the one above it. Versions of Python differ in such lines, so
/// they are left out, and with them the numbers of lines.
fn only_points(line: &Value) -> bool {
    let text = line.as_str().unwrap_or_default().trim();
    !text.is_empty() && text.chars().all(|c| c == '^' || c == '~')
}

/// Hides what differs from run to run.
fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let moment = match members.get("event").and_then(Value::as_str) {
                Some("status" | "message") => members.get_mut("payload"),
                _ => members.get_mut("status"),
            };
            // The time of a message, the line of a status.
            if let Some(moment) = moment.and_then(|payload| payload.get_mut(1)).filter(|value| **value != -1)
            {
                *moment = "…".into();
            }
            // Where a running script is found depends on the moment.
            if members
                .get("state")
                .is_some_and(|state| state == "running" || state == "pausing" || state == "aborting")
                && members.contains_key("progress")
            {
                members.insert("progress".into(), "…".into());
            }
            for (name, member) in members {
                match name.as_str() {
                    "time" | "submitted_at" | "started_at" | "finished_at" | "until" | "elapsed"
                    | "elapsed_s" | "seq" | "session" | "version" | "daemon_version" | "n" => {
                        *member = "…".into()
                    }
                    "acts" => {
                        // The words about the present line are only there when one has been seen.
                        let text = member.as_str().unwrap_or_default();
                        *member = text.split(';').next().unwrap_or_default().into();
                    }
                    _ => redact(member),
                }
            }
        }
        Value::Array(items) => {
            // The time of a message among those that `getmessages` gives.
            if let [logger, time, _, _, _, _] = items.as_mut_slice()
                && *logger == "nicos"
            {
                *time = "…".into();
            }
            items.retain(|item| !only_points(item));
            items.iter_mut().for_each(redact);
        }
        _ => {}
    }
}
