//! What the names of a broker tell: a temporary queue's name begins with the id of the connection that
//! owns it, and so does the id of every message of that connection.

use std::sync::Arc;

/// The form in which a STOMP client sees a temporary queue of somebody else.
const REMOTE: &str = "/remote-temp-queue/";

/// Nothing that a broker makes is longer.
const LONGEST_NAME: usize = 255;

/// A reply-to that is safe to send to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReplyQueue {
    destination: Arc<str>,
    /// Where the name of the owning connection ends.
    owner_end: usize,
}

impl ReplyQueue {
    /// Accepts `/remote-temp-queue/ID:…` with a plain name, and nothing else. Any other destination would
    /// let a client aim replies at somebody's queue, at our own (a loop), or at many at once (`a,b`), and an
    /// ordinary `/queue/` makes the broker drop our connection.
    pub(super) fn parse(reply_to: &str) -> Option<Self> {
        let name = reply_to.strip_prefix(REMOTE)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.' | '_');
        if name.len() > LONGEST_NAME || !name.starts_with("ID:") || !name.chars().all(plain) {
            return None;
        }
        let (connection, number) = name.rsplit_once(':')?;
        let numbered = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        if !numbered || connection.len() <= "ID:".len() {
            return None;
        }
        let owner_end = REMOTE.len() + connection.len();
        Some(Self { destination: reply_to.into(), owner_end })
    }

    /// The destination as a SEND has it.
    pub(super) fn destination(&self) -> &Arc<str> {
        &self.destination
    }

    /// The queue's own name, as advisories and errors have it.
    pub(super) fn name(&self) -> &str {
        self.destination.get(REMOTE.len()..).unwrap_or_default()
    }

    /// The id of the connection that owns the queue.
    pub(super) fn owner(&self) -> &str {
        self.destination.get(REMOTE.len()..self.owner_end).unwrap_or_default()
    }

    /// Whether a message with this id came over the owner's connection.
    pub(super) fn is_owners(&self, message_id: &str) -> bool {
        message_id.strip_prefix(self.owner()).is_some_and(|rest| rest.starts_with(':'))
    }
}

/// The connection that a message came over: its id without the numbers of session, producer and message.
pub(super) fn connection_of(message_id: &str) -> &str {
    let connection = message_id.rsplitn(4, ':').nth(3).unwrap_or(message_id);
    // A forged id can be anything; it is only shown.
    let end = connection.char_indices().nth(LONGEST_NAME).map_or(connection.len(), |(at, _)| at);
    connection.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_queue_names_its_owner() {
        let queue = ReplyQueue::parse("/remote-temp-queue/ID:cvm-37185-1795233153510-1:1:12").unwrap();
        assert_eq!(queue.name(), "ID:cvm-37185-1795233153510-1:1:12");
        assert_eq!(queue.owner(), "ID:cvm-37185-1795233153510-1:1");
        assert!(queue.is_owners("ID:cvm-37185-1795233153510-1:1:1:1:2"));
        assert!(!queue.is_owners("ID:cvm-37185-1795233153510-1:10:1:1:2"), "another connection");
        assert!(!queue.is_owners("ID:other-1-1:1:1:1:2"));
        assert!(!queue.is_owners(""));
        assert_eq!(connection_of("ID:cvm-37185-1795233153510-1:10:1:1:2"), "ID:cvm-37185-1795233153510-1:10");
        assert_eq!(connection_of("rubbish"), "rubbish");
    }

    #[test]
    fn everything_but_a_plain_temporary_queue_is_refused() {
        for reply_to in [
            "",
            "/queue/ss_admin",
            "/topic/x",
            "/temp-queue/x",
            "/remote-temp-topic/ID:a-1:1:1",
            "/remote-temp-queue/",
            "/remote-temp-queue/x:1",
            "/remote-temp-queue/ID:",
            "/remote-temp-queue/ID::1",
            "/remote-temp-queue/ID:a",
            "/remote-temp-queue/ID:a:",
            "/remote-temp-queue/ID:a:b",
            "/remote-temp-queue/ID:a-1:1:1,queue://ss_admin",
            "/remote-temp-queue/ID:a-1:1:1?consumer.exclusive=true",
            "/remote-temp-queue/ID:a-1:1:1\nx:1",
            "/remote-temp-queue/ID:a>:1",
            "/remote-temp-queue/ID:a*:1",
            "/remote-temp-queue/ID:a/../b:1",
        ] {
            assert_eq!(ReplyQueue::parse(reply_to), None, "{reply_to:?}");
        }
        let long = format!("/remote-temp-queue/ID:{}:1", "a".repeat(LONGEST_NAME));
        assert_eq!(ReplyQueue::parse(&long), None);
    }
}
