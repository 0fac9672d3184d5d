//! Jobs that drive the example instrument: the real server, the real worker, the instrument's own process.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::harness::{Home, QUICK, Server, eventually};

/// A server whose instrument runs this many times faster than real time.
async fn instrument(speed: f64) -> Server {
    let home = Home::new(&format!("{QUICK}engine: {{python: {{startup: [speed.py]}}}}\n"));
    let text = format!("import os\nos.environ['BEAMQ_DEMO_SPEED'] = '{speed}'\n");
    fs::write(home.path().join("speed.py"), text).unwrap();
    home.start().await
}

/// The folder in which the instrument of a server keeps its things.
fn folder(server: &Server) -> PathBuf {
    server.home.data().join("work/instrument")
}

/// Changes the instrument by hand, as somebody at the beamline does.
async fn by_hand(server: &Server, arguments: &[&str]) -> String {
    let mut command = Command::new(std::env::var("BEAMQ_TEST_PYTHON").unwrap_or_else(|_| "python3".into()));
    command
        .args(["-m", "demo.console", "--data"])
        .arg(server.home.data())
        .args(arguments)
        .env("PYTHONPATH", server.home.data().join("work/commands"))
        .env("PYTHONUTF8", "1")
        .env_remove("BEAMQ_CATALOGUE");
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// A number that a script printed after a word.
fn number(lines: &[String], word: &str) -> f64 {
    let line = lines.iter().find_map(|line| line.strip_prefix(word));
    line.unwrap_or_else(|| panic!("no {word:?} in {lines:?}")).trim().parse().unwrap()
}

const CHARGES: &str = "\
from beamq.commands import *
from demo.instrument import instrument

change_title('charges')
begin()
for total in (10, 20, 30):
    waitfor_uamps(total)
print('seconds', instrument().status()['acquisition']['run_seconds'])
end()
print('title', instrument().status()['acquisition']['saved']['title'])
";

#[tokio::test]
async fn r24_waits_for_10_20_and_30_in_one_run_take_2700_seconds_of_the_instrument() {
    let server = instrument(1000.0).await;
    let mut user = server.client().await;
    let id = user.submit("charges", CHARGES).await;
    user.ends(&id, "succeeded").await;
    let lines = user.output(&id).await;
    let seconds = number(&lines, "seconds");
    assert!((2700.0..2800.0).contains(&seconds), "{lines:?}");
    assert!(lines.contains(&"title charges".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn r19_the_progress_names_the_command_and_what_it_still_waits_for() {
    let server = instrument(300.0).await;
    let mut user = server.client().await;
    let id = user.submit("waits", "from beamq.commands import *\nbegin()\nwaitfor_uamps(30)\n").await;
    let event = user
        .event("the wait", 0, |event| {
            let progress = &event["params"]["progress"];
            progress["command"] == "waitfor_uamps"
                && progress["remaining"].as_str().is_some_and(|text| text.ends_with(" of 30 µA·h"))
        })
        .await;
    assert_eq!(event["params"]["progress"]["line"], 3, "{event:#}");
    user.call("run.skip", json!({})).await;
    user.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn r04_r05_r06_a_wait_can_be_paused_changed_under_by_hand_resumed_and_skipped() {
    let server = instrument(1.0).await;
    let mut user = server.client().await;
    let script = "\
from beamq.commands import *
from demo.instrument import instrument
begin()
waitfor_uamps(1000)
print('temperature', instrument().state()['temperature'])
print('charge', instrument().state()['uamps'])
abort_run()
";
    let id = user.submit("patient", script).await;
    user.event("the wait", 0, |event| event["params"]["progress"]["command"] == "waitfor_uamps").await;
    user.call("run.pause", json!({"level": "now"})).await;
    let job = user.settles(&id, "paused").await;
    assert_eq!(job["progress"]["line"], 4, "{job:#}");

    by_hand(&server, &["set", "temperature", "20"]).await;
    by_hand(&server, &["trip", "on"]).await;
    assert!(by_hand(&server, &["status"]).await.contains("beam 0 µA (tripped)"));

    user.call("run.resume", json!({})).await;
    user.settles(&id, "running").await;
    let seen = user.seen.len();
    user.event("the reason of the standstill", seen, |event| {
        let remaining = &event["params"]["progress"]["remaining"];
        remaining.as_str().is_some_and(|text| text.ends_with("the beam is off"))
    })
    .await;
    user.call("run.skip", json!({})).await;
    user.ends(&id, "succeeded").await;
    let lines = user.output(&id).await;
    assert!((number(&lines, "temperature") - 20.0).abs() < 1e-9, "{lines:?}");
    assert!(number(&lines, "charge") < 1.0, "{lines:?}");
}

#[tokio::test]
async fn an_abort_ends_a_wait_at_once_and_leaves_the_instrument_as_it_is() {
    let server = instrument(1.0).await;
    let mut user = server.client().await;
    let script = "from beamq.commands import *\nset_temperature(280)\nbegin()\nwaitfor_time(hours=10)\n";
    let id = user.submit("long", script).await;
    user.event("the wait", 0, |event| event["params"]["progress"]["command"] == "waitfor_time").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    assert!(by_hand(&server, &["status"]).await.starts_with("run 1 is RUNNING"));
}

#[tokio::test]
async fn the_instrument_outlives_a_job_and_ends_with_the_server() {
    let server = instrument(1000.0).await;
    let mut user = server.client().await;
    let id = user.submit("sets", "from beamq.commands import *\nset_temperature(200, wait=True)\n").await;
    user.ends(&id, "succeeded").await;
    let pid: i32 = fs::read_to_string(folder(&server).join("pid")).unwrap().trim().parse().unwrap();
    let script = "from demo.instrument import instrument\nprint('at', instrument().state()['temperature'])\n";
    let id = user.submit("looks", script).await;
    user.ends(&id, "succeeded").await;
    assert!((number(&user.output(&id).await, "at") - 200.0).abs() < 1e-6);
    let still: i32 = fs::read_to_string(folder(&server).join("pid")).unwrap().trim().parse().unwrap();
    assert_eq!(pid, still, "both jobs used one instrument");
    drop(user);

    let server = server.restart().await;
    let gone = move || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
    };
    eventually("the instrument ends with the server that it served", gone).await;
    // Its state was saved, and the next one goes on from there.
    let mut user = server.client().await;
    let id = user.submit("looks", script).await;
    user.ends(&id, "succeeded").await;
    assert!((number(&user.output(&id).await, "at") - 200.0).abs() < 1e-6);
}

#[tokio::test]
async fn a_job_of_commands_runs_them_in_order() {
    let server = instrument(1000.0).await;
    let mut user = server.client().await;
    let commands = json!([
        {"command": "set_temperature", "parameters": {"value": 280, "wait": true}},
        {"command": "do_sans", "parameters": {"title": "D2O", "position": "CT", "uamps": 2}},
        {"command": "send_alert", "parameters": {"message": "done"}},
    ]);
    let id = user.submit_job(json!({"name": "measure", "commands": commands})).await;
    user.ends(&id, "succeeded").await;
    assert!(user.output(&id).await.contains(&"alert: done".to_owned()));
    let status = by_hand(&server, &["status"]).await;
    assert!(status.contains("title 'D2O_SANS'") && status.starts_with("run 2 is SETUP"), "{status}");

    let bad = json!([{"command": "set_temperature", "parameters": {"value": 400}}]);
    let error = user.refused("job.submit", json!({"job": {"name": "hot", "commands": bad}})).await;
    assert!(error.message.contains("400 K is above the maximum of 300 K"), "{error:?}");
}

/// Calls every command as each of its examples says, between what makes it sensible.
const EVERY_COMMAND: &str = "\
from beamq import commands
from demo.instrument import instrument
in_run = {'end', 'abort_run', 'pause_run', 'resume_run', 'updatestore', 'waitfor_uamps', 'waitfor_frames',
          'waitfor_raw_frames', 'waitfor_mevents', 'waitfor_runstate'}
calls = 0
for name in commands.__all__:
    for example in commands.describe(name)['examples']:
        if name in in_run:
            commands.begin(quiet=True, paused=name == 'resume_run')
        getattr(commands, name)(**example)
        calls += 1
        if example.get('runcontrol'):
            commands.cset(example['block'], runcontrol=False)
        if instrument().status()['run_state'] != 'SETUP':
            commands.end(quiet=True)
print('commands', len(commands.__all__))
print('calls', calls)
";

#[tokio::test]
async fn every_command_runs_in_a_job_as_its_examples_say() {
    let server = instrument(20_000.0).await;
    let mut user = server.client().await;
    let id = user.submit("everything", EVERY_COMMAND).await;
    let job = user.ended(&id).await;
    assert_eq!(job["state"], "succeeded", "{:#}", user.job(&id).await);
    let lines = user.output(&id).await;
    assert_eq!(number(&lines, "commands"), 37.0);
    assert!(number(&lines, "calls") >= 44.0, "{lines:?}");
    assert_eq!(
        user.job(&id).await["report"].get("command_errors").cloned().unwrap_or(json!([])),
        Value::Array(vec![])
    );
}
