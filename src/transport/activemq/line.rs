//! The way to the broker: two connections that stand and fall together, one for requests and their
//! acknowledgements, one for everything that goes to clients.

use stomp_rs::protocol::frame as build;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant},
};

use super::{
    ActivemqSettings, PREFETCH,
    advisories::{self, Advisory},
    connection::{Connection, Incoming, LineError, Outlet},
    crew::{Crew, Hired},
    pusher::{ADVISORIES, Pusher},
};
use crate::wire::stomp::{Command, Frame, Limits};

/// The receipt of the subscription to requests.
pub(super) const SUBSCRIBED: &str = "requests";

/// The subscription to requests.
const REQUESTS: &str = "requests";

/// The receipt of the goodbye.
const GOODBYE: &str = "goodbye";

/// A larger message than brokers take. It is read whole and then refused: a frame that is not read to its
/// end would cost the connection, and come again with the next one.
const LARGEST_MESSAGE: usize = 128 << 20;

/// How requests are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each is acknowledged once what follows from it is committed.
    Normal,
    /// One at a time, and gone once it was sent to us: a message that breaks the connection does so for
    /// the last time.
    Careful,
}

/// Both connections.
pub(super) struct Line {
    pub(super) mode: Mode,
    pub(super) since: Instant,
    pub(super) requests: Incoming,
    /// What the broker calls the connection for requests.
    pub(super) id: String,
    subscribed: bool,
    outlet: Outlet,
    pub(super) pusher: Pusher,
    pub(super) news: mpsc::Receiver<Advisory>,
    /// Why the connection for pushes has ended, once it has.
    push_ended: oneshot::Receiver<LineError>,
    _at_work: [Hired; 3],
}

impl Line {
    /// Logs in, and asks for the broker's news.
    pub(super) async fn open(
        settings: &ActivemqSettings,
        mode: Mode,
        crew: &Crew,
    ) -> Result<Self, LineError> {
        let pushing = Connection::open(&settings.account, Limits::default(), crew).await?;
        let body_bytes = settings.message_bytes.max(LARGEST_MESSAGE);
        let limits = Limits { body_bytes, ..Limits::default() };
        let asking = Connection::open(&settings.account, limits, crew).await?;

        let pusher = Pusher::new(pushing.outlet.clone());
        let (tell, news) = mpsc::channel(1024);
        let (tell_end, push_ended) = oneshot::channel();
        let listening = pusher.clone().listen(pushing.incoming, tell);
        let listening = crew.hire(async move {
            // The whole line may be gone by then.
            let _ = tell_end.send(listening.await);
        });
        let topics = advisories::topics(&settings.queue).into_iter().enumerate();
        let subscriptions = topics.map(|(number, topic)| {
            let subscribe = build::Subscribe::new(format!("{ADVISORIES}-{number}"), topic);
            subscribe.receipt(ADVISORIES).into()
        });
        send(&pushing.outlet, subscriptions.collect()).await?;
        Ok(Self {
            mode,
            since: Instant::now(),
            requests: asking.incoming,
            id: asking.id,
            subscribed: false,
            outlet: asking.outlet,
            pusher,
            news,
            push_ended,
            _at_work: [pushing.writer, asking.writer, listening],
        })
    }

    /// Asks for requests. Whether the broker lets us read them is known with its receipt.
    pub(super) async fn subscribe(&mut self, settings: &ActivemqSettings) -> Result<(), LineError> {
        self.subscribed = true;
        send(&self.outlet, vec![subscribe(settings, self.mode)]).await
    }

    /// Asks for requests no longer. What was not acknowledged goes to somebody else.
    pub(super) async fn unsubscribe(&mut self) -> Result<(), LineError> {
        if !std::mem::take(&mut self.subscribed) {
            return Ok(());
        }
        send(&self.outlet, vec![build::Unsubscribe::new(REQUESTS).into()]).await
    }

    /// Tells the broker that these messages are done with.
    pub(super) async fn acknowledge(&self, acks: impl Iterator<Item = String>) -> Result<(), LineError> {
        let frames: Vec<Frame> = acks.map(|id| build::Ack::new(id).into()).collect();
        if frames.is_empty() { Ok(()) } else { send(&self.outlet, frames).await }
    }

    /// Why the connection for pushes has ended.
    pub(super) async fn push_error(&mut self) -> LineError {
        (&mut self.push_ended).await.unwrap_or(LineError::Closed)
    }

    /// Takes leave after a message that has no end, which the broker is not to send again. It ends the
    /// connection then, and gives everything else that was not acknowledged to the next one.
    pub(super) async fn drop_unfinished(&mut self, ack: String) -> Result<(), LineError> {
        self.acknowledge(std::iter::once(ack)).await?;
        self.requests.be_patient();
        self.close().await;
        Ok(())
    }

    /// Takes leave, so that the broker knows at once what was not acknowledged.
    pub(super) async fn close(&mut self) {
        let goodbye: Frame = build::Disconnect::new(GOODBYE).into();
        if send(&self.outlet, vec![goodbye]).await.is_err() {
            return;
        }
        let confirmed = async {
            while let Ok(frame) = self.requests.next().await {
                if frame.command == Command::Receipt && frame.get("receipt-id") == Some(GOODBYE) {
                    return;
                }
            }
        };
        // A broker that does not answer learns it from the end of the connection.
        let _ = tokio::time::timeout(Duration::from_secs(1), confirmed).await;
    }
}

fn subscribe(settings: &ActivemqSettings, mode: Mode) -> Frame {
    let (ack, prefetch) = match mode {
        Mode::Normal => ("client-individual", PREFETCH),
        Mode::Careful => ("auto", 1),
    };
    build::Subscribe::new(REQUESTS, format!("/queue/{}", settings.queue))
        .receipt(SUBSCRIBED)
        .header("ack", ack)
        .header("activemq.prefetchSize", prefetch.to_string())
        .header("activemq.exclusive", "true")
        .into()
}

async fn send(outlet: &Outlet, frames: Vec<Frame>) -> Result<(), LineError> {
    outlet.send(frames).await.map_err(|_| LineError::Closed)
}
