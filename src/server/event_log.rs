//! Events get their numbers here, are encoded once, and are kept for clients that come back.

use std::{collections::VecDeque, sync::Arc};

use beamq_machines::Timestamp;

use crate::{
    protocol::{Event, EventBody, EventKind},
    transport::Subject,
};

/// The most bytes of events that are kept in memory.
const KEPT_BYTES: usize = 4 << 20;
/// The most events that are kept in memory.
const KEPT_EVENTS: usize = 20_000;

/// An event, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    pub(super) seq: u64,
    pub(super) kind: EventKind,
    pub(super) time: Timestamp,
    pub(super) text: Arc<str>,
    /// Of what it tells the whole state, if it does: a slow client need not read older ones.
    pub(super) subject: Option<Subject>,
}

/// What tells each time everything that is to know about something.
fn subject(body: &EventBody) -> Option<Subject> {
    let of = match body {
        EventBody::Queue(_) => 0,
        EventBody::Progress(progress) => progress.id.0,
        EventBody::Job(_)
        | EventBody::Output(_)
        | EventBody::Prompt(_)
        | EventBody::Catalogue(_)
        | EventBody::Engine(_)
        | EventBody::Notice(_) => return None,
    };
    Some(Subject { kind: body.kind().method(), of })
}

/// The newest events.
#[derive(Debug)]
pub(super) struct EventLog {
    last: u64,
    published: u64,
    kept: VecDeque<Numbered>,
    bytes: usize,
}

impl EventLog {
    /// Goes on after the last number that an earlier process gave.
    pub(super) fn after(last: u64) -> Self {
        Self { last, published: last, kept: VecDeque::new(), bytes: 0 }
    }

    /// The number of the last event that went out.
    pub(super) fn published(&self) -> u64 {
        self.published
    }

    /// Notes that an event has gone out.
    pub(super) fn went_out(&mut self, seq: u64) {
        self.published = self.published.max(seq);
    }

    /// Numbers an event and keeps it.
    pub(super) fn number(&mut self, body: EventBody, time: Timestamp) -> Numbered {
        self.last += 1;
        let subject = subject(&body);
        let event = Event::new(self.last, time, body);
        let numbered = Numbered { seq: self.last, kind: event.kind(), time, text: event.encode(), subject };
        self.bytes += numbered.text.len();
        self.kept.push_back(numbered.clone());
        while self.bytes > KEPT_BYTES || self.kept.len() > KEPT_EVENTS {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
        numbered
    }

    /// The kept events with a greater number, oldest first.
    pub(super) fn since(&self, seq: u64) -> impl Iterator<Item = &Numbered> {
        let from = self.kept.partition_point(|event| event.seq <= seq);
        self.kept.range(from..)
    }

    /// The first number that is kept here; what is older may be in the journal.
    pub(super) fn first_kept(&self) -> u64 {
        self.kept.front().map_or(self.last + 1, |event| event.seq)
    }
}
