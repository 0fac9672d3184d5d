//! What the configuration wants of scripts before they are queued: `dry_run: never | warn | block`.

use std::{collections::BTreeMap, sync::Arc};

use beamq_machines::{JobBody, core::Actor};

use crate::{
    config::DryRunPolicy,
    protocol::{
        Request, RpcError,
        proxy::ProxyCommand,
        view::{BatchVerdict, Finding},
    },
    server::{
        clients::ReplyTo,
        dispatcher::{After, Dispatcher},
        inside::{Again, Inside},
        judging,
    },
};

/// Scripts of a submission that were read before it may be queued.
pub(in crate::server) struct Checked {
    pub(super) to: ReplyTo,
    pub(super) what: Wanted,
    /// Why not, by the number of the job in the submission.
    pub(super) refusals: BTreeMap<usize, RpcError>,
}

/// What is to be done when the scripts are good.
pub(super) enum Wanted {
    Native(Box<Request>),
    Proxy(Box<ProxyCommand>),
    Again(Actor, Box<Again>, Box<beamq_machines::JobSpec>),
}

impl Dispatcher {
    fn blocks(&self, actor: &Actor) -> bool {
        self.settings.dry_run.of(actor.role) == DryRunPolicy::Block
    }

    /// Whether submissions of this client are answered with what was found in their scripts.
    pub(in crate::server) fn tells_findings(&self, to: &ReplyTo) -> bool {
        let role = self.login_of(to.session).map(|actor| actor.role);
        role.is_none_or(|role| self.settings.dry_run.of(role) != DryRunPolicy::Never)
    }

    /// Has the scripts of a request read first, if the role of who sent it wants that. Gives back the
    /// request when it can go on.
    pub(in crate::server) fn check_first(
        &mut self,
        to: &ReplyTo,
        actor: &Actor,
        request: Request,
    ) -> Option<Request> {
        if !self.blocks(actor) {
            return Some(request);
        }
        let scripts: Vec<(usize, Arc<str>)> = match &request {
            Request::Submit(params) => {
                params.job.script.iter().map(|script| (0, Arc::clone(script))).collect()
            }
            Request::SubmitBatch(params) => {
                let jobs = params.jobs.iter().enumerate();
                jobs.filter_map(|(n, job)| Some((n, job.0.as_ref().ok()?.script.clone()?))).collect()
            }
            Request::EditJob(params) => {
                params.changes().script.into_iter().map(|script| (0, script)).collect()
            }
            _ => Vec::new(),
        };
        if scripts.is_empty() {
            return Some(request);
        }
        self.read_scripts(to.clone(), Wanted::Native(Box::new(request)), scripts);
        None
    }

    /// As [`Self::check_first`], for the proxy dialect. What the client says next waits.
    pub(in crate::server) fn check_proxy_first(
        &mut self,
        to: &ReplyTo,
        actor: &Actor,
        command: ProxyCommand,
    ) -> Option<ProxyCommand> {
        let script = match &command {
            ProxyCommand::Queue { code, .. } | ProxyCommand::Start { code, .. } => Some(Arc::clone(code)),
            ProxyCommand::Update { newcode, .. } => Some(Arc::clone(newcode)),
            _ => None,
        };
        match script.filter(|_| self.blocks(actor)) {
            None => Some(command),
            Some(script) => {
                self.proxy_hold_back(to.session);
                self.read_scripts(to.clone(), Wanted::Proxy(Box::new(command)), vec![(0, script)]);
                None
            }
        }
    }

    /// As [`Self::check_first`], for a job that is queued again. Gives both back when it can go on.
    pub(in crate::server) fn check_again_first(
        &mut self,
        to: &ReplyTo,
        actor: &Actor,
        wish: Again,
        spec: Box<beamq_machines::JobSpec>,
    ) -> Option<(Again, Box<beamq_machines::JobSpec>)> {
        let own = match &spec.body {
            JobBody::Script { source, .. } => Some(Arc::clone(source)),
            JobBody::Commands(_) => None,
        };
        let script = wish.changes.script.clone().or(own);
        let replaced = wish.changes.commands.is_some();
        match script.filter(|_| !replaced && !wish.checked && self.blocks(actor)) {
            None => Some((wish, spec)),
            Some(script) => {
                let again = Wanted::Again(actor.clone(), Box::new(Again { checked: true, ..wish }), spec);
                self.read_scripts(to.clone(), again, vec![(0, script)]);
                None
            }
        }
    }

    fn read_scripts(&mut self, to: ReplyTo, what: Wanted, scripts: Vec<(usize, Arc<str>)>) {
        let (host, catalogue) = (self.host(), Arc::clone(&self.in_force.catalogue));
        let compiler = Arc::clone(&self.settings.compiler);
        let to_self = self.to_self.clone();
        let reading = async move {
            let mut refusals = BTreeMap::new();
            for (n, errors) in judging::errors_of(host, scripts, catalogue, compiler).await {
                refusals.extend(refusal(errors).map(|refusal| (n, refusal)));
            }
            to_self.send(Inside::Checked(Box::new(Checked { to, what, refusals }))).ok();
        };
        self.pending.after.push(After::Read(Box::pin(reading)));
    }

    /// The scripts were read: the request goes on, or is refused.
    pub(in crate::server) fn scripts_checked(&mut self, checked: Checked) {
        let Checked { to, what, mut refusals } = checked;
        let first = refusals.remove(&0);
        match what {
            Wanted::Native(request) => {
                let refusal = match &*request {
                    Request::SubmitBatch(params) => {
                        refusals.extend(first.map(|first| (0, first)));
                        batch_refusal(params.jobs.len(), refusals)
                    }
                    Request::Submit(_) => first.map(|error| error.inside("job")),
                    _ => first,
                };
                match refusal {
                    Some(error) => {
                        self.audit(to.session, request.method().name(), error.kind().name(), None, None);
                        self.answer::<()>(&to, Err(error));
                    }
                    None => self.dispatch_checked(to, *request),
                }
            }
            Wanted::Proxy(command) => {
                let session = to.session;
                match first {
                    Some(error) => self.proxy_answer(&to, Err::<(), _>(error.message)),
                    None => self.proxy_checked(&to, *command),
                }
                self.proxy_replied(session);
            }
            Wanted::Again(actor, again, spec) => match first {
                Some(error) => self.answer::<()>(&to, Err(error)),
                None => self.spec_read(&to, &actor, *again, Ok(spec)),
            },
        }
    }
}

/// The refusal of a script in which these errors were found.
fn refusal(errors: Vec<Finding>) -> Option<RpcError> {
    let first = errors.first()?;
    let line = first.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let more = match errors.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let mut error = RpcError::invalid_job(format!("the script has errors: {line}{}{more}", first.message))
        .with_field("script");
    error.data.hint.clone_from(&first.hint);
    if error.data.hint.is_none() {
        error = error
            .with_hint("the dry-run policy refuses scripts with errors; dryrun.script tells all of them");
    }
    Some(error.with_more("findings", serde_json::to_value(&errors).unwrap_or_default()))
}

fn batch_refusal(total: usize, mut refusals: BTreeMap<usize, RpcError>) -> Option<RpcError> {
    let bad = refusals.len();
    if bad == 0 {
        return None;
    }
    let verdicts: Vec<_> = (0..total)
        .map(|n| refusals.remove(&n).map_or_else(BatchVerdict::acceptable, BatchVerdict::refused))
        .collect();
    Some(RpcError::invalid_batch(bad, total, verdicts))
}
