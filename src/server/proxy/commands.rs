//! From a command to an order of the core, and from what came of it to a reply.

use std::{sync::Arc, time::Duration};

use beamq_machines::{
    JobId, Role, SessionId,
    core::{Actor, Answer, Input, Order, Place, Selection},
    job::State,
    queue,
    session::SessionEvent,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::desk::{Answered, ReleaseAfter, UNNAMED};
use crate::{
    protocol::{
        CallId, ErrorKind, JobRef, Method, PromptRef, RpcError, Submission, SubmissionChanges,
        proxy::{self, Banner, CommandInfo, PAUSE_ANSWER, ProxyCommand, pause_level, prompt_answer},
    },
    server::{
        clients::ReplyTo,
        dispatcher::{After, Dispatcher},
        inside::{Dialect, LoginWish},
    },
};

const NOTHING_RUNS: &str = "no script is running";
const NOT_LOGGED_IN: &str = "you are not logged in: send authenticate with login and passwd first";
const RUNNING_IS_FIXED: &str =
    "a running script cannot be changed: stop it and queue it again, or update scripts while they wait";
const ALREADY_PAUSED: &str = "script is already paused";
const NO_ANSWER: &str = "the script waits for an answer: exec session.setUserinput(uid, value)";
/// NICOS's clients send `continue` right after an answer.
const CONTINUES_WITHIN: Duration = Duration::from_secs(2);
const INCONSISTENT: &str = "Inconsistency between clients script IDs and queued IDs";

/// The good end of a command, or the text that says why not.
type Replied = Result<Value, String>;

impl Dispatcher {
    /// Does what a message in the proxy dialect asks.
    pub(in crate::server) fn proxy_message(
        &mut self,
        session: SessionId,
        correlation: Option<String>,
        message: Value,
    ) {
        let to = ReplyTo { session, correlation, id: Some(CallId::Null), batch: None };
        match ProxyCommand::read(message) {
            Ok(command) => {
                self.metrics.proxy_request();
                self.proxy_command(to, command);
            }
            Err(error) => self.proxy_answer(&to, Err::<(), _>(error.to_string())),
        }
    }

    /// The answer to a first message that is no command.
    pub(in crate::server) fn proxy_banner(&mut self, session: SessionId, correlation: Option<String>) {
        let to = ReplyTo { session, correlation, id: Some(CallId::Null), batch: None };
        self.proxy_answer(&to, Ok(Banner::of_this_server()));
    }

    /// Notes the reply to a command, to go out after the commit.
    pub(in crate::server) fn proxy_answer(&mut self, to: &ReplyTo, result: Result<impl Serialize, String>) {
        if result.is_err() {
            self.metrics.proxy_error();
        }
        let text = match result {
            Ok(payload) => proxy::reply(&payload),
            Err(text) => proxy::error(&text),
        };
        self.pending.after.push(After::Reply(to.clone(), text));
    }

    fn proxy_command(&mut self, to: ReplyTo, command: ProxyCommand) {
        let command = match command {
            ProxyCommand::Authenticate { login, passwd, display } => {
                return self.authenticate(to, login, passwd.0, display);
            }
            ProxyCommand::Quit => {
                // The reply goes out before the link closes.
                self.proxy_answer(&to, Ok(()));
                self.turn(Input::Session(to.session, SessionEvent::LoggedOut));
                return;
            }
            command => command,
        };
        let Some(actor) = self.login_of(to.session) else {
            return self.proxy_answer(&to, Err::<(), _>(NOT_LOGGED_IN.to_owned()));
        };
        if self.clients.get(to.session).is_some_and(|client| client.key.is_some()) {
            let text = "this session is bound to a key, which only the native dialect can give: authenticate";
            return self.proxy_answer(&to, Err::<(), _>(text.to_owned()));
        }
        let replied = match command {
            ProxyCommand::GetStatus => return self.get_status(to),
            ProxyCommand::GetMessages { n } => return self.get_messages(to, n),
            ProxyCommand::Nicos { command, args } => return self.for_nicos(to, &actor, command, args),
            command => match self.check_proxy_first(&to, &actor, command) {
                Some(command) => self.proxy_carry_out(&to, &actor, command),
                None => return,
            },
        };
        self.proxy_answer(&to, replied);
    }

    /// Carries out a command whose script was read, as far as it has to be.
    pub(in crate::server) fn proxy_checked(&mut self, to: &ReplyTo, command: ProxyCommand) {
        let replied = match self.login_of(to.session) {
            Some(actor) => self.proxy_carry_out(to, &actor, command),
            None => Err(NOT_LOGGED_IN.to_owned()),
        };
        self.proxy_answer(to, replied);
    }

    fn authenticate(&mut self, to: ReplyTo, login: String, password: String, display: Option<String>) {
        if login.trim().is_empty() {
            let text = "No username, please identify yourself!".to_owned();
            return self.proxy_answer(&to, Err::<(), _>(text));
        }
        let wish = LoginWish { user: login, client: display, bind: false, dialect: Dialect::Proxy };
        self.log_in_with_either(to, wish, password);
    }

    fn proxy_carry_out(&mut self, to: &ReplyTo, actor: &Actor, command: ProxyCommand) -> Replied {
        match command {
            ProxyCommand::Queue { name, code } => self.proxy_queue(to, actor, name, code),
            ProxyCommand::Start { name, code } => match self.core.queue().active {
                Some(_) => Err("a script is running".into()),
                None => self.proxy_queue(to, actor, name, code),
            },
            ProxyCommand::Unqueue { reqid } => self.unqueue(to, actor, &reqid),
            ProxyCommand::Update { newcode, reason: _, reqid } => self.update(to, actor, newcode, reqid),
            ProxyCommand::Rearrange { ids } => self.rearrange(to, actor, &ids),
            ProxyCommand::Break { level } => self.proxy_break(to, actor, level),
            ProxyCommand::Continue => self.proxy_continue(to, actor),
            ProxyCommand::Stop { level } => self.proxy_stop(to, actor, level >= 5),
            ProxyCommand::Emergency => self.proxy_stop(to, actor, true),
            ProxyCommand::Finish => {
                self.active_or_refuse()?;
                self.proxy_order(to, actor, Method::SkipWait, Order::Skip)
            }
            ProxyCommand::Simulate { name, code, uuid } => {
                self.proxy_simulate(name, code, uuid).map(|()| Value::Null)
            }
            ProxyCommand::GetScript => Ok(Value::from(&*self.last_script())),
            ProxyCommand::GetTrace => Ok(self.trace().into()),
            ProxyCommand::GetVersion => Ok(env!("CARGO_PKG_VERSION").into()),
            ProxyCommand::EventMask { events } => Ok(self.mask(to.session, events, true)),
            ProxyCommand::EventUnmask { events } => Ok(self.mask(to.session, events, false)),
            ProxyCommand::KeepAlive | ProxyCommand::Unlock => Ok(Value::Null),
            // These are answered before.
            ProxyCommand::Authenticate { .. }
            | ProxyCommand::Quit
            | ProxyCommand::GetStatus
            | ProxyCommand::GetMessages { .. }
            | ProxyCommand::Nicos { .. } => Ok(Value::Null),
        }
    }

    /// What NICOS answers, but for the answer to a question, which the job gets from beamq.
    fn for_nicos(&mut self, to: ReplyTo, actor: &Actor, command: &'static CommandInfo, args: Vec<Value>) {
        let answer = match (command.name, args.first()) {
            // NICOS's own window has it evaluated.
            ("exec" | "eval", Some(Value::String(statement))) => prompt_answer(statement),
            _ => None,
        };
        match answer {
            Some((uid, value)) => {
                let replied = self.answer_prompt(&to, actor, uid, value);
                self.proxy_answer(&to, replied);
            }
            None => self.proxy_call_nicos(to, actor, command, args),
        }
    }

    fn answer_prompt(&mut self, to: &ReplyTo, actor: &Actor, uid: String, value: Value) -> Replied {
        let prompt = PromptRef(uid).resolve().map_err(|error| text_of(&error))?;
        let replied = self.proxy_order(to, actor, Method::AnswerPrompt, Order::Answer { prompt, value })?;
        self.proxy.answered = Some(Answered { session: to.session, at: Instant::now() });
        Ok(replied)
    }

    fn mask(&mut self, session: SessionId, events: Vec<String>, masked: bool) -> Value {
        if let Some(mask) = self.clients.get_mut(session).and_then(|client| client.proxy_mask.as_mut()) {
            for event in events {
                if masked {
                    mask.insert(event);
                } else {
                    mask.remove(&event);
                }
            }
        }
        if let Some(client) = self.clients.get(session)
            && let (Some(link), Some(mask)) = (&client.nicos, &client.proxy_mask)
        {
            link.mask(mask);
        }
        Value::Null
    }

    /// Gives the core an order and answers with nothing, which is all that NICOS answers.
    fn proxy_order(&mut self, to: &ReplyTo, actor: &Actor, method: Method, order: Order) -> Replied {
        self.carry_out(to, actor, method, order).map(|_| Value::Null).map_err(|error| text_of(&error))
    }

    fn proxy_queue(&mut self, to: &ReplyTo, actor: &Actor, name: Option<String>, code: Arc<str>) -> Replied {
        let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| UNNAMED.into());
        let submission = Submission { name, script: Some(code), ..Submission::default() };
        let order = self.new_jobs(actor, submission).map(|(jobs, _)| Order::Submit {
            jobs,
            place: Place::Back,
            revision: None,
        });
        let answer = order.and_then(|order| self.carry_out(to, actor, Method::Submit, order));
        match answer.map_err(|error| text_of(&error))? {
            Answer::Submitted { ids, .. } => {
                self.examine(&ids, None);
                ids.first().map(|id| id.to_string().into()).ok_or_else(|| "no script was queued".to_owned())
            }
            _ => Err("the script was answered strangely".to_owned()),
        }
    }

    fn unqueue(&mut self, to: &ReplyTo, actor: &Actor, reqid: &str) -> Replied {
        let order = if reqid != "*" {
            let id = waiting_id(reqid).ok_or("script already executing")?;
            let jobs = Selection::Ids(vec![id]);
            Order::Remove { jobs, lenient: false, revision: None }
        } else if actor.role >= Role::Scientist {
            Order::Clear { revision: None }
        } else {
            let jobs = Selection::Ids(self.core.queue().order.clone());
            Order::Remove { jobs, lenient: true, revision: None }
        };
        let method = if reqid == "*" { Method::ClearQueue } else { Method::RemoveJobs };
        let result = self.carry_out(to, actor, method, order);
        match result {
            Ok(_) => Ok(Value::Null),
            // NICOS says so of everything that does not wait, and its clients know these words.
            Err(error) if matches!(error.kind(), ErrorKind::WrongState | ErrorKind::NotFound) => {
                Err("script already executing".into())
            }
            Err(error) => Err(text_of(&error)),
        }
    }

    fn update(&mut self, to: &ReplyTo, actor: &Actor, newcode: Arc<str>, reqid: Option<String>) -> Replied {
        let active = self.core.queue().active;
        let Some(reqid) = reqid else {
            return Err(if active.is_some() { RUNNING_IS_FIXED } else { NOTHING_RUNS }.into());
        };
        let unknown = || format!("no script {} is waiting", JobRef(reqid.chars().take(64).collect()));
        let job = waiting_id(&reqid).ok_or_else(unknown)?;
        if active == Some(job) {
            return Err(RUNNING_IS_FIXED.into());
        }
        let machine = self.core.job(job).ok_or_else(unknown)?;
        let changes = SubmissionChanges { script: Some(newcode), ..SubmissionChanges::default() };
        let spec = changes.apply(&machine.spec).and_then(|spec| self.acceptable(actor, spec));
        let spec = spec.map_err(|error| text_of(&error))?;
        let order = Order::Edit { job, spec: Arc::new(spec), held: None, revision: None };
        let replied = self.proxy_order(to, actor, Method::EditJob, order);
        if replied.is_ok() {
            self.examine(&[job], None);
        }
        replied
    }

    /// The order of a client that has not heard of the latest changes is understood as far as it can be:
    /// what it names first may have run, and what was queued last it may not know.
    fn rearrange(&mut self, to: &ReplyTo, actor: &Actor, ids: &[String]) -> Replied {
        let ids: Option<Vec<JobId>> = ids.iter().map(|id| waiting_id(id)).collect();
        let ids = ids.ok_or(INCONSISTENT)?;
        let queue = self.core.queue();
        let (last, revision) = (self.core.last_job(), queue.revision);
        let has_run = |id: &&JobId| !queue.order.contains(id) && id.0 >= 1 && id.0 <= last;
        let gone = ids.iter().take_while(has_run).count();
        let mut order: Vec<_> = ids.into_iter().skip(gone).collect();
        let (known, newer) = queue.order.split_at_checked(order.len()).ok_or(INCONSISTENT)?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let mut expected = known.to_vec();
        expected.sort_unstable();
        if sorted != expected {
            return Err(INCONSISTENT.into());
        }
        order.extend_from_slice(newer);
        self.proxy_order(to, actor, Method::ReorderQueue, Order::Reorder { order, revision })
    }

    fn active_or_refuse(&self) -> Result<JobId, String> {
        self.core.queue().active.ok_or_else(|| NOTHING_RUNS.to_owned())
    }

    fn active_state(&self) -> Option<&State> {
        Some(self.core.job(self.core.queue().active?)?.state())
    }

    fn is_stopping(&self) -> bool {
        let state = self.active_state();
        state.is_some_and(|state| {
            matches!(state, State::Asked { .. } | State::Terminating { .. } | State::Killing { .. })
        })
    }

    fn proxy_break(&mut self, to: &ReplyTo, actor: &Actor, level: u64) -> Replied {
        self.active_or_refuse()?;
        let level = pause_level(level).ok_or("break: level must be 1 or more")?;
        match self.active_state() {
            Some(State::Paused {}) => Err(ALREADY_PAUSED.into()),
            Some(State::Running {}) if self.core.prompt().is_some() => Err(ALREADY_PAUSED.into()),
            _ if self.is_stopping() => Err("script is already stopping".into()),
            // The same break again is no mistake.
            Some(State::Pausing { level: pending }) if *pending == level => Ok(Value::Null),
            _ => self.proxy_order(to, actor, Method::PauseRun, Order::Pause(level)),
        }
    }

    /// NICOS knows no held queue; where nothing is running, going on can only mean the queue.
    fn proxy_continue(&mut self, to: &ReplyTo, actor: &Actor) -> Replied {
        // An answer lets the script go on by itself; the next question may be there already.
        if let Some(answered) = self.proxy.answered.take()
            && answered.session == to.session
            && answered.at.elapsed() < CONTINUES_WITHIN
        {
            return Ok(Value::Null);
        }
        match self.active_state() {
            Some(State::Paused {}) => self.proxy_order(to, actor, Method::ResumeRun, Order::Resume),
            Some(State::Running {}) if self.core.prompt().is_some() => self.continue_question(to, actor),
            Some(_) => Err("script is not paused".into()),
            None if matches!(self.core.queue().state(), queue::State::Held { .. }) => {
                self.proxy_order(to, actor, Method::ReleaseQueue, Order::ReleaseQueue)
            }
            None => Err(NOTHING_RUNS.into()),
        }
    }

    /// Answers the open question as NICOS does that is told nothing else.
    fn continue_question(&mut self, to: &ReplyTo, actor: &Actor) -> Replied {
        let Some(open) = self.core.prompt() else { return Err("script is not paused".into()) };
        let usual = proxy::is_mere_pause(open.choices.as_deref()).then(|| PAUSE_ANSWER.into());
        let Some(value) = usual.or_else(|| open.default.clone()) else { return Err(NO_ANSWER.into()) };
        let prompt = open.id;
        self.proxy_order(to, actor, Method::AnswerPrompt, Order::Answer { prompt, value })
    }

    fn proxy_stop(&mut self, to: &ReplyTo, actor: &Actor, at_once: bool) -> Replied {
        let job = self.active_or_refuse()?;
        if self.is_stopping() && !at_once {
            return Err("script is already stopping".into());
        }
        let again = self.is_stopping();
        let why = Some(format!("asked by {}", actor.user));
        self.proxy_order(to, actor, Method::AbortRun, Order::Abort { why })?;
        // Somebody who controls only jobs of their own leaves the queue to its policy.
        if again || actor.role < Role::Scientist {
            return Ok(Value::Null);
        }
        if self.settings.proxy_stop_empties_queue {
            self.proxy_order(to, actor, Method::ClearQueue, Order::Clear { revision: None })?;
            self.proxy.release_after = Some(ReleaseAfter { job, actor: actor.clone(), session: to.session });
        } else if !matches!(self.core.queue().state(), queue::State::Held { .. }) {
            let why = Some("a script was stopped".to_owned());
            self.proxy_order(to, actor, Method::HoldQueue, Order::HoldQueue { why })?;
        }
        Ok(Value::Null)
    }

    /// A script that was stopped in the way of NICOS has ended: what is queued from now on runs.
    pub(in crate::server) fn proxy_stopped(&mut self, session: SessionId, actor: &Actor) {
        if self.held_by_server() {
            let to = ReplyTo { session, correlation: None, id: None, batch: None };
            self.carry_out(&to, actor, Method::ReleaseQueue, Order::ReleaseQueue).ok();
        }
    }
}

/// The job of an id of this dialect, if it can be one.
fn waiting_id(id: &str) -> Option<JobId> {
    JobRef(id.to_owned()).id()
}

/// An error as the text that is a payload.
fn text_of(error: &RpcError) -> String {
    match (&error.data.hint, error.kind()) {
        // Hints about states name methods of the native dialect.
        (None, _) | (Some(_), ErrorKind::WrongState | ErrorKind::NotPausable) => error.message.clone(),
        (Some(hint), _) => format!("{} ({hint})", error.message),
    }
}
