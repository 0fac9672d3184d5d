//! What NICOS tells of our script: that it begins, what it writes and asks, when it may end.

use beamq_machines::Report;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Run;
use crate::engine::{
    EngineEvent, OutputStream,
    nicos::{
        cells::Cells,
        message::{ACTION, Message},
        orders::ALONE,
        question::Open,
        traceback,
    },
};

/// More errors of commands than these are counted by nobody.
const MOST_ERRORS: usize = 100;
/// The state of NICOS's dry run of the running script in which it has told how long everything takes.
const SIMULATED: u8 = 3;
/// What NICOS remarks on orders, before the account that gave them.
const REMARKS: [&str; 5] = [
    "Pause requested by ",
    "Script paused by ",
    "Script continued by ",
    "Script stopped by ",
    "Early finish requested by ",
];

impl Run {
    /// The script begins. NICOS says so again when it is changed while it runs.
    pub(in crate::engine::nicos) fn begins(&mut self) -> Option<EngineEvent> {
        if self.begun.is_some() {
            return None;
        }
        self.begun = Some(Instant::now());
        Some(EngineEvent::Started(self.job()))
    }

    /// NICOS tells our script, because it begins or because somebody has changed it there. What runs counts: reports
    /// quote its lines.
    pub(in crate::engine::nicos) fn is_told(&mut self, request: &Value) {
        let Some(script) = request.get("script").and_then(Value::as_str) else { return };
        if script.trim_end_matches('\n') == self.start.source.trim_end_matches('\n') {
            return;
        }
        let by = request.get("user").and_then(Value::as_str).unwrap_or("somebody");
        self.record
            .take_note(&format!("{by} has changed the script in NICOS: this is not what was submitted"));
        if !self.start.black_box {
            self.cells = Cells::of(script);
        }
        self.start.source = script.into();
    }

    /// A message of the script.
    pub(in crate::engine::nicos) fn message(&mut self, message: Message) {
        if message.level == ACTION {
            self.action = Some(message.text.trim().to_owned()).filter(|text| !text.is_empty());
            return;
        }
        // Both tell of what was written just after a reconnection.
        if message.time <= self.known_until {
            return;
        }
        self.messages += 1;
        self.release();
        if message.is_error() && message.traceback.is_some() {
            self.held = Some((Message { traceback: None, ..message.clone() }, Instant::now()));
        } else {
            self.write(&message);
        }
        let stopped = ["Script stopped by ", "Immediate stop requested by "];
        if let Some(by) = stopped.iter().find_map(|remark| message.text.strip_prefix(remark)) {
            self.stopped_by = Some(by.trim_end().to_owned());
        }
        if message.is_error() {
            // The last one may be the reason for the end.
            if self.errors.len() > MOST_ERRORS {
                self.errors.pop();
            }
            // Only the last one is shown with its traceback.
            if let Some((before, _)) = self.errors.last_mut() {
                before.traceback = None;
            }
            self.errors.push((message.kept(), self.line));
        }
    }

    fn write(&mut self, message: &Message) {
        if let Some((stream, lines)) = message.lines().filter(|_| !self.is_about_us(&message.text)) {
            for line in lines {
                self.record.take_at(message.time_ms(), stream, line);
            }
        }
    }

    /// The script goes on after an error.
    pub(super) fn release(&mut self) {
        if let Some((message, _)) = self.held.take() {
            self.write(&message);
        }
    }

    /// Tells whatever the script has written so far.
    pub(in crate::engine::nicos) async fn tell_written(&mut self) {
        self.release();
        self.record.flush().await;
    }

    /// Writes the error that ended the script as the python engine does, where NICOS's traceback allows it.
    pub(super) fn write_last_word(&mut self, report: &Report) {
        let Some((message, _)) = self.held.take_if(|_| !report.traceback.is_empty()) else { return };
        for line in traceback::written(report) {
            self.record.take_at(message.time_ms(), OutputStream::Stderr, line);
        }
    }

    /// Whether NICOS remarks that we gave it an order, which our clients know from us.
    fn is_about_us(&self, text: &str) -> bool {
        let text = text.trim_end();
        REMARKS
            .iter()
            .filter_map(|remark| text.strip_prefix(remark))
            .any(|who| who == self.account || who == ALONE)
    }

    /// All messages that NICOS kept, of which some have come before.
    pub(in crate::engine::nicos) fn messages_so_far(&mut self, messages: &[Value]) {
        let ours = messages.iter().filter_map(Message::read);
        let ours = ours.filter(|message| message.level != ACTION && self.is(message.request.as_deref()));
        let missed: Vec<Message> = ours.skip(self.messages).collect();
        let until = missed.last().map(|message| message.time);
        for message in missed {
            self.message(message);
        }
        self.known_until = until.unwrap_or(self.known_until);
    }

    /// A question of the script.
    pub(in crate::engine::nicos) fn asks(&mut self, prompt: &Value) -> Option<EngineEvent> {
        let open = Open::read(prompt, self.questions + 1)?;
        let same = |known: &Open| known.id == open.id;
        // NICOS repeats what is not answered.
        if self.question.as_ref().is_some_and(same)
            || self.answer.as_ref().is_some_and(|(_, known)| same(known))
        {
            return None;
        }
        self.ask(open)
    }

    pub(super) fn ask(&mut self, open: Open) -> Option<EngineEvent> {
        self.strange_since = None;
        self.questions = open.question.number;
        self.question = Some(open);
        self.question.as_ref().map(|open| open.told(self.job()))
    }

    /// A question was settled, here or by another client of NICOS.
    pub(in crate::engine::nicos) fn question_settled(&mut self, id: &str) -> Option<EngineEvent> {
        self.question.take_if(|open| open.id == id)?;
        Some(EngineEvent::AskedNoMore(self.job()))
    }

    /// When a dry run beside the script says that it ends: a state, and seconds since 1970 UTC. NICOS says it at
    /// every statement of the script that is at the margin.
    pub(in crate::engine::nicos) fn may_end(&self, eta: &Value) -> EngineEvent {
        let end = eta.get(1).and_then(Value::as_f64).filter(|end| *end > 0.0);
        let end = end.filter(|_| eta.get(0) == Some(&json!(SIMULATED)));
        #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is as good as its end")]
        let end = end.map(|end| (end * 1000.0) as i64);
        EngineEvent::ExpectedEnd(self.job(), end)
    }
}
