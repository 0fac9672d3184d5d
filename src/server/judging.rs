//! What the server says about scripts and calls when it is asked to judge them. Reading takes time, so it
//! happens outside the loop.

use std::sync::Arc;

use beamq_machines::{CommandCall, JobBody};
use tokio::task;

use super::{catalogue, clients::ReplyTo, dispatcher::Dispatcher, findings, readings};
use crate::{
    catalogue::Catalogue,
    dryrun::Compiler,
    protocol::{
        Request, RpcError,
        request::DryRunMode,
        view::{DryRunReport, Finding, Seconds, Severity, Totals},
    },
};

impl Dispatcher {
    /// Judges a script, calls or a job by reading them.
    pub(super) fn judge(&mut self, to: ReplyTo, request: Request) {
        let method = request.method().name();
        let mode = match &request {
            Request::DryRunScript(params) => params.mode,
            Request::DryRunCommands(params) => params.mode,
            Request::DryRunJob(params) => params.mode,
            _ => DryRunMode::Simulate,
        };
        if mode == DryRunMode::Simulate {
            let why = format!("this version of the server has no {method} that simulates");
            let error = RpcError::unavailable(why).with_field("mode").with_allowed("static");
            let hint = "give mode: static to have a script or calls read without running them";
            return self.answer::<()>(&to, Err(error.with_hint(hint)));
        }
        let catalogue = Arc::clone(&self.in_force.catalogue);
        let compiler = Arc::clone(&self.settings.compiler);
        match request {
            Request::DryRunScript(params) => {
                self.later(to, async move { Ok(script_report(params.script, catalogue, compiler).await) });
            }
            Request::DryRunCommands(params) => {
                self.later(to, async move { calls_report(params.commands, catalogue).await });
            }
            Request::DryRunJob(params) => match params.id.resolve() {
                Err(error) => self.answer::<()>(&to, Err(error)),
                Ok(id) => {
                    let body = self.core.job(id).map(|machine| machine.spec.body.clone());
                    let journal = self.journal.clone();
                    self.later(to, async move {
                        let body = match body {
                            Some(body) => body,
                            None => readings::ended_body(&journal, id).await?,
                        };
                        match body {
                            JobBody::Script { source, .. } => {
                                Ok(script_report(source, catalogue, compiler).await)
                            }
                            JobBody::Commands(calls) => calls_report(calls, catalogue).await,
                        }
                    });
                }
            },
            other => {
                let error = RpcError::internal_error(format!("{} does not judge", other.method().name()));
                self.answer::<()>(&to, Err(error));
            }
        }
    }
}

/// Reads a script and asks the interpreter about its syntax.
async fn script_report(script: Arc<str>, catalogue: Arc<Catalogue>, compiler: Arc<Compiler>) -> DryRunReport {
    let reading = findings::read(Arc::clone(&script), catalogue);
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
