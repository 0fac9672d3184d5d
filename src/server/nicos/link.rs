//! A session's connection while it lives: its events go to the client, a lost connection is made again.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use beamq_machines::{Role, SessionId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    NicosAccess,
    jobs::JobInNicos,
    livedata::LiveData,
    login::{HEARD, Opened, is_handed_on},
};
use crate::{
    config::NicosSessions,
    nicos::{Connection, EventStream, Login, NicosError, NicosEvent, friendly::friendly},
    protocol::proxy,
    server::inside::{Dialect, Inside},
    transport::{Outbox, Outgoing},
    wire::nicos::{Command, Event, PayloadError},
};

/// The waits before a lost connection is tried again double from the first to the second.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a status waits for what NICOS says of the instrument, before it goes out without.
const INSTRUMENT_WITHIN: Duration = Duration::from_secs(1);
/// How long the daemon may take for a changed mask.
const MASK_WITHIN: Duration = Duration::from_secs(10);

/// The loop's end of a session's connection. Dropping it says goodbye to NICOS.
#[derive(Debug)]
pub(in crate::server) struct NicosLink {
    mask: watch::Sender<BTreeSet<String>>,
    caller: Caller,
    /// What the session has had evaluated, as far as it stands in the audit.
    evaluated: BTreeSet<[u8; 16]>,
}

/// So many expressions of a session are remembered.
const REMEMBERED: usize = 10_000;

/// What calls go through.
#[derive(Clone, Debug)]
pub(in crate::server) struct Caller {
    standing: watch::Receiver<Standing>,
    live: Arc<Mutex<LiveData>>,
}

#[derive(Clone, Debug)]
enum Standing {
    Up(Connection),
    Down(Arc<str>),
}

/// Why a call of a session has no result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// NICOS refuses, in its own words.
    Refused(String),
    /// The arguments or the result cannot be carried.
    Unfit(String),
    /// NICOS is not there, or does not answer.
    Unavailable(String),
}

/// The command that beamq answers from what it has kept.
const LIVE_DATA: &str = "getlivedata";

impl From<NicosError> for CallError {
    fn from(error: NicosError) -> Self {
        match error {
            NicosError::Refused { text, .. } => Self::Refused(text),
            NicosError::Payload(error) => Self::Unfit(error.to_string()),
            NicosError::Frame(error) => Self::Unfit(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl Caller {
    /// Calls a command of NICOS.
    pub(super) async fn call(&self, command: &str, args: &[Value]) -> Result<Value, CallError> {
        if command == LIVE_DATA {
            return self.live_data(args);
        }
        let (connection, command, args) = self.prepared(command, args)?;
        connection.call(command, &args).await.map_err(CallError::from)
    }

    /// The same with the result as clients are sent it.
    pub(super) async fn call_for_text(&self, command: &str, args: &[Value]) -> Result<String, CallError> {
        if command == LIVE_DATA {
            return self.live_data(args).map(|value| friendly(value).to_string());
        }
        let (connection, command, args) = self.prepared(command, args)?;
        connection.call_for_text(command, &args).await.map_err(CallError::from)
    }

    fn live_data(&self, args: &[Value]) -> Result<Value, CallError> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.fetch(args).map_err(CallError::Refused)
    }

    /// What to call a command on and with.
    fn prepared(
        &self,
        command: &str,
        args: &[Value],
    ) -> Result<(Connection, Command, Vec<Value>), CallError> {
        let Some(command) = Command::from_name(command) else {
            return Err(CallError::Refused(format!("NICOS has no command {command}")));
        };
        let mut args = args.to_vec();
        match (command, args.len()) {
            // NICOS knows no default for these.
            (Command::Eval, 1) => args.push(false.into()),
            (Command::GetMessages, 0) => args.push("*".into()),
            _ => {}
        }
        let standing = self.standing.borrow().clone();
        match standing {
            Standing::Up(connection) => Ok((connection, command, args)),
            Standing::Down(why) => {
                Err(CallError::Unavailable(format!("{why}; the connection is being made again")))
            }
        }
    }
}

impl Caller {
    /// What NICOS says of the instrument, if it says it soon.
    pub(in crate::server) async fn instrument(&self) -> Option<Value> {
        let asked = timeout(INSTRUMENT_WITHIN, self.call("getstatus", &[])).await;
        asked.ok()?.ok().map(friendly)
    }
}

impl NicosLink {
    /// Starts the task that keeps the connection.
    pub(in crate::server) fn start(
        session: SessionId,
        access: NicosAccess,
        opened: Opened,
        dialect: Dialect,
        outbox: Outbox,
        to_loop: mpsc::UnboundedSender<Inside>,
    ) -> Self {
        let Opened { connection, events, login, role } = opened;
        let (mask, masked) = watch::channel(BTreeSet::new());
        let (standing, stands) = watch::channel(Standing::Up(connection.clone()));
        let live = Arc::<Mutex<LiveData>>::default();
        let keeper = Keeper {
            session,
            _present: access.connections.subscribe(),
            access,
            login,
            role,
            dialect,
            outbox,
            to_loop,
            masked,
            standing,
            live: Arc::clone(&live),
        };
        tokio::spawn(keeper.keep(connection, events));
        Self { mask, caller: Caller { standing: stands, live }, evaluated: BTreeSet::new() }
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Whether the session has an expression evaluated for the first time. Clients that show values evaluate the
    /// same ones again and again.
    pub(super) fn is_new(&mut self, expression: &str) -> bool {
        if self.evaluated.len() >= REMEMBERED {
            self.evaluated.clear();
        }
        let mut known = [0; 16];
        known.copy_from_slice(Sha256::digest(expression).as_slice().split_at(16).0);
        self.evaluated.insert(known)
    }

    /// Tells which events the client does not want.
    pub(in crate::server) fn mask(&self, events: &BTreeSet<String>) {
        self.mask.send_replace(events.clone());
    }
}

/// The task of a session's connection.
struct Keeper {
    session: SessionId,
    /// Dropped when the connection has ended.
    _present: watch::Receiver<()>,
    access: NicosAccess,
    login: Login,
    role: Role,
    dialect: Dialect,
    outbox: Outbox,
    to_loop: mpsc::UnboundedSender<Inside>,
    /// Ends with the loop's end of the link.
    masked: watch::Receiver<BTreeSet<String>>,
    standing: watch::Sender<Standing>,
    live: Arc<Mutex<LiveData>>,
}

/// Why the connection is not served any longer.
enum Over {
    /// Nobody needs it.
    Dropped,
    /// It is gone.
    Lost(Arc<str>),
}

impl Keeper {
    async fn keep(mut self, mut connection: Connection, mut events: EventStream) {
        loop {
            match self.serve(&connection, &mut events).await {
                Over::Dropped => return connection.quit().await,
                Over::Lost(why) => {
                    tracing::info!(session = %self.session, %why, "a session's connection to NICOS is lost");
                    self.standing.send_replace(Standing::Down(why));
                }
            }
            drop(events);
            match self.reconnect().await {
                Some(opened) => (connection, events) = opened,
                None => return,
            }
            tracing::info!(session = %self.session, "a session's connection to NICOS stands again");
            self.standing.send_replace(Standing::Up(connection.clone()));
        }
    }

    /// Hands on events until the connection or the session ends.
    async fn serve(&mut self, connection: &Connection, events: &mut EventStream) -> Over {
        let probe = probe(connection.clone(), self.access.sessions.clone());
        tokio::pin!(probe);
        let mut job = JobInNicos::new(&self.access.service);
        let question = job.question(connection.clone());
        tokio::pin!(question);
        // The native dialect has no messages of NICOS.
        let mut asked = self.dialect == Dialect::Native;
        let mut masked = self.masked.clone();
        let mut told = BTreeSet::new();
        // A mask of an earlier connection is told to this one.
        masked.mark_changed();
        loop {
            tokio::select! {
                biased;
                changed = masked.changed() => {
                    if changed.is_err() {
                        return Over::Dropped;
                    }
                    let wanted = masked.borrow_and_update().clone();
                    change_mask(connection, &told, &wanted).await;
                    told = wanted;
                }
                why = &mut probe => return Over::Lost(why),
                running = &mut question, if !asked => {
                    asked = true;
                    job.answered(running);
                }
                event = events.next() => match event {
                    Some(event) => self.hand_on(event, &told, &mut job),
                    None => return Over::Lost(connection.closed().await),
                },
            }
        }
    }

    fn hand_on(&self, event: NicosEvent, masked: &BTreeSet<String>, job: &mut JobInNicos) {
        let name = event.event.name();
        let heard = HEARD.contains(&event.event);
        if self.dialect == Dialect::Native || masked.contains(name) && !heard {
            return;
        }
        let message = match event.event {
            // These are read for what they say; all others become text as they are.
            Event::Processing | Event::Done | Event::Message => match event.value() {
                Ok(value) if heard => return job.hear(event.event, &value),
                Ok(value) if job.said(&value) => return,
                Ok(value) => Ok(proxy::event(name, &friendly(value))),
                Err(error) => Err(error),
            },
            Event::LiveData => self.live_data(event),
            other if !is_handed_on(other) => return,
            _ => written(&event),
        };
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(session = %self.session, event = name, %error, "an event of NICOS is left out");
                return;
            }
        };
        if !self.outbox.push(Outgoing::new(None, message)) {
            self.to_loop.send(Inside::TooSlow(self.session)).ok();
        }
    }

    /// Keeps the arrays, and announces them.
    fn live_data(&self, event: NicosEvent) -> Result<Arc<str>, PayloadError> {
        let mut payload = friendly(event.value()?);
        self.live.lock().unwrap_or_else(PoisonError::into_inner).announce(&mut payload, event.blobs);
        Ok(proxy::event(event.event.name(), &payload))
    }

    /// Tries until the connection stands; nothing when the session has ended, or NICOS does not let it in.
    async fn reconnect(&mut self) -> Option<(Connection, EventStream)> {
        let mut wait = FIRST_WAIT;
        loop {
            if gone_within(&mut self.masked, wait).await {
                return None;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
            match self.access.open(&self.login, self.dialect).await {
                Ok((connection, events)) => {
                    let role = self.access.role(connection.level());
                    if role != self.role {
                        self.role = role;
                        let user = self.login.user.clone();
                        self.to_loop.send(Inside::NicosLevel { session: self.session, user, role }).ok();
                    }
                    return Some((connection, events));
                }
                Err(NicosError::LoginRefused { text }) => {
                    let why = format!("NICOS does not accept the account any more: {text}");
                    self.to_loop.send(Inside::NicosRefused { session: self.session, why }).ok();
                    return None;
                }
                Err(error) => {
                    self.standing.send_replace(Standing::Down(error.to_string().into()));
                }
            }
        }
    }
}

fn written(event: &NicosEvent) -> Result<Arc<str>, PayloadError> {
    Ok(proxy::event_of(event.event.name(), &event.text()?))
}

/// Whether the loop's end of the link goes away within this time.
async fn gone_within(masked: &mut watch::Receiver<BTreeSet<String>>, wait: Duration) -> bool {
    let gone = async { while masked.changed().await.is_ok() {} };
    timeout(wait, gone).await.is_ok()
}

/// Asks now and then, since NICOS has no heartbeat of its own; ends with the reason when there is no answer.
async fn probe(connection: Connection, sessions: NicosSessions) -> Arc<str> {
    loop {
        sleep(sessions.ask_every.0).await;
        match connection.call_within(Command::GetVersion, &[], sessions.answer_within.0).await {
            // A daemon that is owed calls by others is seen to by their time-outs.
            Ok(_) | Err(NicosError::Refused { .. } | NicosError::Overloaded { .. }) => {}
            Err(error) => return error.to_string().into(),
        }
    }
}

/// Tells the daemon which events it need not send, where that has changed.
async fn change_mask(connection: &Connection, told: &BTreeSet<String>, wanted: &BTreeSet<String>) {
    let events = |names: Vec<&String>| -> Vec<Event> {
        let known = names.into_iter().filter_map(|name| Event::from_name(name));
        known.filter(|event| is_handed_on(*event)).collect()
    };
    let more = events(wanted.difference(told).collect());
    let less = events(told.difference(wanted).collect());
    let change = async {
        if !more.is_empty() {
            connection.mask(&more).await?;
        }
        if !less.is_empty() {
            connection.unmask(&less).await?;
        }
        Ok::<_, NicosError>(())
    };
    // What the daemon sends nevertheless is not handed on.
    if let Ok(Err(error)) = timeout(MASK_WITHIN, change).await {
        tracing::debug!(%error, "the mask of a session's events was not told to NICOS");
    }
}
