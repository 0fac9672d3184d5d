//! What only the proxy dialect needs to remember.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, OnceLock},
};

use beamq_machines::{JobBody, JobId, JobSpec, Report, Timestamp, core::Actor, job::JobMachine};
use tokio::time::Instant;

use crate::{
    catalogue::python,
    engine::{OutputLine, OutputStream},
    protocol::proxy::{LEVEL_ERROR, LEVEL_INFO, LEVEL_WARNING, LogMessage, ScriptRequest, StatusCode},
};

/// The name of a script that was queued without one, which every job needs to have.
pub(super) const UNNAMED: &str = "(unnamed)";

/// The most bytes of messages that are kept in memory.
const KEPT_BYTES: usize = 8 << 20;
/// The most messages that are kept in memory.
const KEPT_MESSAGES: usize = 20_000;
/// With more lines than this at once, neighbours share a message, so that a flood of lines is no flood of
/// messages.
const LINES_ONE_BY_ONE: usize = 200;
/// The most lines that share a message.
const LINES_TOGETHER: usize = 100;

/// A script as the dialect shows it, written as JSON once, when somebody first asks.
pub(super) struct RequestText {
    id: JobId,
    owner: String,
    spec: Arc<JobSpec>,
    text: OnceLock<Arc<str>>,
}

impl RequestText {
    fn new(machine: &JobMachine) -> Self {
        Self {
            id: machine.id,
            owner: machine.owner.clone(),
            spec: Arc::clone(&machine.spec),
            text: OnceLock::new(),
        }
    }

    /// The request as JSON.
    pub(super) fn json(&self) -> Arc<str> {
        Arc::clone(self.text.get_or_init(|| {
            let script = script_of(&self.spec);
            ScriptRequest {
                reqid: self.id.to_string(),
                name: Some(self.spec.name.as_str()).filter(|name| *name != UNNAMED),
                script: &with_line_end(script),
                user: &self.owner,
            }
            .encode()
        }))
    }
}

/// The text of a job, also of one that is made of command calls.
pub(super) fn script_of(spec: &JobSpec) -> Arc<str> {
    match &spec.body {
        JobBody::Script { source, .. } => Arc::clone(source),
        JobBody::Commands(calls) => python::source_of_calls(calls).into(),
    }
}

/// A script of several lines ends with a line break, one of a single line need not.
pub(super) fn with_line_end(script: Arc<str>) -> Arc<str> {
    if script.contains('\n') && !script.ends_with('\n') { format!("{script}\n").into() } else { script }
}

/// The script that runs, or ran last.
#[derive(Default)]
pub(super) struct LastScript {
    pub(super) spec: Option<Arc<JobSpec>>,
    pub(super) failed: bool,
}

/// Something that was said.
#[derive(Clone)]
pub(super) enum Said {
    /// Lines of output.
    Lines(JobId, Arc<Vec<OutputLine>>),
    /// How a script ended badly, and the errors in commands that it went on after.
    Ended { job: JobId, time_ms: i64, report: Arc<Report>, aborted: bool },
}

impl Said {
    /// How many messages it is.
    fn count(&self) -> usize {
        match self {
            Self::Lines(_, lines) => groups(lines).count(),
            Self::Ended { report, aborted, .. } => {
                report.command_errors.len() + usize::from(*aborted || !report.error_type.is_empty())
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Lines(_, lines) => lines.iter().map(|line| line.text.len() + 64).sum(),
            Self::Ended { report, .. } => {
                let locals = report.traceback.iter().flat_map(|frame| &frame.locals);
                let locals: usize = locals.map(|local| local.value.len() + 64).sum();
                report.message.len() + 64 * (report.traceback.len() + 1) + locals
            }
        }
    }

    /// Writes each message as JSON.
    pub(super) fn messages(&self) -> Vec<Arc<str>> {
        match self {
            Self::Lines(job, lines) => line_messages(*job, lines),
            Self::Ended { job, time_ms, report, aborted } => end_messages(*job, *time_ms, report, *aborted),
        }
    }
}

fn level_of(stream: OutputStream) -> u8 {
    match stream {
        OutputStream::Stdout | OutputStream::Note => LEVEL_INFO,
        OutputStream::Stderr => LEVEL_WARNING,
    }
}

fn written(message: &LogMessage<'_>) -> Arc<str> {
    // A message is made of texts and numbers, which can always be written.
    crate::protocol::proxy::written(message).into()
}

/// The lines that make up a message each.
fn groups(lines: &[OutputLine]) -> impl Iterator<Item = &[OutputLine]> {
    let together = if lines.len() > LINES_ONE_BY_ONE { LINES_TOGETHER } else { 1 };
    let of_one_stream = lines.chunk_by(|one, next| one.stream == next.stream);
    of_one_stream.flat_map(move |lines| lines.chunks(together))
}

fn line_messages(job: JobId, lines: &[OutputLine]) -> Vec<Arc<str>> {
    let message = |group: &[OutputLine]| {
        let first = group.first()?;
        let texts: Vec<_> = group.iter().map(|line| line.text.as_str()).collect();
        Some(written(&LogMessage {
            time_ms: first.time_ms,
            level: level_of(first.stream),
            text: &texts.join("\n"),
            traceback: None,
            reqid: job.to_string(),
        }))
    };
    groups(lines).filter_map(message).collect()
}

fn end_messages(job: JobId, time_ms: i64, report: &Report, aborted: bool) -> Vec<Arc<str>> {
    let say = |level, text: &str, traceback: Option<&str>| {
        written(&LogMessage { time_ms, level, text, traceback, reqid: job.to_string() })
    };
    let mut messages: Vec<_> = report
        .command_errors
        .iter()
        .map(|error| say(LEVEL_ERROR, &format!("{} - {}", error.command, error.message), None))
        .collect();
    if aborted {
        messages.push(say(LEVEL_WARNING, &format!("Script stopped: {}", report.message), None));
    } else if !report.error_type.is_empty() {
        let frames = report.traceback.iter().map(|frame| {
            // In the manner of NICOS.
            let mut locals: String = frame
                .locals
                .iter()
                .map(|local| format!("        {:<20} = {}\n", local.name, local.value))
                .collect();
            if !locals.is_empty() {
                locals.push('\n');
            }
            format!(
                "  File \"{}\", line {}, in {}\n    {}\n{locals}",
                frame.file,
                frame.line,
                frame.function,
                frame.text.trim()
            )
        });
        let traceback = format!(
            "Traceback (most recent call last):\n{}{}: {}\n",
            frames.collect::<String>(),
            report.error_type,
            report.message
        );
        let text = format!("{} - {}", report.error_type, report.message);
        messages.push(say(LEVEL_ERROR, &text, Some(&traceback)));
    }
    messages
}

/// The queue is to be released when this job has ended: it was stopped in the way of NICOS, whose queue
/// goes on with what is queued afterwards.
pub(super) struct ReleaseAfter {
    pub(super) job: JobId,
    pub(super) actor: Actor,
    pub(super) session: beamq_machines::SessionId,
}

/// A client has answered a question of the script.
pub(super) struct Answered {
    pub(super) session: beamq_machines::SessionId,
    pub(super) at: Instant,
}

/// What only this dialect needs to remember.
#[derive(Default)]
pub(in crate::server) struct ProxyDesk {
    requests: BTreeMap<JobId, Arc<RequestText>>,
    said: VecDeque<Said>,
    said_count: usize,
    said_bytes: usize,
    pub(super) last: LastScript,
    pub(super) release_after: Option<ReleaseAfter>,
    /// The last answer to a question, as long as the `continue` that belongs to it may still come.
    pub(super) answered: Option<Answered>,
    pub(super) status_told: Option<(StatusCode, i64)>,
    /// When the running script is expected to end, as it was told last.
    pub(super) eta: Option<Timestamp>,
    pub(super) status_told_at: Option<Instant>,
    /// When a change of the line has to be told that came too soon after the last one.
    pub(in crate::server) status_due: Option<Instant>,
}

impl ProxyDesk {
    /// The request of a job, made when it is first asked for and as long as its description stays.
    pub(super) fn request(&mut self, machine: &JobMachine) -> Arc<RequestText> {
        let known = self.requests.get(&machine.id).filter(|known| Arc::ptr_eq(&known.spec, &machine.spec));
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let request = Arc::new(RequestText::new(machine));
        self.requests.insert(machine.id, Arc::clone(&request));
        request
    }

    /// The job is not on the queue any more.
    pub(super) fn forget(&mut self, job: JobId) {
        self.requests.remove(&job);
    }

    /// Keeps what was said, and lets the oldest go.
    pub(super) fn remember(&mut self, said: Said) {
        // A script that ended well says nothing.
        if said.count() == 0 {
            return;
        }
        self.said_count += said.count();
        self.said_bytes += said.bytes();
        self.said.push_back(said);
        while self.said_count > KEPT_MESSAGES || self.said_bytes > KEPT_BYTES {
            let Some(oldest) = self.said.pop_front() else { break };
            self.said_count -= oldest.count();
            self.said_bytes -= oldest.bytes();
        }
    }

    /// The last things said, oldest first: at least `n` messages of them, where there are so many.
    pub(super) fn recent(&self, n: Option<usize>) -> Vec<Said> {
        let mut count = 0;
        let enough = |said: &&Said| {
            let wanted = n.is_none_or(|n| count < n);
            count += said.count();
            wanted
        };
        let mut recent: Vec<_> = self.said.iter().rev().take_while(enough).cloned().collect();
        recent.reverse();
        recent
    }
}
