//! Scripts that are run on virtual time here, with no server.

use std::{
    fs::{self, DirBuilder},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    super::{
        exit::{Exit, Failure},
        moment,
        terminal::Terminal,
    },
    svg, timeline,
};
use crate::{
    catalogue::{Catalogue, Diagnostic, folder::Shelf, render, shipped},
    config::Config,
    dryrun::{
        SCRIPT_LIMIT,
        simulation::{InstrumentState, Simulated, SimulationSettings, SimulationWish, Simulator},
    },
};

#[derive(Args, Debug)]
pub(super) struct FileArgs {
    /// Python scripts; each begins where the one before it leaves the instrument
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Draw the timeline of scripts or a job into this file
    #[arg(long, value_name = "OUT", conflicts_with = "queue")]
    pub(super) svg: Option<PathBuf>,
    /// The configuration of a server: its interpreter, its catalogue and its list of hardware
    #[arg(long, value_name = "FILE", conflicts_with_all = ["job", "queue"])]
    config: Option<PathBuf>,
    /// The interpreter of the jobs [default: that of the configuration, else python3]
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["job", "queue"])]
    python: Option<PathBuf>,
    /// The folder of the catalogue [default: that of the configuration, else `commands`, else the shipped one]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["job", "queue"])]
    commands: Option<PathBuf>,
}

/// A script and what came of it.
pub(super) struct Rehearsed {
    pub(super) name: String,
    pub(super) begins_at: Timestamp,
    pub(super) simulated: Simulated,
}

impl Rehearsed {
    /// How long it is expected to take, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.simulated.report.totals.seconds.expected.unwrap_or(0.0)
    }
}

/// Runs the scripts one after the other on virtual time and shows what came of each.
pub(super) async fn run(args: &FileArgs, at: Option<&str>, terminal: &Terminal) -> Result<(), Failure> {
    // Files are read first: a wrong name is told at once.
    let sources = args.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let workshop = Workshop::new().map_err(|error| {
        let folder = std::env::temp_dir();
        Failure::new(Exit::Internal, format!("cannot write to {}: {error}", folder.display()))
    })?;
    let config = match &args.config {
        Some(file) => Config::load_without_secrets(file)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?,
        None => Config::default(),
    };
    let (catalogue, folders) = load(args, &config, &workshop)?;
    let python = &config.engine.python;
    let settings = SimulationSettings {
        path: python.path.clone(),
        hardware: config.hardware(),
        compile_ahead: false,
        ..SimulationSettings::new(args.python.as_ref().unwrap_or(&python.interpreter), &workshop.folder)
    };
    let simulator = Simulator::new(settings);
    let mut begins_at = at.and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now);
    let mut start = InstrumentState::default();
    let mut all = Vec::new();
    for (path, source) in args.files.iter().zip(sources) {
        let name = path.display().to_string();
        let mut wish =
            SimulationWish::new(source, file_name(path), Arc::clone(&catalogue), Arc::clone(&folders));
        wish.start = start;
        wish.begins_at = Some(begins_at);
        let simulated = simulator.simulate(wish).await;
        start = simulated.end.clone();
        let rehearsed = Rehearsed { name, begins_at, simulated };
        begins_at = moved(begins_at, rehearsed.seconds());
        all.push(rehearsed);
    }
    if let Some(file) = &args.svg {
        draw(&all, file)?;
    }
    show(&all, terminal)?;
    let good = all.iter().all(|one| one.simulated.report.ok);
    if good { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}

/// Draws the timeline into a file.
pub(super) fn draw(all: &[Rehearsed], file: &Path) -> Result<(), Failure> {
    fs::write(file, svg::draw(all))
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot write {}: {error}", file.display())))
}

fn show(all: &[Rehearsed], terminal: &Terminal) -> Result<(), Failure> {
    if terminal.json {
        let reports: Vec<_> = all
            .iter()
            .map(|one| {
                json!({
                    "file": one.name,
                    "expected_start": one.begins_at.to_string(),
                    "expected_finish": moved(one.begins_at, one.seconds()).to_string(),
                    "report": one.simulated.report,
                })
            })
            .collect();
        let ok = all.iter().all(|one| one.simulated.report.ok);
        return terminal.document(&json!({"ok": ok, "scripts": reports}));
    }
    for (n, one) in all.iter().enumerate() {
        if n > 0 {
            terminal.line("")?;
        }
        timeline::lines(one, terminal).iter().try_for_each(|line| terminal.line(line))?;
        for diagnostic in &one.simulated.diagnostics {
            terminal.line("")?;
            terminal.line(render::to_text(diagnostic, terminal.colors_on_output()))?;
        }
    }
    if let ([_, _, ..], Some(last)) = (all, all.last()) {
        terminal.line("")?;
        let end = moved(last.begins_at, last.seconds());
        terminal.line(format!("all done about {}", moment::short(&end.to_string())))?;
    }
    Ok(())
}

/// A time that is later by some seconds.
pub(super) fn moved(time: Timestamp, seconds: f64) -> Timestamp {
    // No simulation takes longer than months, so that neither of the two can fail.
    let later = SignedDuration::try_from_secs_f64(seconds).ok();
    later.and_then(|later| time.checked_add(later).ok()).unwrap_or(time)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String, Failure> {
    use io::Read;
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("cannot read {}: {why}", path.display()))
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| wrong(&error))?;
    let limit = SCRIPT_LIMIT as u64;
    file.take(limit + 1).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    if text.len() > SCRIPT_LIMIT {
        return Err(wrong(&format!("no script has more than {} MB", SCRIPT_LIMIT >> 20)));
    }
    Ok(text)
}

/// The commands and the folders of their simulations.
fn load(
    args: &FileArgs,
    config: &Config,
    workshop: &Workshop,
) -> Result<(Arc<Catalogue>, Arc<[PathBuf]>), Failure> {
    // A server looks beside its configuration, people look where they are.
    let beside = args.config.as_deref().unwrap_or(Path::new("commands")).with_file_name("commands");
    let folders = match &args.commands {
        Some(folder) if !folder.is_dir() => {
            return Err(Failure::new(Exit::Usage, format!("there is no folder {}", folder.display())));
        }
        Some(folder) => vec![std::path::absolute(folder)?],
        None => match &config.catalogue.folders {
            Some(folders) => folders.clone(),
            None if beside.is_dir() => vec![std::path::absolute(&beside)?],
            None => vec![shipped::unpack(&workshop.folder)?],
        },
    };
    let shown = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" ");
    let mut shelf = Shelf::new(folders.clone());
    shelf.refresh();
    let (catalogue, found) = shelf.catalogue();
    if let Some(wrong) = found.iter().find(|one| one.is_error()) {
        let Diagnostic { message, .. } = wrong;
        let failure = Failure::new(Exit::Failed, format!("the catalogue in {shown} is wrong: {message}"));
        return Err(failure.hint(format!("beamq check {shown} shows all of it")));
    }
    Ok((Arc::new(catalogue), folders.into()))
}

/// A folder of this run's own, that goes away again.
struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    fn new() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = std::env::temp_dir().join(format!("beamq-dry-run-{}", std::process::id()));
        // Whoever made a folder of this name before is not trusted with it.
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be removed is a small folder in the temporary directory, not worth an error.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
