//! The simulated instrument in a dry run: what devices do, what is used up, and what carries over.

use super::fixture::{Fixture, assert_close, codes, expected};

#[tokio::test]
async fn counters_start_with_a_run_and_stand_still_in_a_pause() {
    let fixture = Fixture::new();
    let report = fixture
        .good(
            "from beamq.commands import *\nimport time\n\
             begin()\nwaitfor_uamps(10)\npause_run()\ntime.sleep(5000)\nresume_run()\nwaitfor_uamps(20)\nend()\n\
             begin()\nwaitfor_uamps(5)\nend()\n",
        )
        .await;
    // Begin, pause and resume take a second each; in the second after resume nothing counts yet.
    let waits: Vec<_> = report
        .timeline
        .iter()
        .filter(|entry| entry.command == "waitfor_uamps")
        .map(|entry| entry.dt_s)
        .collect();
    assert_close(waits[0], 900.0);
    assert_close(waits[1], 900.0);
    assert_close(waits[2], 450.0);
    assert_close(report.totals.counters["uamps"]["value"].as_f64().unwrap(), 25.0);
    let sleep = report.timeline.iter().find(|entry| entry.command == "time.sleep").unwrap();
    assert_eq!((sleep.dt_s, sleep.line), (5000.0, Some(6)));
}

#[tokio::test]
async fn devices_have_their_range_and_go_on_while_the_script_waits() {
    let fixture = Fixture::new();
    let report = fixture
        .good(
            "from beamq.commands import *\nimport time\n\
             set_temperature(280)\ntime.sleep(60)\ncset('Theta', 30, wait=True)\ncset('Theta', -5, wait=True)\n\
             cset('Theta', 1, wait=True)\ncontrast_change([50, 50, 0, 0], flow=10, volume=40, wait=True)\n",
        )
        .await;
    let of = |name: &str| report.devices.iter().find(|device| device.name == name).unwrap();
    let theta = of("Theta");
    assert_eq!(
        (theta.start, theta.min, theta.max, theta.end, theta.limit_hit),
        (Some(0.0), Some(-5.0), Some(30.0), Some(1.0), false)
    );
    assert_eq!(theta.unit.as_deref(), Some("deg"));
    assert_eq!((of("Temperature").start, of("Temperature").end), (Some(290.0), Some(280.0)));
    assert_eq!(report.devices.len(), 2, "only what moved: {:?}", report.devices);
    let used = &report.totals.counters["buffer A"];
    assert_close(used["value"].as_f64().unwrap(), 20.0);
    assert_eq!((&used["unit"], &used["kind"]), (&"mL".into(), &"consumable".into()));
}

#[tokio::test]
async fn a_device_that_is_sent_beyond_its_limit_is_marked() {
    let fixture = Fixture::new();
    let report = fixture.run("from beamq.commands import *\ncset('Theta', 95, wait=True)\n").await.report;
    assert_eq!(codes(&report), [("command_refused".to_owned(), Some(2))]);
    assert_eq!(report.findings[0].command.as_deref(), Some("cset"));
    let theta = report.devices.iter().find(|device| device.name == "Theta").unwrap();
    assert!(theta.limit_hit && !report.ok, "{report:#?}");
    // A value that the script works out is beyond the catalogue's limit.
    let report = fixture
        .run("from beamq.commands import *\nfor t in (100, 400):\n    set_temperature(t)\n")
        .await
        .report;
    let finding = &report.findings[0];
    assert_eq!(
        (finding.code.as_str(), finding.line, finding.parameter.as_deref()),
        ("bad_value", Some(3), Some("value"))
    );
    assert!(finding.hint.as_deref().unwrap().contains("0.1 to 300 K"), "{finding:?}");
}

#[tokio::test]
async fn r26_the_next_script_begins_where_the_last_one_ended() {
    let fixture = Fixture::new();
    let first = fixture
        .run("from beamq.commands import *\nset_temperature(200, wait=True)\nbegin()\nwaitfor_uamps(5)\n")
        .await;
    // A job that does nothing with the instrument, while the run goes on.
    let mut wish = fixture.wish("import time\ntime.sleep(900)\n");
    wish.start = first.end;
    let second = fixture.simulator.simulate(wish).await;
    let mut wish = fixture
        .wish("from beamq.commands import *\nwaitfor_uamps(25)\nend()\nset_temperature(210, wait=True)\n");
    wish.start = second.end;
    let third = fixture.simulator.simulate(wish).await.report;
    assert!(third.ok, "{third:#?}");
    // 15 of 25 µA·h are there; the ramp of 10 K takes 300 s and 30 s to settle.
    assert_close(third.timeline[0].dt_s, 900.0);
    assert_close(third.timeline[2].dt_s, 330.0);
    let temperature = third.devices.iter().find(|device| device.name == "Temperature").unwrap();
    assert_eq!((temperature.start, temperature.end), (Some(200.0), Some(210.0)));
}

const CATALOGUE: &str = "catalogue: 1\ncommands:\n  move_stage:\n    summary: Moves.\n    parameters:\n      \
    position: {type: number, unit: mm, minimum: -50, maximum: 50, description: Where to.}\n    \
    implementation: lab:move_stage\n    devices: [stage]\n    \
    estimate: \"abs(position - state.stage) / 2 + 1\"\n  anneal:\n    summary: Takes who knows how long.\n    \
    implementation: lab:anneal\n";

#[tokio::test]
async fn a_command_without_a_hook_takes_its_estimate_and_moves_its_device() {
    let fixture = Fixture::with(CATALOGUE, &[]);
    let report = fixture
        .run("from beamq.commands import *\nmove_stage(10)\nmove_stage(30)\nanneal()\nmove_stage(-20)\n")
        .await
        .report;
    let took: Vec<_> = report.timeline.iter().map(|entry| (entry.dt_s, entry.source)).collect();
    use beamq::protocol::view::EstimateSource::{Formula, Unknown};
    // Where the stage is at first nobody knows.
    assert_eq!(took, [(0.0, Unknown), (11.0, Formula), (0.0, Unknown), (26.0, Formula)]);
    assert_eq!((expected(&report), report.totals.seconds.at_least), (37.0, true));
    let stage = &report.devices[0];
    assert_eq!((stage.start, stage.min, stage.max, stage.end), (None, Some(-20.0), Some(30.0), Some(-20.0)));
    assert_eq!(stage.unit.as_deref(), Some("mm"));
}

const DECLARED: &str = "catalogue: 1\ncommands:\n  set_slits:\n    summary: Opens the slits.\n    parameters:\n      \
    gap: {type: number, unit: mm, minimum: 0, maximum: 50, description: How far.}\n      \
    where: {type: string, choices: [front, back], description: Which.}\n    \
    implementation: lab:set_slits\n    estimate: 2\n    effect:\n      slit_gap: gap\n      \
    flux: 'where == \"front\" ? gap * 100 : 0 / 0'\n  count:\n    summary: Counts.\n    \
    implementation: lab:count\n    estimate: 1e6 / state.flux\n    effect: {}\n";

#[tokio::test]
async fn a_command_without_a_hook_has_the_effect_that_the_catalogue_declares() {
    let fixture = Fixture::with(DECLARED, &[]);
    let report = fixture
        .run(
            "from beamq.commands import *\nset_slits(10, 'front')\ncount()\nset_slits(20, 'front')\ncount()\n\
             set_slits(5, 'back')\ncount()\n",
        )
        .await
        .report;
    let took: Vec<_> = report.timeline.iter().map(|entry| entry.dt_s).collect();
    assert_eq!(took, [2.0, 1000.0, 2.0, 500.0, 2.0, 0.0]);
    assert!(report.totals.seconds.at_least, "the flux behind the back slit is unknown: {report:#?}");
    let of = |name: &str| report.devices.iter().find(|device| device.name == name).unwrap();
    let (gap, flux) = (of("slit_gap"), of("flux"));
    assert_eq!(
        (gap.min, gap.max, gap.end, gap.unit.as_deref()),
        (Some(5.0), Some(20.0), Some(5.0), Some("mm"))
    );
    assert_eq!((flux.min, flux.max), (Some(1000.0), Some(2000.0)));
}

#[tokio::test]
async fn questions_are_answered_by_their_defaults() {
    let fixture = Fixture::new();
    let report = fixture
        .good("import beamq\nfrom beamq.commands import *\nassert beamq.ask('How long?', default=60) == 60\nwaitfor_time(60)\n")
        .await;
    assert_eq!(codes(&report), []);
    let report =
        fixture.run("import beamq\nassert beamq.ask('Which?', choices=['A', 'B']) == 'A'\n").await.report;
    assert_eq!(codes(&report), [("question_without_default".to_owned(), Some(2))]);
    assert!(report.ok && report.totals.seconds.at_least);
}

#[tokio::test]
async fn where_nothing_is_simulated_the_authors_word_counts() {
    let fixture = Fixture::new();
    let report = fixture
        .good(
            "import beamq\n\
             # %% Anneal [beamq] estimate=\"10 min\"\nx = 1\n\
             # %% Wait [beamq] estimate=\"1 h\"\nbeamq.sleep(30)\n\
             # %% End\nwith beamq.step('Cool', estimate=120):\n    y = 2\n",
        )
        .await;
    let steps: Vec<_> = report.timeline.iter().map(|entry| (entry.command.as_str(), entry.dt_s)).collect();
    assert_eq!(steps, [("step", 600.0), ("beamq.sleep", 30.0), ("step", 120.0)]);
    assert_close(expected(&report), 750.0);
}
