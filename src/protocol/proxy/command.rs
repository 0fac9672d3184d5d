//! The table of commands, and what each becomes when its arguments have been read.

use std::{fmt, sync::Arc};

use beamq_machines::PauseLevel;

/// Who answers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// beamq, whatever the engine.
    Beamq,
    /// NICOS: without the nicos engine there is no answer.
    Nicos,
}

/// What an argument has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Text,
    /// Text or `null`. A number is taken as its text.
    Name,
    /// The id of a request: text, or the number that the text shows.
    Id,
    /// A list of such ids.
    Ids,
    /// A whole number from 1 on.
    Level,
    /// A whole number, or `"*"` for all.
    Count,
    /// A list of names of events.
    Events,
    /// Anything.
    Any,
}

impl Form {
    /// What is expected, for the text of an error.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "text or null",
            Self::Id => "the id of a request, as text",
            Self::Ids => "a list of ids of requests",
            Self::Level => "a whole number from 1 on (1 line, 2 point, 3 and above now)",
            Self::Count => "a whole number or \"*\"",
            Self::Events => "a list of names of events",
            Self::Any => "anything",
        }
    }
}

/// An argument of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it looks like.
    pub form: Form,
    /// Whether it may be left out.
    pub optional: bool,
}

/// A command, as it is documented and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandInfo {
    /// Its name.
    pub name: &'static str,
    /// Who answers it.
    pub kind: Kind,
    /// Its arguments in their order.
    pub parameters: &'static [Parameter],
    /// What it does, in one sentence.
    pub summary: &'static str,
}

const fn needed(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form, optional: false }
}

const fn optional(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form, optional: true }
}

const fn beamq(name: &'static str, parameters: &'static [Parameter], summary: &'static str) -> CommandInfo {
    CommandInfo { name, kind: Kind::Beamq, parameters, summary }
}

const fn nicos(name: &'static str, parameters: &'static [Parameter], summary: &'static str) -> CommandInfo {
    CommandInfo { name, kind: Kind::Nicos, parameters, summary }
}

impl CommandInfo {
    /// Every command that NICOS's daemon knows, and `getlivedata`, which serves what NICOS sends unasked.
    pub const ALL: &'static [Self] = &[
        beamq(
            "authenticate",
            &[needed("login", Form::Text), needed("passwd", Form::Text), optional("display", Form::Any)],
            "Logs in: the password is the token, or that of an account.",
        ),
        beamq(
            "queue",
            &[needed("name", Form::Name), needed("code", Form::Text)],
            "Queues a script and gives its id.",
        ),
        beamq(
            "start",
            &[needed("name", Form::Name), needed("code", Form::Text)],
            "Queues a script like `queue`; refused while a script is running.",
        ),
        beamq("unqueue", &[needed("reqid", Form::Id)], "Takes a waiting script off the queue; `\"*\"`: all."),
        beamq(
            "update",
            &[needed("newcode", Form::Text), optional("reason", Form::Any), optional("reqid", Form::Id)],
            "Changes a waiting script.",
        ),
        beamq("rearrange", &[needed("ids", Form::Ids)], "Gives the waiting scripts a new order."),
        beamq("break", &[optional("level", Form::Level)], "Pauses the running script."),
        beamq("continue", &[], "Lets a paused script go on, or a held queue when nothing is running."),
        beamq("stop", &[optional("level", Form::Level)], "Ends the running script and holds the queue."),
        beamq("emergency", &[], "Ends the running script at once; again presses harder."),
        beamq("finish", &[], "Ends the wait that the running script is in."),
        beamq(
            "simulate",
            &[
                needed("name", Form::Name),
                needed("code", Form::Text),
                optional("uuid", Form::Any),
                optional("quiet", Form::Any),
            ],
            "Judges a script without touching the instrument.",
        ),
        beamq("getstatus", &[], "Serves the state of everything."),
        beamq("getmessages", &[optional("n", Form::Count)], "Serves the last messages; `\"*\"` or 0: all."),
        beamq("getscript", &[], "Serves the running or last script."),
        beamq("gettrace", &[], "Says where the running script is."),
        beamq("getversion", &[], "Serves the version of the server."),
        beamq("eventmask", &[needed("events", Form::Events)], "Stops these events."),
        beamq("eventunmask", &[needed("events", Form::Events)], "Sends these events again."),
        beamq("keepalive", &[], "Does nothing, so that the session is not idle."),
        beamq("unlock", &[], "Does nothing: roles decide who controls, nobody holds a lock."),
        beamq("quit", &[], "Ends the session."),
        nicos("exec", &[needed("cmd", Form::Any)], "Runs a statement in the session."),
        nicos(
            "eval",
            &[needed("expr", Form::Any), optional("stringify", Form::Any)],
            "Evaluates an expression.",
        ),
        nicos("watch", &[needed("vallist", Form::Any)], "Adds watch expressions."),
        nicos("unwatch", &[needed("vallist", Form::Any)], "Removes watch expressions."),
        nicos(
            "gethistory",
            &[
                needed("key", Form::Any),
                needed("fromtime", Form::Any),
                needed("totime", Form::Any),
                optional("interval", Form::Any),
            ],
            "Serves the history of a cache key.",
        ),
        nicos("getcachekeys", &[needed("query", Form::Any)], "Serves cache keys."),
        nicos("getdataset", &[needed("index", Form::Any)], "Serves a dataset."),
        nicos("complete", &[needed("line", Form::Any), needed("lastword", Form::Any)], "Completes a word."),
        nicos("transfer", &[needed("content", Form::Any)], "Stores a file."),
        nicos("debug", &[needed("code", Form::Any)], "Debugs a script."),
        nicos("debuginput", &[needed("line", Form::Any)], "Feeds the debugger."),
        nicos(
            "getlivedata",
            &[needed("uid", Form::Any), optional("index", Form::Any)],
            "Serves an array that a `livedata` event announced; the first one without an index.",
        ),
    ];

    /// The command with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|command| command.name == name)
    }
}

/// A password, which no log and no error ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A command with its arguments.
#[expect(missing_docs, reason = "the fields are the arguments of the table above")]
#[derive(Clone, Debug, PartialEq)]
pub enum ProxyCommand {
    /// Log in.
    Authenticate { login: String, passwd: Password, display: Option<String> },
    /// Queue a script.
    Queue { name: Option<String>, code: Arc<str> },
    /// Queue a script, unless one is running.
    Start { name: Option<String>, code: Arc<str> },
    /// Take a waiting script off the queue, or all (`"*"`).
    Unqueue { reqid: String },
    /// Change a waiting script, or the running one when no id is given.
    Update { newcode: Arc<str>, reason: Option<String>, reqid: Option<String> },
    /// Give the waiting scripts a new order.
    Rearrange { ids: Vec<String> },
    /// Pause.
    Break { level: u64 },
    /// Go on.
    Continue,
    /// End the running script.
    Stop { level: u64 },
    /// End the running script at once.
    Emergency,
    /// End the present wait.
    Finish,
    /// Dry run.
    Simulate { name: Option<String>, code: Arc<str>, uuid: Option<String> },
    /// The state of everything.
    GetStatus,
    /// The last messages; `None` for all.
    GetMessages { n: Option<usize> },
    /// The running or last script.
    GetScript,
    /// Where the running script is.
    GetTrace,
    /// The server's version.
    GetVersion,
    /// Send these events no more.
    EventMask { events: Vec<String> },
    /// Send these events again.
    EventUnmask { events: Vec<String> },
    /// Nothing.
    KeepAlive,
    /// Nothing.
    Unlock,
    /// End the session.
    Quit,
    /// A command that only NICOS can answer.
    Nicos { command: &'static CommandInfo, args: Vec<serde_json::Value> },
}

impl ProxyCommand {
    /// Whether carrying it out a second time could do something twice.
    #[must_use]
    pub const fn changes_something(&self) -> bool {
        match self {
            Self::Queue { .. }
            | Self::Start { .. }
            | Self::Unqueue { .. }
            | Self::Update { .. }
            | Self::Rearrange { .. }
            | Self::Break { .. }
            | Self::Continue
            | Self::Stop { .. }
            | Self::Emergency
            | Self::Finish
            | Self::Nicos { .. } => true,
            Self::Authenticate { .. }
            | Self::Simulate { .. }
            | Self::GetStatus
            | Self::GetMessages { .. }
            | Self::GetScript
            | Self::GetTrace
            | Self::GetVersion
            | Self::EventMask { .. }
            | Self::EventUnmask { .. }
            | Self::KeepAlive
            | Self::Unlock
            | Self::Quit => false,
        }
    }
}

/// Where a pause of a level takes effect. `None` for 0, which never does.
#[must_use]
pub const fn pause_level(level: u64) -> Option<PauseLevel> {
    match level {
        0 => None,
        1 => Some(PauseLevel::Line),
        2 => Some(PauseLevel::Point),
        3.. => Some(PauseLevel::Now),
    }
}
