//! What goes into the journal and what comes out of it. Plain data.

use std::sync::Arc;

use serde_json::Value;

use crate::engine::OutputLine;

/// What one turn of the server wants stored, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Facts, numbered on from the last one without a gap.
    pub facts: Vec<FactRow>,
    /// Jobs whose history entry changed; a job that is known is replaced.
    pub jobs: Vec<JobRow>,
    /// Lines of output.
    pub output: Vec<OutputRow>,
    /// Events, for clients that resume.
    pub events: Vec<EventRow>,
    /// Who did what.
    pub audit: Vec<AuditRow>,
    /// How long jobs took that ended.
    pub job_durations: Vec<JobDurationRow>,
    /// How long calls of commands took.
    pub call_durations: Vec<CallDurationRow>,
}

impl Batch {
    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
            && self.jobs.is_empty()
            && self.output.is_empty()
            && self.events.is_empty()
            && self.audit.is_empty()
            && self.job_durations.is_empty()
            && self.call_durations.is_empty()
    }

    /// Whether it holds something that a crash must not take: then it is not to be appended lazily.
    #[must_use]
    pub fn needs_acknowledgement(&self) -> bool {
        !self.facts.is_empty() || !self.jobs.is_empty()
    }

    /// About how many bytes it holds, for limits on what waits in memory.
    pub(super) fn weight(&self) -> usize {
        let facts: usize = self.facts.iter().map(|fact| fact.json.len() + 32).sum();
        let jobs: usize = self
            .jobs
            .iter()
            .map(|job| job.json.len() + job.script.as_ref().map_or(0, |script| script.len()) + 128)
            .sum();
        let output: usize = self.output.iter().map(OutputRow::weight).sum();
        let events: usize = self.events.iter().map(|event| event.json.len() + 32).sum();
        let calls: usize = self.call_durations.iter().map(|call| call.arguments.len() + 128).sum();
        facts + jobs + output + events + calls + (self.audit.len() + self.job_durations.len()) * 256
    }
}

/// A fact: what happened, in the words of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactRow {
    /// Its number; the first fact of a new journal is 1.
    pub seq: u64,
    /// When it happened: milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// The fact.
    pub json: String,
}

/// A job as the history knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRow {
    /// The job's number.
    pub id: u64,
    /// Its state, in the words of the protocol.
    pub state: String,
    /// Who submitted it.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// The series it belongs to.
    pub group: Option<String>,
    /// When it was submitted: milliseconds since 1970 UTC.
    pub submitted_ms: i64,
    /// When it started.
    pub started_ms: Option<i64>,
    /// When it came to its final state; a job that has this is part of the history.
    pub finished_ms: Option<i64>,
    /// The message of its report, for searching.
    pub message: Option<String>,
    /// What clients are shown of it.
    pub json: String,
    /// The text it runs, for searching; `None` keeps the text that is stored.
    pub script: Option<Arc<str>>,
}

/// Lines that a job wrote, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct OutputRow {
    /// The job's number.
    pub job: u64,
    /// The lines.
    pub lines: Arc<Vec<OutputLine>>,
    /// How many lines of the job have been dropped so far.
    pub dropped: u64,
}

impl OutputRow {
    pub(super) fn weight(&self) -> usize {
        self.lines.iter().map(|line| line.text.len() + 64).sum()
    }
}

/// An event that clients were told.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its number, rising over the whole life of the journal.
    pub seq: u64,
    /// Its kind (`job`, `queue`, `output` …).
    pub kind: &'static str,
    /// When it was sent: milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// The event.
    pub json: Arc<str>,
}

/// An event that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// When it was sent: milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// The event.
    pub json: String,
}

/// Who did what, and what it changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditRow {
    /// When: milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// Who, or empty before a login.
    pub user: String,
    /// In which role.
    pub role: String,
    /// From where: the client's own words and its address.
    pub client: String,
    /// Over which transport.
    pub transport: String,
    /// What was asked.
    pub method: String,
    /// What came of it: `ok` or the kind of the error.
    pub outcome: String,
    /// What it was before.
    pub before: Option<Value>,
    /// What it is now.
    pub after: Option<Value>,
}

/// How long a job took, and how long it was expected to take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobDurationRow {
    /// The job's number.
    pub job: u64,
    /// Tells jobs that run the same from others.
    pub body: String,
    /// When its first line ran: milliseconds since 1970 UTC.
    pub started_ms: i64,
    /// Seconds from its first line to its end without pauses.
    pub active_s: f64,
    /// What the formulas or the simulation alone said before it started, in seconds.
    pub predicted_s: Option<f64>,
    /// Whether it came to its own end: only then its duration says how long the next one takes.
    pub complete: bool,
}

/// How long a call of a command took, and how long it was expected to take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallDurationRow {
    /// The number of the job that made the call.
    pub job: u64,
    /// The command.
    pub command: String,
    /// Its arguments by name, a JSON object.
    pub arguments: String,
    /// The line of the script.
    pub line: Option<u32>,
    /// When it began: milliseconds since 1970 UTC.
    pub started_ms: i64,
    /// How long it took without pauses, in seconds.
    pub active_s: f64,
    /// What the formula or the simulation alone said before the job started, in seconds.
    pub predicted_s: Option<f64>,
}

/// The durations that are kept, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// Of jobs that came to their own end.
    pub jobs: Vec<JobDurationRow>,
    /// Of calls.
    pub calls: Vec<CallDurationRow>,
}

/// What a journal held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The newest snapshot: the number of the last fact that it covers, and its text.
    pub snapshot: Option<(u64, String)>,
    /// The facts after the snapshot: number, time in milliseconds since 1970 UTC, text.
    pub facts: Vec<(u64, i64, String)>,
    /// The number of the last fact ever committed; the next one has this plus one.
    pub last_fact_seq: u64,
    /// A number that no event had that was ever sent exceeds.
    pub last_event_seq: u64,
    /// Whether the last server closed the journal in good order. True for a new journal.
    pub clean_shutdown: bool,
}

/// Which jobs of the history are wanted. Newest (highest number) first.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// These states; when empty, every job that has come to its end.
    pub state: Vec<String>,
    /// This owner.
    pub owner: Option<String>,
    /// A text that name, labels, script or report message contain, in any case of letters.
    pub text: Option<String>,
    /// Finished (or, while unfinished, submitted) at this time or later: milliseconds since 1970 UTC.
    pub since_ms: Option<i64>,
    /// Finished (or, while unfinished, submitted) at this time or earlier.
    pub until_ms: Option<i64>,
    /// Only jobs with a smaller number, to go on where the last answer ended.
    pub before: Option<u64>,
    /// At most this many jobs.
    pub limit: usize,
}

/// A page of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// What clients are shown of each job.
    pub jobs: Vec<String>,
    /// Whether older ones match too.
    pub more: bool,
}

/// A part of a job's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputPage {
    /// The lines.
    pub lines: Vec<OutputLine>,
    /// The number to ask for next.
    pub next: u64,
    /// How many lines of the job were dropped.
    pub dropped: u64,
}

/// How much output of a job is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputSize {
    /// Lines that are kept.
    pub lines: u64,
    /// Their text in bytes.
    pub bytes: u64,
    /// Lines that were dropped.
    pub dropped: u64,
}

/// Which entries of the audit are wanted. Newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// At this time or later: milliseconds since 1970 UTC.
    pub since_ms: Option<i64>,
    /// At this time or earlier.
    pub until_ms: Option<i64>,
    /// Of this user.
    pub user: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// What a clean-up deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Jobs, with their output.
    pub jobs: u64,
    /// Events.
    pub events: u64,
    /// Entries of the audit.
    pub audit: u64,
}

/// A job of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredJob {
    /// What [`JobRow::json`] was.
    pub json: String,
    /// Its script, if it had one.
    pub script: Option<String>,
}
