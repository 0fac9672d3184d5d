//! What waits for one client to be written: bounded by count and bytes, in order.
//!
//! A client that has fallen behind is spared what is out of date: of the events that each tell a whole state
//! anew, such as the queue's, only the newest still waits. The newest keeps its own place, so that the
//! numbers of the events still rise.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

/// How many bytes may wait for one client before it counts as too slow.
const OUTBOX_BYTES: usize = 64 << 20;

/// How many messages may wait for one client before it counts as too slow.
const OUTBOX_MESSAGES: usize = 4096;

/// With so many messages waiting a client has fallen behind.
const BEHIND: usize = 512;

/// What an event tells the whole state of, so that an older one about the same need not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The kind of the event.
    pub kind: &'static str,
    /// Which of the things of that kind.
    pub of: u64,
}

/// Something for a client.
#[derive(Debug)]
pub struct Outgoing {
    /// The request's correlation id, for a reply to a request that had one; events have none.
    pub correlation: Option<String>,
    /// The JSON text.
    pub body: Arc<str>,
    /// What an older message may be left out for, once this one waits.
    subject: Option<Subject>,
    /// Gives the bytes back to the client's budget when the message has been written.
    budget: Budget,
    /// Nothing to write: the server has closed the session.
    farewell: bool,
}

impl Outgoing {
    /// A message for a client.
    #[must_use]
    pub fn new(correlation: Option<String>, body: Arc<str>) -> Self {
        Self { correlation, body, subject: None, budget: Budget::default(), farewell: false }
    }

    /// An event, which makes older ones about the same subject superfluous if it has one.
    #[must_use]
    pub fn event(body: Arc<str>, subject: Option<Subject>) -> Self {
        Self { subject, ..Self::new(None, body) }
    }

    /// The word that the server has closed the session: the transport drops the client's
    /// [`ClientLink`](super::ClientLink), and goes on writing what still comes. Requests that were on their
    /// way are answered that way.
    #[must_use]
    pub fn farewell() -> Self {
        Self { farewell: true, ..Self::new(None, "".into()) }
    }

    /// Whether this is the word that the server has closed the session, and no message.
    #[must_use]
    pub fn is_farewell(&self) -> bool {
        self.farewell
    }
}

/// Bytes of a client's budget, in use for as long as this lives.
#[derive(Debug, Default)]
struct Budget(Option<(Arc<AtomicUsize>, usize)>);

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some((bytes, size)) = &self.0 {
            bytes.fetch_sub(*size, Ordering::Relaxed);
        }
    }
}

/// Messages in order, each under a number of its own.
#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    messages: BTreeMap<u64, Outgoing>,
    newest: BTreeMap<Subject, u64>,
}

impl Waiting {
    fn add(&mut self, message: Outgoing) {
        self.last += 1;
        if let Some(subject) = message.subject {
            self.newest.insert(subject, self.last);
        }
        self.messages.insert(self.last, message);
    }

    fn take(&mut self) -> Option<Outgoing> {
        let (number, message) = self.messages.pop_first()?;
        if let Some(subject) = message.subject
            && self.newest.get(&subject) == Some(&number)
        {
            self.newest.remove(&subject);
        }
        Some(message)
    }

    /// Leaves out what the client need not read once there is something newer about the subject.
    fn supersede(&mut self, subject: Subject) {
        if let Some(number) = self.newest.remove(&subject) {
            self.messages.remove(&number);
        }
    }
}

/// What both ends of an outbox share.
#[derive(Debug, Default)]
struct Backlog {
    waiting: Mutex<Waiting>,
    bytes: Arc<AtomicUsize>,
    overran: AtomicBool,
    /// Tells the one who takes that there is something, or that nothing more comes.
    news: Notify,
    no_more_come: AtomicBool,
    nobody_takes: AtomicBool,
}

impl Backlog {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An outbox for one client, with the end that its transport writes from.
pub(super) fn outbox() -> (Outbox, OutgoingMessages) {
    let backlog = Arc::<Backlog>::default();
    let last_end = Arc::new(LastEnd(Arc::clone(&backlog)));
    (Outbox { backlog: Arc::clone(&backlog), last_end }, OutgoingMessages { backlog })
}

/// The receiving end of a client's outgoing messages, which its transport writes in order. When the server
/// closes the session a [farewell](Outgoing::is_farewell) comes, and after the link was dropped the end.
#[derive(Debug)]
pub struct OutgoingMessages {
    backlog: Arc<Backlog>,
}

impl OutgoingMessages {
    /// The next message, or `None` when the server has closed the session and everything was taken.
    pub async fn recv(&mut self) -> Option<Outgoing> {
        // A long backlog must not keep its task from everything else.
        tokio::task::coop::consume_budget().await;
        loop {
            if let Some(message) = self.try_recv() {
                return Some(message);
            }
            if self.backlog.no_more_come.load(Ordering::Acquire) {
                return self.try_recv();
            }
            self.backlog.news.notified().await;
        }
    }

    /// The next message, if one is there.
    pub fn try_recv(&mut self) -> Option<Outgoing> {
        self.backlog.waiting().take()
    }

    /// Whether a message found no room because the client read too slowly.
    #[must_use]
    pub fn overran(&self) -> bool {
        self.backlog.overran.load(Ordering::Acquire)
    }

    /// Tells the same for as long as it lives.
    #[must_use]
    pub fn overrun(&self) -> Overrun {
        Overrun(Arc::clone(&self.backlog))
    }
}

/// Tells whether a client reads too slowly: the server has closed its session then.
#[derive(Clone, Debug)]
pub struct Overrun(Arc<Backlog>);

impl Overrun {
    /// Whether a message found no room.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.0.overran.load(Ordering::Acquire)
    }
}

impl Drop for OutgoingMessages {
    fn drop(&mut self) {
        self.backlog.nobody_takes.store(true, Ordering::Release);
    }
}

/// What all sending ends share: when it is gone, nothing more comes.
#[derive(Debug)]
struct LastEnd(Arc<Backlog>);

impl Drop for LastEnd {
    fn drop(&mut self) {
        self.0.no_more_come.store(true, Ordering::Release);
        self.0.news.notify_one();
    }
}

/// The sending end of a client's outgoing messages, bounded by count and bytes.
///
/// The server loop never waits for a client: a message that finds no room closes the session.
#[derive(Clone, Debug)]
pub struct Outbox {
    backlog: Arc<Backlog>,
    #[expect(dead_code, reason = "held for as long as messages may come")]
    last_end: Arc<LastEnd>,
}

impl Outbox {
    /// Hands over a message; `false` when the client reads too slowly or is gone.
    #[must_use]
    pub fn push(&self, mut message: Outgoing) -> bool {
        // A client that is gone is not slow.
        if self.backlog.nobody_takes.load(Ordering::Acquire) {
            return false;
        }
        let mut waiting = self.backlog.waiting();
        if let Some(subject) = message.subject
            && waiting.messages.len() >= BEHIND
        {
            waiting.supersede(subject);
        }
        let size = message.body.len();
        let bytes = self.backlog.bytes.fetch_add(size, Ordering::Relaxed);
        message.budget = Budget(Some((Arc::clone(&self.backlog.bytes), size)));
        // One message may be larger than the budget, when nothing else waits.
        let fits = waiting.messages.len() < OUTBOX_MESSAGES && (bytes == 0 || bytes + size <= OUTBOX_BYTES);
        if fits {
            waiting.add(message);
        }
        drop(waiting);
        if fits {
            self.backlog.news.notify_one();
        } else {
            self.backlog.overran.store(true, Ordering::Release);
        }
        fits
    }

    /// How many messages wait, and of how many bytes.
    #[must_use]
    pub fn backlog(&self) -> (usize, usize) {
        (self.backlog.waiting().messages.len(), self.backlog.bytes.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const QUEUE: Subject = Subject { kind: "queue", of: 0 };

    fn progress(of: u64) -> Subject {
        Subject { kind: "progress", of }
    }

    fn push(outbox: &Outbox, body: &str, subject: Option<Subject>) -> bool {
        outbox.push(Outgoing::event(body.into(), subject))
    }

    fn rest(messages: &mut OutgoingMessages) -> Vec<String> {
        std::iter::from_fn(|| messages.try_recv()).map(|message| message.body.to_string()).collect()
    }

    #[tokio::test]
    async fn r31_a_client_that_keeps_up_gets_every_event() {
        let (outbox, mut messages) = outbox();
        for body in ["1", "2", "3"] {
            assert!(push(&outbox, body, Some(QUEUE)));
        }
        drop(outbox);
        for body in ["1", "2", "3"] {
            assert_eq!(&*messages.recv().await.unwrap().body, body);
        }
        assert!(messages.recv().await.is_none());
    }

    #[test]
    fn r31_a_client_that_has_fallen_behind_gets_the_newest_of_each_subject_in_order() {
        let (outbox, mut messages) = outbox();
        for _ in 0..BEHIND {
            assert!(push(&outbox, "line", None));
        }
        // Far more than there is room for, did each of them stay.
        for n in 0..10_000 {
            assert!(push(&outbox, &format!("queue {n}"), Some(QUEUE)));
            assert!(push(&outbox, &format!("progress {n}"), Some(progress(n % 2))));
        }
        assert!(push(&outbox, "end", None));
        let bytes = "line".len() * BEHIND + "queue 9999progress 9998progress 9999end".len();
        assert_eq!(outbox.backlog(), (BEHIND + 4, bytes));
        let waiting = rest(&mut messages);
        assert!(waiting[..BEHIND].iter().all(|body| body == "line"));
        assert_eq!(waiting[BEHIND..], ["progress 9998", "queue 9999", "progress 9999", "end"]);
        assert_eq!(outbox.backlog(), (0, 0));
        assert!(!messages.overran());
    }

    #[test]
    fn r31_what_cannot_be_left_out_still_has_its_bound() {
        let (outbox, mut messages) = outbox();
        for _ in 0..OUTBOX_MESSAGES {
            assert!(push(&outbox, "line", None));
        }
        assert!(!push(&outbox, "one more", None));
        assert!(messages.overran());
        assert_eq!(rest(&mut messages).len(), OUTBOX_MESSAGES);
    }

    #[test]
    fn a_client_that_is_gone_is_not_slow() {
        let (outbox, messages) = outbox();
        drop(messages);
        assert!(!push(&outbox, "line", None));
        assert!(!outbox.backlog.overran.load(Ordering::Acquire));
    }
}
