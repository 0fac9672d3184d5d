//! From what the child told to the report.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    DurationSource, InstrumentState, LookedAt, Passage, Simulated,
    message::{Call, End, MOST_FINDINGS, Remark, Told, Wait},
};
use crate::{
    catalogue::{Diagnostic, Place, Source},
    dryrun::final_word::{self, FinalWord},
    protocol::view::{
        DeviceRange, DryRunReport, EstimateSource, Finding, Seconds, Severity, TimelineEntry, Totals,
    },
};

/// No timeline is longer.
const MOST_ENTRIES: usize = 20_000;
/// A wait outside of commands is on the timeline from this length, in seconds.
const WORTH_SHOWING: f64 = 1.0;
/// How much shorter and longer than predicted a call may well be, as long as no earlier run is known.
const SIMULATED_SPREAD: (f64, f64) = (0.9, 1.2);
const FORMULA_SPREAD: (f64, f64) = (0.8, 1.4);

/// What the child has told so far.
#[derive(Debug)]
pub(super) struct Account<'a> {
    source: Arc<Source>,
    history: &'a dyn DurationSource,
    syntax: Option<Remark>,
    remarks: Vec<Remark>,
    told: Vec<Told>,
    timeline: Vec<TimelineEntry>,
    passages: Vec<Passage>,
    calls: BTreeMap<String, u32>,
    low: f64,
    high: f64,
    /// By how much the history moves everything that follows, in seconds.
    shift: f64,
    /// Up to where the child has told what its time was spent with.
    told_until: f64,
    unknown: bool,
    end: Option<End>,
}

impl<'a> Account<'a> {
    pub(super) fn new(source: Arc<Source>, history: &'a dyn DurationSource) -> Self {
        Self {
            source,
            history,
            syntax: None,
            remarks: Vec::new(),
            told: Vec::new(),
            timeline: Vec::new(),
            passages: Vec::new(),
            calls: BTreeMap::new(),
            low: 0.0,
            high: 0.0,
            shift: 0.0,
            told_until: 0.0,
            unknown: false,
            end: None,
        }
    }

    pub(super) fn syntax(&mut self, remark: Remark) {
        self.syntax = Some(remark);
    }

    pub(super) fn remark(&mut self, remark: Remark) {
        if self.remarks.len() < MOST_FINDINGS {
            self.remarks.push(remark);
        }
    }

    pub(super) fn finding(&mut self, told: Told) {
        if self.told.len() < MOST_FINDINGS {
            self.told.push(told);
        }
    }

    pub(super) fn ended(&mut self, end: End) {
        self.end = Some(end);
    }

    /// A command was called.
    pub(super) fn call(&mut self, call: Call) {
        let (t0_s, dt_s) = (time(call.t0_s), time(call.dt_s));
        let simulated = call.source == EstimateSource::Simulated;
        let better =
            if simulated { self.history.duration(&call.command, &call.arguments, Some(dt_s)) } else { None };
        let (expected, source) = better.map_or((dt_s, call.source), |it| (time(it.expected_s), it.source));
        let spread = if simulated { SIMULATED_SPREAD } else { FORMULA_SPREAD };
        let low = better.map(|it| it.low_s).or(call.low_s).unwrap_or(expected * spread.0);
        let high = better.map(|it| it.high_s).or(call.high_s).unwrap_or(expected * spread.1);
        self.unknown |= !call.known;
        let number = self.calls.entry(call.command.clone()).or_insert(0);
        let passage = Passage {
            t0_s: t0_s + self.shift,
            dt_s: expected,
            line: call.line,
            command: Some(call.command.clone()),
            call: Some(*number),
        };
        *number = number.saturating_add(1);
        self.enter(passage, time(low), time(high), t0_s + dt_s);
        self.show(TimelineEntry {
            t0_s: t0_s + self.shift,
            dt_s: expected,
            command: call.command,
            arguments: call.arguments,
            line: call.line,
            source: if call.known { source } else { EstimateSource::Unknown },
        });
        self.shift += expected - dt_s;
    }

    /// Time passed outside of commands.
    pub(super) fn wait(&mut self, wait: Wait) {
        let (t0_s, dt_s) = (time(wait.t0_s), time(wait.dt_s));
        let source = wait.source.unwrap_or(EstimateSource::Simulated);
        // The word of an author is worth as much as a formula; a wait for a time is as long as it is.
        let spread = if source == EstimateSource::Author { FORMULA_SPREAD } else { (1.0, 1.0) };
        let passage = Passage { t0_s: t0_s + self.shift, dt_s, line: wait.line, command: None, call: None };
        self.enter(passage, dt_s * spread.0, dt_s * spread.1, t0_s + dt_s);
        if dt_s < WORTH_SHOWING {
            return;
        }
        let mut arguments = Map::new();
        if let Some(name) = wait.name {
            arguments.insert("name".into(), name.into());
        }
        if wait.times > 1 {
            arguments.insert("times".into(), wait.times.into());
        }
        self.show(TimelineEntry {
            t0_s: t0_s + self.shift,
            dt_s,
            command: wait.what,
            arguments,
            line: wait.line,
            source,
        });
    }

    fn enter(&mut self, passage: Passage, low: f64, high: f64, until: f64) {
        self.low += low;
        self.high += high;
        self.told_until = self.told_until.max(until);
        if passage.dt_s > 0.0 && self.passages.len() < MOST_ENTRIES {
            self.passages.push(passage);
        }
    }

    fn show(&mut self, entry: TimelineEntry) {
        if self.timeline.len() < MOST_ENTRIES {
            self.timeline.push(entry);
        }
    }

    /// The report. `found` is what reading the script has found; `start` is the instrument when nothing
    /// else is known of its end.
    pub(super) fn close(mut self, mut found: Vec<Diagnostic>, start: InstrumentState) -> Simulated {
        let remarks = std::mem::take(&mut self.remarks);
        let word = FinalWord {
            error: self.syntax.take().map(final_word::Remark::from),
            warnings: remarks.into_iter().map(final_word::Remark::from).collect(),
        };
        // Without a child there is no word of the interpreter, and ours stands.
        if self.end.is_some() {
            word.settle(&self.source, &mut found);
        }
        let mut findings: Vec<(Finding, Diagnostic)> = found
            .into_iter()
            .map(|diagnostic| (Finding { file: None, ..diagnostic.finding() }, diagnostic))
            .collect();
        for told in std::mem::take(&mut self.told) {
            if !known_already(&findings, &told) {
                findings.push(self.of_told(told));
            }
        }
        findings.sort_by_key(|(finding, _)| finding.line);
        let report = self.report(findings.iter().map(|(finding, _)| finding.clone()).collect());
        let looked_at = self.end.as_ref().map(|end| LookedAt { job: end.used_job, date: end.used_date });
        let end = match self.end.and_then(|end| end.state) {
            Some(state) => InstrumentState(state),
            None => start,
        };
        let looked_at = looked_at.unwrap_or(LookedAt::UNKNOWN);
        let diagnostics = findings.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        Simulated { report, end, passages: self.passages, diagnostics, looked_at }
    }

    fn of_told(&self, told: Told) -> (Finding, Diagnostic) {
        let line = told.line.unwrap_or(1);
        let text = self.source.line(line);
        let first = text.chars().take_while(|c| c.is_whitespace()).count();
        let start = self.source.place_of(line, u32::try_from(first + 1).unwrap_or(1));
        let end = start + text.trim().len();
        let diagnostic = Diagnostic {
            severity: told.severity,
            code: known_code(&told.code),
            message: told.message.clone(),
            place: Place { source: Arc::clone(&self.source), range: start..end, label: String::new() },
            related: None,
            command: told.command.clone(),
            parameter: told.parameter.clone(),
            help: told.hint.clone().into_iter().collect(),
        };
        let finding = Finding {
            severity: told.severity,
            code: diagnostic.code.to_owned(),
            file: None,
            line: told.line,
            column: None,
            command: told.command,
            parameter: told.parameter,
            message: told.message,
            hint: told.hint,
        };
        (finding, diagnostic)
    }

    fn report(&self, findings: Vec<Finding>) -> DryRunReport {
        let ok = findings.iter().all(|finding| finding.severity != Severity::Error);
        let end = self.end.as_ref();
        let ran = end.is_some() || !self.timeline.is_empty();
        // What was not told one by one, because it was too much, is in the total.
        let total = end.and_then(|end| end.t_s).map_or(self.told_until, time).max(self.told_until);
        let rest = total - self.told_until;
        let seconds = Seconds {
            low: ran.then_some(self.low + rest),
            expected: ran.then_some(total + self.shift),
            high: ran.then_some(self.high + rest),
            at_least: self.unknown || end.is_none_or(|end| end.at_least),
        };
        let amounts = end.into_iter().flat_map(|end| &end.amounts);
        let counters = amounts
            .filter(|(_, amount)| amount.value.is_finite())
            .map(|(name, amount)| {
                let mut value = json!({"value": amount.value, "kind": amount.kind});
                if let (Some(members), Some(unit)) = (value.as_object_mut(), &amount.unit) {
                    members.insert("unit".into(), Value::from(unit.clone()));
                }
                (name.clone(), value)
            })
            .collect();
        let devices = end.into_iter().flat_map(|end| &end.devices);
        DryRunReport {
            ok,
            findings,
            timeline: self.timeline.clone(),
            totals: Totals { seconds, counters },
            devices: devices
                .map(|device| DeviceRange {
                    name: device.name.clone(),
                    unit: device.unit.clone(),
                    start: device.start,
                    min: device.min,
                    max: device.max,
                    end: device.end,
                    limit_hit: device.limit_hit,
                })
                .collect(),
            unreached_lines: end.map(|end| end.unreached.clone()).unwrap_or_default(),
            truncated: end.is_none_or(|end| end.truncated).then_some(true),
        }
    }
}

/// Whether reading the script has found the same: then it is told with a better place.
fn known_already(findings: &[(Finding, Diagnostic)], told: &Told) -> bool {
    findings.iter().any(|(known, _)| {
        let same_line = known.line == told.line;
        let both_errors = known.severity == Severity::Error && told.severity == Severity::Error;
        same_line && (both_errors || known.code == told.code)
    })
}

/// A number of seconds from outside.
fn time(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }
}

/// The kinds of findings that a simulation makes.
pub const CODES: [&str; 24] = [
    "bad_hook",
    "bad_value",
    "command_error",
    "command_refused",
    "confinement",
    "crashed",
    "denied_call",
    "denied_network",
    "denied_process",
    "denied_write",
    "endless",
    "ended_early",
    "ends_early",
    "hardware_import",
    "missing_parameter",
    "not_simulated",
    "question_without_default",
    "script_error",
    "script_exit",
    "too_long",
    "too_much_memory",
    "unknown_parameter",
    "waits_forever",
    "unbelievable",
];

/// A code as it stands in the documentation, whatever the child calls it.
fn known_code(told: &str) -> &'static str {
    CODES.iter().find(|code| **code == told).copied().unwrap_or("unbelievable")
}

impl From<Remark> for final_word::Remark {
    fn from(remark: Remark) -> Self {
        Self { message: remark.message, line: remark.line, column: remark.column }
    }
}
