//! Our script in NICOS: what is wanted of it, what is known of it, and what to order next.

mod due;
mod endings;
mod seen;
mod told;

use beamq_machines::{AbortStage, JobId, PauseLevel, Progress, Report};
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};

use super::{
    NicosSettings,
    cells::Cells,
    message::Message,
    orders::Order,
    question::{Asking, Open},
};
use crate::engine::{EngineEvent, JobEnd, JobStart, record::Record};

/// What became of the script.
pub(super) enum Finish {
    /// It ended.
    Ended(Box<JobEnd>),
    /// What became of it is not known.
    Lost(String),
    /// It took NICOS's script thread with it.
    KilledThread(Box<JobEnd>),
}

/// Whether NICOS is to stop every device when the script has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Devices {
    Untold,
    Told,
    /// It cannot be told so.
    Refused,
}

/// Our script.
pub(super) struct Run {
    pub(super) start: Box<JobStart>,
    /// The account that it runs under.
    account: String,
    /// Whether the report has the values of variables.
    local_variables: bool,
    /// NICOS's id of it, once NICOS has told it.
    pub(super) request: Option<String>,
    pub(super) record: Record,
    /// How many messages have come, of those that NICOS keeps.
    pub(super) messages: usize,
    /// When it was asked last how much the script writes, and how many messages there were then.
    rate_asked: (Instant, usize),
    /// What was written up to this time is known from what was missed: seconds since 1970 UTC.
    known_until: f64,
    /// An order that NICOS has not answered yet.
    pub(super) ordered: bool,
    begun: Option<Instant>,
    line: Option<u32>,
    action: Option<String>,
    cells: Cells,
    told: Progress,
    told_at: Option<Instant>,
    /// A pause that has not taken effect, and whether NICOS knows it.
    pause: Option<(PauseLevel, bool)>,
    take_back: bool,
    resume: bool,
    /// The server knows the script to be paused.
    paused: bool,
    strange_since: Option<Instant>,
    /// How hard to stop, and how hard NICOS was told to.
    abort: Option<AbortStage>,
    stopped: Option<(AbortStage, Instant)>,
    told_stubborn: bool,
    devices: Devices,
    question: Option<Open>,
    questions: u64,
    /// An answer that NICOS has not taken yet, and the question.
    answer: Option<(Order, Open)>,
    errors: Vec<(Message, Option<u32>)>,
    /// An error with a traceback, which may be the last word of the script, and since when that is not known.
    held: Option<(Message, Instant)>,
    stopped_by: Option<String>,
    /// Why we ended it ourselves.
    own_reason: Option<Report>,
    /// Since when the script was seen to run although it asks.
    going_on_since: Option<Instant>,
    gone_since: Option<Instant>,
    dead_since: Option<Instant>,
}

impl Run {
    pub(super) fn new(
        start: Box<JobStart>,
        settings: &NicosSettings,
        events: mpsc::Sender<EngineEvent>,
    ) -> Self {
        let record = Record::new(start.job, settings.output_limit, events);
        let cells = if start.black_box { Cells::default() } else { Cells::of(&start.source) };
        Self {
            start,
            account: settings.login.user.clone(),
            local_variables: settings.local_variables,
            request: None,
            record,
            messages: 0,
            rate_asked: (Instant::now(), 0),
            known_until: 0.0,
            ordered: false,
            begun: None,
            line: None,
            action: None,
            cells,
            told: Progress::default(),
            told_at: None,
            pause: None,
            take_back: false,
            resume: false,
            paused: false,
            strange_since: None,
            abort: None,
            stopped: None,
            told_stubborn: false,
            devices: Devices::Untold,
            question: None,
            questions: 0,
            answer: None,
            errors: Vec::new(),
            held: None,
            stopped_by: None,
            own_reason: None,
            going_on_since: None,
            gone_since: None,
            dead_since: None,
        }
    }

    pub(super) fn job(&self) -> JobId {
        self.start.job
    }

    /// Whether a request of NICOS is this one.
    pub(super) fn is(&self, request: Option<&str>) -> bool {
        request.is_some() && self.request.as_deref() == request
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether something is wanted that NICOS has to be watched for closely.
    pub(super) fn is_urgent(&self) -> bool {
        self.pause.is_some()
            || self.take_back
            || self.resume
            || self.answer.is_some()
            || self.abort.is_some_and(|stage| self.stopped.is_none_or(|(told, _)| told < stage))
    }

    /// How many messages have come per second since this was asked last.
    #[expect(clippy::cast_precision_loss, reason = "there are fewer messages than a float can count")]
    pub(super) fn lines_a_second_since_last_asked(&mut self) -> f64 {
        let (asked, messages) = std::mem::replace(&mut self.rate_asked, (Instant::now(), self.messages));
        (self.messages - messages) as f64 / asked.elapsed().as_secs_f64().max(0.001)
    }

    pub(super) fn pause(&mut self, level: PauseLevel) {
        self.pause = Some((level, false));
        self.take_back = false;
    }

    pub(super) fn cancel_pause(&mut self) {
        self.take_back = matches!(self.pause, Some((_, true)));
        self.pause = None;
    }

    pub(super) fn resume(&mut self) {
        self.pause = None;
        self.paused = false;
        self.resume = true;
    }

    /// The wait is being ended, which also lets a paused script go on.
    pub(super) fn skip(&mut self) {
        self.paused = false;
    }

    pub(super) fn abort(&mut self, stage: AbortStage) {
        self.abort = self.abort.max(Some(stage));
    }

    /// The answer to the open question; `None` when nobody gave one in time.
    pub(super) fn answer(&mut self, number: u64, value: Option<&Value>) {
        let Some(open) = self.question.take_if(|open| open.question.number == number) else { return };
        match (value, open.asking) {
            (Some(value), Asking::Input) => {
                let check = open.question.default.as_ref() != Some(value);
                let order = Order::Answer { question: open.id.clone(), value: value.clone(), check };
                self.answer = Some((order, open));
            }
            (Some(_), Asking::Pause) => self.resume = true,
            (None, _) => {
                self.own_reason = Some(Report {
                    error_type: "TimeoutError".into(),
                    message: "nobody answered the script's question in time".into(),
                    hint: Some("give the question a default, or jobs.prompt_timeout more time".into()),
                    line: self.line,
                    ..Report::default()
                });
                self.abort(AbortStage::Ask);
            }
        }
    }
}
