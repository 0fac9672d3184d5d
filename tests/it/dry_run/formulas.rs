//! What a dry run and the formulas predict is what the simulated instrument takes, in accelerated real time.

use std::{process::Stdio, sync::Arc};

use beamq::catalogue::python;
use serde_json::{Map, Value, json};
use tokio::{process::Command, sync::Semaphore, task::JoinSet};

use super::fixture::Fixture;

/// What has to be done before a command makes sense.
const IN_A_RUN: [&str; 8] = [
    "end",
    "abort_run",
    "pause_run",
    "updatestore",
    "waitfor_uamps",
    "waitfor_frames",
    "waitfor_raw_frames",
    "waitfor_mevents",
];
/// A call takes about so many seconds of real time at first. A busy machine is late by some milliseconds, which
/// mean less and less when each further try takes twice as long.
const REAL_SECONDS: f64 = 2.0;
const TRIES: u32 = 6;

/// Runs a call on an instrument in a process of its own, at a speed.
const ACTUAL: &str = "\
import json, sys
import beamq.commands as commands
from demo.instrument import instrument
name, arguments, before, speed = json.loads(sys.argv[1])
link = instrument()
link.ask('speed', speed=1000)
link._speed = 1000
for one in before:
    getattr(commands, one)()
link.ask('speed', speed=speed)
link._speed = speed
state, began = link.state(), link.now()
getattr(commands, name)(**arguments)
ended = link.now()
sys.stdout.write('\\n' + json.dumps([state, ended - began]))
";

fn before(command: &str) -> Vec<&'static str> {
    match command {
        "resume_run" => vec!["begin", "pause_run"],
        command if IN_A_RUN.contains(&command) => vec!["begin"],
        _ => Vec::new(),
    }
}

async fn actual(fixture: &Fixture, command: &str, example: &Value, speed: f64) -> (Value, f64) {
    let folder = tempfile::tempdir().unwrap();
    let call = json!([command, example, before(command), speed]).to_string();
    let library = fixture.folder.path().join("actual");
    beamq::engine::python::install_library(&library).unwrap();
    let catalogue = folder.path().join("catalogue.json");
    std::fs::write(&catalogue, python::worker_file(&fixture.catalogue, &fixture.folders)).unwrap();
    let ended = Command::new("python3")
        .args(["-c", ACTUAL, &call])
        .env("PYTHONPATH", library.join("lib"))
        .env("BEAMQ_CATALOGUE", catalogue)
        .env("BEAMQ_DEMO_FOLDER", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    // The instrument's own process would wait for others.
    if let Ok(pid) = std::fs::read_to_string(folder.path().join("pid")) {
        let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).ok();
    }
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let answer = said.lines().last().unwrap_or_default();
    serde_json::from_str(answer)
        .unwrap_or_else(|_| panic!("{command}: {said}{}", String::from_utf8_lossy(&ended.stderr)))
}

fn agrees(predicted: f64, actual: f64) -> bool {
    (predicted - actual).abs() <= (0.02 * actual).max(1e-3)
}

/// Checks one example. Returns whether there is a formula for it.
async fn check(fixture: &Fixture, command: &str, example: &Map<String, Value>) -> bool {
    let preparation: String = before(command).iter().map(|one| format!("_commands.{one}()\n")).collect();
    let call = python::arguments(example);
    let source =
        format!("from beamq import commands as _commands\n{preparation}_commands.{command}({call})\n");
    let report = fixture.good(&source).await;
    let entry = report.timeline.last().unwrap();
    assert_eq!(entry.command, command);
    let simulated = entry.dt_s;
    let mut seen = Vec::new();
    for n in 0..TRIES {
        // What takes no time takes none at any speed.
        let speed = if simulated > 0.0 { simulated / (REAL_SECONDS * f64::from(1 << n)) } else { 1.0 };
        let (state, took) = actual(fixture, command, &Value::Object(example.clone()), speed).await;
        let known = fixture.catalogue.command(command).unwrap();
        let formula = known.estimate(example, &|name| state.get(name).cloned());
        let late = if simulated == 0.0 { took } else { 0.0 };
        let good = agrees(simulated, took - late) && formula.is_none_or(|it| agrees(it, took - late));
        if good {
            return formula.is_some();
        }
        seen.push((formula, took));
    }
    panic!("{command} {call}: simulated {simulated}, by formula and actually {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_are_right_within_2_per_cent_of_the_accelerated_instrument() {
    let fixture = Arc::new(Fixture::new());
    let at_once = Arc::new(Semaphore::new(4));
    let mut checks = JoinSet::new();
    for command in fixture.catalogue.commands() {
        for example in &command.spec.examples {
            let (fixture, at_once) = (Arc::clone(&fixture), Arc::clone(&at_once));
            let (name, example) = (command.name.clone(), example.clone());
            checks.spawn(async move {
                let _turn = at_once.acquire().await.unwrap();
                check(&fixture, &name, &example).await
            });
        }
    }
    let with_formula = checks.join_all().await.into_iter().filter(|formula| *formula).count();
    assert_eq!(with_formula, 40, "every formula of the catalogue has an example");
}
