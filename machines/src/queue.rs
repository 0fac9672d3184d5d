//! The life of the queue: whether a job may start, and the order of those that wait.
//!
//! ```text
//! open { idle, busy, between } · draining · held · blocked
//! ```

// The attribute macro generates the enums of states and superstates; their variants are the functions
// below, which carry the documentation.
#![allow(missing_docs)]

use serde::{Deserialize, Serialize};
use statig::prelude::*;
use strum::{EnumIter, IntoStaticStr};

use crate::{
    effect::{Announcement, Effect},
    ids::JobId,
    turn::{Rejected, Turn},
};

/// Who holds the queue, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The user, or `beamq`.
    pub by: String,
    /// The reason, for people.
    pub why: String,
}

/// What can happen to the queue. An accepted event is a fact.
///
/// Edits arrive checked: the ids exist and the positions are within the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum QueueEvent {
    /// Jobs were added, in a row, in front of the one that was at this position.
    Inserted {
        /// The new jobs.
        jobs: Vec<JobId>,
        /// 0 is next.
        at: usize,
    },
    /// Waiting jobs left the queue without running.
    Withdrawn {
        /// Which.
        jobs: Vec<JobId>,
    },
    /// The waiting jobs have a new order.
    Reordered {
        /// All of them.
        order: Vec<JobId>,
    },
    /// The description of a waiting job changed.
    Amended,
    /// A waiting job became the active one.
    Taken {
        /// Which.
        job: JobId,
    },
    /// The active job ended.
    ActiveEnded {
        /// Whether the queue is to be held because of how it ended.
        then: Option<Hold>,
    },
    /// No waiting job can start now.
    Settled,
    /// Somebody, or a policy, wants no further job to start.
    HoldAsked(Hold),
    /// Somebody wants jobs to start again.
    ReleaseAsked,
    /// Somebody wants the queue held once the active job has ended.
    StopAsked {
        /// Who.
        by: String,
    },
    /// Somebody took that back.
    StopCancelled,
    /// Nothing can run: the engine is gone or busy with somebody else's script.
    EngineLost {
        /// Why, and what to do.
        why: String,
    },
    /// The engine can run jobs again.
    EngineBack,
}

/// The queue: everything but its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// The waiting jobs, next first.
    pub order: Vec<JobId>,
    /// The one job that has been handed to the engine.
    pub active: Option<JobId>,
    /// Counts the changes of the order and of the waiting jobs' descriptions.
    pub revision: u64,
}

/// A state machine with its queue.
pub type QueueMachine = StateMachine<Queue>;

impl Queue {
    fn open_again(&self) -> State {
        if self.active.is_some() { State::busy() } else { State::idle() }
    }

    fn refuse(&self, context: &mut Turn, event: &QueueEvent, reason: String, hint: &str) -> Outcome<State> {
        context.rejected = Some(Rejected {
            state: "queue",
            event: event.into(),
            reason,
            hint: (!hint.is_empty()).then(|| hint.into()),
            not_pausable: false,
        });
        Handled
    }
}

#[state_machine(
    initial = "State::idle()",
    state(derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumIter, IntoStaticStr)),
    superstate(derive(Debug)),
    after_transition = "Self::announce_transition"
)]
impl Queue {
    /// No job is active, and none can start.
    #[state(superstate = "open")]
    fn idle(&mut self, context: &mut Turn, event: &QueueEvent) -> Outcome<State> {
        match event {
            QueueEvent::Taken { job } => self.take(*job),
            QueueEvent::StopAsked { .. } => {
                self.refuse(context, event, "no job is active".into(), "hold the queue instead (queue.hold)")
            }
            _ => Super,
        }
    }

    /// A job is active.
    #[state(superstate = "open")]
    fn busy(&mut self, event: &QueueEvent) -> Outcome<State> {
        match event {
            QueueEvent::ActiveEnded { then } => {
                self.active = None;
                Transition(match then {
                    Some(hold) => State::held(hold.clone()),
                    None => State::between(),
                })
            }
            QueueEvent::StopAsked { by } => Transition(State::draining(by.clone())),
            _ => Super,
        }
    }

    /// A job has ended and the next one is being chosen.
    #[state(superstate = "open")]
    fn between(&mut self, context: &mut Turn, event: &QueueEvent) -> Outcome<State> {
        match event {
            QueueEvent::Taken { job } => self.take(*job),
            QueueEvent::Settled => Transition(State::idle()),
            QueueEvent::StopAsked { .. } => {
                self.refuse(context, event, "no job is active".into(), "hold the queue instead (queue.hold)")
            }
            _ => Super,
        }
    }

    /// Jobs start by themselves.
    #[superstate(superstate = "any")]
    fn open(&mut self, context: &mut Turn, event: &QueueEvent) -> Outcome<State> {
        match event {
            QueueEvent::HoldAsked(hold) => Transition(State::held(hold.clone())),
            QueueEvent::ReleaseAsked => self.refuse(context, event, "the queue is not held".into(), ""),
            QueueEvent::EngineLost { why } => Transition(State::blocked(why.clone(), None)),
            _ => Super,
        }
    }

    /// The active job runs to its end; then the queue is held.
    #[state(superstate = "any")]
    fn draining(&mut self, by: &String, context: &mut Turn, event: &QueueEvent) -> Outcome<State> {
        let after = || Hold { by: by.clone(), why: "stopped after the job that was active".into() };
        match event {
            QueueEvent::ActiveEnded { then } => {
                self.active = None;
                Transition(State::held(then.clone().unwrap_or_else(after)))
            }
            QueueEvent::StopCancelled => Transition(State::busy()),
            QueueEvent::StopAsked { .. } => self.refuse(
                context,
                event,
                format!("{by} has already asked for that"),
                "take it back with queue.cancel_stop",
            ),
            QueueEvent::HoldAsked(hold) => Transition(State::held(hold.clone())),
            QueueEvent::ReleaseAsked => self.refuse(
                context,
                event,
                "the queue is not held yet: it will be when the active job ends".into(),
                "take that back with queue.cancel_stop",
            ),
            QueueEvent::EngineLost { why } => Transition(State::blocked(why.clone(), Some(after()))),
            _ => Super,
        }
    }

    /// No job starts until somebody releases the queue.
    #[state(superstate = "any")]
    fn held(&mut self, hold: &Hold, context: &mut Turn, event: &QueueEvent) -> Outcome<State> {
        match event {
            QueueEvent::ReleaseAsked => Transition(self.open_again()),
            QueueEvent::ActiveEnded { .. } => {
                self.active = None;
                context.want(Effect::Announce(Announcement::Queue));
                Handled
            }
            QueueEvent::HoldAsked(_) => self.refuse(
                context,
                event,
                format!("the queue is already held by {}: {}", hold.by, hold.why),
                "release it with queue.release",
            ),
            QueueEvent::StopAsked { .. } => self.refuse(
                context,
                event,
                "the queue is already held: no job starts after the active one".into(),
                "",
            ),
            QueueEvent::EngineLost { why } => Transition(State::blocked(why.clone(), Some(hold.clone()))),
            _ => Super,
        }
    }

    /// Nothing can run. A hold from before, or asked meanwhile, is kept for afterwards.
    #[state(superstate = "any")]
    fn blocked(
        &mut self,
        why: &String,
        hold: &Option<Hold>,
        context: &mut Turn,
        event: &QueueEvent,
    ) -> Outcome<State> {
        match event {
            QueueEvent::EngineBack => Transition(match hold {
                Some(hold) => State::held(hold.clone()),
                None => self.open_again(),
            }),
            QueueEvent::EngineLost { why: again } if again == why => {
                self.refuse(context, event, "the queue is already blocked for this reason".into(), "")
            }
            QueueEvent::EngineLost { why } => Transition(State::blocked(why.clone(), hold.clone())),
            QueueEvent::ActiveEnded { then } => {
                self.active = None;
                Transition(State::blocked(why.clone(), hold.clone().or_else(|| then.clone())))
            }
            QueueEvent::HoldAsked(asked) => match hold {
                None => Transition(State::blocked(why.clone(), Some(asked.clone()))),
                Some(hold) => self.refuse(
                    context,
                    event,
                    format!("the queue is already held by {}: {}", hold.by, hold.why),
                    "",
                ),
            },
            QueueEvent::ReleaseAsked => match hold {
                Some(_) => Transition(State::blocked(why.clone(), None)),
                None => self.refuse(
                    context,
                    event,
                    format!("the queue is blocked, not held: {why}"),
                    "it goes on by itself when the engine is back",
                ),
            },
            QueueEvent::StopAsked { .. } => self.refuse(
                context,
                event,
                format!("the queue is blocked: {why}"),
                "hold it instead (queue.hold)",
            ),
            _ => Super,
        }
    }

    /// Edits of the waiting jobs are possible in every state.
    #[superstate]
    fn any(&mut self, context: &mut Turn, event: &QueueEvent) -> Outcome<State> {
        match event {
            QueueEvent::Inserted { jobs, at } => {
                let at = (*at).min(self.order.len());
                self.order.splice(at..at, jobs.iter().copied());
            }
            QueueEvent::Withdrawn { jobs } => {
                let gone: std::collections::BTreeSet<_> = jobs.iter().collect();
                self.order.retain(|job| !gone.contains(job));
            }
            QueueEvent::Reordered { order } => self.order.clone_from(order),
            QueueEvent::Amended => {}
            QueueEvent::StopCancelled => {
                return self.refuse(context, event, "no stop after the active job was asked for".into(), "");
            }
            QueueEvent::EngineBack => {
                return self.refuse(context, event, "the engine was not lost".into(), "");
            }
            QueueEvent::Taken { .. } | QueueEvent::ActiveEnded { .. } | QueueEvent::Settled => {
                return self.refuse(context, event, "this does not fit the queue's state".into(), "");
            }
            QueueEvent::HoldAsked(_)
            | QueueEvent::ReleaseAsked
            | QueueEvent::StopAsked { .. }
            | QueueEvent::EngineLost { .. } => {
                return self.refuse(context, event, "this does not fit the queue's state".into(), "");
            }
        }
        self.revision += 1;
        context.want(Effect::Announce(Announcement::Queue));
        Handled
    }

    fn take(&mut self, job: JobId) -> Outcome<State> {
        self.order.retain(|waiting| *waiting != job);
        self.active = Some(job);
        self.revision += 1;
        Transition(State::busy())
    }

    fn announce_transition(&mut self, _source: &State, _target: &State, context: &mut Turn) {
        context.want(Effect::Announce(Announcement::Queue));
    }
}

impl State {
    /// The name that clients know. Between two jobs the queue counts as busy.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle {} => "idle",
            Self::Busy {} | Self::Between {} => "busy",
            Self::Draining { .. } => "draining",
            Self::Held { .. } => "held",
            Self::Blocked { .. } => "blocked",
        }
    }

    /// Why nothing starts, or will start, by itself.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Idle {} | Self::Busy {} | Self::Between {} => None,
            Self::Draining { by } => Some(format!("{by} asked to stop after the active job")),
            Self::Held { hold } => Some(format!("held by {}: {}", hold.by, hold.why)),
            Self::Blocked { why, .. } => Some(why.clone()),
        }
    }
}
