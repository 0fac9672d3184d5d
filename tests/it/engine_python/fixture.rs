//! An engine in a folder of its own, and a server's side that remembers everything it was told.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use beamq::engine::{
    EngineCall, EngineEvent, EngineLink, EngineState, JobEnd, JobStart, OutputLine, OutputStream,
    PythonSettings, Question, python,
};
use beamq_machines::{AbortStage, JobId, Progress};
use tempfile::TempDir;
use tokio::time::timeout;

/// Nothing in these tests takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn interpreter() -> PathBuf {
    std::env::var_os("BEAMQ_TEST_PYTHON").unwrap_or_else(|| "python3".into()).into()
}

pub fn settings(work_dir: &Path) -> PythonSettings {
    PythonSettings {
        interpreter: interpreter(),
        path: Vec::new(),
        preload: Vec::new(),
        startup: Vec::new(),
        spare_workers: 1,
        work_dir: work_dir.to_owned(),
        output_limit: 64 << 20,
        memory: None,
        niceness: 0,
    }
}

/// What was told of a job so far.
#[derive(Debug, Default)]
pub struct Told {
    pub started: bool,
    pub lines: Vec<OutputLine>,
    pub dropped: u64,
    pub progress: Vec<Progress>,
    pub paused: Vec<Option<u32>>,
    pub resumed: usize,
    pub skipped: Vec<Option<String>>,
    pub asked: Vec<Question>,
    pub end: Option<JobEnd>,
}

impl Told {
    pub fn texts(&self, stream: OutputStream) -> Vec<&str> {
        self.lines.iter().filter(|line| line.stream == stream).map(|line| line.text.as_str()).collect()
    }

    pub fn stdout(&self) -> Vec<&str> {
        self.texts(OutputStream::Stdout)
    }

    pub fn printed(&self, text: &str) -> bool {
        self.stdout().contains(&text)
    }

    pub fn ended(&self) -> bool {
        self.end.is_some()
    }

    pub fn end(&self) -> &JobEnd {
        self.end.as_ref().expect("the job has ended")
    }
}

pub struct Engine {
    pub link: EngineLink,
    pub folder: Arc<TempDir>,
    pub told: Told,
    pub states: Vec<(EngineState, Option<String>)>,
    next: u64,
}

impl Engine {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(adapt: impl FnOnce(&mut PythonSettings)) -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()), adapt)
    }

    pub fn in_folder(folder: Arc<TempDir>, adapt: impl FnOnce(&mut PythonSettings)) -> Self {
        let mut settings = settings(folder.path());
        adapt(&mut settings);
        let link = python::start(settings);
        Self { link, folder, told: Told::default(), states: Vec::new(), next: 1 }
    }

    pub fn job(&self) -> JobId {
        JobId(self.next - 1)
    }

    pub fn call(&self, call: EngineCall) {
        self.link.calls.send(call).expect("the engine's task runs");
    }

    /// Starts a script as a job named `test`.
    pub fn submit(&mut self, source: &str) {
        self.submit_as(source, false);
    }

    pub fn submit_as(&mut self, source: &str, black_box: bool) {
        let job = JobId(self.next);
        self.next += 1;
        self.told = Told::default();
        self.call(EngineCall::Start(Box::new(JobStart {
            job,
            name: "test".into(),
            owner: "ada".into(),
            tags: vec!["quick".into()],
            group: Some("series".into()),
            source: source.into(),
            black_box,
        })));
    }

    /// Takes one event.
    pub async fn step(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = timeout(left, self.link.events.recv()).await;
        let event = match event {
            Ok(event) => event.expect("the engine's task runs"),
            Err(_) => panic!("the awaited event did not come; so far: {:?} {:?}", self.states, self.told),
        };
        let told = &mut self.told;
        match event {
            EngineEvent::State(state, why) => self.states.push((state, why)),
            EngineEvent::Started(_) => told.started = true,
            EngineEvent::Progress(_, progress) => told.progress.push(progress),
            EngineEvent::Calls(..) => {}
            EngineEvent::Paused(_, line) => told.paused.push(line),
            EngineEvent::Resumed(_) => told.resumed += 1,
            EngineEvent::Skipped(_, what) => told.skipped.push(what),
            EngineEvent::Asked(_, question) => told.asked.push(question),
            EngineEvent::Output { lines, dropped, .. } => {
                assert!(told.end.is_none(), "output after the end");
                told.lines.extend(lines.iter().cloned());
                told.dropped = dropped;
            }
            EngineEvent::Ended(_, end) => {
                assert!(told.end.is_none(), "a job ends once");
                told.end = Some(*end);
            }
            // Only an engine whose scripts live elsewhere says these.
            event @ (EngineEvent::AskedNoMore(_)
            | EngineEvent::PausedElsewhere(..)
            | EngineEvent::ResumedElsewhere(_)
            | EngineEvent::ExpectedEnd(..)
            | EngineEvent::Lost(..)) => panic!("{event:?}"),
        }
    }

    /// Takes events until the condition holds.
    pub async fn until(&mut self, condition: impl Fn(&Told) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&self.told) {
            self.step(deadline).await;
        }
    }

    pub async fn until_state(&mut self, state: EngineState) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((last, why)) = self.states.last()
                && *last == state
            {
                return why.clone();
            }
            self.step(deadline).await;
        }
    }

    pub async fn until_printed(&mut self, text: &str) {
        self.until(|told| told.printed(text)).await;
    }

    /// Waits until the script is seen in a wait.
    pub async fn until_in(&mut self, wait: &str) {
        self.until(|told| told.progress.iter().any(|progress| progress.command.as_deref() == Some(wait)))
            .await;
    }

    pub async fn until_ended(&mut self) -> &Told {
        self.until(Told::ended).await;
        &self.told
    }

    /// Runs a script to its end.
    pub async fn run(&mut self, source: &str) -> &Told {
        self.submit(source);
        self.until_ended().await
    }

    /// Presses abort as the server does: each stage when the one before had its time.
    pub async fn abort_with_grace(&mut self, grace: Duration) -> Vec<AbortStage> {
        let mut pressed = Vec::new();
        for stage in [AbortStage::Ask, AbortStage::Terminate, AbortStage::Kill] {
            self.call(EngineCall::Abort(self.job(), stage));
            pressed.push(stage);
            let until = Instant::now() + if stage == AbortStage::Kill { PATIENCE } else { grace };
            while Instant::now() < until && !self.told.ended() {
                let left = until.saturating_duration_since(Instant::now());
                // Only the time is of interest when nothing comes.
                if timeout(left, self.until_next()).await.is_err() {
                    break;
                }
            }
            if self.told.ended() {
                return pressed;
            }
        }
        panic!("the job outlived the last stage of an abort");
    }

    async fn until_next(&mut self) {
        self.step(Instant::now() + PATIENCE).await;
    }
}

/// Whether a process exists and is not merely waiting to be reaped.
pub fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| Some(stat.rsplit_once(") ")?.1.starts_with(|state| state != 'Z' && state != 'X')))
        .unwrap_or(false)
}

/// Waits until a process is gone.
pub async fn until_gone(pid: i32) {
    let deadline = Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        tokio::task::yield_now().await;
    }
}
