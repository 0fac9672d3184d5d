//! Conversations with the core, as text: `>` lines are inputs, the indented lines below each are
//! *everything* that follows from it, so that a missing and an extra effect both fail the test.
//!
//! ```text
//! > ann: submit 1 2 group=scan        somebody wants something (`bob/user:` names the role)
//! > engine 1 started                  the engine reports
//! > +10m timer reminder 1             time passes, then a timer that runs fires (it must be due)
//! > stale timer grace 1               a timer that was cancelled or is not due yet fires all the same
//! > session 7 opened                  a client
//! > crash                             the facts so far, through JSON, into a fresh core
//! > snapshot                          the core through its snapshot
//! > restarted
//! > closing abort                     the server is being stopped
//! ```
//!
//! `BEAMQ_BLESS=1 cargo test -p beamq-machines -- --test-threads 1` writes what happened into the source
//! of the test; read the difference before committing it.

#![allow(dead_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod parse;
pub mod render;

use std::{collections::BTreeMap, path::Path};

use beamq_machines::{
    Due, Effect, JobId, Policy, Timer, Timestamp,
    core::{Core, Fact, Input, Outcome},
    job::JobMachine,
};

/// Where the clocks of all conversations begin.
pub const BEGIN: Timestamp = Timestamp(1_700_000_000_000);

pub struct Conversation {
    pub core: Core,
    pub policy: Policy,
    pub now: Timestamp,
    pub facts: Vec<(Timestamp, Fact)>,
    pub timers: BTreeMap<Timer, Timestamp>,
    pub ended: BTreeMap<JobId, JobMachine>,
}

impl Conversation {
    pub fn new(policy: Policy) -> Self {
        Self {
            core: Core::new(policy),
            policy,
            now: BEGIN,
            facts: Vec::new(),
            timers: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Hands one input to the core, and checks what must hold after every input.
    pub fn input(&mut self, input: Input) -> Outcome {
        let outcome = self.core.handle(input, self.now);
        for job in self.core.take_ended() {
            assert!(job.state().is_final(), "job {} is {} and counts as ended", job.id, job.state().name());
            assert!(self.ended.insert(job.id, job).is_none(), "a job ended twice");
        }
        self.facts.extend(outcome.facts.iter().map(|fact| (self.now, fact.clone())));
        for effect in &outcome.effects {
            match effect {
                Effect::SetTimer { timer, due } => {
                    let time = match due {
                        Due::At(time) => *time,
                        Due::After(duration) => self.now.after(*duration),
                    };
                    self.timers.insert(*timer, time);
                }
                Effect::CancelTimer(timer) => {
                    self.timers.remove(timer);
                }
                Effect::Engine { .. } | Effect::Announce(_) | Effect::CloseLink(_) => {}
            }
        }
        let replayed = replay(self.policy, &self.facts);
        assert!(
            self.core.same_state(&replayed),
            "replayed state differs:\nlive     {}\nreplayed {}",
            self.core.snapshot().unwrap(),
            replayed.snapshot().unwrap()
        );
        outcome
    }

    /// The server is killed: what is not in the facts is lost.
    pub fn crash(&mut self) {
        self.core = replay(self.policy, &self.facts);
        self.timers.clear();
    }

    /// The core is written down and read again.
    pub fn snapshot(&mut self) {
        let snapshot = self.core.snapshot().unwrap();
        let restored = Core::restore(self.policy, &snapshot).unwrap();
        assert!(self.core.same_state(&restored), "the snapshot does not restore: {snapshot}");
        self.core = restored;
    }
}

/// A fresh core after these facts, each of which passes through JSON as in the journal.
pub fn replay(policy: Policy, facts: &[(Timestamp, Fact)]) -> Core {
    let mut core = Core::new(policy);
    for (at, fact) in facts {
        let text = serde_json::to_string(fact).unwrap();
        let fact: Fact = serde_json::from_str(&text).unwrap();
        core.replay(&fact, *at).unwrap_or_else(|rejected| panic!("replay of {text}: {rejected:?}"));
    }
    core
}

/// Plays a conversation and compares it, whole, with what is expected.
#[track_caller]
pub fn conversation(expected: &str) {
    conversation_with(Policy::default(), expected);
}

/// As [`conversation`], with other settings.
#[track_caller]
pub fn conversation_with(policy: Policy, expected: &str) {
    let caller = std::panic::Location::caller();
    let mut talk = Conversation::new(policy);
    let mut actual = String::from("\n");
    for line in expected.lines() {
        let Some(input) = line.trim().strip_prefix('>') else {
            let comment = line.trim();
            if comment.starts_with('#') {
                actual.push_str(&format!("        {comment}\n"));
            }
            continue;
        };
        actual.push_str(&format!("        > {}\n", input.trim()));
        for follows in parse::step(&mut talk, input.trim()) {
            actual.push_str(&format!("            {follows}\n"));
        }
    }
    actual.push_str("    ");
    if actual != expected && std::env::var_os("BEAMQ_BLESS").is_some() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(caller.file());
        let text = std::fs::read_to_string(&source).unwrap();
        assert_eq!(text.matches(expected).count(), 1, "two conversations with the same text");
        std::fs::write(&source, text.replace(expected, &actual)).unwrap();
        return;
    }
    assert!(actual == expected, "{caller}: expected{expected}\nbut this happened:{actual}");
}
