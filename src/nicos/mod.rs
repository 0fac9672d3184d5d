//! A connection to a NICOS daemon: login, commands with their replies, and the stream of events.
//!
//! The engine has one under the service account, and so has every client that logged in with a NICOS account.
//! This room knows the daemon's manners and what they cost; it knows no jobs, no clients of ours and no roles.
//!
//! ```no_run
//! # async fn example() -> Result<(), beamq::nicos::NicosError> {
//! use beamq::{nicos::{Connection, Login, Options}, security::Secret, wire::nicos::{Command, Event}};
//! use serde_json::json;
//!
//! let login = Login { user: "ulf".into(), password: Secret::new("…".into()), display: String::new() };
//! let options = Options { mask: vec![Event::Status, Event::Cache], ..Options::default() };
//! let (nicos, mut events) = Connection::open("127.0.0.1", 1301, &login, options).await?;
//! let request = nicos.call(Command::Queue, &[json!("a name"), json!("print(1)")]).await?;
//! while let Some(event) = events.next().await {
//!     println!("{}: {}", event.event.name(), event.value()?);
//! }
//! // The stream ends with the connection, whichever side ended it; this is why.
//! println!("{}", nicos.closed().await);
//! # Ok(()) }
//! ```
//!
//! What the daemon does, and what is done about it here:
//!
//! - One connection that stays silent keeps everybody else from logging in: connecting and saying who we are
//!   are one step, and the whole login has a time-out.
//! - `finish` and `gethistory` may be answered twice: each is followed by a command whose reply cannot be
//!   mistaken, and what comes between is dropped.
//! - A reply can take as long as the daemon likes. A call that is given up leaves its place in the order of
//!   replies, so that later calls get their own replies.
//! - A busy script emits tens of thousands of `status` events a second: of those that nobody has taken yet, only
//!   the last is kept where several follow each other. They can also be masked.
//! - Whoever does not take events for a minute is cut off by the daemon. The stream holds a bounded number;
//!   then it stops reading, and the rest waits in the daemon.
//! - When the connection of the events ends, the daemon ends that of the commands at its next event: here both
//!   end together.

mod commands;
mod error;
mod events;
pub mod friendly;
mod login;

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use self::{commands::CommandLine, events::EventReader, login::Introduced};
pub use self::{
    error::NicosError,
    events::{EventStream, NicosEvent},
    login::{Banner, Level, Login},
};
use crate::wire::{
    nicos::{Command, Event, Limits, Payload, Reply, Serializer},
    pickle,
};

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events that are not wanted, from the beginning on.
    pub mask: Vec<Event>,
    /// How long connecting and logging in may take together.
    pub open_within: Duration,
    /// How long [`Connection::call`] waits for a reply.
    pub answer_within: Duration,
    /// What a frame may cost.
    pub frames: Limits,
    /// What the value in it may cost.
    pub values: pickle::Limits,
}

impl Default for Options {
    /// Every event; 10 s for the login, 30 s for a reply.
    fn default() -> Self {
        Self {
            mask: Vec::new(),
            open_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(30),
            frames: Limits::default(),
            values: pickle::Limits::default(),
        }
    }
}

/// Why a connection ended, once it has; whoever knows first says it for all.
type Ending = watch::Sender<Option<Arc<str>>>;

/// A connection that is logged in. Clones are the same connection; it ends with the last of them, or when its
/// [`EventStream`] is dropped.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    line: CommandLine,
    banner: Banner,
    level: Level,
    serializer: Serializer,
    options: Options,
    ended: watch::Receiver<Option<Arc<str>>>,
    /// The tasks that read and write; they end with this.
    _tasks: JoinSet<()>,
}

impl Connection {
    /// Connects to the daemon at `host` and `port`, logs in and opens the stream of events.
    ///
    /// # Errors
    ///
    /// [`NicosError`]: nobody listens, what listens is no daemon of a version that we speak, it says nothing, or
    /// it refuses the login.
    pub async fn open(
        host: &str,
        port: u16,
        login: &Login,
        options: Options,
    ) -> Result<(Self, EventStream), NicosError> {
        let within = options.open_within;
        match timeout(within, Self::open_patiently(host, port, login, options)).await {
            Ok(opened) => opened,
            Err(_) => Err(NicosError::Silent { address: format!("{host}:{port}"), within }),
        }
    }

    async fn open_patiently(
        host: &str,
        port: u16,
        login: &Login,
        options: Options,
    ) -> Result<(Self, EventStream), NicosError> {
        let Introduced { id, replies, writing, banner, serializer } =
            login::introduce(host, port, &options).await?;
        let (ending, ended) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let line = CommandLine::start(replies, writing, serializer, ending.clone(), &mut tasks)?;
        let mut inner =
            Inner { line, banner, level: Level::Guest, serializer, options, ended, _tasks: tasks };
        let authenticated = inner.call(Command::Authenticate, &[login.argument()]).await;
        inner.level = login::level(authenticated)?;
        if !inner.options.mask.is_empty() {
            inner.call(Command::EventMask, &[names(&inner.options.mask)]).await?;
        }
        let socket = login::attach(host, port, id).await?;
        let reader = EventReader { socket, serializer, limits: inner.options.frames, ending };
        let events = EventStream::start(reader, inner.options.values);
        Ok((Self { inner: Arc::new(inner) }, events))
    }

    /// What the daemon said of itself.
    #[must_use]
    pub fn banner(&self) -> &Banner {
        &self.inner.banner
    }

    /// The level of the account.
    #[must_use]
    pub fn level(&self) -> Level {
        self.inner.level
    }

    /// Calls a command and gives its result, which is `null` for commands that give nothing. Values have the
    /// mapping of [`pickle`]; an `eval` that raised gives the exception as an object.
    ///
    /// # Errors
    ///
    /// [`NicosError::Refused`] with the daemon's own words; [`NicosError::TimedOut`], after which the connection
    /// can still be used; [`NicosError::Lost`]; [`NicosError::Payload`] when the value cannot be read or the
    /// arguments cannot be sent.
    pub async fn call(&self, command: Command, arguments: &[Value]) -> Result<Value, NicosError> {
        self.inner.call(command, arguments).await
    }

    /// Like [`Connection::call`], but gives the result as JSON that clients are sent, in the forms of
    /// [`friendly`](friendly::friendly).
    ///
    /// # Errors
    ///
    /// As [`Connection::call`].
    pub async fn call_for_text(&self, command: Command, arguments: &[Value]) -> Result<String, NicosError> {
        let inner = &self.inner;
        Ok(match inner.exchange(command, arguments, inner.options.answer_within).await? {
            None => "null".to_owned(),
            Some(payload) => {
                inner.serializer.decode_to_text(&payload, &inner.options.values, friendly::friendly)?
            }
        })
    }

    /// Like [`Connection::call`], with a time-out of its own.
    ///
    /// # Errors
    ///
    /// As [`Connection::call`].
    pub async fn call_within(
        &self,
        command: Command,
        arguments: &[Value],
        within: Duration,
    ) -> Result<Value, NicosError> {
        self.inner.call_within(command, arguments, within).await
    }

    /// Stops events of these kinds.
    ///
    /// # Errors
    ///
    /// As [`Connection::call`].
    pub async fn mask(&self, events: &[Event]) -> Result<(), NicosError> {
        self.call(Command::EventMask, &[names(events)]).await.map(drop)
    }

    /// Lets events of these kinds come again.
    ///
    /// # Errors
    ///
    /// As [`Connection::call`].
    pub async fn unmask(&self, events: &[Event]) -> Result<(), NicosError> {
        self.call(Command::EventUnmask, &[names(events)]).await.map(drop)
    }

    /// Waits until the connection has ended, and says why.
    pub async fn closed(&self) -> Arc<str> {
        let mut ended = self.inner.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the connection was dropped".into(),
        }
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.ended.borrow().is_some()
    }

    /// Says goodbye, and waits a moment for the daemon to hang up.
    pub async fn quit(self) {
        const HANGS_UP_WITHIN: Duration = Duration::from_secs(1);
        // A daemon that is gone or hangs needs no goodbye.
        if self.call_within(Command::Quit, &[], HANGS_UP_WITHIN).await.is_ok() {
            timeout(HANGS_UP_WITHIN, self.closed()).await.ok();
        }
    }
}

impl Inner {
    async fn call(&self, command: Command, arguments: &[Value]) -> Result<Value, NicosError> {
        self.call_within(command, arguments, self.options.answer_within).await
    }

    async fn call_within(
        &self,
        command: Command,
        arguments: &[Value],
        within: Duration,
    ) -> Result<Value, NicosError> {
        match self.exchange(command, arguments, within).await? {
            None => Ok(Value::Null),
            Some(payload) => Ok(self.serializer.decode(&payload, &self.options.values)?),
        }
    }

    /// Sends a command; the payload of its reply, if it has one.
    async fn exchange(
        &self,
        command: Command,
        arguments: &[Value],
        within: Duration,
    ) -> Result<Option<Payload>, NicosError> {
        let payload = self.serializer.encode(arguments)?;
        let reply = match timeout(within, self.line.exchange(command, &payload)).await {
            Ok(Some(reply)) => reply?,
            Ok(None) => return Err(NicosError::Lost { why: self.why_ended() }),
            Err(_) => return Err(NicosError::TimedOut { command, within }),
        };
        match reply {
            Reply::None => Ok(None),
            Reply::Data(payload) => Ok(Some(payload)),
            Reply::Refusal(payload) => {
                let text = match self.serializer.decode(&payload, &self.options.values)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                Err(NicosError::Refused { command, text })
            }
        }
    }

    fn why_ended(&self) -> Arc<str> {
        self.ended.borrow().clone().unwrap_or_else(|| "the connection has ended".into())
    }
}

fn names(events: &[Event]) -> Value {
    events.iter().map(|event| event.name()).collect()
}

/// Records why the connection ended, unless somebody has already.
fn end(ending: &Ending, why: impl Into<Arc<str>>) {
    ending.send_if_modified(|known| {
        let first = known.is_none();
        if first {
            *known = Some(why.into());
        }
        first
    });
}
