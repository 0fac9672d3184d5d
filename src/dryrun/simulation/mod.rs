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
mod message;
mod scratch;
mod settings;
mod wish;

use std::{path::PathBuf, sync::Arc};

use tokio::{sync::Semaphore, task};

use self::{account::Account, interpreter::Known, scratch::Scratch};
use crate::{
    catalogue::{Diagnostic, Source, python},
    dryrun::{SCRIPT_LIMIT, diagnose_script},
    protocol::view::DryRunReport,
};
pub use account::CODES;
pub use confinement::{Confined, become_confined};
pub use settings::{Budget, DEFAULT_HARDWARE, SimulationSettings};
pub use wish::{DurationSource, ExpectedDuration, InstrumentState, JobFacts, NoHistory, SimulationWish};

/// Runs scripts on virtual time. The number of simulations at a time is bounded inside.
#[derive(Debug)]
pub struct Simulator {
    settings: SimulationSettings,
    known: Known,
    places: Semaphore,
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
        let work_dir = std::path::absolute(&settings.work_dir).unwrap_or_else(|_| settings.work_dir.clone());
        let places = Semaphore::new(settings.at_once.max(1));
        Self { settings: SimulationSettings { work_dir, ..settings }, known: Known::default(), places }
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
        let mut account = Account::new(source, &*wish.history);
        let running = async {
            if wish.source.len() > SCRIPT_LIMIT {
                return;
            }
            let ending = self.run(&wish, &mut account).await;
            endings::explain(ending, &wish, &mut account);
        };
        let (found, ()) = tokio::join!(reading, running);
        account.close(found.unwrap_or_default(), wish.start)
    }

    async fn run(&self, wish: &SimulationWish, account: &mut Account<'_>) -> child::Ending {
        let settings = &self.settings;
        let prepared = self.prepare(wish).await;
        let (scratch, catalogue_file) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let folder = settings.work_dir.display();
                return child::Ending::NotStarted(format!("the folder {folder} cannot be written: {error}"));
            }
        };
        let library = settings.work_dir.join("lib");
        let interpreter = match self.known.interpreter(&settings.interpreter, &library).await {
            Ok(interpreter) => interpreter,
            Err(reason) => return child::Ending::NotStarted(reason),
        };
        let ending = child::run(settings, &interpreter, scratch.path(), &catalogue_file, wish, account).await;
        // Removing what a script has left can take a while, and nobody waits for it.
        task::spawn_blocking(move || drop(scratch));
        ending
    }

    /// Writes what the child needs. Returns its scratch folder and the catalogue for Python.
    async fn prepare(&self, wish: &SimulationWish) -> std::io::Result<(Scratch, PathBuf)> {
        let work_dir = self.settings.work_dir.clone();
        let (catalogue, folders) = (Arc::clone(&wish.catalogue), Arc::clone(&wish.folders));
        let preparing = task::spawn_blocking(move || {
            std::fs::create_dir_all(&work_dir)?;
            library::install(&work_dir)?;
            let scratch = Scratch::new(&work_dir)?;
            let file = scratch.path().join("catalogue.json");
            std::fs::write(&file, python::worker_file(&catalogue, &folders))?;
            Ok((scratch, file))
        });
        preparing.await.map_err(std::io::Error::other)?
    }
}
