//! What goes to clients, over a connection of its own: if the broker stops reading it, because a client
//! does not read and the broker holds its producers back, requests and acknowledgements still flow.
//!
//! Every message asks for a receipt. That tells which session a refusal concerns, and it changes what a
//! broker does whose flow control finds a queue full: it puts off the receipt until there is room, and
//! goes on reading. A message without one would stop the connection, and with it everybody's messages.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, interval, timeout},
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
    /// The receipts of its messages.
    receipts: RangeInclusive<u64>,
    /// How many of them are missing.
    missing: usize,
    answer: oneshot::Sender<Taken>,
}

/// How long the broker may have no room for a client while all is well otherwise.
const FULL_FOR: Duration = Duration::from_secs(8);
/// A broker that was heard of so lately is well; it sends heart-beats more often.
const WELL: Duration = Duration::from_secs(5);

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
    heard: Arc<Mutex<Instant>>,
}

impl Pusher {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self { outlet, on_the_way: Arc::default(), heard: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Sends messages for one destination and waits until the broker has them all.
    pub(super) async fn push(&self, frames: Vec<Frame>) -> Taken {
        let Ok(permit) = self.outlet.reserve().await else { return Taken::LineLost };
        let (answer, mut answered) = oneshot::channel();
        let first = {
            let mut on_the_way = lock(&self.on_the_way);
            if on_the_way.lost {
                return Taken::LineLost;
            }
            let (first, missing) = (on_the_way.last + 1, frames.len());
            on_the_way.last += missing as u64;
            let receipts = first..=on_the_way.last;
            let frames = frames.into_iter().zip(receipts.clone());
            permit.send(frames.map(|(frame, number)| frame.header("receipt", number.to_string())).collect());
            on_the_way.bursts.push_back(Unconfirmed { receipts, missing, answer });
            first
        };
        loop {
            match timeout(FULL_FOR, &mut answered).await {
                Ok(taken) => return taken.unwrap_or(Taken::LineLost),
                // A broker that is silent altogether may just be busy.
                Err(_) if lock(&self.heard).elapsed() > WELL => {}
                Err(_) => {
                    lock(&self.on_the_way).bursts.retain(|burst| *burst.receipts.start() != first);
                    let why = format!("its queue has been full for {} s", FULL_FOR.as_secs());
                    return Taken::No { why };
                }
            }
        }
    }

    /// The connection has ended: what is not confirmed is to be sent again over the next.
    pub(super) fn lose(&self) {
        let mut on_the_way = lock(&self.on_the_way);
        on_the_way.lost = true;
        on_the_way.bursts.clear();
    }

    /// Notes what the broker says of one message. The first refusal settles the whole burst.
    fn settle(&self, receipt: &str, refused: Option<String>) {
        let Ok(number) = receipt.parse::<u64>() else { return };
        let mut on_the_way = lock(&self.on_the_way);
        let bursts = &mut on_the_way.bursts;
        let Some(at) = bursts.iter().position(|burst| burst.receipts.contains(&number)) else { return };
        if let Some(burst) = bursts.get_mut(at) {
            burst.missing = burst.missing.saturating_sub(1);
            if burst.missing > 0 && refused.is_none() {
                return;
            }
        }
        if let Some(burst) = bursts.remove(at) {
            // A session that has ended meanwhile does not ask any more.
            let _ = burst.answer.send(refused.map_or(Taken::Yes, |why| Taken::No { why }));
        }
    }

    /// Reads what the broker says on this connection, until it ends.
    pub(super) async fn listen(self, mut incoming: Incoming, news: mpsc::Sender<Advisory>) -> LineError {
        let mut looks = interval(Duration::from_secs(1));
        loop {
            let frame = tokio::select! {
                biased;
                next = incoming.next() => match next {
                    Ok(frame) => frame,
                    Err(error) => return error,
                },
                // Heart-beats count as well.
                _ = looks.tick() => {
                    *lock(&self.heard) = incoming.last_heard();
                    continue;
                }
            };
            *lock(&self.heard) = incoming.last_heard();
            match frame.command {
                Command::Receipt => self.settle(frame.get("receipt-id").unwrap_or_default(), None),
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

    /// The broker goes on after an ERROR, and says with it which frame it was about.
    fn handle_error(&self, frame: &Frame) {
        let why = complaint(frame);
        match frame.get("receipt-id") {
            Some(ADVISORIES) => {
                tracing::warn!(%why, "cannot follow the broker's advisories: clients that vanish are noticed late");
            }
            Some(receipt) => self.settle(receipt, Some(why)),
            None => tracing::debug!(%why, "the broker refused a message"),
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The receipt of the subscriptions to advisories.
pub(super) const ADVISORIES: &str = "advisories";
