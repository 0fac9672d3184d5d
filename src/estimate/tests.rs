use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    robust::{Weighted, quantile, sorted},
    *,
};
use crate::protocol::view::EstimateSource;

const NOW: i64 = 1_800_000_000_000;

/// A generator of noise that gives the same numbers every time.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        // A step of xorshift64*.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A factor that lies evenly within ± `part` of 1.
    fn within(&mut self, part: f64) -> f64 {
        1.0 + part * (2.0 * self.uniform() - 1.0)
    }
}

fn arguments(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn sample(active_s: f64, predicted_s: Option<f64>, value: Value) -> CallSample {
    CallSample { at_ms: NOW, active_s, predicted_s, arguments: arguments(value) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn formula(seconds: f64) -> Option<(f64, EstimateSource)> {
    Some((seconds, EstimateSource::Formula))
}

#[test]
fn without_measurements_the_formula_is_taken_as_it_is_and_says_so() {
    let guess = Memory::default().call("cool", &Map::new(), formula(100.0), NOW).unwrap();
    assert_eq!(guess.interval, Interval { low: 80.0, expected: 100.0, high: 125.0 });
    assert_eq!(guess.source, EstimateSource::Formula);
    assert_eq!(Memory::default().call("cool", &Map::new(), None, NOW), None);
}

#[test]
fn r27_after_20_repeats_the_median_error_is_under_10_per_cent_with_15_per_cent_of_noise() {
    // An instrument that takes 40 % longer than its formula says, ± 15 % at random; other arguments every time.
    let mut noise = Noise(0x00C0_FFEE);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for instrument in 0..50 {
        let mut memory = Memory::default();
        for repeat in 0..40 {
            let value = 10.0 + f64::from((repeat * 37 + instrument) % 280);
            let predicted = value / 2.0 * 60.0 + 30.0;
            let actual = predicted * 1.4 * noise.within(0.15);
            let given = arguments(json!({"value": value}));
            let guess = memory.call("set_temperature", &given, formula(predicted), NOW).unwrap();
            let error = (guess.interval.expected / actual - 1.0).abs();
            if repeat >= 20 {
                after.push(error);
                assert_eq!(guess.source, EstimateSource::History);
            } else if repeat == 0 {
                before.push(error);
            }
            memory.remember_call("set_temperature", sample(actual, Some(predicted), json!({"value": value})));
        }
    }
    let (before, after) = (median(before), median(after));
    assert!(before > 0.25, "the formula alone: {before}");
    assert!(after < 0.10, "after 20 repeats: {after}");
}

#[test]
fn r27_what_has_no_formula_is_learnt_from_calls_with_similar_arguments() {
    let mut noise = Noise(7);
    let mut errors = Vec::new();
    let mut memory = Memory::default();
    for repeat in 0..60 {
        // Two ways to use the command, of very different lengths.
        let (wait, length) = if repeat % 2 == 0 { (true, 120.0) } else { (false, 2.0) };
        let given = json!({"wait": wait, "block": "Theta"});
        let actual = length * noise.within(0.15);
        if repeat >= 20 {
            let guess = memory.call("waitfor_block", &arguments(given.clone()), None, NOW).unwrap();
            errors.push((guess.interval.expected / actual - 1.0).abs());
        }
        memory.remember_call("waitfor_block", sample(actual, None, given));
    }
    assert!(median(errors.clone()) < 0.10, "{errors:?}");
}

#[test]
fn a_call_that_is_like_no_other_is_unknown_and_never_nothing() {
    let mut memory = Memory::default();
    memory.remember_call("scan", sample(60.0, None, json!({"motor": "Theta", "mode": "fast"})));
    assert_eq!(memory.call("scan", &arguments(json!({"motor": "Phi", "mode": "slow"})), None, NOW), None);
    let guess = memory.call("scan", &arguments(json!({"motor": "Theta", "mode": "slow"})), None, NOW);
    assert_eq!(guess.unwrap().source, EstimateSource::History);
}

#[test]
fn a_few_strange_measurements_do_not_spoil_an_estimate() {
    let mut memory = Memory::default();
    for n in 0..20 {
        let active_s = if n % 7 == 3 { 5_000.0 } else { 100.0 };
        memory.remember_call("cool", sample(active_s, Some(100.0), json!({})));
    }
    let guess = memory.call("cool", &Map::new(), formula(200.0), NOW).unwrap();
    assert_eq!(guess.interval.expected, 200.0);
}

#[test]
fn what_changed_last_month_counts_more_than_what_was_before() {
    let mut memory = Memory::default();
    let old = NOW - 120 * 86_400_000;
    for _ in 0..30 {
        memory.remember_call("cool", CallSample { at_ms: old, ..sample(100.0, Some(100.0), json!({})) });
    }
    for _ in 0..6 {
        memory.remember_call("cool", sample(150.0, Some(100.0), json!({})));
    }
    let guess = memory.call("cool", &Map::new(), formula(100.0), NOW).unwrap();
    assert!(guess.interval.expected > 140.0, "{guess:?}");
}

#[test]
fn a_job_that_ran_before_is_estimated_by_its_runs_once_there_are_enough() {
    let mut memory = Memory::default();
    let run = |active_s| JobSample { at_ms: NOW, active_s, predicted_s: Some(60.0) };
    memory.remember_job("a", run(66.0));
    assert_eq!(memory.job("a", formula(60.0), NOW), None, "one run is not enough against a formula");
    memory.remember_job("a", run(66.0));
    memory.remember_job("a", run(66.0));
    let guess = memory.job("a", formula(120.0), NOW).unwrap();
    assert!((guess.interval.expected - 132.0).abs() < 1e-9, "{guess:?}");
    assert_eq!(memory.job("a", None, NOW).unwrap().interval.expected, 66.0);
    assert_eq!(memory.job("b", None, NOW), None);
}

#[test]
fn the_memory_is_bounded() {
    let mut memory = Memory::default();
    for n in 0..6_000u32 {
        memory.remember_call(&format!("c{n}"), sample(1.0, None, json!({})));
        memory.remember_call("c0", sample(f64::from(n), None, json!({})));
        memory.remember_job(&format!("j{n}"), JobSample { at_ms: NOW, active_s: 1.0, predicted_s: None });
    }
    assert_eq!(memory.call("c5999", &Map::new(), None, NOW), None);
    assert!(memory.call("c0", &Map::new(), None, NOW).unwrap().interval.expected > 5_900.0);
    assert_eq!(memory.job("j0", None, NOW), None);
    assert!(memory.job("j5999", None, NOW).is_some());
}

#[test]
fn a_sum_with_something_unknown_is_a_lower_bound_and_not_zero() {
    let part =
        |expected| Some(Guess { interval: Interval::computed(expected), source: EstimateSource::Formula });
    let mut total = Total::default();
    total.add(part(0.0));
    total.add(None);
    assert_eq!(total.guess(), None, "nothing and something unknown is unknown");
    total.add(part(100.0));
    total.add(part(100.0));
    assert!(!total.is_complete());
    let guess = total.guess().unwrap();
    assert_eq!((guess.interval.expected, guess.source), (200.0, EstimateSource::Formula));
    assert!(guess.interval.low > 160.0 && guess.interval.low < 200.0, "errors partly cancel: {guess:?}");
}

#[test]
fn a_formula_uses_what_the_calls_before_it_declare_to_leave_behind() {
    let text = "catalogue: 1\ncommands:\n  move_stage:\n    summary: Moves.\n    parameters:\n      \
        position: {type: number, unit: mm}\n    implementation: lab:move_stage\n    \
        estimate: abs(position - state.stage)\n    effect: {stage: position}\n  look:\n    summary: Looks.\n    \
        implementation: lab:look\n    estimate: 1\n    effect: {}\n  tinker:\n    summary: Tinkers.\n    \
        implementation: lab:tinker\n    estimate: 1\n";
    let (catalogue, findings) = crate::catalogue::Catalogue::check(&[("lab.yaml".into(), text.to_owned())]);
    assert_eq!(findings, []);
    let call = |command: &str, parameters: Value| beamq_machines::CommandCall {
        command: command.into(),
        parameters: parameters.as_object().cloned().unwrap_or_default(),
    };
    let moved = |position: f64| call("move_stage", json!({"position": position}));
    let known = [moved(10.0), call("look", json!({})), moved(40.0)];
    let plan = plan_of_calls(&known, &catalogue, &Memory::default(), 0);
    let lengths: Vec<f64> = plan.entries.iter().map(|entry| entry.dt_s).collect();
    assert_eq!(lengths, [0.0, 1.0, 30.0]);
    assert!(plan.at_least, "where the stage was at first nobody knows");
    let unknown = [moved(10.0), call("tinker", json!({})), moved(40.0)];
    let plan = plan_of_calls(&unknown, &catalogue, &Memory::default(), 0);
    let lengths: Vec<f64> = plan.entries.iter().map(|entry| entry.dt_s).collect();
    assert_eq!(lengths, [0.0, 1.0, 0.0], "what may change anything leaves nothing known");
}

#[test]
fn authors_write_estimates_into_cells_and_steps() {
    let cells = "# %% Cool [beamq] estimate=\"10 min\" pause=true\nx = '''\n# %% not a cell [beamq] estimate=9h\n'''\n\
                 # %% Measure [beamq] estimate=2h\n# %% [markdown]\n# text\n    # %% inside\n";
    assert_eq!(cell_estimates(cells), [Some(600.0), Some(7200.0)]);
    let (guess, left_out) = author_estimate(cells).unwrap();
    assert_eq!((guess.interval.expected, guess.source, left_out), (7800.0, EstimateSource::Author, false));
    let unquoted =
        "# %% Angle [deg] [beamq] estimate=30 min pause=true\n# %% B [beamq] pause=true estimate=1.5 h\n";
    assert_eq!(cell_estimates(unquoted), [Some(1800.0), Some(5400.0)]);
    let partly = "# %% A [beamq] estimate=90s\n# %% B\n";
    assert!(author_estimate(partly).unwrap().1);
    let steps = "with beamq.step(\"a\", estimate=90):\n    for n in x:\n        with step('b', estimate=5): pass\n\
                 step('c',\n  estimate='2 min')\n";
    assert_eq!(author_estimate(steps).unwrap().0.interval.expected, 210.0);
    assert_eq!(author_estimate("print('no word about it')"), None);
}

#[test]
fn reading_a_script_that_is_nested_without_end_costs_no_stack() {
    let deep = format!("step{}{}", "(".repeat(200_000), ")".repeat(200_000));
    assert_eq!(author_estimate(&deep), None);
}

fn entry(t0_s: f64, dt_s: f64, line: u32, command: Option<(&str, u32)>) -> Entry {
    let (command, call) = command.unzip();
    Entry { t0_s, dt_s, line: Some(line), command: command.map(str::to_owned), call }
}

/// A begin of 1 s, a sleep of 9 s, two waits of 45 s each.
fn plan() -> Plan {
    Plan {
        entries: vec![
            entry(0.0, 1.0, 1, Some(("begin", 0))),
            entry(1.0, 9.0, 2, None),
            entry(10.0, 45.0, 3, Some(("waitfor_uamps", 0))),
            entry(55.0, 45.0, 4, Some(("waitfor_uamps", 1))),
        ],
        ..Plan::default()
    }
}

#[test]
fn what_is_left_follows_the_command_and_the_line_that_run() {
    let plan = plan();
    let mut at = Position::default();
    assert_eq!((at.left_s(&plan, 0.0), at.part(&plan, 0.0)), (100.0, Some(0.0)));
    at.command_began(&plan, "begin", 0, 0.0);
    at.command_ended(&plan, 2.0);
    assert_eq!((at.left_s(&plan, 2.0), at.part(&plan, 2.0)), (99.0, Some(0.01)));
    at.at_line(&plan, 2, 2.0);
    assert_eq!(at.left_s(&plan, 5.0), 96.0);
    at.command_began(&plan, "waitfor_uamps", 0, 11.0);
    assert_eq!((at.left_s(&plan, 11.0), at.part(&plan, 11.0)), (90.0, Some(0.1)));
    // The second wait began without a word about the end of the first.
    at.command_began(&plan, "waitfor_uamps", 1, 60.0);
    assert_eq!(at.left_s(&plan, 70.0), 35.0);
    at.command_ended(&plan, 105.0);
    assert_eq!((at.left_s(&plan, 105.0), at.part(&plan, 105.0)), (0.0, Some(1.0)));
}

#[test]
fn a_wait_that_tells_its_counts_is_measured() {
    let plan = plan();
    let mut at = Position::default();
    at.command_began(&plan, "waitfor_uamps", 0, 10.0);
    at.waits("0.0 of 10 µA·h", 10.0);
    assert_eq!(at.left_of_entry_s(&plan, 10.0), 45.0, "one reading is no rate");
    at.waits("1.0 of 10 µA·h", 20.0);
    // At half the planned rate: 0.1 a second.
    assert!((at.left_of_entry_s(&plan, 20.0) - 90.0).abs() < 1e-9);
    assert!((at.left_of_entry_s(&plan, 25.0) - 85.0).abs() < 1e-9, "time goes on between readings");
    at.waits("1.0 of 10 µA·h, the beam is off", 40.0);
    assert!(at.left_of_entry_s(&plan, 40.0) > 200.0, "a rate that falls is noticed");
    let mut at = Position::default();
    at.waits("60 of 60 s", 0.0);
    at.waits("50 of 60 s", 5.0);
    assert!((at.left_of_entry_s(&plan, 5.0) - 25.0).abs() < 1e-9, "what falls is what is left");
    let mut at = Position::default();
    at.waits("Theta at 12 of 45 deg, 20 s left", 0.0);
    at.waits("Theta at 20 of 45 deg, 12 s left", 8.0);
    assert!((at.left_of_entry_s(&plan, 8.0) - 12.0).abs() < 1e-9);
}

#[test]
fn a_script_that_takes_another_way_is_followed_as_well_as_can_be() {
    let plan = plan();
    let mut at = Position::default();
    at.command_began(&plan, "nobody_planned_this", 0, 3.0);
    assert_eq!(at.left_s(&plan, 3.0), 99.0 + 3.0 * 0.02);
    at.command_ended(&plan, 4.0);
    at.command_began(&plan, "waitfor_uamps", 7, 50.0);
    assert_eq!(at.left_s(&plan, 50.0), 90.0, "the next call of that command");
    assert_eq!(Position::default().part(&Plan::default(), 3.0), None);
}

proptest! {
    #[test]
    fn quantiles_lie_within_the_values_and_rise(values in prop::collection::vec((-1e6..1e6f64, 0.0..5.0f64), 1..50)) {
        let values: Vec<_> = values.into_iter().map(|(value, weight)| Weighted { value, weight }).collect();
        let values = sorted(values);
        let quantiles: Vec<_> = (0..=10).filter_map(|n| quantile(&values, f64::from(n) / 10.0)).collect();
        prop_assert!(quantiles.is_sorted());
        for q in quantiles {
            prop_assert!(values.first().unwrap().value <= q && q <= values.last().unwrap().value);
        }
    }

    #[test]
    fn an_estimate_is_an_interval_of_finite_numbers(
        samples in prop::collection::vec((0.0..1e7f64, prop::option::of(0.0..1e7f64), -100.0..100.0f64), 0..40),
        computed in prop::option::of(0.0..1e7f64),
    ) {
        let mut memory = Memory::default();
        for (active_s, predicted_s, value) in samples {
            memory.remember_call("c", sample(active_s, predicted_s, json!({"value": value})));
        }
        let computed = computed.and_then(formula);
        if let Some(guess) = memory.call("c", &arguments(json!({"value": 1.0})), computed, NOW) {
            let Interval { low, expected, high } = guess.interval;
            prop_assert!(0.0 <= low && low <= expected && expected <= high && high.is_finite(), "{:?}", guess);
        } else {
            prop_assert!(computed.is_none());
        }
    }

    #[test]
    fn nothing_that_a_wait_says_makes_the_rest_negative(texts in prop::collection::vec(".{0,40}|[0-9]{1,3}(\\.[0-9])? of [0-9]{1,3} s", 0..10)) {
        let plan = plan();
        let mut at = Position::default();
        for (text, n) in texts.iter().zip(0u32..) {
            let now = f64::from(n) * 3.0;
            at.waits(text, now);
            prop_assert!(at.left_s(&plan, now) >= 0.0);
            let part = at.part(&plan, now).unwrap();
            prop_assert!((0.0..=1.0).contains(&part));
        }
    }
}
