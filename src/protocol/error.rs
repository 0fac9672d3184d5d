//! What a refused call is answered with. Every kind has a constructor here and a section in `docs/errors.md`.

use std::fmt;

use beamq_machines::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    native::REPLY_BYTES,
    text::{abbreviated, nearest},
};

/// The kinds of errors; each has a code that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The message is not JSON.
    ParseError,
    /// The message is JSON, and not a JSON-RPC 2.0 request.
    InvalidRequest,
    /// There is no such method.
    MethodNotFound,
    /// A member of the call is missing, unknown or of the wrong type.
    InvalidParams,
    /// The server itself failed; its log says more.
    InternalError,
    /// The method needs a login first.
    NotLoggedIn,
    /// Wrong credentials, or a role that may not.
    Forbidden,
    /// The job, the queue or the session is in a state in which this cannot be done.
    WrongState,
    /// There is no such job, prompt or command.
    NotFound,
    /// The queue has changed since the client looked.
    StaleRevision,
    /// The running job has no pause points.
    NotPausable,
    /// Only the nicos engine can do this.
    NeedsNicos,
    /// The content of a submission cannot be accepted.
    InvalidJob,
    /// NICOS refused the command.
    NicosRefused,
    /// The message or a part of it is larger than the server takes.
    TooLarge,
    /// What the method needs is not there at the moment.
    Unavailable,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::ParseError,
        Self::InvalidRequest,
        Self::MethodNotFound,
        Self::InvalidParams,
        Self::InternalError,
        Self::NotLoggedIn,
        Self::Forbidden,
        Self::WrongState,
        Self::NotFound,
        Self::StaleRevision,
        Self::NotPausable,
        Self::NeedsNicos,
        Self::InvalidJob,
        Self::NicosRefused,
        Self::TooLarge,
        Self::Unavailable,
    ];

    /// The JSON-RPC error code.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::ParseError => -32700,
            Self::InvalidRequest => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams => -32602,
            Self::InternalError => -32603,
            Self::NotLoggedIn => -32001,
            Self::Forbidden => -32002,
            Self::WrongState => -32010,
            Self::NotFound => -32011,
            Self::StaleRevision => -32012,
            Self::NotPausable => -32013,
            Self::NeedsNicos => -32014,
            Self::InvalidJob => -32015,
            Self::NicosRefused => -32016,
            Self::TooLarge => -32020,
            Self::Unavailable => -32030,
        }
    }

    /// What the kind means, in a few words.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::ParseError => "the message is not JSON",
            Self::InvalidRequest => "the message is not a JSON-RPC 2.0 request",
            Self::MethodNotFound => "there is no such method",
            Self::InvalidParams => "a member of the call is missing, unknown or mistyped",
            Self::InternalError => "the server itself failed",
            Self::NotLoggedIn => "the method needs a login first",
            Self::Forbidden => "wrong credentials, or a role that may not",
            Self::WrongState => "this cannot be done in the present state",
            Self::NotFound => "there is no such job, prompt or command",
            Self::StaleRevision => "the queue has changed since the client looked",
            Self::NotPausable => "the running job has no pause points",
            Self::NeedsNicos => "only the nicos engine can do this",
            Self::InvalidJob => "the content of a submission cannot be accepted",
            Self::NicosRefused => "NICOS refused the command",
            Self::TooLarge => "the message or a part of it is larger than the server takes",
            Self::Unavailable => "what the method needs is not there at the moment",
        }
    }

    /// The kind as it stands in `data.kind`, which is also its anchor in the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ParseError => "parse_error",
            Self::InvalidRequest => "invalid_request",
            Self::MethodNotFound => "method_not_found",
            Self::InvalidParams => "invalid_params",
            Self::InternalError => "internal_error",
            Self::NotLoggedIn => "not_logged_in",
            Self::Forbidden => "forbidden",
            Self::WrongState => "wrong_state",
            Self::NotFound => "not_found",
            Self::StaleRevision => "stale_revision",
            Self::NotPausable => "not_pausable",
            Self::NeedsNicos => "needs_nicos",
            Self::InvalidJob => "invalid_job",
            Self::NicosRefused => "nicos_refused",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The error member of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The code that belongs to `data.kind`.
    pub code: i32,
    /// What is wrong, in words for a person.
    pub message: String,
    /// What is wrong, for a program.
    pub data: Box<ErrorData>,
}

/// What is wrong, for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// The kind of the error.
    pub kind: ErrorKind,
    /// The member that is wrong, as a path: `job.commands[2].command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was given; long values are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What would be accepted: a list of names, or a description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Value>,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// More, by kind: `revision` and `order` of a stale edit, `verdicts` of a batch, `errors` when more
    /// than one member is wrong, `state` of what is in the wrong state.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// One member that is wrong, when there are several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// The member, as a path.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// What was given; long values are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What would be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Value>,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Parts that any kind can have.
impl RpcError {
    /// An error of the kind with nothing but a message.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let data = ErrorData { kind, field: None, value: None, allowed: None, hint: None, more: Map::new() };
        Self { code: kind.code(), message: message.into(), data: Box::new(data) }
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.data.kind
    }

    /// Names the member that is wrong.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.data.field = Some(field.into());
        self
    }

    /// Shows what was given, cut to a length that can be shown.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<Value>) -> Self {
        self.data.value = Some(abbreviated(value.into()));
        self
    }

    /// Says what would be accepted.
    #[must_use]
    pub fn with_allowed(mut self, allowed: impl Into<Value>) -> Self {
        self.data.allowed = Some(allowed.into());
        self
    }

    /// Says what to try.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.data.hint = Some(hint.into());
        self
    }

    /// Adds a member of its own to `data`.
    #[must_use]
    pub fn with_more(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.more.insert(name.to_owned(), value.into());
        self
    }

    /// Puts the field into a larger one: `name` becomes `jobs[3].name`.
    #[must_use]
    pub fn inside(mut self, outer: &str) -> Self {
        self.data.field = Some(match self.data.field.take() {
            Some(field) => joined(outer, &field),
            None => outer.to_owned(),
        });
        if let Some(Value::Array(errors)) = self.data.more.get_mut("errors") {
            for error in errors {
                if let Some(Value::String(field)) = error.get_mut("field") {
                    *field = joined(outer, field);
                }
            }
        }
        self
    }
}

/// Puts a path into another one.
fn joined(outer: &str, inner: &str) -> String {
    match inner.as_bytes().first() {
        None => outer.to_owned(),
        Some(b'[') => format!("{outer}{inner}"),
        Some(_) => format!("{outer}.{inner}"),
    }
}

/// One constructor per kind.
impl RpcError {
    /// The message is not JSON: `line` and `column` count from 1, 0 when unknown.
    #[must_use]
    pub fn parse_error(reason: &str, line: usize, column: usize) -> Self {
        let place = if line == 0 { String::new() } else { format!(" at line {line}, column {column}") };
        let error = Self::new(ErrorKind::ParseError, format!("not JSON: {reason}{place}"));
        if line == 0 { error } else { error.with_more("line", line).with_more("column", column) }
    }

    /// The message is JSON, and not a JSON-RPC 2.0 request.
    #[must_use]
    pub fn invalid_request(reason: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidRequest, format!("not a request: {reason}"))
            .with_hint(r#"a request is {"jsonrpc": "2.0", "id": 1, "method": "server.info", "params": {…}}"#)
    }

    /// There is no such method among `known`.
    #[must_use]
    pub fn method_not_found(method: &str, known: &[&str]) -> Self {
        let error = Self::new(
            ErrorKind::MethodNotFound,
            format!("no method {:?}", abbreviated(method.into()).as_str().unwrap_or_default()),
        )
        .with_field("method")
        .with_value(method);
        match nearest(method, known.iter().copied()) {
            Some(name) => error.with_hint(format!("did you mean {name}?")),
            None => error.with_hint("rpc.discover lists every method"),
        }
    }

    /// A member of the call is missing, unknown or of the wrong type.
    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParams, message)
    }

    /// The server itself failed; `what` goes to clients and must not hold secrets.
    #[must_use]
    pub fn internal_error(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InternalError, format!("the server failed: {what}"))
            .with_hint("the server's log says more; please report this")
    }

    /// The method needs a login first.
    #[must_use]
    pub fn not_logged_in() -> Self {
        Self::new(ErrorKind::NotLoggedIn, "log in first").with_hint(
            "call session.login with the token of the server's data directory, or with user and password",
        )
    }

    /// Wrong credentials. Never says which part is wrong.
    #[must_use]
    pub fn wrong_credentials() -> Self {
        Self::new(ErrorKind::Forbidden, "wrong credentials")
            .with_hint("the token is new at every start of the server; read it again")
    }

    /// The session was bound at login and the request has no key, or another one.
    #[must_use]
    pub fn wrong_key() -> Self {
        Self::new(ErrorKind::Forbidden, "this session needs its key with every request")
            .with_field("key")
            .with_hint("send the key that session.login returned as the member key of the request")
    }

    /// The role may not do this.
    #[must_use]
    pub fn forbidden_role(action: &str, role: Role, needed: Role) -> Self {
        Self::new(
            ErrorKind::Forbidden,
            format!("{action} needs the role {needed}; this session has the role {role}"),
        )
        .with_value(role.to_string())
        .with_allowed(format!("{needed} and above"))
    }

    /// The job belongs to somebody else, and the role controls own jobs only.
    #[must_use]
    pub fn forbidden_owner(job: impl fmt::Display, owner: &str) -> Self {
        Self::new(ErrorKind::Forbidden, format!("job {job} belongs to {owner}"))
            .with_value(job.to_string())
            .with_hint("the role user controls its own jobs; scientist and admin control all")
    }

    /// The job, the queue or the session is in a state in which `what` cannot be done. `allowed` names what
    /// would work now.
    #[must_use]
    pub fn wrong_state(what: impl Into<String>, state: &str, allowed: &[&str]) -> Self {
        let error = Self::new(ErrorKind::WrongState, what).with_more("state", state);
        if allowed.is_empty() { error } else { error.with_allowed(json!(allowed)) }
    }

    /// There is no such thing: `what` is `job`, `prompt`, `command`.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        let shown = abbreviated(id.into());
        Self::new(ErrorKind::NotFound, format!("no {what} {}", shown.as_str().unwrap_or_default()))
            .with_value(shown)
    }

    /// The queue has changed since the client looked at revision `given`.
    #[must_use]
    pub fn stale_revision(given: u64, revision: u64, order: impl Serialize) -> Self {
        Self::new(
            ErrorKind::StaleRevision,
            format!("the queue is at revision {revision}, the edit was made for revision {given}"),
        )
        .with_field("revision")
        .with_value(given)
        .with_more("revision", revision)
        .with_more("order", serde_json::to_value(order).unwrap_or_default())
        .with_hint("look at the order in data and send the edit again with the present revision")
    }

    /// The running job has no pause points.
    #[must_use]
    pub fn not_pausable(job: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotPausable, format!("job {job} is a black box and cannot be paused"))
            .with_value(job.to_string())
            .with_hint("run.abort ends it, queue.stop_after_current stops the queue after it")
    }

    /// Only the nicos engine can do this.
    #[must_use]
    pub fn needs_nicos(what: &str) -> Self {
        Self::new(ErrorKind::NeedsNicos, format!("{what} needs the nicos engine"))
            .with_hint("set engine.kind: nicos in the server's configuration")
    }

    /// The content of a submission cannot be accepted.
    #[must_use]
    pub fn invalid_job(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidJob, message)
    }

    /// The place in the queue does not exist.
    #[must_use]
    pub fn bad_place(reason: impl fmt::Display) -> Self {
        Self::invalid_job(format!("place: {reason}")).with_field("place")
    }

    /// Several members of a submission cannot be accepted; the first one is also shown by itself.
    #[must_use]
    pub fn invalid_job_fields(errors: Vec<FieldError>) -> Self {
        let count = errors.len();
        let all = serde_json::to_value(&errors).unwrap_or_default();
        let Some(first) = errors.into_iter().next() else {
            return Self::invalid_job("the job cannot be accepted");
        };
        let mut error = Self::invalid_job(format!("{}: {}", first.field, first.message));
        error.data.field = Some(first.field);
        error.data.value = first.value;
        error.data.allowed = first.allowed;
        error.data.hint = first.hint;
        if count > 1 { error.with_more("errors", all) } else { error }
    }

    /// A batch was refused as a whole; `verdicts` has one entry per job.
    #[must_use]
    pub fn invalid_batch(bad: usize, total: usize, verdicts: impl Serialize) -> Self {
        let are = if bad == 1 { "is" } else { "are" };
        Self::invalid_job(format!("{bad} of {total} jobs {are} not acceptable; none was queued"))
            .with_field("jobs")
            .with_more("verdicts", serde_json::to_value(verdicts).unwrap_or_default())
    }

    /// NICOS refused the command; the text is its own.
    #[must_use]
    pub fn nicos_refused(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::NicosRefused, text)
    }

    /// Something is larger than the server takes.
    #[must_use]
    pub fn too_large(what: &str, size: usize, limit: usize, unit: &str) -> Self {
        Self::new(ErrorKind::TooLarge, format!("{what} has {size} {unit}; at most {limit} are taken"))
            .with_value(size)
            .with_allowed(format!("at most {limit} {unit}"))
    }

    /// The reply would be larger than any client or broker takes.
    #[must_use]
    pub fn reply_too_large(size: usize) -> Self {
        let text = format!("the reply has {size} bytes; at most {REPLY_BYTES} are sent");
        Self::new(ErrorKind::TooLarge, text)
            .with_value(size)
            .with_allowed(format!("at most {REPLY_BYTES} bytes"))
            .with_hint("ask for less at a time: without scripts, or a part with offset and limit")
    }

    /// What the method needs is not there at the moment: `reason` continues "unavailable: ".
    #[must_use]
    pub fn unavailable(reason: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unavailable, format!("unavailable: {reason}"))
    }
}
