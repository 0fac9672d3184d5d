//! Following the server: its notifications, and the output of a job from any line on.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    connect::Session,
    exit::{Exit, Failure},
    model::{Job, OutputPage},
};

/// The notifications of a session, from the moment of its subscription.
#[derive(Debug)]
pub(super) struct Follower {
    notifications: mpsc::Receiver<Value>,
}

impl Follower {
    /// Subscribes to all events. What happens after this returns is never missed.
    pub(super) async fn start(session: &Session) -> Result<Self, Failure> {
        let notifications = session.client.events();
        let _: Value = session.call("events.subscribe", json!({})).await?;
        Ok(Self { notifications })
    }

    /// Waits for the next notification.
    pub(super) async fn next(&mut self) -> Result<Value, Failure> {
        self.notifications.recv().await.ok_or_else(|| {
            Failure::new(Exit::Unreachable, "the server has ended the connection")
                .hint("the jobs go on without this program; look at `beamq status`")
        })
    }
}

/// A job with everything that is known of it.
pub(super) async fn job(session: &Session, id: &str) -> Result<Job, Failure> {
    let answer = job_value(session, id).await?;
    Ok(serde_json::from_value(answer)?)
}

/// The same as the server sent it.
pub(super) async fn job_value(session: &Session, id: &str) -> Result<Value, Failure> {
    let mut answer: Value = session.call("job.get", json!({"id": id})).await?;
    Ok(answer.get_mut("job").map(Value::take).unwrap_or(answer))
}

/// How many lines are asked for at once.
const PAGE_LINES: u64 = 1000;

/// The output of a job, page by page.
#[derive(Debug)]
pub(super) struct OutputPages<'a> {
    session: &'a Session,
    job: &'a str,
    next: u64,
}

impl<'a> OutputPages<'a> {
    /// Begins at line `from`, counted from 1.
    pub(super) fn from_line(session: &'a Session, job: &'a str, from: u64) -> Self {
        Self { session, job, next: from.max(1) }
    }

    /// The next page as the server sent it and as it is read; without lines at the present end.
    pub(super) async fn next(&mut self) -> Result<(Value, OutputPage), Failure> {
        let params = json!({"job": self.job, "from": self.next, "limit": PAGE_LINES});
        let answer: Value = self.session.call("output.get", params).await?;
        let page: OutputPage = serde_json::from_value(answer.clone())?;
        let after_last = page.lines.last().map_or(self.next, |line| line.n + 1);
        self.next = page.next.max(after_last);
        Ok((answer, page))
    }

    /// The number of the line that is asked for next.
    pub(super) fn next_line(&self) -> u64 {
        self.next
    }
}
