//! How long a dry run takes, against the start of the plain interpreter.

use std::{fmt::Write, path::PathBuf, process::Command, sync::Arc, time::Instant};

use beamq::{
    catalogue::{Catalogue, python, shipped},
    dryrun::simulation::{Simulated, SimulationSettings, SimulationWish, Simulator},
};
use beamq_machines::CommandCall;
use serde_json::json;

use crate::{
    Effort,
    processes::interpreter,
    server::block_on,
    statistics::median,
    table::{Quantity, Table, Target},
};

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let rounds = effort.choose(3, 20);
    let folder = tempfile::tempdir().unwrap();
    let commands = shipped::unpack(folder.path()).unwrap();
    let (catalogue, findings) = Catalogue::check(&shipped::texts());
    assert_eq!(findings, []);
    let settings = SimulationSettings {
        launcher: Some(env!("CARGO_BIN_EXE_beamq").into()),
        ..SimulationSettings::new(interpreter(), folder.path().join("dryrun"))
    };
    let (simulator, catalogue) = (Simulator::new(settings), Arc::new(catalogue));
    let run = |source: &str| {
        let folders: Arc<[PathBuf]> = Arc::from([commands.clone()]);
        let wish = SimulationWish::new(source, "benchmark", Arc::clone(&catalogue), folders);
        let began = Instant::now();
        let simulated = block_on(simulator.simulate(wish));
        (began.elapsed().as_secs_f64() * 1000.0, simulated)
    };
    let (long, rows) = (script_of_8_hours(), rows_of_a_table());
    let (mut night, mut table_of_100, mut nothing, mut plain) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        night.push(checked(run(&long), 28_800.0, 500));
        table_of_100.push(checked(run(&rows), 100.0, 100));
        nothing.push(run("pass\n").0);
        let began = Instant::now();
        assert!(Command::new(interpreter()).args(["-c", "pass"]).status().unwrap().success());
        plain.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    let start = ("start of python3 -c pass", Quantity::Milliseconds(median(&plain)));
    table.figure(
        "dry run of a script of 8 h and 500 steps (median)",
        Quantity::Milliseconds(median(&night)),
        Target::AtMost(2000.0),
        start,
    );
    table.figure(
        "100 command rows judged and estimated (median)",
        Quantity::Milliseconds(median(&table_of_100)),
        Target::AtMost(1000.0),
        start,
    );
    table.remark(
        "dry run of an empty script (median)",
        Quantity::Milliseconds(median(&nothing)),
        Some(start),
    );
}

/// The time of a simulation that did what it should have.
fn checked((took, simulated): (f64, Simulated), at_least: f64, calls: usize) -> f64 {
    let report = simulated.report;
    assert!(report.ok && report.truncated.is_none(), "{:?}", report.findings);
    assert!(report.totals.seconds.expected.unwrap() >= at_least, "{:?}", report.totals);
    assert_eq!(report.timeline.len(), calls);
    took
}

fn script_of_8_hours() -> String {
    let mut script = String::from("from beamq.commands import *\n");
    for n in 0..100 {
        let _ = write!(
            script,
            "set_temperature({}, wait=True)\ncset('Theta', {}, wait=True)\nbegin(quiet=True)\nwaitfor_uamps(3)\nend(quiet=True)\n",
            280 + n % 2,
            n % 10
        );
    }
    script
}

fn rows_of_a_table() -> String {
    let calls: Vec<_> = (0..100)
        .map(|n| CommandCall {
            command: "set_temperature".into(),
            parameters: json!({"value": 200 + n, "wait": true}).as_object().cloned().unwrap_or_default(),
        })
        .collect();
    python::source_of_calls(&calls)
}
