//! What the server says about scripts and calls when it is asked to judge them. Reading takes time, so it
//! happens outside the loop.

use std::{collections::HashMap, sync::Arc};

use beamq_machines::{CommandCall, JobBody};
use tokio::task;

use super::{
    catalogue,
    clients::ReplyTo,
    dispatcher::Dispatcher,
    findings,
    forecast::{Bench, unqueued},
    readings,
};
use crate::{
    catalogue::Catalogue,
    dryrun::{Compiler, Host, static_check::SYNTAX_ERROR},
    protocol::{
        Request, RpcError,
        request::DryRunMode,
        view::{DryRunReport, Finding, Seconds, Severity, Totals},
    },
};

impl Dispatcher {
    /// Judges a script, calls or a job: by reading them, and by running them on virtual time if wished.
    pub(super) fn judge(&mut self, to: ReplyTo, request: Request) {
        let (host, catalogue) = (self.host(), Arc::clone(&self.in_force.catalogue));
        let compiler = Arc::clone(&self.settings.compiler);
        let (body, mode, job) = match request {
            Request::DryRunScript(params) => {
                (Some(JobBody::Script { source: params.script, black_box: false }), params.mode, None)
            }
            Request::DryRunCommands(params) => (Some(JobBody::Commands(params.commands)), params.mode, None),
            Request::DryRunJob(params) => match params.id.resolve() {
                Err(error) => return self.answer::<()>(&to, Err(error)),
                Ok(id) => {
                    let body = self.core.job(id).map(|machine| machine.spec.body.clone());
                    (body, params.mode, Some(id))
                }
            },
            other => {
                let error = RpcError::internal_error(format!("{} does not judge", other.method().name()));
                return self.answer::<()>(&to, Err(error));
            }
        };
        let bench = match mode {
            DryRunMode::Static => None,
            DryRunMode::Simulate => match self.bench(job) {
                Ok(bench) => Some(bench),
                Err(error) => return self.answer::<()>(&to, Err(error)),
            },
        };
        let journal = self.journal.clone();
        self.later(to, async move {
            let body = match (body, job) {
                (Some(body), _) => body,
                (None, Some(id)) => readings::ended_body(&journal, id).await?,
                (None, None) => return Err(RpcError::internal_error("there is nothing to judge")),
            };
            judged(host, body, catalogue, compiler, bench).await
        });
    }
}

/// What is to be said about a script or calls.
async fn judged(
    host: Host,
    body: JobBody,
    catalogue: Arc<Catalogue>,
    compiler: Arc<Compiler>,
    bench: Option<Bench>,
) -> Result<DryRunReport, RpcError> {
    let read = match &body {
        JobBody::Script { source, .. } => script_report(host, Arc::clone(source), catalogue, compiler).await,
        JobBody::Commands(calls) => calls_report(calls.clone(), catalogue).await?,
    };
    // What does not compile cannot be run, and calls with errors are refused by the first of them.
    let runs = match &body {
        JobBody::Script { .. } => read.findings.iter().all(|finding| finding.code != SYNTAX_ERROR),
        JobBody::Commands(_) => read.ok,
    };
    match bench.filter(|_| runs) {
        Some(bench) => Ok(bench.report(&unqueued(body), read.findings).await),
        None => Ok(read),
    }
}

/// The errors in the scripts of a submission, by the number of the job.
pub(super) async fn errors_of(
    host: Host,
    scripts: Vec<(usize, Arc<str>)>,
    catalogue: Arc<Catalogue>,
    compiler: Arc<Compiler>,
) -> Vec<(usize, Vec<Finding>)> {
    let mut seen: HashMap<Arc<str>, Vec<Finding>> = HashMap::new();
    let mut all = Vec::with_capacity(scripts.len());
    for (n, script) in scripts {
        let found = match seen.get(&script) {
            Some(found) => found.clone(),
            None => {
                let report =
                    script_report(host, Arc::clone(&script), Arc::clone(&catalogue), Arc::clone(&compiler))
                        .await;
                let found = report.findings;
                let errors: Vec<_> =
                    found.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
                seen.insert(script, errors.clone());
                errors
            }
        };
        if !found.is_empty() {
            all.push((n, found));
        }
    }
    all
}

/// Reads a script and asks the interpreter about its syntax.
async fn script_report(
    host: Host,
    script: Arc<str>,
    catalogue: Arc<Catalogue>,
    compiler: Arc<Compiler>,
) -> DryRunReport {
    let reading = findings::read(host, Arc::clone(&script), catalogue);
    let (mut found, word) = tokio::join!(reading, compiler.final_word(&script));
    let unheard = match word {
        Ok(word) => {
            findings::settle(&word, &script, &mut found);
            None
        }
        Err(error) => Some(findings::not_compiled(&error)),
    };
    report(findings::plain(&found).chain(unheard).collect())
}

async fn calls_report(calls: Vec<CommandCall>, catalogue: Arc<Catalogue>) -> Result<DryRunReport, RpcError> {
    let judged = task::spawn_blocking(move || catalogue::findings(&catalogue, &calls)).await;
    judged.map(report).map_err(RpcError::internal_error)
}

/// A report without a run: nothing is known of times and devices.
fn report(findings: Vec<Finding>) -> DryRunReport {
    DryRunReport {
        ok: findings.iter().all(|finding| finding.severity != Severity::Error),
        findings,
        timeline: Vec::new(),
        totals: Totals {
            seconds: Seconds { low: None, expected: None, high: None, at_least: true },
            counters: std::collections::BTreeMap::new(),
        },
        devices: Vec::new(),
        unreached_lines: Vec::new(),
        truncated: None,
    }
}
