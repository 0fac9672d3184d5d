//! The catalogue in the server: where its files are, that it follows them, and what it says about jobs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc as sync_mpsc},
    thread,
    time::Duration,
};

use beamq_machines::{CommandCall, JobBody, JobSpec, core::Actor};
use notify::Watcher;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{ServeOptions, clients::ReplyTo, dispatcher::Dispatcher, findings::Findings, inside::Inside};
use crate::{
    catalogue::{CallProblem, Catalogue, folder::Shelf, python, shipped},
    config::Config,
    protocol::{
        ErrorKind, EventBody, Request, RpcError,
        request::{CheckCatalogue, ListCatalogue},
        view::{CatalogueView, CommandView, Finding, FindingsView},
    },
};

/// Editors write a file in several steps; what follows each other this closely is one change.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// File systems that tell nothing (network shares) are looked at this often.
const RESCAN: Duration = Duration::from_secs(2);
/// At every so many looks the contents are compared as well, for changes that keep size and time.
const LOOKS_PER_COMPARISON: u32 = 15;
/// No refusal names more calls: they would say nothing new.
const LISTED: usize = 20;

/// The catalogue in force, and what it says about waiting jobs.
pub(super) struct InForce {
    pub(super) catalogue: Arc<Catalogue>,
    /// What is to be said about the jobs that have not ended.
    pub(super) findings: Findings,
}

/// The files of the catalogue, loaded for the first time.
pub(super) struct Loaded {
    shelf: Shelf,
    worker_file: PathBuf,
    pub(super) catalogue: Arc<Catalogue>,
}

impl Loaded {
    /// Loads the catalogue and writes the file that Python reads.
    ///
    /// # Errors
    ///
    /// When the shipped catalogue or the file for Python cannot be written. What is wrong with the files
    /// of the catalogue is no error: it is listed in the problems.
    pub(super) fn load(options: &ServeOptions, config: &Config, work_dir: &Path) -> io::Result<Self> {
        let mut shelf = Shelf::new(folders(options, config, work_dir)?);
        shelf.refresh();
        let worker_file = work_dir.join("catalogue.json");
        let catalogue = publish(&shelf, &worker_file)?;
        for problem in catalogue.problems() {
            tracing::warn!("catalogue: {}", one_line(problem));
        }
        tracing::info!(commands = catalogue.len(), version = catalogue.version(), "catalogue loaded");
        Ok(Self { shelf, worker_file, catalogue })
    }

    /// The folders in which Python finds the implementations.
    pub(super) fn folders(&self) -> &[PathBuf] {
        self.shelf.folders()
    }

    /// Follows the files from now on, in a thread of its own because reading files blocks. It ends when
    /// the loop is gone.
    pub(super) fn follow(self, to_loop: mpsc::UnboundedSender<Inside>) -> io::Result<()> {
        thread::Builder::new().name("beamq-catalogue".into()).spawn(move || self.run(&to_loop)).map(drop)
    }

    fn run(mut self, to_loop: &mpsc::UnboundedSender<Inside>) {
        let (tell, told) = sync_mpsc::channel();
        let mut watched = watch(self.shelf.folders(), &tell);
        let mut looks = 0;
        while !to_loop.is_closed() {
            let told_of_change = match told.recv_timeout(RESCAN) {
                Ok(()) => {
                    while told.recv_timeout(DEBOUNCE).is_ok() {}
                    true
                }
                Err(_) => false,
            };
            looks = if told_of_change { 0 } else { looks + 1 };
            let compare = looks >= LOOKS_PER_COMPARISON;
            if compare {
                looks = 0;
                // A folder that was away, or was replaced by another one, has to be watched anew.
                watched = watch(self.shelf.folders(), &tell);
            }
            if (told_of_change || compare || self.shelf.looks_changed()) && self.shelf.refresh() {
                match publish(&self.shelf, &self.worker_file) {
                    Ok(catalogue) => {
                        to_loop.send(Inside::CatalogueChanged(catalogue)).ok();
                    }
                    Err(error) => {
                        let file = self.worker_file.display();
                        tracing::error!(%error, "{file} cannot be written; the catalogue stays as it was");
                    }
                }
            }
        }
        drop(watched);
    }
}

/// Asks the system to tell of changes. Without its help there is still the regular look.
fn watch(folders: &[PathBuf], tell: &sync_mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let tell = tell.clone();
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading a file is an event, too, and must not lead to reading it again.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            tell.send(()).ok();
        }
    };
    let mut watcher = notify::recommended_watcher(handler)
        .inspect_err(|error| tracing::warn!(%error, "the system does not tell of changed files"))
        .ok()?;
    for folder in folders {
        if let Err(error) = watcher.watch(folder, notify::RecursiveMode::Recursive) {
            tracing::debug!(%error, folder = %folder.display(), "not watched");
        }
    }
    Some(watcher)
}

/// Makes the catalogue of what is on the shelf, and tells Python about it before anybody else.
fn publish(shelf: &Shelf, worker_file: &Path) -> io::Result<Arc<Catalogue>> {
    let (catalogue, _) = shelf.catalogue();
    let text = python::worker_file(&catalogue, shelf.folders());
    shipped::write_whole(worker_file, text.as_bytes())?;
    Ok(Arc::new(catalogue))
}

/// Where the catalogue is: what the command line says, or the configuration, or `commands/` beside it, or
/// the shipped one.
fn folders(options: &ServeOptions, config: &Config, work_dir: &Path) -> io::Result<Vec<PathBuf>> {
    if let Some(folder) = &options.commands {
        return Ok(vec![std::path::absolute(folder)?]);
    }
    if let Some(folders) = &config.catalogue.folders {
        return Ok(folders.clone());
    }
    if let Some(file) = &options.config {
        let beside = std::path::absolute(file)?.with_file_name("commands");
        if beside.is_dir() {
            return Ok(vec![beside]);
        }
    }
    Ok(vec![shipped::unpack(&std::path::absolute(work_dir)?)?])
}

fn one_line(problem: &Finding) -> String {
    let place = |number: Option<u32>| number.map(|number| format!(":{number}")).unwrap_or_default();
    let file = problem.file.as_deref().unwrap_or_default();
    format!("{file}{}{}: {}", place(problem.line), place(problem.column), problem.message)
}

impl Dispatcher {
    /// Puts another catalogue in force.
    pub(super) fn catalogue_changed(&mut self, catalogue: Arc<Catalogue>) {
        let (before, now) = (self.in_force.catalogue.status(), catalogue.status());
        self.in_force.catalogue = catalogue;
        if before == now {
            return;
        }
        let at = Self::now();
        tracing::info!(commands = now.commands, problems = now.problems.len(), version = %now.version, "catalogue");
        self.announce(EventBody::Catalogue(now), at);
        if before.version != self.in_force.catalogue.version() {
            self.examine_waiting();
            self.forecast_queue_changed();
        }
    }

    /// Whether the catalogue and the role of who submits it let a job be queued.
    pub(super) fn acceptable(&self, actor: &Actor, spec: JobSpec) -> Result<JobSpec, RpcError> {
        let JobBody::Commands(calls) = &spec.body else { return Ok(spec) };
        let catalogue = &self.in_force.catalogue;
        let problems: Vec<_> = calls
            .iter()
            .enumerate()
            .flat_map(|(n, call)| catalogue.check_call(call).into_iter().map(move |problem| (n, problem)))
            .take(LISTED)
            .collect();
        if !problems.is_empty() {
            return Err(refusal(&problems, calls.len()));
        }
        for (n, call) in calls.iter().enumerate() {
            let needed = catalogue.command(&call.command).map(|command| command.role());
            if let Some(needed) = needed.filter(|needed| actor.role < *needed) {
                let error =
                    RpcError::forbidden_role(&format!("the command {}", call.command), actor.role, needed);
                return Err(error.with_field(format!("commands[{n}].command")));
            }
        }
        Ok(spec)
    }

    /// Answers a request about the catalogue.
    pub(super) fn serve_catalogue(&mut self, to: ReplyTo, request: Request) {
        let catalogue = Arc::clone(&self.in_force.catalogue);
        match request {
            Request::ListCatalogue(params) => self.later(to, async move { Ok(list(&catalogue, &params)) }),
            Request::GetCommand(params) => {
                let view = named(&catalogue, &params.name, |command| command.view());
                self.answer::<CommandView>(&to, view);
            }
            Request::CommandSchema(params) => {
                let schema = named(&catalogue, &params.name, |command| command.schema().clone());
                self.answer::<Value>(&to, schema);
            }
            Request::CheckCatalogue(params) => self.later(to, async move { check(params).await }),
            other => {
                let error =
                    RpcError::internal_error(format!("{} is not answered here", other.method().name()));
                self.answer::<()>(&to, Err(error));
            }
        }
    }
}

/// What is wrong with the calls of a job.
pub(super) fn findings(catalogue: &Catalogue, calls: &[CommandCall]) -> Vec<Finding> {
    let all = calls.iter().zip(1u32..);
    let found = all.flat_map(|(call, line)| {
        catalogue
            .check_call(call)
            .into_iter()
            .map(move |problem| Finding { line: Some(line), ..problem.finding() })
    });
    found.take(LISTED).collect()
}

/// The first problem in front, all of them behind.
fn refusal(problems: &[(usize, CallProblem)], calls: usize) -> RpcError {
    let Some((n, first)) = problems.first() else {
        return RpcError::invalid_job("the job cannot be accepted");
    };
    let which = if calls > 1 { format!("call {}: ", n + 1) } else { String::new() };
    let more = match problems.len() {
        1 => String::new(),
        LISTED => format!(" (and at least {} more)", LISTED - 1),
        several => format!(" (and {} more)", several - 1),
    };
    let field = first.field_error(*n);
    let mut error = RpcError::invalid_job(format!("{which}{}{more}", first.message)).with_field(field.field);
    error.data.allowed = field.allowed;
    error.data.hint = field.hint;
    if let Some(value) = field.value {
        error = error.with_value(value);
    }
    if problems.len() == 1 {
        return error;
    }
    let all: Vec<_> = problems.iter().map(|(n, problem)| problem.field_error(*n)).collect();
    error.with_more("errors", serde_json::to_value(all).unwrap_or_default())
}

fn list(catalogue: &Catalogue, params: &ListCatalogue) -> CatalogueView {
    let wanted = |group: Option<&str>| params.group.as_deref().is_none_or(|wanted| group == Some(wanted));
    CatalogueView {
        version: catalogue.version().to_owned(),
        commands: catalogue
            .commands()
            .filter(|command| wanted(command.group.as_deref()))
            .map(|command| command.view())
            .collect(),
        problems: catalogue.problems().to_vec(),
    }
}

fn named<T>(
    catalogue: &Catalogue,
    name: &str,
    view: impl FnOnce(&crate::catalogue::Command) -> T,
) -> Result<T, RpcError> {
    catalogue.command(name).map(view).ok_or_else(|| {
        let error = RpcError::not_found("command", name).with_field("name");
        match catalogue.nearest(name) {
            Some(meant) => error.with_hint(format!("did you mean {meant}?")),
            None => error.with_hint("catalogue.list has all commands"),
        }
    })
}

async fn check(params: CheckCatalogue) -> Result<FindingsView, RpcError> {
    let files: Vec<(PathBuf, String)> = match (params.yaml, params.files) {
        (Some(yaml), None) => vec![("catalogue.yaml".into(), yaml)],
        (None, Some(files)) => files.into_iter().map(|(name, text)| (name.into(), text)).collect(),
        (both, _) => {
            let message =
                if both.is_some() { "yaml and files cannot both be given" } else { "missing member yaml" };
            return Err(RpcError::new(ErrorKind::InvalidParams, message)
                .with_field("yaml")
                .with_allowed("one of yaml (the text of a file) or files (texts by name)"));
        }
    };
    let checked = tokio::task::spawn_blocking(move || Catalogue::check(&files).1).await;
    checked.map(|findings| FindingsView { findings }).map_err(RpcError::internal_error)
}
