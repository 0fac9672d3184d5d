//! How a transport learns which of its messages are committed.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Tells a transport that everything that follows from one of its messages is committed, so that the
/// message may be forgotten wherever it was kept. Nothing is told when this is dropped.
#[derive(Debug)]
pub struct Committed {
    tell: CommittedMessages,
    number: u64,
}

impl Committed {
    /// Notes the transport's own number of the message when the time has come.
    #[must_use]
    pub fn new(tell: CommittedMessages, number: u64) -> Self {
        Self { tell, number }
    }

    pub(crate) fn tell(self) {
        self.tell.add(self.number);
    }
}

/// The numbers of messages that are committed, gathered until their transport takes them: to be woken for
/// each one would cost it more than what it does then.
#[derive(Clone, Debug, Default)]
pub struct CommittedMessages {
    shared: Arc<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    numbers: Mutex<Vec<u64>>,
    news: Notify,
}

impl CommittedMessages {
    /// So many are worth to be taken at once.
    const MANY: usize = 8;

    fn add(&self, number: u64) {
        let gathered = {
            let mut numbers = self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.push(number);
            numbers.len()
        };
        if gathered == 1 || gathered == Self::MANY {
            self.shared.news.notify_one();
        }
    }

    /// Waits until there is a first one, or many: `true` when there are many.
    pub async fn news(&self) -> bool {
        self.shared.news.notified().await;
        self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner).len() >= Self::MANY
    }

    /// Takes all that there are.
    #[must_use]
    pub fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
