//! The stream of events.

use std::{collections::VecDeque, sync::Arc};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{net::TcpStream, sync::mpsc, task::AbortHandle};
use tokio_util::codec::FramedRead;

use super::{Ending, end};
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

    fn len(&self) -> usize {
        self.payload.len() + self.blobs.iter().map(Payload::len).sum::<usize>()
    }
}

/// The events of a connection, in their order. Dropping it ends the connection.
#[derive(Debug)]
pub struct EventStream {
    events: mpsc::Receiver<NicosEvent>,
    reader: AbortHandle,
}

impl EventStream {
    pub(super) fn start(reader: EventReader, limits: pickle::Limits) -> Self {
        let (taken, events) = mpsc::channel(1);
        let reader = tokio::spawn(reader.run(taken, Arc::new(limits))).abort_handle();
        Self { events, reader }
    }

    /// The next event; `None` when the connection has ended and all its events were taken. Can be dropped
    /// while it waits without losing anything.
    pub async fn next(&mut self) -> Option<NicosEvent> {
        self.events.recv().await
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What reads the events.
pub(super) struct EventReader {
    pub(super) socket: TcpStream,
    pub(super) serializer: Serializer,
    pub(super) limits: Limits,
    pub(super) ending: Ending,
}

/// Says that the stream is gone, however its task ends.
struct EndsWith(Ending);

impl Drop for EndsWith {
    fn drop(&mut self) {
        end(&self.0, "nobody listens to its events any longer");
    }
}

impl EventReader {
    async fn run(self, taken: mpsc::Sender<NicosEvent>, limits: Arc<pickle::Limits>) {
        let Self { socket, serializer, limits: frames, ending } = self;
        let _ends_with = EndsWith(ending.clone());
        let mut ended = ending.subscribe();
        let mut frames = FramedRead::new(socket, EventDecoder::new(frames));
        let mut waiting = Waiting::default();
        let mut open = true;
        while open || !waiting.events.is_empty() {
            tokio::select! {
                permit = taken.reserve(), if !waiting.events.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = waiting.pop() { permit.send(event) },
                    Err(_) => return,
                },
                frame = frames.next(), if open && waiting.has_room() => match frame {
                    Some(Ok(frame)) => {
                        let Some(event) = frame.event() else {
                            tracing::debug!(code = frame.code, "an event that this version does not know");
                            continue;
                        };
                        let (payload, blobs) = (frame.payload, frame.blobs);
                        let limits = Arc::clone(&limits);
                        waiting.push(NicosEvent { event, blobs, payload, serializer, limits });
                    }
                    Some(Err(error)) => { end(&ending, error.to_string()); open = false; }
                    None => { end(&ending, "the daemon closed the connection of the events"); open = false; }
                },
                _ = ended.wait_for(Option::is_some), if open => open = false,
            }
        }
    }
}

/// Events that nobody has taken yet.
#[derive(Default)]
struct Waiting {
    events: VecDeque<NicosEvent>,
    bytes: usize,
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
