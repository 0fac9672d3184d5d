//! One client behind the broker: a task brings its requests to the server, another its messages to its
//! temporary queue.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::future::AbortHandle;
use stomp_rs::protocol::ClientCommand;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    PREFETCH,
    crew::Crew,
    names::ReplyQueue,
    pusher::{Pusher, Taken},
    repeats::{Repeats, tag, untag},
};
use crate::{
    transport::{ClientLink, Committed, CommittedMessages, Fault, Outgoing, OutgoingMessages, Overrun},
    wire::stomp::Frame,
};

/// How many messages go to one client before the broker has confirmed them, and about how many bytes.
const BURST_MESSAGES: usize = 32;
const BURST_BYTES: usize = 256 * 1024;

/// Brokers take no message above 100 MB, and end the connection for one.
const LARGEST_MESSAGE: usize = 96 << 20;

/// Why a session is over for which more would have to wait than may.
pub(super) const TOO_SLOW: &str = "the client reads too slowly";

/// How long the broker keeps a reply, and an event, that nobody reads.
const REPLY_EXPIRES: Duration = Duration::from_secs(300);
const EVENT_EXPIRES: Duration = Duration::from_secs(60);

/// A request on its way to the server.
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) correlation: Option<String>,
    pub(super) body: Bytes,
    pub(super) fault: Option<Fault>,
}

/// What a session's tasks tell.
#[derive(Debug)]
pub(super) enum Notice {
    /// The server has closed the session, and everything for it was sent.
    Ended { session: u64 },
    /// The broker does not take messages for it.
    Refused { session: u64, why: String },
}

/// What is never sent: whoever waits for it learns that all who could have sent it are gone.
pub(super) enum Never {}

/// What all sessions share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) repeats: Arc<Mutex<Repeats>>,
    /// The numbers of the requests that are committed.
    pub(super) committed: CommittedMessages,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    /// The connection to push over, while there is one.
    pub(super) pusher: watch::Receiver<Option<Pusher>>,
}

/// A client as the transport's main task sees it. Dropping it tells the server that the client is gone.
pub(super) struct Session {
    pub(super) number: u64,
    requests: mpsc::Sender<Request>,
    /// The same link that the task has which brings requests.
    link: Arc<ClientLink>,
    /// How many requests that task has not handed over.
    waiting: Arc<AtomicUsize>,
    committed: CommittedMessages,
    again: mpsc::Sender<Outgoing>,
    present: watch::Sender<bool>,
    /// Since when its queue has been away, and for how long that may be.
    pub(super) away: Option<Away>,
    queue: ReplyQueue,
    overrun: Overrun,
    /// What writes; it ends with the session, unless it is to finish what it has.
    forwarder: Option<AbortHandle>,
}

/// A queue that is away may come back with the same name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    pub(super) since: Instant,
    pub(super) at_most: Duration,
}

impl Session {
    /// Starts what brings the requests of a client, and what writes to it; `still_writing` goes with the
    /// latter to its end.
    pub(super) fn start(
        number: u64,
        queue: ReplyQueue,
        (link, outgoing): (ClientLink, OutgoingMessages),
        shared: Shared,
        crew: &Crew,
        still_writing: mpsc::Sender<Never>,
    ) -> Self {
        // As many requests as the broker sends without an acknowledgement always find room.
        let (requests, requested) = mpsc::channel(2 * PREFETCH);
        let (again, repeated) = mpsc::channel(2 * PREFETCH);
        let (present, presence) = watch::channel(true);
        let (link, not_handed_over) = (Arc::new(link), Arc::<AtomicUsize>::default());
        let (committed, overrun) = (shared.committed.clone(), outgoing.overrun());
        tokio::spawn(bring_requests(
            Arc::clone(&link),
            requested,
            committed.clone(),
            Arc::clone(&not_handed_over),
        ));
        let forwarder = Forwarder { number, queue: queue.clone(), outgoing, repeated, presence, shared };
        let forwarder = Some(crew.begin(async move {
            forwarder.run().await;
            drop(still_writing);
        }));
        let waiting = not_handed_over;
        Self {
            number,
            queue,
            overrun,
            requests,
            link,
            waiting,
            committed,
            again,
            present,
            away: None,
            forwarder,
        }
    }

    /// Where its messages go.
    pub(super) fn queue(&self) -> &ReplyQueue {
        &self.queue
    }

    /// Hands over a request; `false` when there is no room, which a broker that keeps to the agreement
    /// cannot cause.
    #[must_use]
    pub(super) fn bring(&self, request: Request) -> bool {
        // What came first is handed over first.
        let is_next = request.fault.is_none() && self.waiting.load(Ordering::Acquire) == 0;
        if is_next
            && self.link.hand_over_now(
                || Some(tag(request.number, request.correlation.as_deref())),
                &request.body,
                || Some(Committed::new(self.committed.clone(), request.number)),
            )
        {
            return true;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let brought = self.requests.try_send(request).is_ok();
        if !brought {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        brought
    }

    /// Whether the server has closed it because too much waited for its client.
    pub(super) fn has_overrun(&self) -> bool {
        self.overrun.has_come()
    }

    /// Sends a reply once more.
    pub(super) fn answer_again(&self, correlation: Option<&str>, reply: Arc<str>) {
        let reply = repeated(correlation, reply);
        if self.again.try_send(reply).is_err() {
            tracing::debug!("too many repeated requests of one client: a repeated answer is left out");
        }
    }

    pub(super) fn is_here(&mut self) {
        self.away = None;
        self.present.send_if_modified(|present| !std::mem::replace(present, true));
    }

    pub(super) fn is_away(&mut self, at_most: Duration) {
        let since = self.away.map_or_else(Instant::now, |away| away.since);
        self.away = Some(Away { since, at_most });
        self.present.send_replace(false);
    }

    /// Has the reason noted why its messages cannot be sent.
    pub(super) fn give_up(&self, why: &str) {
        self.link.give_up(why);
    }

    /// Lets what is on its way reach the client, although the session is over.
    pub(super) fn leave_in_peace(mut self) {
        self.forwarder = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(forwarder) = &self.forwarder {
            forwarder.abort();
        }
    }
}

/// Brings what is large, or comes faster than the server takes it.
async fn bring_requests(
    link: Arc<ClientLink>,
    mut requested: mpsc::Receiver<Request>,
    committed: CommittedMessages,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(Request { number, correlation, body, fault }) = requested.recv().await {
        let tag = Some(tag(number, correlation.as_deref()));
        let committed = Some(Committed::new(committed.clone(), number));
        if link.hand_over(tag, body, fault, committed).await.is_err() {
            return;
        }
        waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Brings messages to one client, in order.
struct Forwarder {
    number: u64,
    queue: ReplyQueue,
    outgoing: OutgoingMessages,
    repeated: mpsc::Receiver<Outgoing>,
    presence: watch::Receiver<bool>,
    shared: Shared,
}

impl Forwarder {
    async fn run(mut self) {
        let session = self.number;
        let end = loop {
            let first = tokio::select! {
                biased;
                Some(message) = self.repeated.recv() => message,
                message = self.outgoing.recv() => match message {
                    Some(message) => message,
                    None => break Notice::Ended { session },
                },
            };
            // Nothing more is heard of this session; a client that reads again is to begin another one.
            if self.outgoing.overran() {
                break Notice::Refused { session, why: TOO_SLOW.to_owned() };
            }
            let (burst, farewell) = self.burst(first);
            let taken = self.send(&burst).await;
            if farewell {
                // What was on its way when the session ended is still answered, until the link is gone.
                let _ = self.shared.notices.send(Notice::Ended { session });
            }
            match taken {
                Taken::Yes => {}
                Taken::No { why } => break Notice::Refused { session, why },
                // The transport ends.
                Taken::LineLost => return,
            }
        };
        // The main task may have ended already.
        let _ = self.shared.notices.send(end);
    }

    /// Takes what waits, up to a bound, and remembers the replies. Tells also whether the server has closed
    /// the session.
    fn burst(&mut self, first: Outgoing) -> (Vec<Outgoing>, bool) {
        let mut bytes = 0;
        let mut burst = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take_if(|message| !message.is_farewell()) {
            if message.body.len() > LARGEST_MESSAGE {
                let (bytes, session) = (message.body.len(), self.number);
                tracing::warn!(bytes, session, "no broker takes such a message: it is left out");
                next = self.outgoing.try_recv();
                continue;
            }
            bytes += message.body.len();
            burst.push(message);
            if burst.len() < BURST_MESSAGES && bytes < BURST_BYTES {
                next = self.outgoing.try_recv();
            }
        }
        let farewell = next.is_some();
        let mut repeats = self.shared.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        for message in &burst {
            if let Some((Some(number), _)) = message.correlation.as_deref().map(untag) {
                repeats.replied(number, &message.body);
            }
        }
        (burst, farewell)
    }

    /// Sends until the broker has it. After a lost connection everything is sent again: the client may see
    /// a message twice, but misses none.
    async fn send(&mut self, burst: &[Outgoing]) -> Taken {
        while !burst.is_empty() {
            if self.presence.wait_for(|here| *here).await.is_err() {
                return Taken::LineLost;
            }
            let Ok(pusher) = self.shared.pusher.wait_for(Option::is_some).await.map(|pusher| pusher.clone())
            else {
                return Taken::LineLost;
            };
            let Some(pusher) = pusher else { continue };
            let frames = burst.iter().map(|message| frame(self.queue.destination(), message)).collect();
            match pusher.push(frames).await {
                Taken::LineLost => {
                    // Until the main task has noticed as well, the old connection is all there is.
                    if self.shared.pusher.changed().await.is_err() {
                        return Taken::LineLost;
                    }
                }
                // The queue went away while this was on its way; it may come back.
                Taken::No { .. } if !*self.presence.borrow() => {}
                taken => return taken,
            }
        }
        Taken::Yes
    }
}

/// A reply that was given before, to a request that is remembered under another number.
fn repeated(correlation: Option<&str>, reply: Arc<str>) -> Outgoing {
    Outgoing::new(Some(tag(0, correlation)), reply)
}

/// The same as the broker gets it.
pub(super) fn answer_again(queue: &ReplyQueue, correlation: Option<&str>, reply: Arc<str>) -> Frame {
    frame(queue.destination(), &repeated(correlation, reply))
}

/// A message as the broker gets it. Without a content-length, so that a JMS client sees text.
fn frame(destination: &str, message: &Outgoing) -> Frame {
    let reply = message.correlation.is_some();
    let expires = SystemTime::now() + if reply { REPLY_EXPIRES } else { EVENT_EXPIRES };
    let frame = to_broker(destination, &message.body, expires);
    match message.correlation.as_deref().map(untag) {
        Some((_, Some(correlation))) => frame.header("correlation-id", correlation),
        _ => frame,
    }
}

fn to_broker(destination: &str, body: &Arc<str>, expires: SystemTime) -> Frame {
    let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Frame::new(ClientCommand::Send.into())
        .header("destination", destination)
        .header("expires", expires.to_string())
        .with_body(Bytes::from_owner(SharedText(Arc::clone(body))))
}

/// An event for the topic of all observers.
pub(super) fn topic_frame(destination: &str, event: &Arc<str>) -> Frame {
    to_broker(destination, event, SystemTime::now() + EVENT_EXPIRES)
}

/// A text that many frames share without copying it.
struct SharedText(Arc<str>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
