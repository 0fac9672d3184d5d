//! Which of several servers answers on the request queue.
//!
//! Every server subscribes exclusively, so that the broker itself gives requests to one of them alone: to
//! the one that came first. From the broker's advisories each learns whether it is that one. A server that
//! finds another one before it gives its subscription up and stands by: it answers nobody, pushes nothing,
//! and takes over only when the other has been gone for so long that it was not just connecting again.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How long the queue must be without a server before one that stands by takes it: twice as long as a
/// server that lost its connection waits between two tries.
pub(super) const TAKE_OVER_AFTER: Duration = Duration::from_secs(10);

/// A broker that does not tell of our own subscription in this time tells of none.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// How many of our earlier connections are remembered.
const FORMER: usize = 16;

/// An exclusive subscription to the request queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consumer {
    /// The connection that has it.
    pub(super) connection: String,
    /// What distinguishes it from others of the same connection.
    pub(super) number: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Nothing,
    /// Answer requests, and push to clients.
    Serve,
    /// The broker has not noticed yet that the connection before this one is gone.
    WaitForOurselves,
    /// Another server, on this connection, answers: take part in nothing.
    StandBy { behind: String },
    /// The other server is gone; it may come back.
    Expect,
    /// Nobody answers: subscribe.
    Subscribe,
    /// Another server came after us, and stands by.
    Rival { connection: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Subscribed; whether the broker chose us is not known.
    Asking { since: Instant },
    /// We answer.
    Serving,
    /// Not subscribed, because somebody else answers, or did so until a moment ago.
    Watching { free_since: Option<Instant> },
}

/// What is known on the present connection, and which connections were ours before.
#[derive(Debug)]
pub(super) struct Stance {
    standing: Standing,
    own: String,
    former: VecDeque<String>,
    /// The consumers that came before us.
    before_us: Vec<Consumer>,
    /// Whether the broker has told of our own subscription.
    told: bool,
}

impl Stance {
    pub(super) fn new() -> Self {
        Self {
            standing: Standing::Serving,
            own: String::new(),
            former: VecDeque::new(),
            before_us: Vec::new(),
            told: false,
        }
    }

    /// A new connection, by its id. A server that stood by goes on doing so until it knows better.
    pub(super) fn connected(&mut self, own: &str, now: Instant) -> Step {
        let before = std::mem::replace(&mut self.own, own.to_owned());
        self.former.push_back(before);
        if self.former.len() > FORMER {
            self.former.pop_front();
        }
        self.before_us.clear();
        self.told = false;
        match self.standing {
            Standing::Asking { .. } | Standing::Serving => {
                self.standing = Standing::Asking { since: now };
                Step::Subscribe
            }
            Standing::Watching { .. } => {
                self.standing = Standing::Watching { free_since: Some(now) };
                Step::Expect
            }
        }
    }

    /// The broker tells of an exclusive consumer, in the order in which they came.
    pub(super) fn added(&mut self, consumer: Consumer) -> Step {
        if consumer.connection == self.own {
            self.told = true;
            return self.decide();
        }
        match self.standing {
            Standing::Watching { .. } => {
                self.before_us.push(consumer);
                self.standing = Standing::Watching { free_since: None };
                self.stand_by()
            }
            Standing::Asking { .. } | Standing::Serving if self.told => {
                Step::Rival { connection: consumer.connection }
            }
            Standing::Asking { .. } | Standing::Serving => {
                self.before_us.push(consumer);
                Step::Nothing
            }
        }
    }

    /// A consumer is gone.
    pub(super) fn removed(&mut self, consumer: &Consumer, now: Instant) -> Step {
        let many = self.before_us.len();
        self.before_us.retain(|other| other != consumer);
        if self.before_us.len() == many {
            return Step::Nothing;
        }
        match self.standing {
            Standing::Watching { .. } if self.before_us.is_empty() => {
                self.standing = Standing::Watching { free_since: Some(now) };
                Step::Expect
            }
            Standing::Watching { .. } => self.stand_by(),
            Standing::Asking { .. } | Standing::Serving if self.told => self.decide(),
            Standing::Asking { .. } | Standing::Serving => Step::Nothing,
        }
    }

    /// The broker sent us a request, which it does only to the server that is to answer.
    pub(super) fn asked(&mut self) -> Step {
        match self.standing {
            Standing::Asking { .. } => self.serve(),
            Standing::Serving | Standing::Watching { .. } => Step::Nothing,
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) -> Step {
        match self.standing {
            // A broker without advisories over STOMP. It gives requests to one server alone all the same.
            Standing::Asking { since } if !self.told && now.duration_since(since) >= TOLD_WITHIN => {
                self.serve()
            }
            Standing::Watching { free_since: Some(since) }
                if now.duration_since(since) >= TAKE_OVER_AFTER =>
            {
                self.standing = Standing::Asking { since: now };
                self.told = false;
                Step::Subscribe
            }
            Standing::Asking { .. } | Standing::Serving | Standing::Watching { .. } => Step::Nothing,
        }
    }

    /// Whether requests are answered by somebody else.
    pub(super) fn stands_by(&self) -> bool {
        matches!(self.standing, Standing::Watching { .. })
    }

    fn serve(&mut self) -> Step {
        if self.standing == Standing::Serving {
            return Step::Nothing;
        }
        self.standing = Standing::Serving;
        Step::Serve
    }

    fn decide(&mut self) -> Step {
        let others = self.before_us.iter().any(|consumer| !self.former.contains(&consumer.connection));
        match (others, self.before_us.is_empty()) {
            (true, _) => self.stand_by(),
            (false, true) => self.serve(),
            (false, false) => Step::WaitForOurselves,
        }
    }

    fn stand_by(&mut self) -> Step {
        let other = self.before_us.iter().find(|consumer| !self.former.contains(&consumer.connection));
        let behind = other.or(self.before_us.first()).map(|consumer| consumer.connection.clone());
        self.standing = Standing::Watching { free_since: None };
        Step::StandBy { behind: behind.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(connection: &str) -> Consumer {
        Consumer { connection: connection.into(), number: "-1:1".into() }
    }

    fn connected(own: &str) -> (Stance, Instant) {
        let (mut stance, now) = (Stance::new(), Instant::now());
        assert_eq!(stance.connected(own, now), Step::Subscribe);
        (stance, now)
    }

    fn standing_by() -> (Stance, Instant) {
        let (mut stance, now) = connected("ours");
        assert_eq!(stance.added(consumer("other")), Step::Nothing);
        assert_eq!(stance.added(consumer("ours")), Step::StandBy { behind: "other".into() });
        (stance, now)
    }

    #[test]
    fn the_first_server_serves_and_hears_of_those_that_come_later() {
        let (mut stance, now) = connected("ours");
        assert_eq!(stance.added(consumer("ours")), Step::Serve);
        assert_eq!(stance.added(consumer("late")), Step::Rival { connection: "late".into() });
        assert_eq!(stance.removed(&consumer("late"), now), Step::Nothing);
        assert_eq!(stance.tick(now + 2 * TAKE_OVER_AFTER), Step::Nothing);
    }

    #[test]
    fn the_second_server_takes_over_only_when_the_first_does_not_come_back() {
        let (mut stance, now) = standing_by();
        assert_eq!(stance.tick(now + 2 * TAKE_OVER_AFTER), Step::Nothing);
        assert_eq!(stance.removed(&consumer("ours"), now), Step::Nothing);
        assert_eq!(stance.removed(&consumer("other"), now), Step::Expect);
        assert_eq!(stance.tick(now + TAKE_OVER_AFTER / 2), Step::Nothing);
        // It was only connecting again.
        assert_eq!(stance.added(consumer("other2")), Step::StandBy { behind: "other2".into() });
        assert_eq!(stance.tick(now + 2 * TAKE_OVER_AFTER), Step::Nothing);
        assert_eq!(stance.removed(&consumer("other2"), now), Step::Expect);
        assert_eq!(stance.tick(now + TAKE_OVER_AFTER), Step::Subscribe);
        assert_eq!(stance.added(consumer("ours")), Step::Serve);
    }

    #[test]
    fn two_servers_that_wait_take_over_one_after_the_other() {
        let (mut stance, now) = standing_by();
        stance.removed(&consumer("other"), now);
        assert_eq!(stance.tick(now + TAKE_OVER_AFTER), Step::Subscribe);
        assert_eq!(stance.added(consumer("third")), Step::Nothing);
        assert_eq!(stance.added(consumer("ours")), Step::StandBy { behind: "third".into() });
    }

    #[test]
    fn after_a_restart_of_the_broker_the_one_that_stood_by_lets_the_other_come_first() {
        let (mut stance, now) = standing_by();
        assert_eq!(stance.connected("ours2", now), Step::Expect);
        assert!(stance.stands_by());
        assert_eq!(stance.added(consumer("other2")), Step::StandBy { behind: "other2".into() });
    }

    #[test]
    fn our_own_connection_from_before_is_nobody_to_stand_behind() {
        let (mut stance, now) = connected("ours");
        assert_eq!(stance.added(consumer("ours")), Step::Serve);
        assert_eq!(stance.connected("ours2", now), Step::Subscribe);
        assert_eq!(stance.added(consumer("ours")), Step::Nothing);
        assert_eq!(stance.added(consumer("ours2")), Step::WaitForOurselves);
        assert_eq!(stance.removed(&consumer("ours"), now), Step::Serve);
    }

    #[test]
    fn a_request_says_that_we_are_chosen_and_so_does_a_broker_that_tells_nothing() {
        let (mut stance, now) = connected("ours");
        assert_eq!(stance.asked(), Step::Serve);
        assert_eq!(stance.asked(), Step::Nothing);
        let (mut other, _) = connected("ours");
        assert_eq!(other.tick(now + TOLD_WITHIN / 2), Step::Nothing);
        assert_eq!(other.tick(now + 2 * TOLD_WITHIN), Step::Serve);
        // An advisory that is late after all decides.
        assert_eq!(other.added(consumer("other")), Step::Nothing);
        assert_eq!(other.added(consumer("ours")), Step::StandBy { behind: "other".into() });
        assert_eq!(other.asked(), Step::Nothing, "what was still on its way goes back to the queue");
    }
}
