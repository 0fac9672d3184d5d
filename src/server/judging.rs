//! What the server says about scripts that it is given. Reading a script takes time, so it happens
//! outside the loop; a job is queued at once, and the reply follows when its script was read.

use std::{path::PathBuf, sync::Arc, time::Duration};

use beamq_machines::{CommandCall, JobBody, JobSpec};
use serde_json::Value;
use tokio::{sync::Semaphore, task, time};

use super::{catalogue, clients::ReplyTo, dispatcher::Dispatcher, readings};
use crate::{
    catalogue::{Catalogue, Diagnostic, Source},
    dryrun::{check_script, diagnose_script, final_word},
    protocol::{
        Request, RpcError,
        request::DryRunMode,
        view::{DryRunReport, Finding, Seconds, Severity, Totals},
    },
};

/// So many scripts are read at a time, whoever sent them: each needs memory many times its size.
static READERS: Semaphore = Semaphore::const_new(2);
/// A submission is answered after this time, whatever the check is doing.
const LONGEST: Duration = Duration::from_secs(2);

/// The script of a job that has one.
pub(super) fn script_of(spec: &JobSpec) -> Option<Arc<str>> {
    match &spec.body {
        JobBody::Script { source, .. } => Some(Arc::clone(source)),
        JobBody::Commands(_) => None,
    }
}

impl Dispatcher {
    /// Answers with the result of an order, and with what is to be said about the script that came with
    /// it. `inside` names the member of the result that has the findings; none when it is the result.
    pub(super) fn answer_with_findings(
        &mut self,
        to: &ReplyTo,
        script: Option<Arc<str>>,
        inside: &'static str,
        reply: Result<Value, RpcError>,
    ) {
        let (Some(script), Ok(mut value)) = (script, reply.clone()) else { return self.answer(to, reply) };
        let catalogue = Arc::clone(&self.in_force.catalogue);
        self.later(to.clone(), async move {
            let findings = findings(script, catalogue).await;
            if let Some(Value::Object(members)) = value.pointer_mut(inside)
                && !(findings.is_empty() && members.contains_key("findings"))
            {
                members.insert("findings".into(), serde_json::to_value(findings).unwrap_or_default());
            }
            Ok(value)
        });
    }

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
        let interpreter = self.settings.interpreter.clone();
        match request {
            Request::DryRunScript(params) => {
                self.later(to, async move { Ok(script_report(params.script, catalogue, interpreter).await) });
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
                                Ok(script_report(source, catalogue, interpreter).await)
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

/// What is to be said about a script, within a bounded time.
async fn findings(script: Arc<str>, catalogue: Arc<Catalogue>) -> Vec<Finding> {
    let checking = async {
        let permit = READERS.acquire().await.ok();
        let check = move || {
            // It is given back when the check ends, also when nobody waits for it any more.
            let _permit = permit;
            check_script(&script, &catalogue)
        };
        task::spawn_blocking(check).await.ok()
    };
    match time::timeout(LONGEST, checking).await {
        Ok(Some(findings)) => findings,
        Ok(None) | Err(_) => vec![not_checked("the script was not checked: that would have taken too long")],
    }
}

fn not_checked(message: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Note,
        code: "not_checked".into(),
        file: None,
        line: None,
        column: None,
        command: None,
        parameter: None,
        message: message.into(),
        hint: None,
    }
}

/// Reads a script and asks the interpreter about its syntax.
async fn script_report(script: Arc<str>, catalogue: Arc<Catalogue>, interpreter: PathBuf) -> DryRunReport {
    let permit = READERS.acquire().await.ok();
    let text = Arc::clone(&script);
    let reading = task::spawn_blocking(move || {
        let _permit = permit;
        diagnose_script("<script>", &text, &catalogue)
    });
    let (found, word) = tokio::join!(reading, final_word(&interpreter, &script));
    let Ok(mut found) = found else { return report(vec![not_checked("the script could not be checked")]) };
    let unheard = match word {
        Ok(word) => {
            let source = found.first().map_or_else(
                || Arc::new(Source::new("<script>", &*script)),
                |one| Arc::clone(&one.place.source),
            );
            word.settle(&source, &mut found);
            None
        }
        Err(error) => Some(not_checked(format!("the interpreter was not heard: failed to {error}"))),
    };
    let findings = found.iter().map(Diagnostic::finding).map(|finding| Finding { file: None, ..finding });
    report(findings.chain(unheard).collect())
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
