//! The main task: requests to sessions, acknowledgements to the broker, and who is there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    ActivemqSettings,
    advisories::Advisory,
    asked_to_stop,
    connection::{LineError, complaint},
    crew::{Crew, Hired},
    line::{Line, Mode, SUBSCRIBED},
    names::{ReplyQueue, connection_of},
    pusher::Pusher,
    repeats::{Repeats, Verdict},
    session::{Never, Notice, Request, Session, Shared, TOO_SLOW, answer_again},
    stance::{Stance, Step, TAKE_OVER_AFTER},
    topic,
};
use crate::{
    transport::{Clients, CommittedMessages, Fault, Origin},
    wire::stomp::{Command, Frame},
};

/// How long a client's queue may be away while the broker is there, before the client counts as gone: a
/// client that connects again by itself does so within a second.
const LINGER: Duration = Duration::from_secs(3);

/// A broker that tells nothing of its queues in this time tells nothing at all.
const ADVISED_WITHIN: Duration = Duration::from_secs(5);

/// After so many connections in a row that a message may have broken, messages are taken one by one.
const BROKEN_IN_A_ROW: u32 = 3;
/// A connection that stood so long was not broken by the message that broke the one before.
const UNRELATED_AFTER: Duration = Duration::from_secs(30);
/// How long messages are then taken one by one.
const CAREFUL_FOR: Duration = Duration::from_secs(3);

/// How long an acknowledgement may wait for others.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(2);

/// How long what is on its way has, when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many connections' accounts are remembered.
const KNOWN_ACCOUNTS: usize = 16_384;

/// How much of a message that is too large is looked at, to answer in its own dialect.
const LOOKED_AT: usize = 64 * 1024;

/// Everything that outlives a connection to the broker.
pub(super) struct Transport {
    settings: ActivemqSettings,
    clients: Clients,
    state: watch::Sender<String>,
    /// By the name of the reply queue.
    sessions: HashMap<String, Session>,
    last_session: u64,
    shared: Shared,
    pusher: watch::Sender<Option<Pusher>>,
    committed: CommittedMessages,
    /// When what is committed is to be acknowledged at the latest.
    acknowledge_at: Option<Instant>,
    notices: mpsc::UnboundedReceiver<Notice>,
    /// By the request's number: what acknowledges it on the present connection.
    unacknowledged: HashMap<u64, Vec<String>>,
    /// By connection: the account it logged in with.
    accounts: HashMap<String, String>,
    /// Whether the broker tells of its queues on the present connection.
    advised: bool,
    broken_in_a_row: u32,
    stance: Stance,
    /// What tells observers, while it is us who answer.
    topic: Option<Hired>,
    /// Whether a message has come that no earlier process of the server can have had: the broker delivers
    /// those first that were delivered before.
    news_has_come: bool,
    crew: Crew,
    /// Whoever still has something to write to clients has the sending end.
    still_writing: (mpsc::Sender<Never>, mpsc::Receiver<Never>),
}

impl Transport {
    pub(super) fn new(
        settings: ActivemqSettings,
        clients: Clients,
        state: watch::Sender<String>,
        crew: Crew,
    ) -> Self {
        let committed = CommittedMessages::default();
        let (tell_notice, notices) = mpsc::unbounded_channel();
        let (pusher, pushers) = watch::channel(None);
        let repeats = Arc::new(Mutex::new(Repeats::default()));
        Self {
            settings,
            clients,
            state,
            sessions: HashMap::new(),
            last_session: 0,
            shared: Shared { repeats, committed: committed.clone(), notices: tell_notice, pusher: pushers },
            pusher,
            committed,
            acknowledge_at: None,
            notices,
            unacknowledged: HashMap::new(),
            accounts: HashMap::new(),
            advised: false,
            broken_in_a_row: 0,
            stance: Stance::new(),
            topic: None,
            news_has_come: false,
            crew,
            still_writing: mpsc::channel(1),
        }
    }

    /// Tries to connect.
    pub(super) async fn open(&self) -> Result<Line, LineError> {
        let mode = if self.broken_in_a_row < BROKEN_IN_A_ROW { Mode::Normal } else { Mode::Careful };
        Line::open(&self.settings, mode, &self.crew).await
    }

    /// Says that there is no connection, and why.
    pub(super) fn away(&self, error: &LineError, wait: Duration) {
        let text = format!("away: {error}");
        if *self.state.borrow() != text {
            tracing::warn!(broker = %self.settings.account.address, %error, "not connected to the broker");
        }
        tracing::debug!(?wait, "before the next try");
        self.state.send_replace(text);
    }

    /// Waits before the next try; sessions end meanwhile as they have to.
    pub(super) async fn wait(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            self.drop_those_away_too_long();
            let next = until.min(Instant::now() + Duration::from_millis(250));
            tokio::select! {
                _ = self.committed.news() => drop(self.note_committed()),
                Some(notice) = self.notices.recv() => self.noticed(notice),
                () = sleep_until(next) => if next >= until { return },
            }
        }
    }

    /// Serves over one line until it is lost; `None` when the transport has stopped.
    pub(super) async fn serve(
        &mut self,
        mut line: Line,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Option<LineError> {
        self.advised = false;
        let first = self.stance.connected(&line.id, line.since);
        let mut ended = match self.take(&mut line, first).await {
            Ok(()) => self.work(&mut line, shutdown).await,
            Err(error) => Some(error),
        };
        if ended.is_none() {
            self.take_leave(line).await;
            return None;
        }
        let may_come_again = match &mut ended {
            Some(LineError::Unfinished { ack, .. }) => match ack.take() {
                Some(ack) => line.drop_unfinished(ack).await.is_err(),
                None => true,
            },
            other => other.as_ref().is_some_and(LineError::may_come_again),
        };
        line.pusher.lose();
        self.pusher.send_replace(None);
        self.unacknowledged.clear();
        self.acknowledge_at = None;
        self.accounts.clear();
        for session in self.sessions.values_mut() {
            session.is_away(self.settings.grace);
        }
        if line.mode == Mode::Careful || line.since.elapsed() > UNRELATED_AFTER {
            self.broken_in_a_row = 0;
        }
        if may_come_again && line.mode == Mode::Normal {
            self.broken_in_a_row += 1;
        }
        ended
    }

    /// Handles what comes, until the line is lost; `None` when the transport is asked to stop.
    async fn work(&mut self, line: &mut Line, shutdown: &mut watch::Receiver<bool>) -> Option<LineError> {
        let mut ticks = interval(Duration::from_millis(250));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = Box::pin(sleep_until(Instant::now()));
        loop {
            if let Some(at) = self.acknowledge_at.filter(|at| *at != due.deadline()) {
                due.as_mut().reset(at);
            }
            let done = tokio::select! {
                biased;
                () = asked_to_stop(shutdown) => return None,
                many = self.committed.news() => self.acknowledge_in_time(line, many).await,
                () = &mut due, if self.acknowledge_at.is_some() => self.acknowledge(line).await,
                Some(notice) = self.notices.recv() => {
                    self.noticed(notice);
                    Ok(())
                }
                news = line.news.recv() => match news {
                    Some(news) => {
                        let step = self.advised(news);
                        self.take(line, step).await
                    }
                    None => Err(line.push_error().await),
                },
                frame = line.requests.next() => match frame {
                    Ok(frame) => self.handle_frame(line, frame).await,
                    Err(error) => Err(error),
                },
                _ = ticks.tick() => {
                    let step = self.stance.tick(Instant::now());
                    match self.take(line, step).await {
                        Ok(()) => self.tick(line),
                        Err(error) => Err(error),
                    }
                }
            };
            if let Err(error) = done {
                return Some(error);
            }
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.shared.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing waits for an acknowledgement as long as the broker may send more, so that many can share a
    /// packet.
    async fn acknowledge_in_time(&mut self, line: &Line, many: bool) -> Result<(), LineError> {
        if many {
            return self.acknowledge(line).await;
        }
        self.acknowledge_at.get_or_insert_with(|| Instant::now() + ACKNOWLEDGED_WITHIN);
        Ok(())
    }

    /// Acknowledges all that is committed.
    async fn acknowledge(&mut self, line: &Line) -> Result<(), LineError> {
        self.acknowledge_at = None;
        let acks = self.note_committed();
        line.acknowledge(acks.into_iter()).await
    }

    /// Notes what is committed, and gives back what acknowledges it.
    fn note_committed(&mut self) -> Vec<String> {
        let mut acks = Vec::new();
        for number in self.committed.take() {
            self.repeats().committed(number);
            acks.extend(self.unacknowledged.remove(&number).unwrap_or_default());
        }
        acks
    }

    fn noticed(&mut self, notice: Notice) {
        let (number, why) = match notice {
            Notice::Ended { session } => (session, None),
            Notice::Refused { session, why } => (session, Some(why)),
        };
        let found = self.sessions.iter().find(|(_, session)| session.number == number);
        let Some(name) = found.map(|(name, _)| name.clone()) else { return };
        match why {
            Some(why) => self.end_session(&name, &why),
            // Its last replies may still be on their way.
            None => {
                if let Some(session) = self.sessions.remove(&name) {
                    session.leave_in_peace();
                }
            }
        }
    }

    fn end_session(&mut self, name: &str, why: &str) {
        if let Some(session) = self.sessions.remove(name) {
            tracing::info!(session = session.number, queue = name, why, "a client is gone");
            session.give_up(why);
        }
    }

    /// Takes in what the broker tells of others.
    fn advised(&mut self, news: Advisory) -> Step {
        self.advised = true;
        match news {
            Advisory::ConsumerAdded(consumer) => return self.stance.added(consumer),
            Advisory::ConsumerRemoved(consumer) => return self.stance.removed(&consumer, Instant::now()),
            Advisory::QueueAdded(name) => {
                if let Some(session) = self.sessions.get_mut(&name) {
                    session.is_here();
                }
            }
            Advisory::QueueRemoved(name) => {
                if let Some(session) = self.sessions.get_mut(&name) {
                    session.is_away(LINGER.min(self.settings.grace));
                }
            }
            Advisory::ConnectionAdded { connection, account } => {
                if self.accounts.len() < KNOWN_ACCOUNTS {
                    self.accounts.insert(connection, account);
                }
            }
            Advisory::ConnectionRemoved(connection) => {
                self.accounts.remove(&connection);
                for session in self.sessions.values_mut() {
                    if session.queue().owner() == connection {
                        session.is_away(LINGER.min(self.settings.grace));
                    }
                }
            }
        }
        Step::Nothing
    }

    /// Does what follows from who else is there.
    async fn take(&mut self, line: &mut Line, step: Step) -> Result<(), LineError> {
        if step == Step::Nothing {
            return Ok(());
        }
        let (broker, queue) = (self.settings.account.address, self.settings.queue.clone());
        match step {
            Step::Nothing => {}
            Step::Subscribe => line.subscribe(&self.settings).await?,
            Step::Serve => {
                tracing::info!(%broker, "connected to the broker");
                if self.topic.is_none() {
                    let (events, instrument) = (self.clients.observe(), self.clients.instrument().into());
                    let topic = topic::run(events, instrument, self.shared.pusher.clone());
                    self.topic = Some(self.crew.hire(topic));
                }
                self.pusher.send_replace(Some(line.pusher.clone()));
                self.state.send_replace(format!("connected to stomp://{broker}"));
            }
            Step::WaitForOurselves => {
                let text = "away: the broker has not given up the connection before this one";
                self.state.send_replace(text.into());
            }
            Step::StandBy { behind } => {
                let account = self.accounts.get(&behind).map(|name| format!(" of account {name}"));
                let who = format!("connection {behind}{}", account.unwrap_or_default());
                tracing::warn!(%broker, queue, other = %who, "another server answers here: this one stands by");
                self.answer_nobody();
                let text = format!("standing by: another server answers on {queue} ({who})");
                self.state.send_replace(text);
                line.unsubscribe().await?;
            }
            Step::Expect => {
                let wait = TAKE_OVER_AFTER.as_secs();
                tracing::warn!(%broker, queue, "no server answers here: this one takes over in {wait} s");
                let text = format!("standing by: no server answers on {queue}, taking over in {wait} s");
                self.state.send_replace(text);
            }
            Step::Rival { connection } => {
                tracing::warn!(%broker, queue, connection, "another server was started here and stands by");
            }
        }
        Ok(())
    }

    /// Leaves clients and observers to the server that answers them now. It knows nothing of our sessions,
    /// so nobody is to go on with them later as if they had been there all the time.
    fn answer_nobody(&mut self) {
        self.pusher.send_replace(None);
        self.topic = None;
        self.unacknowledged.clear();
        for name in self.sessions.keys().cloned().collect::<Vec<_>>() {
            self.end_session(&name, "another server answers on the queue");
        }
    }

    async fn handle_frame(&mut self, line: &mut Line, frame: Frame) -> Result<(), LineError> {
        match frame.command {
            // One that was on its way when the subscription was given up goes back to the queue.
            Command::Message if self.stance.stands_by() => Ok(()),
            Command::Message => {
                let step = self.stance.asked();
                self.take(line, step).await?;
                match self.request(frame).await {
                    Some(ack) => line.acknowledge(std::iter::once(ack)).await,
                    None => Ok(()),
                }
            }
            Command::Error if frame.get("receipt-id") == Some(SUBSCRIBED) => {
                Err(LineError::Refused(complaint(&frame)))
            }
            // Only acknowledgements are sent here besides. One that is refused means that somebody forged
            // its id, and the true message would never be acknowledged.
            Command::Error => Err(LineError::Complaint(complaint(&frame))),
            other => {
                tracing::debug!(%other, "the broker sent what it has no reason to send");
                Ok(())
            }
        }
    }

    /// Takes in a message. What is given back is to be acknowledged at once.
    async fn request(&mut self, frame: Frame) -> Option<String> {
        let ack = frame.get("ack").map(str::to_owned);
        let Some(queue) = frame.get("reply-to").and_then(ReplyQueue::parse) else {
            let connection = connection_of(frame.get("message-id").unwrap_or_default());
            tracing::warn!(connection, "a message whose reply-to is no temporary queue is dropped");
            return ack;
        };
        let message_id = frame.get("message-id").unwrap_or_default();
        let correlation = frame.get("correlation-id").map(str::to_owned);
        if !queue.is_owners(message_id) {
            let connection = connection_of(message_id).to_owned();
            let fault = Some(Fault::ForeignConnection { connection });
            self.turn_away(&queue, Request { number: 0, correlation, body: frame.body, fault }).await;
            return ack;
        }
        let verdict = self.repeats().judge(&queue, Some(message_id), correlation.as_deref(), &frame.body);
        let number = match verdict {
            Verdict::New(number) => number,
            Verdict::UnderWay { number, reply } => {
                self.answer_again(queue, correlation, reply);
                self.unacknowledged.entry(number).or_default().extend(ack);
                return None;
            }
            Verdict::Answered { reply } => {
                self.answer_again(queue, correlation, reply);
                return ack;
            }
            Verdict::Poison => {
                tracing::warn!(message_id, "a message that was delivered again and again is dropped");
                return ack;
            }
        };
        self.news_has_come |= frame.get("redelivered") != Some("true");
        let fault = (!self.news_has_come).then_some(Fault::PerhapsDone);
        let request = self.bounded(Request { number, correlation, body: frame.body, fault });
        let full = self.sessions.len() >= self.settings.clients && !self.sessions.contains_key(queue.name());
        if full {
            let fault = Some(Fault::TooManyClients { limit: self.settings.clients });
            self.turn_away(&queue, Request { fault, ..request }).await;
            return ack;
        }
        let brought = match self.session(&queue).await {
            Some(session) => {
                session.is_here();
                session.bring(request)
            }
            // The server is shutting down: the message stays with the broker.
            None => return None,
        };
        if !brought {
            tracing::error!("there was no room for a request, which is dropped");
            return ack;
        }
        self.unacknowledged.entry(number).or_default().extend(ack);
        None
    }

    /// Sends a reply once more, if there was one.
    fn answer_again(&mut self, queue: ReplyQueue, correlation: Option<String>, reply: Option<Arc<str>>) {
        match (reply, self.sessions.get_mut(queue.name())) {
            (Some(reply), Some(session)) => {
                session.is_here();
                session.answer_again(correlation.as_deref(), reply);
            }
            (Some(reply), None) => self.answer_without_session(queue, correlation, reply),
            (None, _) => {}
        }
    }

    /// Sends a reply once more to somebody whose session has ended since.
    fn answer_without_session(&mut self, queue: ReplyQueue, correlation: Option<String>, reply: Arc<str>) {
        let Some(pusher) = self.pusher.borrow().clone() else { return };
        let still_writing = self.still_writing.0.clone();
        self.crew.begin(async move {
            // Whoever is gone by now needs no answer.
            let _ = pusher.push(vec![answer_again(&queue, correlation.as_deref(), reply)]).await;
            drop(still_writing);
        });
    }

    /// Cuts a message that is too large, so that it is refused and not read.
    fn bounded(&self, mut request: Request) -> Request {
        let (size, limit) = (request.body.len(), self.settings.message_bytes);
        if size > limit {
            request.body.truncate(LOOKED_AT.min(limit));
            request.fault = Some(Fault::TooLarge { size, limit });
        }
        request
    }

    /// The session of a reply queue; a new one for one that was not seen before.
    async fn session(&mut self, queue: &ReplyQueue) -> Option<&mut Session> {
        if self.sessions.get(queue.name()).is_some_and(Session::has_overrun) {
            self.end_session(queue.name(), TOO_SLOW);
        }
        if !self.sessions.contains_key(queue.name()) {
            let session = self.announce(queue).await?;
            self.sessions.insert(queue.name().to_owned(), session);
        }
        self.sessions.get_mut(queue.name())
    }

    async fn announce(&mut self, queue: &ReplyQueue) -> Option<Session> {
        let origin = Origin {
            transport: "activemq",
            peer: queue.owner().to_owned(),
            account: self.accounts.get(queue.owner()).cloned(),
            reply_to: queue.destination().as_ref().to_owned(),
        };
        let ends = self.clients.announce(origin).await.ok()?;
        self.last_session += 1;
        let shared = self.shared.clone();
        let still_writing = self.still_writing.0.clone();
        Some(Session::start(self.last_session, queue.clone(), ends, shared, &self.crew, still_writing))
    }

    /// Has a message refused, on its session if there is one, else on one that ends with the answer.
    async fn turn_away(&mut self, queue: &ReplyQueue, request: Request) {
        if let Some(session) = self.sessions.get(queue.name()) {
            if !session.bring(request) {
                tracing::warn!("too many messages that are to be refused: one is left unanswered");
            }
        } else if let Some(session) = self.announce(queue).await {
            let _ = session.bring(request);
            session.leave_in_peace();
        }
    }

    fn tick(&mut self, line: &Line) -> Result<(), LineError> {
        if !self.advised && line.since.elapsed() > ADVISED_WITHIN {
            self.sessions.values_mut().filter(|session| session.away.is_some()).for_each(Session::is_here);
        }
        self.drop_those_away_too_long();
        if line.mode == Mode::Careful && line.since.elapsed() > CAREFUL_FOR {
            return Err(LineError::CarefulNoMore);
        }
        Ok(())
    }

    fn drop_those_away_too_long(&mut self) {
        self.sessions.retain(|name, session| {
            let gone = session.away.is_some_and(|away| away.since.elapsed() >= away.at_most);
            if gone {
                tracing::info!(session = session.number, queue = %name, "a client is gone");
            }
            !gone
        });
    }

    /// Sends what is still on its way, and says goodbye.
    async fn take_leave(&mut self, mut line: Line) {
        let until = Instant::now() + FAREWELL;
        // Nothing can be sent to those who are away.
        self.sessions.retain(|_, session| session.away.is_none());
        // This end is not needed any more, since no sessions come.
        (self.still_writing.0, _) = mpsc::channel(1);
        loop {
            tokio::select! {
                _ = self.committed.news() => {
                    if self.acknowledge(&line).await.is_err() {
                        return;
                    }
                }
                Some(notice) = self.notices.recv() => self.noticed(notice),
                _ = self.still_writing.1.recv() => break,
                () = sleep_until(until) => break,
            }
        }
        if self.acknowledge(&line).await.is_ok() {
            line.close().await;
        }
    }
}
