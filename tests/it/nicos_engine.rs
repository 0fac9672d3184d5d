//! Jobs in a real NICOS daemon: what they write, where they are, how they are steered, how they end.

use beamq::wire::nicos::{Command, Event};
use serde_json::{Value, json};

use crate::{
    harness::{DEADLINE, Server, User, text},
    nicos_daemon::{Daemon, event},
};

/// A script that runs until it is ended, and emits as many states as it can.
const TIGHT: &str = "n = 0\nwhile True:\n    n += 1\n    m = n\n";

/// A server and a client of it; the queue goes on whatever happens to a job.
async fn serving(daemon: &Daemon) -> (Server, User) {
    let server = daemon.server("queue: {after_failure: continue, after_abort: continue}\n").await;
    let mut user = server.client().await;
    is_engine(&mut user, "ready", "").await;
    (server, user)
}

/// Waits until the engine is in the state, for a reason that has this text.
pub async fn is_engine(user: &mut User, state: &str, why: &str) {
    let give_up = tokio::time::Instant::now() + DEADLINE;
    loop {
        let engine = user.call("server.status", json!({})).await["engine"].clone();
        let detail = engine["detail"].as_str().unwrap_or_default();
        if engine["state"] == state && detail.contains(why) {
            return;
        }
        assert!(tokio::time::Instant::now() < give_up, "the engine is not {state} ({why}): {engine}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_script_writes_and_how_it_ends_is_told_as_of_any_other_job() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;

    let job = user
        .run("print('héllo')\nfor i in range(3):\n    print('line', i)\nmaw(m1, 5)\nprint(m1.read())\n")
        .await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let lines = user.output(job["id"].as_str().unwrap()).await;
    assert_eq!(lines.first().map(String::as_str), Some("héllo"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("5.0"), "{lines:?}");

    // NICOS calls this a success.
    let job = user.run("print('before')\nmaw(m1, 1000)\nprint('after')\n").await;
    assert_eq!(job["state"], "succeeded_with_errors", "{job:#}");
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    let errors = report["command_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{report:#}");
    assert!(text(&errors[0]["message"]).contains("Out of bounds"), "{report:#}");
    assert!(user.output(job["id"].as_str().unwrap()).await.contains(&"after".to_owned()));

    // The values of variables stay where they are.
    let source = "def divide(secret):\n    return 1 / (secret - secret)\n\nprint('x')\ndivide(31415)\n";
    let job = user.run(source).await;
    assert_eq!(job["state"], "failed", "{job:#}");
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!(report["type"], "ZeroDivisionError", "{report:#}");
    assert_eq!((&report["line"], &report["text"]), (&json!(2), &json!("    return 1 / (secret - secret)")));
    let frames = report["traceback"].as_array().unwrap();
    assert_eq!(
        frames.iter().map(|frame| frame["line"].as_u64().unwrap()).collect::<Vec<_>>(),
        [5, 2],
        "{report:#}"
    );
    assert!(!report.to_string().replace("divide(31415)", "").contains("31415"), "{report:#}");
    assert_eq!(report["output_tail"][0], "x");

    let job = user.run("x = 1\nx = (\n").await;
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!((&job["state"], &report["type"]), (&json!("failed"), &json!("SyntaxError")), "{report:#}");
    assert_eq!((&report["line"], &report["phase"]), (&json!(2), &json!("syntax")), "{report:#}");

    // One line is a script as well: no value is printed.
    let job = user.run("1 + 1").await;
    assert_eq!(job["state"], "succeeded");
    assert_eq!(user.output(job["id"].as_str().unwrap()).await, Vec::<String>::new());
}

#[tokio::test]
async fn twenty_thousand_lines_arrive_complete_and_in_order() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;
    let job = user.run("for i in range(20000):\n    print('%05d' % i)\n").await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let lines = user.output(job["id"].as_str().unwrap()).await;
    assert_eq!(lines.len(), 20_000);
    assert!(lines.iter().enumerate().all(|(i, line)| *line == format!("{i:05}")), "not in order");
}

#[tokio::test]
async fn a_script_is_paused_resumed_and_aborted_wherever_it_is() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;

    let id = user.submit("tight", TIGHT).await;
    user.settles(&id, "running").await;
    user.event("the line", 0, |event| {
        event["method"] == "event.progress"
            && event["params"]["progress"]["line"].as_u64().is_some_and(|line| (2..=4).contains(&line))
    })
    .await;
    for level in ["line", "now"] {
        user.call("run.pause", json!({"level": level})).await;
        user.settles(&id, "paused").await;
        let line = user.job(&id).await["progress"]["line"].as_u64().unwrap();
        assert!((2..=4).contains(&line), "line {line}");
        user.call("run.resume", json!({})).await;
        user.settles(&id, "running").await;
    }
    user.call("run.abort", json!({})).await;
    let job = user.ends(&id, "aborted").await;
    assert_eq!(job["state"], "aborted");

    // A pause that cannot take effect is taken back, and does not come later.
    let id =
        user.submit("counts", "n = 0\nwhile n < 40:\n    n += 1\n    sleep(0.05)\nprint('through')\n").await;
    user.settles(&id, "running").await;
    user.call("run.pause", json!({"level": "point"})).await;
    user.call("run.cancel_pause", json!({})).await;
    user.ends(&id, "succeeded").await;
    assert!(user.lines(&id).contains(&"through".to_owned()));

    assert_eq!(user.output(&id).await, ["through"], "NICOS's remarks on our orders are no output");

    // A count that is skipped ends early, and the script goes on.
    let id = user.submit("count", "SetDetectors(det)\ncount(t=600)\nprint('counted')\n").await;
    user.event("the count", 0, |event| {
        event["method"] == "event.progress"
            && event["params"]["id"] == id.as_str()
            && event["params"]["progress"]["line"] == 2
    })
    .await;
    user.call("run.skip", json!({})).await;
    user.ends(&id, "succeeded").await;

    // Aborted in a wait, while paused, and before anything was seen of it.
    for (source, pause) in [("sleep(60)\n", false), (TIGHT, true), ("x = 1\nsleep(60)\n", false)] {
        let id = user.submit("to abort", source).await;
        user.settles(&id, "running").await;
        if pause {
            user.call("run.pause", json!({})).await;
            user.settles(&id, "paused").await;
        }
        user.call("run.abort", json!({})).await;
        user.ends(&id, "aborted").await;
    }

    // What it does to end itself is done.
    let id = user
        .submit("tidy", "try:\n    while True:\n        sleep(0.01)\nfinally:\n    print('tidied')\n")
        .await;
    user.settles(&id, "running").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    assert!(user.output(&id).await.contains(&"tidied".to_owned()));
}

#[tokio::test]
async fn questions_of_a_script_are_answered_here_or_in_nicos() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;
    let asked = |text: &'static str| {
        move |event: &Value| {
            event["method"] == "event.prompt"
                && event["params"]["text"] == text
                && event["params"]["settled"].is_null()
        }
    };

    let id = user.submit("asks", "name = userinput('who?')\nprint('hello ' + name)\nage = userinput('age?', int, 7)\nprint(age + 1)\npause('look')\nprint('done')\n").await;
    let prompt = user.event("who?", 0, asked("who?")).await["params"].clone();
    assert!(prompt["default"].is_null(), "{prompt}");
    user.call("run.answer", json!({"prompt": prompt["prompt"], "value": "Ada \"L\"\n"})).await;
    let prompt = user.event("age?", 0, asked("age?")).await["params"].clone();
    assert_eq!(prompt["default"], 7, "{prompt}");
    user.call("run.answer", json!({"prompt": prompt["prompt"], "value": 41})).await;
    let prompt = user.event("look", 0, asked("look")).await["params"].clone();
    user.call("run.answer", json!({"prompt": prompt["prompt"], "value": "continue"})).await;
    user.ends(&id, "succeeded").await;
    let lines = user.output(&id).await;
    for line in ["hello Ada \"L\"", "42", "done"] {
        assert!(lines.contains(&line.to_owned()), "{line}: {lines:?}");
    }

    // Somebody with a NICOS client answers first.
    let (nicos, mut events) = daemon.admin().await;
    let from = user.seen.len();
    let id = user.submit("asks again", "pause('again')\nprint('on')\n").await;
    event(&mut events, Event::Prompt, |prompt| prompt[0] == "again").await;
    user.event("again", from, asked("again")).await;
    nicos.call(Command::Continue, &[]).await.unwrap();
    user.event("the end of the question", from, |event| {
        event["method"] == "event.prompt" && event["params"]["settled"] == "withdrawn"
    })
    .await;
    user.ends(&id, "succeeded").await;

    // Somebody pauses our script there; it can be let go on from here.
    let from = user.seen.len();
    let id = user.submit("paused elsewhere", "n = 0\nwhile n < 100:\n    n += 1\n    sleep(0.02)\n").await;
    user.settles(&id, "running").await;
    event(&mut events, Event::Status, |status| status[0] == 0 && status[1] == 4).await;
    nicos.call(Command::Break, &[json!(1)]).await.unwrap();
    let text = "The script was paused in NICOS. Go on?";
    let prompt = user.event("the pause", from, asked(text)).await["params"].clone();
    user.call("run.answer", json!({"prompt": prompt["prompt"], "value": "continue"})).await;
    user.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn scripts_of_others_hold_our_queue_and_are_never_touched() {
    let daemon = Daemon::start().await;
    let (nicos, mut events) = daemon.connect("ulf", beamq::nicos::Options::default()).await.unwrap();
    let (_server, mut user) = serving(&daemon).await;

    // Ours runs; theirs waits, and survives that ours is aborted.
    let id = user.submit("ours", TIGHT).await;
    user.settles(&id, "running").await;
    let theirs = nicos
        .call(Command::Queue, &[json!("theirs.py"), json!("while True:\n    sleep(0.02)\n")])
        .await
        .unwrap();
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    event(&mut events, Event::Processing, |request| request["reqid"] == theirs).await;

    // Theirs runs: ours waits, and everybody sees why.
    is_engine(&mut user, "unavailable", "\"theirs.py\" of ulf").await;
    user.queue_is("blocked").await;
    let id = user.submit("ours", "print('now')\n").await;
    assert_eq!(user.job(&id).await["state"], "queued");
    nicos.call(Command::Stop, &[json!(3)]).await.unwrap();
    user.ends(&id, "succeeded").await;
    is_engine(&mut user, "ready", "").await;
}
