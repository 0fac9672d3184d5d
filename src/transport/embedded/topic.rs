//! The topic of all events, for one subscriber.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};

use super::{
    connection::Notice,
    outlet::{Outlet, Subscription},
};

/// Writes every event until the connection ends, or until this subscriber is so far behind that events are
/// lost to it.
pub(super) async fn run(
    mut events: broadcast::Receiver<Arc<str>>,
    destination: String,
    subscription: Subscription,
    outlet: Outlet,
    notices: mpsc::Sender<Notice>,
) {
    loop {
        match events.recv().await {
            Ok(event) => {
                if outlet.message(&destination, &subscription, None, event).await.is_err() {
                    return;
                }
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                let _ = notices.send(Notice::TopicLagged { missed }).await;
                return;
            }
            // The server shuts down, which the connection learns in its own way.
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
