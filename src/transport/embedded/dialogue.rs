//! What becomes of each frame of a client that has logged in.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use stomp_rs::protocol::ServerCommand;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use super::{
    connection::{End, House, Notice},
    destination::{self, Source},
    handshake::Agreement,
    outlet::{Outlet, Subscription, WriterGone},
    refusal::Refusal,
    reply_queue::ReplyQueue,
    topic,
};
use crate::{
    transport::{LinkClosed, Origin},
    wire::stomp::{Command, Frame, Version},
};

/// One client's side of the talk: its queues and subscriptions.
pub(super) struct Dialogue {
    pub(super) house: Arc<House>,
    pub(super) peer: SocketAddr,
    pub(super) agreement: Agreement,
    pub(super) outlet: Outlet,
    notices: mpsc::Sender<Notice>,
    /// By destination.
    queues: HashMap<String, ReplyQueue>,
    /// By the client's id; STOMP 1.0 may leave it out, then by destination.
    subscriptions: HashMap<String, Active>,
    forwarders: JoinSet<()>,
}

impl Dialogue {
    pub(super) fn new(
        house: Arc<House>,
        peer: SocketAddr,
        agreement: Agreement,
        outlet: Outlet,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        Self {
            house,
            peer,
            agreement,
            outlet,
            notices,
            queues: HashMap::new(),
            subscriptions: HashMap::new(),
            forwarders: JoinSet::new(),
        }
    }

    pub(super) async fn handle_notice(&mut self, notice: Notice) -> Result<(), End> {
        match notice {
            Notice::SessionEnded { destination, read_too_slowly } => {
                if read_too_slowly {
                    return Err(End::refused(Refusal::new(
                        format!("messages for {destination} were not read in time, so its session is closed"),
                        "read messages as they come, or subscribe to fewer kinds of events",
                    )));
                }
                if let Some(queue) = self.queues.get_mut(destination.as_ref()) {
                    queue.link = None;
                }
                self.end_topics_unless_allowed().await
            }
            Notice::TopicLagged { missed } => Err(End::refused(Refusal::new(
                format!("lagged: {missed} events of the topic were not read in time"),
                "connect again and ask for what was missed with events.subscribe and from",
            ))),
        }
    }

    /// After a logout, what only a login may read is not sent any more.
    async fn end_topics_unless_allowed(&mut self) -> Result<(), End> {
        if self.may_read_events() {
            return Ok(());
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|_, active| !matches!(active, Active::Events { .. }));
        if self.subscriptions.len() == before {
            return Ok(());
        }
        let refusal = Refusal::new(
            "the subscription to the topic has ended with the session that was allowed to read it",
            "log in again and subscribe anew",
        );
        self.outlet.write(refusal.into_frame(None)).await.map_err(|WriterGone| End::Broken)
    }

    /// Carries out a frame and answers it with the receipt it asks for, or with an ERROR.
    pub(super) async fn handle_frame(&mut self, frame: Frame) -> Result<(), End> {
        let wanted = match self.check_echoed(&frame) {
            Ok(()) => frame.get("receipt").map(str::to_owned),
            Err(refusal) => return self.answer(refusal.into_frame(None)).await,
        };
        if frame.command == Command::Disconnect {
            return Err(End::Left { last: wanted.map(receipt) });
        }
        match self.carry_out(frame).await {
            Ok(()) => match wanted {
                Some(id) => self.answer(receipt(id)).await,
                None => Ok(()),
            },
            Err(Trouble::Refused(refusal)) => {
                tracing::debug!(peer = %self.peer, reason = refusal.message(), "refused a frame");
                self.answer(refusal.into_frame(wanted.as_deref())).await
            }
            Err(Trouble::End(end)) => Err(end),
        }
    }

    async fn answer(&self, frame: Frame) -> Result<(), End> {
        self.outlet.write(frame).await.map_err(|WriterGone| End::Broken)
    }

    /// What a client wants to get back must be something that every version can write.
    fn check_echoed(&self, frame: &Frame) -> Result<(), Refusal> {
        for name in ["receipt", "correlation-id", "id"] {
            if frame.get(name).is_some_and(|value| value.contains(char::is_control)) {
                return Err(Refusal::new(
                    format!("the header {name} of {} has a control character", frame.command),
                    "ids are plain text",
                ));
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, frame: Frame) -> Result<(), Trouble> {
        match frame.command {
            Command::Send => self.send(frame).await,
            Command::Subscribe => Ok(self.subscribe(&frame)?),
            Command::Unsubscribe => Ok(self.unsubscribe(&frame)?),
            Command::Ack | Command::Nack => Ok(check_acknowledgement(&frame)?),
            Command::Begin | Command::Commit | Command::Abort => Err(no_transactions().into()),
            // It ends the connection and was seen to before.
            Command::Disconnect => Ok(()),
            Command::Connect | Command::Stomp => Err(Trouble::Refused(Refusal::new(
                "this connection is connected already",
                "send CONNECT once, as the first frame",
            ))),
            Command::Connected | Command::Message | Command::Receipt | Command::Error => {
                Err(Trouble::Refused(Refusal::new(
                    format!("{} is a frame that only servers send", frame.command),
                    "requests are sent with SEND",
                )))
            }
        }
    }

    async fn send(&mut self, frame: Frame) -> Result<(), Trouble> {
        if frame.get("transaction").is_some() {
            return Err(no_transactions().into());
        }
        destination::check_request(frame.get("destination"))?;
        let reply_to = destination::reply_to(frame.get("reply-to"))?;
        let origin = Origin {
            transport: "embedded",
            peer: self.peer.to_string(),
            account: Some(self.agreement.login.clone()),
            reply_to: reply_to.to_owned(),
        };
        let house = Arc::clone(&self.house);
        let queue = self.queue(reply_to)?;
        if queue.link.is_none() {
            let (link, outgoing) = house.clients.announce(origin).await?;
            queue.open(link, outgoing).await;
        }
        if let Some(link) = &queue.link {
            link.deliver(frame.get("correlation-id").map(str::to_owned), frame.body.clone()).await?;
        }
        Ok(())
    }

    /// Finds or makes a reply queue.
    fn queue(&mut self, destination: &str) -> Result<&mut ReplyQueue, Refusal> {
        let limit = self.house.limits.reply_queues;
        if !self.queues.contains_key(destination) {
            if self.queues.len() >= limit {
                return Err(Refusal::new(
                    format!("this connection has {limit} temporary queues, which is the limit"),
                    "use one queue for many requests and tell the replies apart by their correlation-id",
                ));
            }
            let (queue, forwarder) =
                ReplyQueue::new(destination.into(), self.outlet.clone(), self.notices.clone());
            self.forwarders.spawn(forwarder.run());
            self.queues.insert(destination.to_owned(), queue);
        }
        self.queues.get_mut(destination).ok_or_else(|| Refusal::new("the queue is gone", "try again"))
    }

    fn subscribe(&mut self, frame: &Frame) -> Result<(), Refusal> {
        if frame.get("selector").is_some() {
            return Err(Refusal::new("selectors are not known here", "leave the selector out"));
        }
        let source = destination::source(frame.get("destination"), self.house.clients.instrument())?;
        let subscription =
            Subscription { id: frame.get("id").map(Into::into), acknowledges: acknowledges(frame)? };
        let key = self.subscription_key(frame)?;
        if self.subscriptions.contains_key(&key) {
            return Err(Refusal::new(
                format!("there is a subscription with the id {key:?} already"),
                "each subscription of a connection has an id of its own",
            ));
        }
        let active = match source {
            Source::ReplyQueue(destination) => {
                let queue = self.queue(&destination)?;
                if queue.is_subscribed() {
                    return Err(subscribed_already(&destination));
                }
                queue.subscribe(Some(subscription));
                Active::ReplyQueue(destination)
            }
            Source::Events => Active::Events { _task: self.follow_events(subscription)? },
        };
        self.subscriptions.insert(key, active);
        Ok(())
    }

    fn follow_events(&self, subscription: Subscription) -> Result<TopicTask, Refusal> {
        let clients = &self.house.clients;
        let destination = destination::events_topic(clients.instrument());
        if !self.may_read_events() {
            return Err(Refusal::new(
                format!("{destination} needs a login that may read events"),
                "send session.login on this connection first",
            ));
        }
        if self.subscriptions.values().any(|active| matches!(active, Active::Events { .. })) {
            return Err(subscribed_already(&destination));
        }
        let events = clients.observe();
        let task = topic::run(events, destination, subscription, self.outlet.clone(), self.notices.clone());
        Ok(TopicTask(tokio::spawn(task)))
    }

    fn may_read_events(&self) -> bool {
        let mut links = self.queues.values().filter_map(|queue| queue.link.as_ref());
        links.any(|link| link.may_read_events())
    }

    fn unsubscribe(&mut self, frame: &Frame) -> Result<(), Refusal> {
        let key = self.subscription_key(frame)?;
        match self.subscriptions.remove(&key) {
            Some(Active::ReplyQueue(destination)) => {
                if let Some(queue) = self.queues.get(&destination) {
                    queue.subscribe(None);
                }
                Ok(())
            }
            Some(Active::Events { .. }) => Ok(()),
            None => Err(Refusal::new(
                format!("there is no subscription with the id {key:?}"),
                "use the id of the SUBSCRIBE",
            )),
        }
    }

    /// What a client calls its subscription.
    fn subscription_key(&self, frame: &Frame) -> Result<String, Refusal> {
        let destination = frame.get("destination").filter(|_| self.agreement.version == Version::V1_0);
        let key = frame.get("id").or(destination).map(str::to_owned);
        key.ok_or_else(|| {
            Refusal::new(format!("{} needs an id", frame.command), "give each subscription an id of its own")
        })
    }

    /// Ends all subscriptions and waits until what the reply queues hold is on its way to the writer.
    /// Whatever is left when the future is dropped ends with the dialogue.
    pub(super) async fn empty(&mut self) {
        // The topic goes on for ever; the reply queues end once they are empty.
        self.subscriptions.clear();
        self.queues.clear();
        while self.forwarders.join_next().await.is_some() {}
    }
}

/// A subscription that is in force.
enum Active {
    ReplyQueue(String),
    Events { _task: TopicTask },
}

/// The task of a topic's subscription, which ends with it.
struct TopicTask(JoinHandle<()>);

impl Drop for TopicTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a frame was not carried out.
enum Trouble {
    /// The client is told, and the connection goes on.
    Refused(Refusal),
    /// The connection ends.
    End(End),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<WriterGone> for Trouble {
    fn from(_: WriterGone) -> Self {
        Self::End(End::Broken)
    }
}

impl From<LinkClosed> for Trouble {
    fn from(_: LinkClosed) -> Self {
        Self::End(End::ShuttingDown)
    }
}

fn receipt(id: String) -> Frame {
    Frame::new(ServerCommand::Receipt.into()).header("receipt-id", id)
}

fn no_transactions() -> Refusal {
    Refusal::new(
        "transactions are not known here",
        "send requests without them; job.submit_batch submits several jobs at once or none",
    )
}

fn subscribed_already(destination: &str) -> Refusal {
    Refusal::new(
        format!("this connection is subscribed to {destination} already"),
        "one subscription gets every message; UNSUBSCRIBE it before another is made",
    )
}

/// Reads the `ack` of a SUBSCRIBE.
fn acknowledges(frame: &Frame) -> Result<bool, Refusal> {
    match frame.get("ack") {
        None | Some("auto") => Ok(false),
        Some("client" | "client-individual") => Ok(true),
        Some(other) => Err(Refusal::new(
            format!("{other:?} is not a mode of acknowledgement"),
            "ack is auto, client or client-individual",
        )),
    }
}

/// ACK and NACK change nothing, since nothing is delivered twice, but they must say what they are about.
fn check_acknowledgement(frame: &Frame) -> Result<(), Refusal> {
    if frame.get("transaction").is_some() {
        return Err(no_transactions());
    }
    if frame.get("id").is_some() || frame.get("message-id").is_some() {
        return Ok(());
    }
    Err(Refusal::new(
        format!("{} needs an id", frame.command),
        "use the value of the header ack of the MESSAGE, before STOMP 1.2 its message-id",
    ))
}
