//! Journals outlive the program that wrote them: the facts of format 1 still replay to the same state.
//!
//! `journal-v1.jsonl` was written once and is never changed. `BEAMQ_BLESS=1` rewrites only what is
//! expected of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{collections::BTreeSet, path::PathBuf};

use beamq_machines::{
    Policy, Timestamp,
    core::{Core, Fact},
};
use serde::Deserialize;

const JOURNAL: &str = include_str!("fixtures/journal-v1.jsonl");

#[derive(Deserialize)]
struct Line {
    at: Timestamp,
    fact: Fact,
}

fn lines() -> Vec<Line> {
    JOURNAL
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn compare(name: &str, actual: &str) {
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        std::fs::write(fixture(name), actual).unwrap();
    }
    let expected = std::fs::read_to_string(fixture(name)).unwrap_or_default();
    assert_eq!(expected, actual, "{name} is what this journal has always led to");
}

/// The state in one line, after each fact: it also sees jobs that are over in the end.
fn in_short(core: &Core) -> String {
    let queue = core.queue();
    let jobs: Vec<_> = core.jobs().map(|job| format!("{}:{}", job.id, job.state().name())).collect();
    let order: Vec<_> = queue.order.iter().map(ToString::to_string).collect();
    let groups: Vec<_> = core
        .groups()
        .iter()
        .map(|(name, it)| format!("{name} {}/{} failed {}", it.ended, it.submitted, it.failed))
        .collect();
    format!(
        "{} rev {} order [{}] jobs [{}] groups [{}]",
        queue.state().name(),
        queue.revision,
        order.join(" "),
        jobs.join(" "),
        groups.join(", ")
    )
}

#[test]
fn the_first_journal_replays_to_the_state_it_has_always_led_to() {
    let mut core = Core::new(Policy::default());
    let mut states = String::new();
    for Line { at, fact } in lines() {
        core.replay(&fact, at).unwrap_or_else(|rejected| panic!("{fact:?}: {rejected:?}"));
        states.push_str(&in_short(&core));
        states.push('\n');
    }
    let snapshot: serde_json::Value = serde_json::from_str(&core.snapshot().unwrap()).unwrap();
    compare("journal-v1.states.txt", &states);
    compare("journal-v1.snapshot.json", &(serde_json::to_string_pretty(&snapshot).unwrap() + "\n"));
}

#[test]
fn the_first_snapshot_restores() {
    let snapshot = std::fs::read_to_string(fixture("journal-v1.snapshot.json")).unwrap();
    let restored = Core::restore(Policy::default(), &snapshot).unwrap();
    let mut replayed = Core::new(Policy::default());
    for Line { at, fact } in lines() {
        replayed.replay(&fact, at).unwrap();
    }
    assert!(restored.same_state(&replayed));
}

#[test]
fn facts_are_still_written_as_in_the_first_journal() {
    for line in JOURNAL.lines() {
        let Line { fact, .. } = serde_json::from_str(line).unwrap();
        let before: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_value(&fact).unwrap(), before["fact"], "{line}");
    }
}

#[test]
fn the_first_journal_has_every_fact() {
    let mut seen = BTreeSet::new();
    for Line { fact, .. } in lines() {
        seen.insert(match &fact {
            Fact::Submitted { .. } => "submitted".to_owned(),
            Fact::Job(_, event) => format!("job {}", <&'static str>::from(event)),
            Fact::Queue(event) => format!("queue {}", <&'static str>::from(event)),
        });
    }
    assert_eq!(seen.len(), 1 + 19 + 13, "missing among {seen:#?}");
}
