//! What clients ask of NICOS: which command needs which role, and how the result goes back.

use beamq_machines::{Role, core::Actor};
use serde_json::{Value, json};

use super::link::{CallError, Caller};
use crate::{
    nicos::friendly::{friendly, is_exception},
    protocol::{
        ErrorKind, RpcError,
        proxy::{self, CommandInfo},
        request::{NicosArguments, NicosCall},
    },
    server::{clients::ReplyTo, dispatcher::Dispatcher},
};

/// Who may call a command of NICOS. NICOS's own levels protect nothing: a guest may evaluate anything there.
fn needed_role(command: &str) -> Option<Role> {
    match command {
        "getstatus" | "getmessages" | "getscript" | "gettrace" | "getversion" | "gethistory"
        | "getcachekeys" | "getdataset" | "getlivedata" => Some(Role::Viewer),
        // An expression can do whatever a script can, and whoever may submit scripts may do that.
        "eval" | "watch" | "unwatch" | "complete" | "transfer" => Some(Role::User),
        // These meddle with the running script, whoever it belongs to.
        "exec" | "debug" | "debuginput" => Some(Role::Scientist),
        _ => None,
    }
}

/// Whether the audit shows every call.
fn is_audited(command: &str) -> bool {
    matches!(command, "exec" | "debug" | "debuginput" | "transfer")
}

/// Whether the audit shows the first call with an argument: an expression can do anything, and one that reads a
/// value is evaluated all the time.
fn is_audited_once(command: &str) -> bool {
    matches!(command, "eval" | "watch")
}

/// What does the same for the queue of beamq, which is not NICOS's.
fn instead(command: &str) -> &'static str {
    match command {
        "queue" | "start" => "job.submit",
        "unqueue" => "job.remove",
        "update" => "job.edit",
        "rearrange" => "queue.reorder",
        "break" => "run.pause",
        "continue" => "run.resume",
        "stop" | "emergency" => "run.abort",
        "finish" => "run.skip",
        "simulate" => "dryrun.script",
        "authenticate" => "session.login",
        "quit" => "session.logout",
        _ => "a method of beamq",
    }
}

const NO_CONNECTION: &str =
    "this session has no connection to NICOS: it did not log in with an account of NICOS";

impl Dispatcher {
    /// `nicos.call`.
    pub(in crate::server) fn call_nicos(&mut self, to: ReplyTo, call: NicosCall) {
        match self.nicos_call(&to, call) {
            Ok((caller, command, args)) => self.later(to, async move {
                match caller.call(command, &args).await {
                    // An exception stays the object that it is.
                    Ok(value) if is_exception(&value) => Ok(value),
                    Ok(value) => Ok(friendly(value)),
                    Err(CallError::Refused(text)) => Err(RpcError::nicos_refused(text)),
                    Err(CallError::Unfit(text)) => Err(RpcError::invalid_params(text).with_field("args")),
                    Err(CallError::Unavailable(text)) => Err(RpcError::unavailable(text)),
                }
            }),
            Err(error) => self.answer::<()>(&to, Err(error)),
        }
    }

    fn nicos_call(
        &mut self,
        to: &ReplyTo,
        call: NicosCall,
    ) -> Result<(Caller, &'static str, Vec<Value>), RpcError> {
        if !self.has_nicos() {
            return Err(RpcError::needs_nicos("nicos.call"));
        }
        let Some(command) = CommandInfo::named(&call.command) else {
            return Err(RpcError::not_found("command of NICOS", &call.command).with_field("command"));
        };
        let Some(needed) = needed_role(command.name) else {
            let error =
                RpcError::invalid_params(format!("{} is up to beamq here, not to NICOS", command.name));
            return Err(error
                .with_field("command")
                .with_value(command.name)
                .with_hint(format!("use {}", instead(command.name))));
        };
        let actor = self.login_of(to.session).ok_or_else(RpcError::not_logged_in)?;
        if actor.role < needed {
            return Err(RpcError::forbidden_role(command.name, actor.role, needed));
        }
        let given = match call.args {
            NicosArguments::Listed(list) => Value::Array(list),
            NicosArguments::Named(members) => Value::Object(members),
        };
        let args = command
            .arguments(given)
            .map_err(|error| RpcError::invalid_params(error.to_string()).with_field("args"))?;
        let caller = self.nicos_caller(to).ok_or_else(|| {
            RpcError::new(ErrorKind::NeedsNicos, NO_CONNECTION)
                .with_hint("session.login with user and password of a NICOS account")
        })?;
        self.audit_nicos(to, command.name, &args);
        Ok((caller, command.name, args))
    }

    /// What a session's calls go through, if it has a connection.
    pub(in crate::server) fn nicos_caller(&self, to: &ReplyTo) -> Option<Caller> {
        let link = self.clients.get(to.session)?.nicos.as_ref()?;
        Some(link.caller())
    }

    fn audit_nicos(&mut self, to: &ReplyTo, command: &str, args: &[Value]) {
        let text = args.first().map(Value::to_string).unwrap_or_default();
        let link = self.clients.get_mut(to.session).and_then(|client| client.nicos.as_mut());
        let first = link.is_some_and(|link| is_audited_once(command) && link.is_new(&text));
        if is_audited(command) || first {
            // What is transferred can be large, and is kept beside the daemon anyway.
            let args = (command != "transfer").then(|| json!({"args": args}));
            self.audit(to.session, &format!("nicos.{command}"), "ok", None, args);
        }
    }

    /// A command of the proxy dialect that NICOS answers.
    pub(in crate::server) fn proxy_call_nicos(
        &mut self,
        to: ReplyTo,
        actor: &Actor,
        command: &'static CommandInfo,
        args: Vec<Value>,
    ) {
        let caller = match self.proxy_nicos_caller(&to, actor, command.name) {
            Ok(caller) => caller,
            Err(text) => return self.proxy_answer(&to, Err::<(), _>(text)),
        };
        self.audit_nicos(&to, command.name, &args);
        self.proxy_later(to, async move {
            match caller.call_for_text(command.name, &args).await {
                Ok(text) => proxy::reply_of(&text),
                Err(CallError::Refused(text) | CallError::Unfit(text) | CallError::Unavailable(text)) => {
                    proxy::error(&text)
                }
            }
        });
    }

    fn proxy_nicos_caller(&self, to: &ReplyTo, actor: &Actor, command: &str) -> Result<Caller, String> {
        if !self.has_nicos() {
            return Err(format!("{command} needs the nicos engine, and this server runs the python engine"));
        }
        match needed_role(command) {
            Some(needed) if actor.role < needed => {
                Err(format!("{command} needs the role {needed}; this session has the role {}", actor.role))
            }
            Some(_) => self.nicos_caller(to).ok_or_else(|| format!("{command}: {NO_CONNECTION}")),
            None => Err(format!("{command} is up to beamq here")),
        }
    }
}
