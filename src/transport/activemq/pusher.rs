//! What goes to clients, over a connection of its own: if the broker stops reading it, because a client
//! does not read and the broker holds its producers back, requests and acknowledgements still flow.
//!
//! Each burst of messages ends with one that asks for a receipt. So the broker's refusals are matched to
//! the session they concern, no session has more on its way than one burst, and when nothing is confirmed
//! any more it is known whose messages hold up the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    advisories::Advisory,
    connection::{Incoming, LineError, Outlet, complaint},
};
use crate::wire::stomp::{Command, Frame};

/// How the broker took a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is on its queue.
    Yes,
    /// It was refused: the queue is gone, or may not be written to.
    No { why: String },
    /// The connection was lost before that was known.
    LineLost,
}

/// A burst that the broker has not confirmed.
struct Unconfirmed {
    number: u64,
    destination: Arc<str>,
    since: Instant,
    answer: oneshot::Sender<Taken>,
}

#[derive(Default)]
struct OnTheWay {
    last: u64,
    bursts: VecDeque<Unconfirmed>,
    /// The connection has ended.
    lost: bool,
}

/// Sends bursts to clients.
#[derive(Clone)]
pub(super) struct Pusher {
    outlet: Outlet,
    on_the_way: Arc<Mutex<OnTheWay>>,
}

impl Pusher {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self { outlet, on_the_way: Arc::default() }
    }

    /// Sends messages for one destination and waits until the broker has them. `frames` is not empty.
    pub(super) async fn push(&self, destination: &Arc<str>, mut frames: Vec<Frame>) -> Taken {
        let Ok(permit) = self.outlet.reserve().await else { return Taken::LineLost };
        let (answer, answered) = oneshot::channel();
        {
            // Under the lock, so that the order here is the order on the wire.
            let mut on_the_way = self.on_the_way.lock().unwrap_or_else(PoisonError::into_inner);
            if on_the_way.lost {
                return Taken::LineLost;
            }
            on_the_way.last += 1;
            let number = on_the_way.last;
            if let Some(last) = frames.pop() {
                frames.push(last.header("receipt", number.to_string()));
            }
            let destination = Arc::clone(destination);
            on_the_way.bursts.push_back(Unconfirmed { number, destination, since: Instant::now(), answer });
            permit.send(frames);
        }
        answered.await.unwrap_or(Taken::LineLost)
    }

    /// The destination whose burst has held up all others for this long, if there is one.
    pub(super) fn stalled_for(&self, longest: Duration) -> Option<Arc<str>> {
        let on_the_way = self.on_the_way.lock().unwrap_or_else(PoisonError::into_inner);
        let first = on_the_way.bursts.front()?;
        (first.since.elapsed() > longest).then(|| Arc::clone(&first.destination))
    }

    /// The connection has ended: what is not confirmed is to be sent again over the next.
    pub(super) fn lose(&self) {
        let mut on_the_way = self.on_the_way.lock().unwrap_or_else(PoisonError::into_inner);
        on_the_way.lost = true;
        on_the_way.bursts.clear();
    }

    fn settle(&self, receipt: &str, taken: Taken) {
        let mut on_the_way = self.on_the_way.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(number) = receipt.parse::<u64>() else { return };
        let Some(at) = on_the_way.bursts.iter().position(|burst| burst.number == number) else { return };
        if let Some(burst) = on_the_way.bursts.remove(at) {
            // A session that has ended meanwhile does not ask any more.
            let _ = burst.answer.send(taken);
        }
        // The others have been waiting for this one; their own time begins now.
        if let Some(next) = on_the_way.bursts.front_mut() {
            next.since = Instant::now();
        }
    }

    /// Reads what the broker says on this connection, until it ends.
    pub(super) async fn listen(self, mut incoming: Incoming, news: mpsc::Sender<Advisory>) -> LineError {
        loop {
            let frame = match incoming.next().await {
                Ok(frame) => frame,
                Err(error) => return error,
            };
            match frame.command {
                Command::Receipt => self.settle(frame.get("receipt-id").unwrap_or_default(), Taken::Yes),
                Command::Error => self.handle_error(&frame),
                Command::Message => {
                    if let Some(advisory) = Advisory::read(&frame.body)
                        && news.send(advisory).await.is_err()
                    {
                        return LineError::Closed;
                    }
                }
                other => tracing::debug!(%other, "the broker sent what it has no reason to send"),
            }
        }
    }

    /// The broker goes on after an ERROR, and says with it which frame it was about. Those without a
    /// receipt belong to a burst whose last frame has one, and will be refused for the same reason.
    fn handle_error(&self, frame: &Frame) {
        let why = complaint(frame);
        match frame.get("receipt-id") {
            Some(ADVISORIES) => {
                tracing::warn!(%why, "cannot follow the broker's advisories: clients that vanish are noticed late");
            }
            Some(receipt) => self.settle(receipt, Taken::No { why }),
            None => tracing::debug!(%why, "the broker refused a message"),
        }
    }
}

/// The receipt of the subscriptions to advisories.
pub(super) const ADVISORIES: &str = "advisories";
