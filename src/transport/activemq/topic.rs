//! Every event once to a topic, so that thousands of observers cost one message.

use std::{sync::Arc, time::Duration};

use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

use super::{
    pusher::{Pusher, Taken},
    session::topic_frame,
};

/// How many events travel together.
const BURST: usize = 64;

/// How long to do without the topic after the broker has refused an event.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// Sends every event, until the server or the transport ends. Events that cannot be sent for so long that
/// there are too many are lost to the topic, which observers see from the numbers.
pub(super) async fn run(
    mut events: Receiver<Arc<str>>,
    instrument: Arc<str>,
    mut pusher: watch::Receiver<Option<Pusher>>,
) {
    let destination: Arc<str> = format!("/topic/beamq.{instrument}.events").into();
    loop {
        let first = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "events were lost to the topic");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let mut burst = vec![first];
        while burst.len() < BURST {
            let Ok(event) = events.try_recv() else { break };
            burst.push(event);
        }
        loop {
            let Ok(line) = pusher.wait_for(Option::is_some).await.map(|line| line.clone()) else { return };
            let Some(line) = line else { continue };
            let frames = burst.iter().map(|event| topic_frame(&destination, event)).collect();
            match line.push(frames).await {
                Taken::Yes => break,
                Taken::No { why } => {
                    tracing::warn!(%why, topic = %destination, "the broker does not take events");
                    tokio::time::sleep(AFTER_REFUSAL).await;
                    break;
                }
                Taken::LineLost => {
                    if pusher.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
