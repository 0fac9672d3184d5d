//! How those who watch over the server look inside: through the loop, so that what they see is its state
//! and that it answers at all.

use std::{fmt, pin::Pin, time::Duration};

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{Clients, Delivery, LinkClosed};

/// Whether the server can do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// It can.
    pub well: bool,
    /// The same as JSON, with the reason if it cannot.
    pub text: String,
}

impl Health {
    /// Everything works.
    #[must_use]
    pub fn well() -> Self {
        Self { well: true, text: json!({"status": "ok"}).to_string() }
    }

    /// A part does not work.
    #[must_use]
    pub fn ill(part: &str, why: &str) -> Self {
        Self { well: false, text: json!({"status": "failing", "part": part, "why": why}).to_string() }
    }

    /// The loop has not answered in this time.
    #[must_use]
    pub fn hung(waited: Duration) -> Self {
        Self::ill("server", &format!("no answer within {} s", waited.as_secs()))
    }
}

/// What the loop shows. Both are made outside the loop.
pub(crate) struct Report {
    pub(crate) metrics: Box<dyn FnOnce() -> String + Send>,
    pub(crate) health: Pin<Box<dyn Future<Output = Health> + Send>>,
}

/// Somebody wants to look inside.
pub(crate) struct LookInside(oneshot::Sender<Report>);

impl LookInside {
    pub(crate) fn answer(self, report: Report) {
        // Whoever asked may have lost patience.
        let _ = self.0.send(report);
    }
}

impl fmt::Debug for LookInside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookInside")
    }
}

impl Clients {
    /// Whether the loop answers and the journal can be written, which is tried.
    pub async fn health(&self) -> Health {
        match look(&self.to_server).await {
            Ok(report) => report.health.await,
            Err(LinkClosed) => Health::ill("server", "it is shutting down"),
        }
    }

    /// The metrics as OpenMetrics text.
    ///
    /// # Errors
    ///
    /// [`LinkClosed`] when the server shuts down.
    pub async fn metrics(&self) -> Result<String, LinkClosed> {
        Ok((look(&self.to_server).await?.metrics)())
    }
}

async fn look(to_server: &mpsc::Sender<Delivery>) -> Result<Report, LinkClosed> {
    let (ask, answer) = oneshot::channel();
    to_server.send(Delivery::Look(LookInside(ask))).await.map_err(|_| LinkClosed)?;
    answer.await.map_err(|_| LinkClosed)
}
