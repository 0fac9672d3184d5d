//! Jobs in a real NICOS daemon: what they write, where they are, how they are steered, how they end.

use beamq::{
    nicos::Options,
    wire::nicos::{Command, Event},
};
use serde_json::{Value, json};

use crate::{
    harness::{DEADLINE, Server, User, text},
    nicos_daemon::{Daemon, event},
    proxy::Gui,
};

/// A script that runs until it is ended, and emits as many states as it can.
pub const TIGHT: &str = "n = 0\nwhile True:\n    n += 1\n    m = n\n";

/// A server and a client of it; the queue goes on whatever happens to a job.
pub async fn serving(daemon: &Daemon) -> (Server, User) {
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

    // An error of Python has its way through the script.
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
    assert_eq!(report["output_tail"][0], "x");
    let written = user.output(job["id"].as_str().unwrap()).await;
    let (name, of) = ("a script.py", "ZeroDivisionError: division by zero");
    assert_eq!(
        written[1..],
        [
            "Traceback (most recent call last):".to_owned(),
            format!("  File \"{name}\", line 5, in <module>"),
            "    divide(31415)".into(),
            format!("  File \"{name}\", line 2, in divide"),
            "    return 1 / (secret - secret)".into(),
            of.into(),
        ],
        "as with the python engine"
    );

    let source = "try:\n    {}['k']\nexcept KeyError as error:\n    raise ValueError('b') from error\n";
    let job = user.run(source).await;
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!((&report["line"], &report["causes"]), (&json!(4), &json!(["KeyError: 'k'"])), "{report:#}");
    assert_eq!(report["traceback"].as_array().unwrap().len(), 1, "{report:#}");

    // What a script compiles may be bad without the script being so.
    let job = user.run("x = 1\neval('x = (')\n").await;
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!((&report["type"], &report["phase"]), (&json!("SyntaxError"), &json!("run")), "{report:#}");
    assert_eq!(report["line"], 2, "{report:#}");

    let job = user.run("x = 1\nx = (\n").await;
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!((&job["state"], &report["type"]), (&json!("failed"), &json!("SyntaxError")), "{report:#}");
    assert_eq!((&report["line"], &report["phase"]), (&json!(2), &json!("syntax")), "{report:#}");

    // One line is a script as well: no value is printed.
    let job = user.run("1 + 1").await;
    assert_eq!(job["state"], "succeeded");
    assert_eq!(user.output(job["id"].as_str().unwrap()).await, Vec::<String>::new());
}

/// Fails in a frame of NICOS, one of whose variables is shown as `hunter2`.
const IN_NICOS: &str =
    "class Place(float):\n    def __repr__(self):\n        return 'hunter2'\n\nm1.maw(Place(1000))\n";

#[tokio::test]
async fn the_values_of_variables_are_in_the_report_only_if_somebody_has_asked_for_them() {
    let daemon = Daemon::start().await;
    let (_nicos, mut events) = daemon.admin().await;
    let server = daemon.server("").await;
    let mut user = server.client().await;
    let job = user.run(IN_NICOS).await;
    let error = event(&mut events, Event::Message, |message| message[2] == 40).await;
    assert!(text(&error[4]).contains(" = hunter2"), "NICOS tells it: {error}");
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!((&report["type"], &report["line"]), (&json!("LimitError"), &json!(5)), "{report:#}");
    assert_eq!(report["traceback"].as_array().unwrap().len(), 1, "{report:#}");
    assert!(
        report["traceback"][0]["locals"].is_null() && !report.to_string().contains("hunter2"),
        "{report:#}"
    );
    drop(user);
    drop(server);

    let config = daemon.engine().replace("user: service", "user: service, local_variables: true");
    let server = Server::with(&config).await;
    let mut user = server.client().await;
    let mut gui = Gui::login(&server, "ibex").await;
    let job = user.run(IN_NICOS).await;
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    let frames = report["traceback"].as_array().unwrap();
    assert_eq!(
        (&frames[0]["line"], &frames[0]["locals"], &report["line"]),
        (&json!(5), &Value::Null, &json!(5))
    );
    assert!(frames.iter().skip(1).all(|frame| text(&frame["file"]).contains("/nicos/")), "{report:#}");
    let target = json!({"name": "target", "value": "hunter2"});
    assert!(frames[1]["locals"].as_array().unwrap().contains(&target), "{report:#}");
    let message = gui.until_message("LimitError - Out of bounds").await;
    assert!(text(&message[4]).contains(" = hunter2\n"), "{message}");
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
    // NICOS knows no pause points: this level acts at every line as well, and so at the beginning of any cell.
    let pausing = user.call("run.pause", json!({"level": "point"})).await;
    assert!(
        text(&pausing["acts"]).starts_with("at the next line of the script, or in a wait; now at line"),
        "{pausing}"
    );
    user.settles(&id, "paused").await;
    user.call("run.resume", json!({})).await;
    user.settles(&id, "running").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;

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
    // What it calls `session` is none of our business.
    let shadows = "session = 5\nwhile True:\n    sleep(0.02)\n";
    let sources = [("sleep(60)\n", false), (TIGHT, true), ("x = 1\nsleep(60)\n", false), (shadows, true)];
    for (source, pause) in sources {
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

    let id = user.submit("asks", "print('the sample is warm')\nname = userinput('who?')\nprint('hello ' + name)\nage = userinput('age?', int, 7)\nprint(age + 1)\npause('look')\nprint('done')\n").await;
    let prompt = user.event("who?", 0, asked("who?")).await["params"].clone();
    assert!(prompt["default"].is_null(), "{prompt}");
    let written = user.lines(&id);
    assert!(written.contains(&"the sample is warm".to_owned()), "told before the question: {written:?}");
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
}

#[tokio::test]
async fn a_question_that_nobody_answers_gets_its_default_or_ends_the_script() {
    let daemon = Daemon::start().await;
    let jobs = "jobs: {prompt_timeout: 400ms}\nqueue: {after_failure: continue}\n";
    let server = daemon.server(jobs).await;
    let mut user = server.client().await;
    let job = user.run("print('got %d' % userinput('How many?', int, 7))\n").await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert!(user.output(job["id"].as_str().unwrap()).await.contains(&"got 7".to_owned()));
    let job = user.run("x = 1\nuserinput('How many?', int)\nprint('on')\n").await;
    assert_eq!(job["state"], "failed", "{job:#}");
    let id = job["id"].as_str().unwrap();
    let report = user.job(id).await["report"].clone();
    assert_eq!((&report["type"], &report["line"]), (&json!("TimeoutError"), &json!(2)), "{report:#}");
    assert!(!user.output(id).await.contains(&"on".to_owned()));
}

#[tokio::test]
async fn an_error_that_a_script_goes_on_after_is_written_when_it_happens() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;
    let go = daemon.path().join("go");
    let source = format!(
        "import os\ntry:\n    1 / 0\nexcept Exception:\n    m1.log.exception('once')\n\
         while not os.path.exists({go:?}):\n    sleep(0.02)\nprint('on')\n"
    );
    let id = user.submit("goes on", &source).await;
    user.line(&id, "m1: once").await;
    std::fs::write(&go, "").unwrap();
    user.ends(&id, "succeeded_with_errors").await;
    assert_eq!(user.output(&id).await.last().map(String::as_str), Some("on"));
}

#[tokio::test]
async fn orders_are_given_again_to_a_script_that_is_between_two_statements() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;
    let (nicos, mut events) =
        daemon.connect("adam", Options { mask: vec![Event::Status], ..Options::default() }).await.unwrap();
    // NICOS takes orders in the waits alone.
    let source = format!("x = 0\n{}", format!("{}sleep(0.01)\n", "x += 1\n".repeat(10)).repeat(2_000));
    let id = user.submit("many statements", &source).await;
    user.settles(&id, "running").await;
    event(&mut events, Event::Processing, |_| true).await;
    // Nobody retries for this client.
    let mut refused = 0;
    while refused == 0 {
        match nicos.call(Command::Finish, &[]).await {
            Err(error) if error.refusal() == Some("no script is running") => refused += 1,
            other => assert!(user.job(&id).await["state"] == "running", "{other:?}"),
        }
    }
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    user.call("run.resume", json!({})).await;
    user.settles(&id, "running").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    assert!(!user.output(&id).await.iter().any(|line| line.contains("refuses")));
}

#[tokio::test]
async fn a_dry_run_of_the_running_script_tells_what_remains() {
    let daemon = Daemon::with_cache().await;
    let (_server, mut user) = serving(&daemon).await;
    let (nicos, mut events) = daemon.admin().await;
    let from = user.seen.len();
    let source = "sleep(60)\nsleep(60)\n";
    let id = user.submit("long", source).await;
    let request = event(&mut events, Event::Processing, |_| true).await;
    assert_eq!(user.job(&id).await["estimate"], Value::Null);
    let simulate = [request["name"].clone(), request["script"].clone(), request["reqid"].clone()];
    nicos.call(Command::Simulate, &simulate).await.unwrap();
    let told = user
        .event("the remaining time", from, |event| {
            event["method"] == "event.progress" && event["params"]["estimate"].is_object()
        })
        .await["params"]
        .clone();
    let expected = told["estimate"]["expected_s"].as_f64().unwrap();
    assert!((119.0..=122.0).contains(&expected), "{told}");
    assert_eq!(
        (&told["estimate"]["source"], &told["progress"]["basis"]),
        (&json!("simulated"), &json!("timeline"))
    );
    assert!(
        told["progress"]["percent"].as_f64().is_some_and(|percent| percent > 0.0 && percent < 50.0),
        "{told}"
    );
    assert!(user.job(&id).await["expected_finish"].is_string());
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn cells_are_steps() {
    let daemon = Daemon::start().await;
    let (_server, mut user) = serving(&daemon).await;
    let source =
        "# %% Cool to 5 [K]\ndef linger():\n    sleep(0.6)\nlinger()\n# %% Measure\nlinger()\nsleep(0.6)\n";
    let id = user.submit("cells", source).await;
    user.ends(&id, "succeeded").await;
    let mut steps: Vec<_> = user
        .seen
        .iter()
        .filter(|event| {
            event["method"] == "event.progress" && event["params"]["progress"]["step"].is_string()
        })
        .map(|event| event["params"]["progress"].clone())
        .map(|progress| json!([progress["step"], progress["percent"], progress["basis"]]))
        .collect();
    steps.dedup();
    assert_eq!(steps, [json!(["Cool to 5 [K]", 0.0, "cells"]), json!(["Measure", 50.0, "cells"])]);
}
