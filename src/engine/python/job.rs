//! One job in one worker, from the handing over of its source to the end of its process group.

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use beamq_machines::{AbortStage, CommandError, JobId};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    commands::Calls,
    control::{ControlError, ControlReader, ControlWriter, FromWorker, ToWorker},
    ending::{Finished, Remains, end_of},
    output::OutputPump,
    process::Process,
    worker::{ENDING_WITHIN, Worker},
};
use crate::engine::{EngineCall, EngineEvent, JobEnd, JobStart, Question};

/// Below the engine's folder: the files that workers make of scripts.
pub(super) const SCRIPTS: &str = "scripts";
/// How many remarks may wait for the output; a script that makes more of them waits.
const WAITING_NOTES: usize = 256;
/// How long the last words of a dead worker may take to arrive: they are in the socket already.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(500);
/// The least time between two words on the commands that a script calls.
const CALLS_GAP: Duration = Duration::from_millis(100);
/// How long a worker may take to read a whole script, and a message.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// The longest time-out of a question that is told on; scripts can write any number.
const LONGEST_TIMEOUT_S: f64 = 10.0 * 365.0 * 86_400.0;

/// What a job needs beside its worker.
#[derive(Debug)]
pub(super) struct JobRoom {
    pub(super) start: Box<JobStart>,
    /// The folder that the script runs in: made for it, and removed at its end if it is empty then.
    pub(super) directory: PathBuf,
    /// The folder of the file that the worker makes of the script; gone when the job is.
    pub(super) script_folder: PathBuf,
    pub(super) output_limit: u64,
    pub(super) calls: mpsc::UnboundedReceiver<EngineCall>,
    pub(super) events: mpsc::Sender<EngineEvent>,
    /// Fires when the script runs, and the processor can be spared for the next worker.
    pub(super) begun: oneshot::Sender<()>,
}

/// What became of a job in a worker.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It ended.
    Ended(Box<JobEnd>),
    /// The worker died before it took the job: nothing of it ran, so another worker may have it.
    NotTaken(Box<JobStart>),
}

/// Runs the job. The caller sends the end as the job's last event.
pub(super) async fn run(worker: Worker, room: JobRoom) -> Outcome {
    let JobRoom { start, directory, script_folder, output_limit, calls, events, begun } = room;
    let job = start.job;
    let Worker { process, reader, writer, pipes } = worker;
    let (notes, notes_taken) = mpsc::channel(WAITING_NOTES);
    let (output_begins, begin) = oneshot::channel();
    let (output_finishes, finish) = oneshot::channel();
    let pump = OutputPump {
        job,
        pipes,
        limit: output_limit,
        events: events.clone(),
        notes: notes_taken,
        begin,
        finish,
    };
    let pump = tokio::spawn(pump.run());
    let began = Instant::now();
    let mut run = Run {
        job,
        process,
        writer,
        events,
        notes,
        waiting_notes: None,
        question: None,
        line: None,
        taken: false,
        abort_asked: false,
        calls: Calls::default(),
        calls_due: None,
        calls_told_at: None,
        finished: None,
        fault: None,
        kill_at: None,
        announce: Some((begun, output_begins)),
    };
    run.hand_over(&start, &directory, &script_folder).await;
    let status = run.steer(reader, calls).await;
    let elapsed = began.elapsed();
    let not_taken = !run.taken && !run.abort_asked;
    let Run { notes, calls, finished, fault, line, announce, .. } = run;
    drop((notes, announce));
    let _pump_listens = output_finishes.send(());
    let summary = pump.await.unwrap_or_default();
    // What the script left behind is kept: it may be data. An empty folder is not worth keeping.
    let _not_empty = tokio::fs::remove_dir(&directory).await;
    let _never_made = tokio::fs::remove_dir_all(&script_folder).await;
    if not_taken {
        return Outcome::NotTaken(start);
    }
    let source = &start.source;
    let remains = Remains { finished, calls, status, fault, line, source, elapsed, tail: summary.tail };
    Outcome::Ended(Box::new(end_of(remains)))
}

struct Run {
    job: JobId,
    process: Process,
    writer: ControlWriter,
    events: mpsc::Sender<EngineEvent>,
    notes: mpsc::Sender<String>,
    /// A remark that did not fit; nothing more is heard from the worker until it does.
    waiting_notes: Option<String>,
    /// The question that is open.
    question: Option<u64>,
    line: Option<u32>,
    taken: bool,
    abort_asked: bool,
    /// The commands that the script called.
    calls: Calls,
    /// When the calls are told again, if something about them has changed.
    calls_due: Option<Instant>,
    calls_told_at: Option<Instant>,
    finished: Option<Finished>,
    fault: Option<ControlError>,
    /// When a worker that closed its channel is killed.
    kill_at: Option<Instant>,
    announce: Option<(oneshot::Sender<()>, oneshot::Sender<()>)>,
}

impl Run {
    async fn hand_over(&mut self, start: &JobStart, directory: &Path, script_folder: &Path) {
        let message = ToWorker::Run {
            job: start.job.to_string(),
            name: start.name.clone(),
            owner: start.owner.clone(),
            tags: start.tags.clone(),
            group: start.group.clone(),
            source: start.source.to_string(),
            black_box: start.black_box,
            directory: directory.to_owned(),
            script_folder: script_folder.to_owned(),
        };
        // A worker that died just now is noticed by its exit; one that does not read is of no use.
        if timeout(TAKEN_WITHIN, self.writer.send(&message)).await.is_err() {
            self.process.kill();
        }
    }

    /// Passes things on between server and worker until the process group is gone.
    async fn steer(
        &mut self,
        mut reader: ControlReader,
        mut calls: mpsc::UnboundedReceiver<EngineCall>,
    ) -> ExitStatus {
        let (mut listening, mut called) = (true, true);
        loop {
            let notes = self.notes.clone();
            tokio::select! {
                status = self.process.exited() => {
                    while listening && self.waiting_notes.is_none() {
                        match timeout(LAST_WORDS_WITHIN, reader.next()).await {
                            Ok(Ok(said)) => self.heard(said).await,
                            Ok(Err(_)) | Err(_) => listening = false,
                        }
                    }
                    return status;
                }
                call = calls.recv(), if called => match call {
                    Some(call) => self.called(call).await,
                    None => { self.called(EngineCall::Shutdown).await; called = false; }
                },
                said = reader.next(), if listening && self.waiting_notes.is_none() => match said {
                    Ok(said) => self.heard(said).await,
                    Err(fault) => { listening = false; self.lost(fault); }
                },
                Ok(permit) = notes.reserve(), if self.waiting_notes.is_some() => {
                    if let Some(text) = self.waiting_notes.take() { permit.send(text); }
                }
                () = sleep_until(self.calls_due.unwrap_or_else(Instant::now)), if self.calls_due.is_some() => {
                    self.tell_calls().await;
                }
                () = sleep_until(self.kill_at.unwrap_or_else(Instant::now)), if self.kill_at.is_some() => {
                    self.kill_at = None;
                    self.fault = Some(ControlError::Closed);
                    self.process.kill();
                }
            }
        }
    }

    /// Nothing more will be heard of the worker.
    fn lost(&mut self, fault: ControlError) {
        match fault {
            // The usual end: the process exits right after. Its threads and exit functions may take longer.
            ControlError::Closed if self.finished.is_some() => {}
            ControlError::Closed => self.kill_at = Some(Instant::now() + ENDING_WITHIN),
            ControlError::TooLong | ControlError::Rubbish => {
                self.fault = Some(fault);
                self.process.kill();
            }
        }
    }

    async fn called(&mut self, call: EngineCall) {
        self.abort_asked |= matches!(call, EngineCall::Abort(..) | EngineCall::Shutdown);
        match call {
            EngineCall::Pause(_, level) => self.say(&ToWorker::Pause { level }).await,
            EngineCall::CancelPause(_) => self.say(&ToWorker::CancelPause).await,
            EngineCall::Resume(_) => {
                self.calls.went_on();
                self.say(&ToWorker::Resume).await;
            }
            EngineCall::Skip(_) => {
                self.calls.went_on();
                self.say(&ToWorker::Skip).await;
            }
            EngineCall::Abort(_, AbortStage::Ask) => {
                self.calls.went_on();
                self.say(&ToWorker::Abort).await;
            }
            EngineCall::Abort(_, AbortStage::Terminate) => {
                self.process.look_below();
                self.process.signal_group(Signal::SIGTERM);
                // A stopped process takes no signal but SIGKILL until it is continued.
                self.process.signal_group(Signal::SIGCONT);
            }
            EngineCall::Abort(_, AbortStage::Kill) | EngineCall::Shutdown => self.process.kill(),
            EngineCall::Answer(_, _, value) => {
                // One question is open at a time, so the answer is to that one.
                if let Some(question) = self.question.take() {
                    let timed_out = value.is_none();
                    let value = value.unwrap_or(Value::Null);
                    self.say(&ToWorker::Answer { question, value, timed_out }).await;
                }
            }
            EngineCall::Start(other) => {
                tracing::error!(job = %other.job, "a job was started while another is active; ignored");
            }
        }
    }

    async fn say(&mut self, message: &ToWorker) {
        // A worker whose process is stopped or stuck does not read; the later stages of an abort must
        // not wait for it. A message is small, so the socket takes it unless it is full of others.
        let sent = timeout(HEARD_WITHIN, self.writer.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::debug!(job = %self.job, "a worker did not take a message");
        }
        // The signal has the worker's main thread look at once; its default action is to do nothing.
        self.process.signal(Signal::SIGURG);
    }

    async fn heard(&mut self, said: FromWorker) {
        let job = self.job;
        match said {
            FromWorker::Taken => self.taken = true,
            FromWorker::Started => {
                self.tell(EngineEvent::Started(job)).await;
                self.let_output_begin();
            }
            FromWorker::Progress { progress } => {
                self.line = progress.line.or(self.line);
                self.tell(EngineEvent::Progress(job, progress)).await;
            }
            FromWorker::Paused { line } => {
                self.line = line.or(self.line);
                self.calls.stood_still();
                self.tell(EngineEvent::Paused(job, line)).await;
            }
            FromWorker::Resumed => self.tell(EngineEvent::Resumed(job)).await,
            FromWorker::Skipped { what } => {
                if what.as_deref().is_some_and(|what| what.starts_with("question")) {
                    self.question = None;
                }
                self.calls.skipped();
                self.tell(EngineEvent::Skipped(job, what)).await;
            }
            FromWorker::Asked { number, text, choices, default, has_default, timeout_s } => {
                self.question = Some(number);
                let default = default.or_else(|| has_default.then_some(Value::Null));
                let timeout = timeout_s
                    .filter(|seconds| (0.0..=LONGEST_TIMEOUT_S).contains(seconds))
                    .map(Duration::from_secs_f64);
                let question = Question { number, text, choices, validator: None, default, timeout };
                self.tell(EngineEvent::Asked(job, question)).await;
            }
            FromWorker::Note { text } => {
                let sent = self.notes.try_send(text);
                // Before the script runs nothing takes remarks, so waiting would be for ever.
                if let Err(mpsc::error::TrySendError::Full(text)) = sent
                    && self.announce.is_none()
                {
                    self.waiting_notes = Some(text);
                }
            }
            FromWorker::Command { name, arguments, line, duration_s, error } => {
                match duration_s {
                    None => self.calls.began(name, arguments, line),
                    Some(duration_s) => {
                        let message = error.unwrap_or_default();
                        let error = CommandError { command: name, arguments, line, message };
                        self.calls.ended(error, duration_s);
                    }
                }
                let soon = self.calls_told_at.map_or_else(Instant::now, |at| at + CALLS_GAP);
                self.calls_due.get_or_insert(soon);
            }
            FromWorker::Finished { report, status, command_errors } => {
                let report = report.map(|report| *report);
                self.finished = Some(Finished { report, status, command_errors });
                self.let_output_begin();
            }
            FromWorker::Ending { alone: true } => self.process.is_alone(),
            FromWorker::Ending { alone: false } => {
                self.process.look_below();
                self.say(&ToWorker::End).await;
            }
            FromWorker::Ready { .. } | FromWorker::Refused { .. } => {}
        }
    }

    async fn tell_calls(&mut self) {
        self.calls_due = None;
        self.calls_told_at = Some(Instant::now());
        self.tell(EngineEvent::Calls(self.job, self.calls.so_far())).await;
    }

    fn let_output_begin(&mut self) {
        if let Some((begun, output_begins)) = self.announce.take() {
            let _engine_listens = begun.send(());
            let _pump_listens = output_begins.send(());
        }
    }

    async fn tell(&self, event: EngineEvent) {
        // When the server is gone the engine is about to be as well.
        let _server_gone = self.events.send(event).await;
    }
}

/// The folder of the script's own file. It is not the working directory, which is the script's alone.
pub(super) fn script_folder(work_dir: &Path, job: JobId) -> PathBuf {
    work_dir.join(SCRIPTS).join(job.to_string())
}

/// The folder of a job within the engine's.
///
/// # Errors
///
/// When it cannot be made.
pub(super) async fn make_directory(work_dir: &Path, job: JobId) -> std::io::Result<PathBuf> {
    let directory = work_dir.join("jobs").join(job.to_string());
    tokio::fs::create_dir_all(&directory).await?;
    Ok(directory)
}

/// Which job a call is about.
pub(super) fn about(call: &EngineCall) -> Option<JobId> {
    match call {
        EngineCall::Start(start) => Some(start.job),
        EngineCall::Pause(job, _)
        | EngineCall::CancelPause(job)
        | EngineCall::Resume(job)
        | EngineCall::Skip(job)
        | EngineCall::Abort(job, _)
        | EngineCall::Answer(job, _, _) => Some(*job),
        EngineCall::Shutdown => None,
    }
}
