//! A script on virtual time: what it would do, how long it would take, and where it would go wrong.
//!
//! A [`Simulator`] runs one script in a CPython of its own, whose clock jumps over every wait, against a
//! simulated instrument. Nothing that the script does leaves that process: see `docs/dry-run.md` for what
//! holds where. A simulation never fails: whatever happens to it becomes a finding of its report.
//!
//! This room knows no queue, no client and no journal. What comes from the child process is taken as a
//! claim of the script itself: it is bounded in size and can make nothing but the report wrong.

mod account;
mod child;
mod confinement;
mod endings;
mod interpreter;
mod library;
mod many;
mod message;
mod process;
mod scratch;
mod settings;
mod spare;
mod wish;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task};

use self::{
    account::Account,
    interpreter::{FilesOfCatalogue, Interpreter, Known},
    many::NotReady,
    scratch::Scratch,
    spare::{Spare, Terms, Waiting},
};
use crate::{
    catalogue::{Diagnostic, Source, python},
    dryrun::{SCRIPT_LIMIT, diagnose_script},
    protocol::view::DryRunReport,
};
pub use account::CODES;
pub use confinement::{Confined, become_confined};
pub use settings::{Budget, DEFAULT_HARDWARE, Priority, SimulationSettings};
pub use wish::{DurationSource, ExpectedDuration, InstrumentState, JobFacts, NoHistory, SimulationWish};

/// For so long a machine counts as busy on which a simulation got nowhere.
const BUSY_FOR: Duration = Duration::from_secs(20);

/// Runs scripts on virtual time. The number of simulations at a time is bounded inside.
#[derive(Debug)]
pub struct Simulator {
    settings: SimulationSettings,
    known: Known,
    places: Semaphore,
    /// Since when the machine is known to have no time to spare.
    never_rests: Mutex<Option<Instant>>,
    spare: Spare,
    /// Whether the system keeps forked children apart, as far as is known.
    forks: AtomicBool,
}

/// What a simulation showed.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// What is told to people and clients.
    pub report: DryRunReport,
    /// The instrument as the script leaves it: where the next job starts.
    pub end: InstrumentState,
    /// When the script is where, in the order of time: what a live remaining time follows.
    pub passages: Vec<Passage>,
    /// The findings of the report in the same order, with their places in the script.
    pub diagnostics: Vec<Diagnostic>,
    /// What the script has looked at, so that another run could go another way.
    pub looked_at: LookedAt,
}

/// What a script looks at that is not in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookedAt {
    /// What job it is: its name, its tags.
    pub job: bool,
    /// The date, or the time of day.
    pub date: bool,
}

impl LookedAt {
    /// Of what never told its end nobody knows: it may have looked at everything.
    pub const UNKNOWN: Self = Self { job: true, date: true };
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

/// What there is for a wish.
enum Ready {
    Child(Box<child::Started>),
    Starved,
    Nothing,
}

impl Simulator {
    /// A simulator with these settings.
    #[must_use]
    pub fn new(settings: SimulationSettings) -> Self {
        let work_dir = std::path::absolute(&settings.work_dir).unwrap_or_else(|_| settings.work_dir.clone());
        let places = Semaphore::new(settings.at_once.max(1));
        Self {
            settings: SimulationSettings { work_dir, ..settings },
            known: Known::default(),
            places,
            never_rests: Mutex::default(),
            spare: Spare::default(),
            forks: AtomicBool::new(cfg!(target_os = "linux")),
        }
    }

    /// What a simulation gives way to. On a machine that had no time to spare a moment ago, to wait for it
    /// again would only lose more of it.
    fn priority(&self, wanted: Priority) -> Priority {
        let since = *self.never_rests.lock().unwrap_or_else(PoisonError::into_inner);
        match wanted {
            Priority::Idle if since.is_some_and(|since| since.elapsed() < BUSY_FOR) => Priority::Low,
            Priority::Idle | Priority::Low => wanted,
        }
    }

    /// Runs a script on virtual time. It takes at most the real time of the wish's budget, and a little
    /// for starting and tidying up; a future that is dropped ends the child.
    pub async fn simulate(&self, wish: SimulationWish) -> Simulated {
        let _place = self.places.acquire().await.ok();
        let text = Arc::clone(&wish.source);
        let catalogue = Arc::clone(&wish.catalogue);
        let file = child::file_name(&wish.name);
        let name = file.clone();
        let reading = task::spawn_blocking(move || diagnose_script(&name, &text, &catalogue));
        let source = Arc::new(Source::new(file, wish.source.trim_start_matches('\u{feff}')));
        let running = async {
            let mut account = Account::new(Arc::clone(&source), &*wish.history);
            if wish.source.len() > SCRIPT_LIMIT {
                return account;
            }
            let mut ending = self.run(&wish, self.priority(wish.priority), &mut account).await;
            if matches!(ending, child::Ending::Starved) {
                tracing::debug!(job = wish.name, "a simulation got nowhere beside others and begins again");
                *self.never_rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                account = Account::new(Arc::clone(&source), &*wish.history);
                ending = self.run(&wish, Priority::Low, &mut account).await;
            }
            endings::explain(ending, &wish, &mut account);
            account
        };
        let (found, account) = tokio::join!(reading, running);
        account.close(found.unwrap_or_default(), wish.start.clone())
    }

    async fn run(
        &self,
        wish: &SimulationWish,
        priority: Priority,
        account: &mut Account<'_>,
    ) -> child::Ending {
        wish.history.begins();
        let terms = Terms::of(wish, priority);
        let child = match self.waiting(&terms, priority).await {
            Ready::Child(child) => *child,
            Ready::Starved => return child::Ending::Starved,
            Ready::Nothing => match self.start(wish, priority).await {
                Ok(child) => child,
                Err(reason) => return child::Ending::NotStarted(reason),
            },
        };
        let is_forked = child.is_forked();
        let next = async {
            if !is_forked && self.spare.is_worth_it() { self.start_next(wish, priority).await } else { None }
        };
        let ((ending, parent), next) = tokio::join!(child.run(&self.settings, wish, account), next);
        if let Some(waiting) = parent.map(Waiting::Many).or(next) {
            self.spare.keep(terms, waiting);
        }
        self.spare.one_has_ended();
        ending
    }

    /// The child that waits for a wish, or one that is forked for it.
    async fn waiting(&self, terms: &Terms, priority: Priority) -> Ready {
        let parent = match self.spare.take(terms) {
            None => return Ready::Nothing,
            Some(Waiting::One(child)) => return Ready::Child(child),
            Some(Waiting::Many(parent)) => parent,
        };
        match child::Started::fork(parent, priority).await {
            Ok(Some(child)) => Ready::Child(Box::new(child)),
            Ok(None) => Ready::Starved,
            Err(NotReady::Refused(reason)) => {
                tracing::debug!(reason, "every simulation gets a process of its own");
                self.forks.store(false, Ordering::Relaxed);
                Ready::Nothing
            }
            Err(NotReady::Failed(error)) => {
                tracing::debug!(%error, "no child is forked for a simulation");
                Ready::Nothing
            }
        }
    }

    /// Starts what waits for the next wish, beside the present one.
    async fn start_next(&self, wish: &SimulationWish, priority: Priority) -> Option<Waiting> {
        if !self.forks.load(Ordering::Relaxed) {
            return self.start(wish, priority).await.ok().map(|child| Waiting::One(Box::new(child)));
        }
        let (scratch, interpreter) = self.ingredients(wish).await.ok()?;
        let many = self.room(wish, priority, &interpreter).start_many(scratch).await;
        many.inspect_err(|error| tracing::debug!(%error, "nothing waits for the next simulation"))
            .ok()
            .map(Waiting::Many)
    }

    /// Starts a child for a wish like this one.
    ///
    /// # Errors
    ///
    /// Why there is none, for people.
    async fn start(&self, wish: &SimulationWish, priority: Priority) -> Result<child::Started, String> {
        let (scratch, interpreter) = self.ingredients(wish).await?;
        self.room(wish, priority, &interpreter).start(scratch).map_err(|error| {
            format!("the interpreter {} cannot be started: {error}", interpreter.executable.display())
        })
    }

    fn room<'a>(
        &'a self,
        wish: &'a SimulationWish,
        priority: Priority,
        interpreter: &'a Interpreter,
    ) -> child::Room<'a> {
        child::Room { settings: &self.settings, interpreter, budget: &wish.budget, priority }
    }

    /// What a child needs: its folder, with the catalogue in it, and its interpreter.
    ///
    /// # Errors
    ///
    /// Why there is none, for people.
    async fn ingredients(&self, wish: &SimulationWish) -> Result<(Scratch, Interpreter), String> {
        let settings = &self.settings;
        let (scratch, files) = self.prepare(wish).await.map_err(|error| {
            format!("the folder {} cannot be written: {error}", settings.work_dir.display())
        })?;
        let library = settings.work_dir.join("lib");
        let interpreter = self.known.interpreter(&settings.interpreter, &library, files).await?;
        Ok((scratch, interpreter))
    }

    /// Writes what the child needs. Returns its scratch folder with the catalogue for Python, and what Python
    /// files the catalogue has.
    async fn prepare(&self, wish: &SimulationWish) -> std::io::Result<(Scratch, FilesOfCatalogue)> {
        let (work_dir, ahead) = (self.settings.work_dir.clone(), self.settings.compile_ahead);
        let (catalogue, folders) = (Arc::clone(&wish.catalogue), Arc::clone(&wish.folders));
        let preparing = task::spawn_blocking(move || {
            std::fs::create_dir_all(&work_dir)?;
            library::install(&work_dir)?;
            let scratch = Scratch::new(&work_dir)?;
            std::fs::write(child::catalogue_file(scratch.path()), python::worker_file(&catalogue, &folders))?;
            let files = match work_dir.parent() {
                Some(own) if ahead => FilesOfCatalogue::look(&folders, own),
                _ => FilesOfCatalogue::default(),
            };
            Ok((scratch, files))
        });
        preparing.await.map_err(std::io::Error::other)?
    }
}
