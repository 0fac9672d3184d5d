//! Requests that come again. A broker delivers a message anew when its acknowledgement got lost with a
//! connection, and a client sends its request again when it heard nothing: such a request is answered
//! again, and carried out once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::names::ReplyQueue;

/// How many requests are remembered, and how many bytes of their replies.
const REMEMBERED: usize = 4096;
const REMEMBERED_BYTES: usize = 32 << 20;

/// After so many deliveries of a request that never came to its end it is given up.
const DELIVERIES: u32 = 6;

/// What is to be done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new, and has this number now.
    New(u64),
    /// It was here before and is not known to be committed. Its reply will come, or this is it already: of the
    /// reply and the news of the commit either may be the first.
    UnderWay { number: u64, reply: Option<Arc<str>> },
    /// It was here before, and is done with; this was the reply, if it had one.
    Answered { reply: Option<Arc<str>> },
    /// It comes again and again without an end.
    Poison,
}

#[derive(Debug)]
struct Request {
    keys: [Option<u64>; 2],
    body: u64,
    reply: Option<Arc<str>>,
    committed: bool,
    deliveries: u32,
}

/// The requests of the near past.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    next: u64,
    requests: BTreeMap<u64, Request>,
    by_key: HashMap<u64, u64>,
    bytes: usize,
    /// Correlation ids that tell nothing, as keys.
    reused: HashSet<u64>,
    hasher: RandomState,
}

impl Repeats {
    /// Judges a request by its message id, and by its correlation id together with where its reply goes.
    /// A client that gives different requests the same correlation id is careless, not repeating itself:
    /// from then on that id tells nothing.
    pub(super) fn judge(
        &mut self,
        queue: &ReplyQueue,
        message_id: Option<&str>,
        correlation: Option<&str>,
        body: &[u8],
    ) -> Verdict {
        let body = self.hasher.hash_one(body);
        let by_message = message_id.map(|id| self.hasher.hash_one(("message", id)));
        let by_correlation =
            correlation.map(|id| self.hasher.hash_one(("correlation", queue.destination(), id)));
        if by_message.and_then(|key| self.request(key)).is_none()
            && let Some(key) = by_correlation
            && self.request(key).is_some_and(|earlier| earlier.body != body)
        {
            if self.reused.len() >= REMEMBERED {
                self.reused.clear();
            }
            self.reused.insert(key);
        }
        let by_correlation = by_correlation.filter(|key| !self.reused.contains(key));
        let keys = [by_message, by_correlation];
        let known = keys.iter().flatten().find_map(|key| self.by_key.get(key).copied());
        let Some((number, request)) =
            known.and_then(|number| Some((number, self.requests.get_mut(&number)?)))
        else {
            return Verdict::New(self.remember(keys, body));
        };
        let reply = request.reply.clone();
        if request.committed {
            return Verdict::Answered { reply };
        }
        request.deliveries += 1;
        if request.deliveries >= DELIVERIES { Verdict::Poison } else { Verdict::UnderWay { number, reply } }
    }

    fn request(&self, key: u64) -> Option<&Request> {
        self.by_key.get(&key).and_then(|number| self.requests.get(number))
    }

    fn remember(&mut self, keys: [Option<u64>; 2], body: u64) -> u64 {
        self.next += 1;
        for key in keys.iter().flatten() {
            self.by_key.insert(*key, self.next);
        }
        let request = Request { keys, body, reply: None, committed: false, deliveries: 1 };
        self.requests.insert(self.next, request);
        self.forget_the_oldest();
        self.next
    }

    /// Notes the reply, which may come before or after the commit.
    pub(super) fn replied(&mut self, number: u64, reply: &Arc<str>) {
        let Some(request) = self.requests.get_mut(&number) else { return };
        self.bytes += reply.len();
        if let Some(earlier) = request.reply.replace(Arc::clone(reply)) {
            self.bytes = self.bytes.saturating_sub(earlier.len());
        }
        self.forget_the_oldest();
    }

    /// Notes that what followed from the request is committed.
    pub(super) fn committed(&mut self, number: u64) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.committed = true;
        }
    }

    fn forget_the_oldest(&mut self) {
        while self.requests.len() > REMEMBERED || self.bytes > REMEMBERED_BYTES {
            let Some((number, request)) = self.requests.pop_first() else { return };
            self.bytes = self.bytes.saturating_sub(request.reply.map_or(0, |reply| reply.len()));
            for key in request.keys.iter().flatten() {
                // A later request may have taken the key over.
                if self.by_key.get(key) == Some(&number) {
                    self.by_key.remove(key);
                }
            }
        }
    }
}

/// The number of a request and the client's correlation id in one text, so that the server's echo of it
/// tells which request a reply belongs to, also when the client gave no correlation id or one twice.
pub(super) fn tag(number: u64, correlation: Option<&str>) -> String {
    match correlation {
        Some(correlation) => format!("{number}:{correlation}"),
        None => number.to_string(),
    }
}

/// Takes such a text apart again.
pub(super) fn untag(tag: &str) -> (Option<u64>, Option<&str>) {
    match tag.split_once(':') {
        Some((number, correlation)) => (number.parse().ok(), Some(correlation)),
        None => (tag.parse().ok(), None),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn queue(name: &str) -> ReplyQueue {
        ReplyQueue::parse(&format!("/remote-temp-queue/ID:{name}-1:1:1")).unwrap()
    }

    #[test]
    fn a_request_that_comes_again_is_answered_from_memory() {
        let mut repeats = Repeats::default();
        let a = queue("a");
        assert_eq!(repeats.judge(&a, Some("m1"), Some("c1"), b"x"), Verdict::New(1));
        let under_way = |reply| Verdict::UnderWay { number: 1, reply };
        assert_eq!(repeats.judge(&a, Some("m1"), Some("c1"), b"x"), under_way(None));
        let reply: Arc<str> = "done".into();
        repeats.replied(1, &reply);
        let early = repeats.judge(&a, Some("m1b"), Some("c1"), b"x");
        assert_eq!(early, under_way(Some(Arc::clone(&reply))), "before the news of the commit");
        repeats.committed(1);
        let answered = Verdict::Answered { reply: Some(reply) };
        assert_eq!(repeats.judge(&a, Some("m1"), None, b"x"), answered, "by the message id");
        assert_eq!(repeats.judge(&a, Some("m2"), Some("c1"), b"x"), answered, "by the correlation id");
    }

    #[test]
    fn another_body_or_another_client_is_another_request() {
        let mut repeats = Repeats::default();
        let (a, b) = (queue("a"), queue("b"));
        assert_eq!(repeats.judge(&a, Some("m1"), Some("c1"), b"x"), Verdict::New(1));
        assert_eq!(repeats.judge(&a, Some("m2"), Some("c1"), b"y"), Verdict::New(2));
        assert_eq!(repeats.judge(&a, Some("m2b"), Some("c1"), b"y"), Verdict::New(3), "c1 tells nothing now");
        assert_eq!(repeats.judge(&b, Some("m3"), Some("c1"), b"x"), Verdict::New(4));
        assert_eq!(repeats.judge(&a, None, None, b"x"), Verdict::New(5));
        assert_eq!(repeats.judge(&a, None, None, b"x"), Verdict::New(6), "nothing tells them apart");
    }

    #[test]
    fn a_request_that_never_ends_is_given_up() {
        let mut repeats = Repeats::default();
        let a = queue("a");
        repeats.judge(&a, Some("m1"), None, b"x");
        let verdicts: Vec<_> =
            (0..DELIVERIES).map(|_| repeats.judge(&a, Some("m1"), None, b"x") == Verdict::Poison).collect();
        assert_eq!(verdicts.iter().filter(|poison| **poison).count(), 2);
    }

    #[test]
    fn the_memory_is_bounded_by_number_and_by_bytes() {
        let mut repeats = Repeats::default();
        let a = queue("a");
        for n in 0..REMEMBERED * 2 {
            repeats.judge(&a, Some(&n.to_string()), Some(&n.to_string()), b"x");
        }
        assert_eq!((repeats.requests.len(), repeats.by_key.len()), (REMEMBERED, REMEMBERED * 2));
        let megabyte: Arc<str> = "x".repeat(1 << 20).into();
        let newest = repeats.next;
        for number in newest - 100..=newest {
            repeats.replied(number, &megabyte);
        }
        assert!(repeats.bytes <= REMEMBERED_BYTES);
        assert!(repeats.requests.len() <= 32 && repeats.by_key.len() <= 64);
    }

    #[test]
    fn a_tag_gives_back_what_went_in() {
        for correlation in [None, Some(""), Some("a:b"), Some("7")] {
            assert_eq!(untag(&tag(12, correlation)), (Some(12), correlation));
        }
    }
}
