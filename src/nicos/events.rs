//! The stream of events.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    sync::Notify,
    task::{AbortHandle, coop::consume_budget},
};
use tokio_util::codec::FramedRead;

use super::{Ending, end, friendly::friendly};
use crate::wire::{
    nicos::{Event, EventDecoder, Limits, Payload, PayloadError, Serializer},
    pickle,
};

/// How many events, and how many bytes of them, are held for somebody who does not take them; then the
/// socket is not read any further.
const MOST_WAITING: usize = 4096;
const MOST_WAITING_BYTES: usize = 16 << 20;

/// An event of the daemon.
#[derive(Clone, Debug)]
pub struct NicosEvent {
    /// Which.
    pub event: Event,
    /// Arrays that belong to it, as their bytes.
    pub blobs: Vec<Payload>,
    payload: Payload,
    serializer: Serializer,
    limits: Arc<pickle::Limits>,
}

impl NicosEvent {
    /// Its data, in the mapping of [`pickle`].
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is beyond the limits.
    pub fn value(&self) -> Result<Value, PayloadError> {
        self.serializer.decode(&self.payload, &self.limits)
    }

    /// Its data as JSON that clients are sent, in the forms of [`friendly`](super::friendly::friendly).
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is beyond the limits.
    pub fn text(&self) -> Result<String, PayloadError> {
        self.serializer.decode_to_text(&self.payload, &self.limits, friendly)
    }

    fn len(&self) -> usize {
        self.payload.len() + self.blobs.iter().map(Payload::len).sum::<usize>()
    }
}

/// The events of a connection, in their order. Dropping it ends the connection.
#[derive(Debug)]
pub struct EventStream {
    shared: Arc<Shared>,
    reader: AbortHandle,
}

impl EventStream {
    pub(super) fn start(reader: EventReader, limits: pickle::Limits) -> Self {
        let shared = Arc::<Shared>::default();
        let reader = tokio::spawn(reader.run(Arc::clone(&shared), Arc::new(limits))).abort_handle();
        Self { shared, reader }
    }

    /// The next event; `None` when the connection has ended and all its events were taken. Can be dropped
    /// while it waits without losing anything.
    pub async fn next(&mut self) -> Option<NicosEvent> {
        // Where events are always waiting, others get their turn all the same.
        consume_budget().await;
        loop {
            {
                let mut waiting = self.shared.waiting();
                let was_full = !waiting.has_room();
                if let Some(event) = waiting.pop() {
                    if was_full {
                        self.shared.room.notify_one();
                    }
                    return Some(event);
                }
                if waiting.ended {
                    return None;
                }
            }
            self.shared.news.notified().await;
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What the reader and the one who takes events have in common: one wakes the other only when it has to wait.
#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
    room: Notify,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event in, and waits while there is no room for more.
    async fn push(&self, event: NicosEvent) {
        let has_room = {
            let mut waiting = self.waiting();
            let nobody_knows = waiting.events.is_empty();
            waiting.push(event);
            if nobody_knows {
                self.news.notify_one();
            }
            waiting.has_room()
        };
        if !has_room {
            self.wait_for_room().await;
        }
    }

    async fn wait_for_room(&self) {
        while !self.waiting().has_room() {
            self.room.notified().await;
        }
    }
}

/// What reads the events.
pub(super) struct EventReader {
    pub(super) socket: TcpStream,
    pub(super) serializer: Serializer,
    pub(super) limits: Limits,
    pub(super) ending: Ending,
}

/// Says that nothing comes any more, however the reader's task ends.
struct EndsWith {
    ending: Ending,
    shared: Arc<Shared>,
}

impl Drop for EndsWith {
    fn drop(&mut self) {
        end(&self.ending, "nobody listens to its events any longer");
        self.shared.waiting().ended = true;
        self.shared.news.notify_one();
    }
}

impl EventReader {
    async fn run(self, shared: Arc<Shared>, limits: Arc<pickle::Limits>) {
        let Self { socket, serializer, limits: frames, ending } = self;
        let _ends_with = EndsWith { ending: ending.clone(), shared: Arc::clone(&shared) };
        let mut ended = ending.subscribe();
        let mut frames = FramedRead::new(socket, EventDecoder::new(frames));
        let reading = async {
            loop {
                let frame = match frames.next().await {
                    Some(Ok(frame)) => frame,
                    Some(Err(error)) => return end(&ending, error.to_string()),
                    None => return end(&ending, "the daemon closed the connection of the events"),
                };
                let Some(event) = frame.event() else {
                    tracing::debug!(code = frame.code, "an event that this version does not know");
                    continue;
                };
                let (payload, blobs) = (frame.payload, frame.blobs);
                let limits = Arc::clone(&limits);
                shared.push(NicosEvent { event, blobs, payload, serializer, limits }).await;
            }
        };
        tokio::select! {
            () = reading => {}
            _ = ended.wait_for(Option::is_some) => {}
        }
    }
}

/// Events that nobody has taken yet.
#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<NicosEvent>,
    bytes: usize,
    /// Whether no more will come.
    ended: bool,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.events.len() < MOST_WAITING && self.bytes < MOST_WAITING_BYTES
    }

    /// Takes an event in; a state that was not taken yet is replaced by the next one.
    fn push(&mut self, event: NicosEvent) {
        if event.event == Event::Status
            && self.events.back().is_some_and(|last| last.event == Event::Status)
            && let Some(stale) = self.events.pop_back()
        {
            self.bytes -= stale.len();
        }
        self.bytes += event.len();
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<NicosEvent> {
        let event = self.events.pop_front()?;
        self.bytes -= event.len();
        Some(event)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(event: Event, text: &'static str) -> NicosEvent {
        NicosEvent {
            event,
            blobs: Vec::new(),
            payload: Payload::Kept(Bytes::from_static(text.as_bytes())),
            serializer: Serializer::Json,
            limits: Arc::default(),
        }
    }

    #[test]
    fn only_the_last_of_states_that_follow_each_other_is_held() {
        let mut waiting = Waiting::default();
        for _ in 0..100_000 {
            waiting.push(event(Event::Status, "[0,1]"));
            waiting.push(event(Event::Status, "[0,22]"));
        }
        waiting.push(event(Event::Done, "{}"));
        waiting.push(event(Event::Status, "[-1,-1]"));
        assert_eq!(waiting.bytes, 6 + 2 + 7);
        let held: Vec<(Event, Value)> =
            waiting.events.iter().map(|event| (event.event, event.value().unwrap())).collect();
        let expected = [
            (Event::Status, serde_json::json!([0, 22])),
            (Event::Done, serde_json::json!({})),
            (Event::Status, serde_json::json!([-1, -1])),
        ];
        assert_eq!(held, expected);
        while waiting.pop().is_some() {}
        assert_eq!(waiting.bytes, 0);
    }

    #[test]
    fn more_than_is_held_waits_in_the_daemon() {
        let mut waiting = Waiting::default();
        while waiting.has_room() {
            waiting.push(event(Event::Message, "[]"));
        }
        assert_eq!(waiting.events.len(), MOST_WAITING);
        waiting.pop();
        assert!(waiting.has_room());
    }
}
