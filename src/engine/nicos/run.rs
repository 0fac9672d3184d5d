//! Our script in NICOS: what is wanted of it, what is known of it, and what to order next.

use std::{fmt::Write, time::Duration};

use beamq_machines::{AbortStage, Basis, Ending, JobId, PauseLevel, Phase, Progress, Report};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{
    NicosSettings,
    cells::Cells,
    message::{ACTION, Message},
    orders::{ALONE, AT_LINE, AT_POINT, BETWEEN_STATEMENTS, NOW, Order},
    question::{Asking, Open},
    traceback,
    truth::{Activity, Truth},
};
use crate::engine::{EngineEvent, JobEnd, JobStart, OutputStream, record::Record};

/// Where the script is, is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// A pause that nobody here asked for is told after this long: it may belong to a question, which comes by itself.
const STRANGE_AFTER: Duration = Duration::from_millis(300);
/// Events that were sent before something was seen to be over have arrived after this long.
const SETTLED_AFTER: Duration = Duration::from_millis(500);
/// NICOS's word for a request that it has not, and does not run, counts after this long.
const GONE_AFTER: Duration = Duration::from_secs(3);
/// After the strongest stop, it takes so long until somebody is told why it does not work.
const STUBBORN_AFTER: Duration = Duration::from_secs(3);
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

    // What is wanted.

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

    // What NICOS tells.

    /// The script begins. NICOS says so again when it is changed while it runs.
    pub(super) fn begins(&mut self) -> Option<EngineEvent> {
        if self.begun.is_some() {
            return None;
        }
        self.begun = Some(Instant::now());
        Some(EngineEvent::Started(self.job()))
    }

    /// NICOS tells our script, because it begins or because somebody has changed it there. What runs counts: reports
    /// quote its lines.
    pub(super) fn is_told(&mut self, request: &Value) {
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
    pub(super) fn message(&mut self, message: Message) {
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
    fn release(&mut self) {
        if let Some((message, _)) = self.held.take() {
            self.write(&message);
        }
    }

    /// Tells whatever the script has written so far.
    pub(super) async fn tell_written(&mut self) {
        self.release();
        self.record.flush().await;
    }

    /// Writes the error that ended the script as the python engine does, where NICOS's traceback allows it.
    fn write_last_word(&mut self, report: &Report) {
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
    pub(super) fn messages_so_far(&mut self, messages: &[Value]) {
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
    pub(super) fn asks(&mut self, prompt: &Value) -> Option<EngineEvent> {
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

    fn ask(&mut self, open: Open) -> Option<EngineEvent> {
        self.strange_since = None;
        self.questions = open.question.number;
        self.question = Some(open);
        self.question.as_ref().map(|open| open.told(self.job()))
    }

    /// A question was settled, here or by another client of NICOS.
    pub(super) fn question_settled(&mut self, id: &str) -> Option<EngineEvent> {
        self.question.take_if(|open| open.id == id)?;
        Some(EngineEvent::AskedNoMore(self.job()))
    }

    /// When a dry run beside the script says that it ends: a state, and seconds since 1970 UTC. NICOS says it at
    /// every statement of the script that is at the margin.
    pub(super) fn may_end(&self, eta: &Value) -> EngineEvent {
        let end = eta.get(1).and_then(Value::as_f64).filter(|end| *end > 0.0);
        let end = end.filter(|_| eta.get(0) == Some(&json!(SIMULATED)));
        #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is as good as its end")]
        let end = end.map(|end| (end * 1000.0) as i64);
        EngineEvent::ExpectedEnd(self.job(), end)
    }

    /// The script has ended, by NICOS's word.
    pub(super) fn ended(&mut self, success: bool) -> Finish {
        let reason = if success { None } else { Some(self.reason()) };
        Finish::Ended(Box::new(self.end(reason)))
    }

    /// NICOS has thrown the request away before it began.
    pub(super) fn thrown_away(&mut self) -> Finish {
        let report = Report {
            error_type: "Stopped".into(),
            message: "somebody took the script off NICOS's queue before it began".into(),
            phase: Phase::Killed,
            ..Report::default()
        };
        Finish::Ended(Box::new(self.end(Some(report))))
    }

    /// The end that NICOS refused to take the script.
    pub(super) fn refused(&mut self, why: &str) -> Finish {
        let report = Report {
            error_type: "NicosError".into(),
            message: why.to_owned(),
            phase: Phase::Validation,
            ..Report::default()
        };
        Finish::Ended(Box::new(self.end(Some(report))))
    }

    fn reason(&mut self) -> Report {
        if let Some(report) = self.own_reason.take() {
            return report;
        }
        if let Some(by) = self.stopped_by.take() {
            return Report {
                error_type: "Stopped".into(),
                message: format!("the script was stopped in NICOS by {by}"),
                line: self.line,
                ..Report::default()
            };
        }
        // An error that ends the script has the traceback that leads through it.
        let failed = self.errors.last().is_some_and(|(message, _)| message.traceback.is_some());
        match if failed { self.errors.pop() } else { None } {
            Some((message, _)) => {
                let file = traceback::file_name(&self.start.name);
                let report = message.as_report(&self.start.source, &file, self.local_variables);
                self.write_last_word(&report);
                report
            }
            None => Report {
                error_type: "NicosError".into(),
                message: "NICOS ended the script without success and did not say why".into(),
                line: self.line,
                ..Report::default()
            },
        }
    }

    fn end(&mut self, reason: Option<Report>) -> JobEnd {
        self.release();
        let ending = if reason.is_some() { Ending::Failed } else { Ending::Completed };
        let command_errors: Vec<_> =
            self.errors.drain(..).map(|(message, line)| message.as_command_error(line)).collect();
        let report = Report {
            elapsed_s: self.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64()),
            command_errors: command_errors.clone(),
            ..reason.unwrap_or_default()
        };
        JobEnd { ending, report, command_errors, calls: Vec::new() }
    }

    fn killed_thread(&mut self) -> Finish {
        let mut message =
            "the script ended NICOS's script thread, as sys.exit(), SystemExit, KeyboardInterrupt and \
                           GeneratorExit do"
                .to_owned();
        // NICOS does not say where; the line that was seen last may be long past.
        if let Some(line) = self.line {
            write!(message, "; line {line} was seen last").unwrap_or_default();
        }
        let report = Report {
            error_type: "SystemExit".into(),
            message,
            phase: Phase::Killed,
            hint: Some(
                "restart the NICOS daemon: until then it runs no script at all. To end a script early, raise \
                 another exception, or return from a function"
                    .into(),
            ),
            ..Report::default()
        };
        Finish::KilledThread(Box::new(self.end(Some(report))))
    }

    // What NICOS is seen to do.

    /// Takes a moment of NICOS in: what there is to tell, and whether it is over.
    pub(super) fn observe(&mut self, truth: &Truth, tell: &mut Vec<EngineEvent>) -> Option<Finish> {
        if !self.is(truth.request.as_deref()) {
            return self.observe_elsewhere(truth);
        }
        self.gone_since = None;
        if !truth.thread_lives {
            let since = *self.dead_since.get_or_insert_with(Instant::now);
            return (since.elapsed() >= SETTLED_AFTER).then(|| self.killed_thread());
        }
        tell.extend(self.begins());
        if truth.activity != Activity::Idle {
            self.line = truth.line.or(self.line);
        }
        let goes_on = matches!(truth.activity, Activity::Running | Activity::Paused);
        if goes_on && self.held.as_ref().is_some_and(|(_, since)| since.elapsed() >= SETTLED_AFTER) {
            self.release();
        }
        match truth.activity {
            Activity::Paused => self.observe_paused(tell),
            Activity::Running if self.paused && self.abort.is_none() => {
                // Not by us: then it would not count as paused any longer.
                self.paused = false;
                self.strange_since = None;
                tell.push(EngineEvent::ResumedElsewhere(self.job()));
            }
            Activity::Running | Activity::Idle | Activity::Stopping => self.strange_since = None,
        }
        tell.extend(self.question_left_behind(truth.activity));
        self.tell_progress(tell);
        self.say_if_stubborn();
        None
    }

    /// A script that goes on has its answer from somebody else. Before version 24 of its protocol NICOS does not say so.
    fn question_left_behind(&mut self, activity: Activity) -> Option<EngineEvent> {
        if activity != Activity::Running || self.question.is_none() {
            self.going_on_since = None;
            return None;
        }
        let since = *self.going_on_since.get_or_insert_with(Instant::now);
        if since.elapsed() < SETTLED_AFTER {
            return None;
        }
        self.question = None;
        Some(EngineEvent::AskedNoMore(self.job()))
    }

    /// NICOS runs something else: ours waits, or is gone.
    fn observe_elsewhere(&mut self, truth: &Truth) -> Option<Finish> {
        let waits = self.request.as_ref().is_some_and(|request| truth.waiting.contains(request));
        if waits && truth.thread_lives {
            self.gone_since = None;
            return None;
        }
        let since = *self.gone_since.get_or_insert_with(Instant::now);
        let why = if waits {
            "another script ended NICOS's script thread before this one began"
        } else {
            "NICOS neither runs the script nor has it in its queue any longer"
        };
        (since.elapsed() >= GONE_AFTER).then(|| Finish::Lost(why.into()))
    }

    fn observe_paused(&mut self, tell: &mut Vec<EngineEvent>) {
        if matches!(self.pause, Some((_, true))) {
            self.pause = None;
            self.paused = true;
            tell.push(EngineEvent::Paused(self.job(), self.line));
            return;
        }
        let expected = self.paused
            || self.resume
            || self.take_back
            || self.pause.is_some()
            || self.answer.is_some()
            || self.question.is_some()
            || self.abort.is_some();
        if expected {
            self.strange_since = None;
        } else if self.strange_since.get_or_insert_with(Instant::now).elapsed() >= STRANGE_AFTER {
            self.strange_since = None;
            self.paused = true;
            tell.push(EngineEvent::PausedElsewhere(self.job(), self.line));
        }
    }

    fn tell_progress(&mut self, tell: &mut Vec<EngineEvent>) {
        if self.told_at.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        let basis = self.cells.basis();
        let cell = self.line.and_then(|line| self.cells.enter(line));
        let percent = cell.and_then(|cell| cell.percent);
        let progress = Progress {
            percent,
            basis: if percent.is_some() { basis } else { Basis::Unknown },
            line: self.line,
            step: cell.map(|cell| cell.title.clone()),
            text: self.action.clone(),
            ..Progress::default()
        };
        if progress != self.told {
            self.told = progress.clone();
            self.told_at = Some(Instant::now());
            tell.push(EngineEvent::Progress(self.job(), progress));
        }
    }

    fn say_if_stubborn(&mut self) {
        let too_long = self
            .stopped
            .is_some_and(|(stage, at)| stage == AbortStage::Kill && at.elapsed() >= STUBBORN_AFTER);
        if too_long && !self.told_stubborn {
            self.told_stubborn = true;
            self.record.take_note(
                "NICOS cannot interrupt what the script is doing. The job ends when that returns; otherwise only \
                 a restart of the NICOS daemon helps.",
            );
        }
    }

    /// What to order, now that NICOS is seen to do this. `Idle` may be the gap between two statements, in which
    /// NICOS refuses every order.
    pub(super) fn next_order(&mut self, truth: &Truth) -> Option<Order> {
        if self.ordered {
            return None;
        }
        let order = match self.request.clone() {
            Some(request) if self.abort.is_some() && truth.waiting.contains(&request) => {
                Some(Order::Unqueue(request))
            }
            _ if !self.is(truth.request.as_deref()) => None,
            _ => self.order_of_running(truth),
        };
        self.ordered = order.is_some();
        order
    }

    fn order_of_running(&mut self, truth: &Truth) -> Option<Order> {
        if let Some(stage) = self.abort
            && self.stopped.is_none_or(|(told, _)| told < stage)
        {
            let hard = stage > AbortStage::Ask;
            return match truth.activity {
                // What it does to end itself is let be until the last stage.
                Activity::Stopping if stage < AbortStage::Kill => {
                    self.stopped = Some((stage, Instant::now()));
                    None
                }
                Activity::Running | Activity::Paused | Activity::Stopping => {
                    let devices = hard && self.devices == Devices::Untold;
                    self.request.clone().map(|request| Order::Stop { request, hard, devices })
                }
                Activity::Idle => None,
            };
        }
        match truth.activity {
            Activity::Running => {
                self.resume = false;
                match self.pause {
                    Some((level, false)) => Some(Order::Break(breakpoint(level))),
                    Some(_) | None => self.take_back.then_some(Order::CancelBreak),
                }
            }
            // It is kept until NICOS has it, so that a repeated question is known.
            Activity::Paused => match &self.answer {
                Some((answer, _)) => Some(answer.clone()),
                None => (self.resume || self.take_back).then_some(Order::Continue),
            },
            Activity::Idle | Activity::Stopping => None,
        }
    }

    /// NICOS has answered an order.
    pub(super) fn answered(&mut self, order: &Order, refusal: Option<&str>) -> Option<EngineEvent> {
        self.ordered = false;
        match (order, refusal) {
            // NICOS was between two statements: again, when it is seen to run.
            (_, Some(BETWEEN_STATEMENTS)) if *order != Order::Finish => None,
            // Paused already by somebody else does as well.
            (Order::Break(level), None | Some("script is already paused")) => {
                match &mut self.pause {
                    Some((wanted, known)) => *known = breakpoint(*wanted) == *level,
                    // It was taken back while NICOS was told.
                    None => self.take_back = refusal.is_none(),
                }
                None
            }
            (Order::CancelBreak, None) => {
                self.take_back = false;
                None
            }
            (Order::CancelBreak, Some("script is already paused")) => None,
            // Somebody was faster.
            (Order::Continue, Some("script is not paused")) => {
                self.give_up(order);
                None
            }
            (Order::Continue, None) => {
                self.resume = false;
                self.take_back = false;
                None
            }
            (Order::Stop { devices, .. }, None) => {
                if *devices {
                    self.devices = Devices::Told;
                }
                self.stopped = self.abort.map(|stage| (stage, Instant::now()));
                None
            }
            // Without them, then.
            (Order::Stop { devices: true, .. }, Some(refusal)) => {
                self.record.take_note(&format!("NICOS cannot be told to stop its devices: {refusal}"));
                self.devices = Devices::Refused;
                None
            }
            (Order::Answer { .. }, None) => {
                self.answer = None;
                self.resume = true;
                None
            }
            (Order::Finish, refusal) => {
                let what = refusal.is_none().then(|| "the running count".to_owned());
                Some(EngineEvent::Skipped(self.job(), what))
            }
            (Order::Unqueue(_), _) => None,
            // The script still waits for one that fits.
            (Order::Answer { .. }, Some(refusal)) => {
                self.record.take_note(&format!("NICOS refuses the answer: {refusal}"));
                let (_, mut open) = self.answer.take()?;
                open.question.number = self.questions + 1;
                self.ask(open)
            }
            (order, Some(refusal)) => {
                self.record.take_note(&format!("NICOS refuses {}: {refusal}", describe(order)));
                self.give_up(order);
                None
            }
        }
    }

    /// What NICOS refuses for good is not asked again and again.
    fn give_up(&mut self, order: &Order) {
        match order {
            Order::Break(_) => self.pause = None,
            Order::CancelBreak => self.take_back = false,
            Order::Continue => {
                self.resume = false;
                self.take_back = false;
            }
            Order::Answer { .. } => self.answer = None,
            Order::Stop { .. } => {
                self.stopped = self.abort.map(|stage| (stage, Instant::now()));
            }
            Order::Unqueue(_) | Order::Finish => {}
        }
    }
}

/// NICOS's level of a pause.
fn breakpoint(level: PauseLevel) -> u8 {
    match level {
        PauseLevel::Line => AT_LINE,
        PauseLevel::Point => AT_POINT,
        PauseLevel::Now => NOW,
    }
}

fn describe(order: &Order) -> &'static str {
    match order {
        Order::Unqueue(_) => "to take the script off its queue",
        Order::Break(_) => "to pause",
        Order::CancelBreak => "to take the pause back",
        Order::Continue => "to go on",
        Order::Finish => "to end the count",
        Order::Stop { .. } => "to stop",
        Order::Answer { .. } => "the answer",
    }
}
