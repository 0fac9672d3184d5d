//! What a dry run and the formulas predict is what the simulated instrument takes, in accelerated real time,
//! and what the catalogue declares as the effect of a command is what the instrument shows afterwards.

use std::{collections::BTreeSet, process::Stdio, sync::Arc};

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
const REAL_SECONDS: f64 = 0.5;
const TRIES: u32 = 8;
/// So many instruments run side by side, mostly asleep.
const AT_ONCE: usize = 6;

/// Runs calls one after the other, each on a new instrument in a process of its own, at a speed. A fork of this
/// process is an instrument without the time that an interpreter takes to start.
const ACTUAL: &str = "\
import contextlib, json, os, signal, sys, tempfile, time
from pathlib import Path
import beamq.commands as commands
from demo import server
from demo.connection import RemoteInstrument
from demo.errors import InstrumentError
from demo.instrument import use

def connected(folder):
    link, deadline = RemoteInstrument(folder, start=False), time.monotonic() + 20
    while True:
        try:
            link.ask('now')
            return link
        except InstrumentError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)

def run(folder, name, arguments, before, speed):
    link = connected(folder)
    with use(link), contextlib.redirect_stdout(sys.stderr):
        link.ask('speed', speed=1000)
        link._speed = 1000
        for one in before:
            getattr(commands, one)()
        link.ask('speed', speed=speed)
        link._speed = speed
        state, began = link.state(), link.now()
        getattr(commands, name)(**arguments)
        return [state, link.now() - began, link.state()]

for call in json.load(sys.stdin):
    with tempfile.TemporaryDirectory() as folder:
        pid = os.fork()
        if pid == 0:
            try:
                server.serve(Path(folder), 1.0)
            finally:
                os._exit(0)
        try:
            print(json.dumps(run(Path(folder), *call)), flush=True)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
";

/// An example of the catalogue, and what its dry run says.
#[derive(Clone)]
struct Example {
    command: String,
    arguments: Map<String, Value>,
    simulated_s: f64,
    /// What was seen, for the case that it never agrees.
    seen: Vec<String>,
}

fn before(command: &str) -> Vec<&'static str> {
    match command {
        "resume_run" => vec!["begin", "pause_run"],
        command if IN_A_RUN.contains(&command) => vec!["begin"],
        _ => Vec::new(),
    }
}

/// The state before, the seconds, and the state after each call.
async fn actual(fixture: &Fixture, examples: &[Example], real_s: f64) -> Vec<(Value, f64, Value)> {
    let calls = examples.iter().map(|example| {
        // What takes no time takes none at any speed.
        let speed = if example.simulated_s > 0.0 { example.simulated_s / real_s } else { 1.0 };
        json!([example.command, example.arguments, before(&example.command), speed])
    });
    let calls = Value::Array(calls.collect()).to_string();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("calls.json");
    std::fs::write(&input, calls).unwrap();
    let catalogue = folder.path().join("catalogue.json");
    std::fs::write(&catalogue, python::worker_file(&fixture.catalogue, &fixture.folders)).unwrap();
    let path = std::env::join_paths(
        [fixture.folder.path().join("actual/lib")].into_iter().chain(fixture.folders.iter().cloned()),
    );
    let ended = Command::new("python3")
        .args(["-c", ACTUAL])
        .env("PYTHONPATH", path.unwrap())
        .env("BEAMQ_CATALOGUE", catalogue)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::from(std::fs::File::open(input).unwrap()))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let answers: Vec<_> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(answers.len(), examples.len(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    answers
}

fn agrees(predicted: f64, actual: f64) -> bool {
    (predicted - actual).abs() <= (0.02 * actual.abs()).max(1e-3)
}

/// What a dry run of the example alone says.
async fn simulated(fixture: &Fixture, command: &str, arguments: &Map<String, Value>) -> Example {
    let preparation: String = before(command).iter().map(|one| format!("_commands.{one}()\n")).collect();
    let call = python::arguments(arguments);
    let source =
        format!("from beamq import commands as _commands\n{preparation}_commands.{command}({call})\n");
    let report = fixture.good(&source).await;
    let entry = report.timeline.last().unwrap();
    assert_eq!(entry.command, command);
    let (command, arguments) = (command.to_owned(), arguments.clone());
    Example { command, arguments, simulated_s: entry.dt_s, seen: Vec::new() }
}

/// Whether the prediction, the formula and the declared effect hold; if not, what was seen instead. When they
/// do: whether there is a formula for this example.
fn holds(fixture: &Fixture, example: &Example, seen: &(Value, f64, Value)) -> Result<bool, String> {
    let (state, took, after) = seen;
    let known = fixture.catalogue.command(&example.command).unwrap();
    let formula = known.estimate(&example.arguments, &|name| state.get(name).cloned());
    let took = if example.simulated_s == 0.0 { 0.0 } else { *took };
    let effects = known.effects(&example.arguments, &|name| state.get(name).cloned()).unwrap_or_default();
    let wrong = effects.iter().find(|(name, value)| {
        value.is_some_and(|value| !after[*name].as_f64().is_some_and(|shown| agrees(value, shown)))
    });
    if agrees(example.simulated_s, took) && formula.is_none_or(|it| agrees(it, took)) && wrong.is_none() {
        return Ok(formula.is_some());
    }
    Err(format!("by formula {formula:?}, actually {took}, declared {effects:?}, wrong {wrong:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_are_right_within_2_per_cent_of_the_accelerated_instrument() {
    let fixture = Arc::new(Fixture::new());
    beamq::engine::python::install_library(&fixture.folder.path().join("actual")).unwrap();
    let at_once = Arc::new(Semaphore::new(4));
    let mut simulations = JoinSet::new();
    let (mut with_formula, mut with_effect) = (BTreeSet::new(), 0);
    for command in fixture.catalogue.commands() {
        with_effect += usize::from(command.spec.effect.as_ref().is_some_and(|effect| !effect.is_empty()));
        with_formula.extend(command.spec.estimate.as_ref().map(|_| command.name.clone()));
        for example in &command.spec.examples {
            let (fixture, at_once) = (Arc::clone(&fixture), Arc::clone(&at_once));
            let (name, example) = (command.name.clone(), example.clone());
            simulations.spawn(async move {
                let _turn = at_once.acquire().await.unwrap();
                simulated(&fixture, &name, &example).await
            });
        }
    }
    assert_eq!((with_formula.len(), with_effect), (35, 4));
    let mut checked = BTreeSet::new();
    let mut left = simulations.join_all().await;
    for n in 0..TRIES {
        let real_s = REAL_SECONDS * f64::from(1 << n);
        let mut tries = JoinSet::new();
        for chunk in left.chunks(left.len().div_ceil(AT_ONCE).max(1)) {
            let (fixture, mut chunk) = (Arc::clone(&fixture), chunk.to_vec());
            tries.spawn(async move {
                let seen = actual(&fixture, &chunk, real_s).await;
                let mut checked = BTreeSet::new();
                for (example, seen) in chunk.iter_mut().zip(&seen) {
                    match holds(&fixture, example, seen) {
                        Ok(by_formula) => {
                            example.seen.clear();
                            checked.extend(by_formula.then(|| example.command.clone()));
                        }
                        Err(what) => example.seen.push(what),
                    }
                }
                chunk.retain(|example| !example.seen.is_empty());
                (chunk, checked)
            });
        }
        left.clear();
        for (wrong, good) in tries.join_all().await {
            left.extend(wrong);
            checked.extend(good);
        }
        if left.is_empty() {
            assert_eq!(checked, with_formula, "every formula of the catalogue has an example");
            return;
        }
    }
    let wrong = left.iter().map(|it| {
        format!("{}({}): simulated {}, {:#?}", it.command, json!(it.arguments), it.simulated_s, it.seen)
    });
    panic!("{}", wrong.collect::<Vec<_>>().join("\n"));
}
