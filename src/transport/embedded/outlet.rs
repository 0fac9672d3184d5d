//! The way from the tasks of a connection to its writer.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use stomp_rs::protocol::ServerCommand;
use tokio::sync::mpsc;

use crate::wire::stomp::Frame;

/// A subscription, as far as messages for it need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// The client's id for it; STOMP 1.0 allows none.
    pub(super) id: Option<Arc<str>>,
    /// Whether the client wants to acknowledge messages.
    pub(super) acknowledges: bool,
}

/// The writer is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriterGone;

/// Hands frames to the writer of one connection.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    frames: mpsc::Sender<Frame>,
    connection: Arc<str>,
    messages: Arc<AtomicU64>,
}

impl Outlet {
    pub(super) fn new(frames: mpsc::Sender<Frame>, connection: Arc<str>) -> Self {
        Self { frames, connection, messages: Arc::default() }
    }

    /// Waits for room and hands over a frame.
    pub(super) async fn write(&self, frame: Frame) -> Result<(), WriterGone> {
        self.frames.send(frame).await.map_err(|_| WriterGone)
    }

    /// Hands over a MESSAGE for a subscription.
    pub(super) async fn message(
        &self,
        destination: &str,
        subscription: &Subscription,
        correlation: Option<String>,
        body: Arc<str>,
    ) -> Result<(), WriterGone> {
        let number = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("{}-{number}", self.connection);
        let mut frame = Frame::new(ServerCommand::Message.into()).header("destination", destination);
        if let Some(subscription) = &subscription.id {
            frame = frame.header("subscription", subscription.as_ref());
        }
        if subscription.acknowledges {
            frame = frame.header("ack", id.clone());
        }
        frame = frame.header("message-id", id);
        if let Some(correlation) = correlation {
            frame = frame.header("correlation-id", correlation);
        }
        let frame = frame
            .header("content-type", "application/json")
            .with_body(Bytes::from_owner(SharedText(body)))
            .with_content_length();
        self.write(frame).await
    }

    /// Returns when the writer has ended.
    pub(super) async fn closed(&self) {
        self.frames.closed().await;
    }
}

/// A text that many frames share without copying it.
struct SharedText(Arc<str>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
