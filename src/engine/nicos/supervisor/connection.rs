//! The connection to NICOS: made, lost, and made again, with our script on the other side.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Away, Heard, LOOK_AT_RUN, Link, Supervisor};
use crate::{
    engine::nicos::{
        run::Finish,
        truth::{Activity, Truth},
    },
    nicos::{Connection, EventStream, NicosError},
    wire::nicos::Command,
};

/// How long to wait after a failed attempt to connect: doubled each time, up to the second value.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How long a script may have run on without us before it counts as interrupted.
const AWAY_AT_MOST: Duration = Duration::from_secs(60);
/// How often a script has to be seen idle before it has ended: between two statements it looks the same.
const IDLE_TIMES: u32 = 10;

impl Supervisor {
    pub(super) fn connected(&mut self, nicos: Connection, events: EventStream) {
        tracing::info!(
            version = nicos.banner().daemon_version,
            protocol = nicos.banner().protocol_version,
            "connected to NICOS"
        );
        self.generation += 1;
        self.failures = 0;
        self.foreign = None;
        self.thread_dead = false;
        self.why_blind = None;
        self.asked_at = None;
        self.look_at = Instant::now();
        self.link = Some(Link { nicos, events, seen: false });
        if self.run.is_some()
            && let Some(away) = &mut self.away
        {
            away.catching_up = true;
            self.with_link(|nicos| async move {
                Heard::Missed(nicos.call(Command::GetMessages, &[json!("*")]).await)
            });
        }
    }

    pub(super) async fn failed_to_connect(&mut self, error: &NicosError) {
        let pause = FIRST_RETRY.saturating_mul(1 << self.failures.min(8)).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Instant::now() + pause;
        self.why_down = Some(error.to_string());
        let refused = matches!(error, NicosError::Unreachable { source, .. }
            if source.kind() == std::io::ErrorKind::ConnectionRefused);
        let too_long = self.away.as_ref().is_some_and(|away| away.since.elapsed() >= AWAY_AT_MOST);
        if (refused || too_long)
            && let Some(run) = self.run.take()
        {
            let why = if refused && !run.has_begun() {
                "the NICOS daemon ended before the script began".to_owned()
            } else if refused {
                "the NICOS daemon ended while it ran the script".to_owned()
            } else {
                format!("the connection to NICOS was lost for more than {} s", AWAY_AT_MOST.as_secs())
            };
            self.finish(run, Finish::Lost(why)).await;
        }
    }

    pub(super) async fn lost_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        let why = link.nicos.closed().await;
        tracing::warn!(%why, "the connection to NICOS was lost");
        self.why_down = Some(format!("the connection to NICOS was lost: {why}"));
        self.generation += 1;
        self.retry_at = Instant::now();
        self.asked_at = None;
        self.foreign = None;
        if let Some(run) = &mut self.run {
            run.ordered = false;
            if run.request.is_none() {
                // Whether NICOS has it is not known; its reply is lost.
                self.queueing = false;
                if let Some(run) = self.run.take() {
                    let why = "the connection to NICOS was lost before it told whether it took the script";
                    self.finish(run, Finish::Lost(why.into())).await;
                }
                return;
            }
            self.away = Some(Away { since: Instant::now(), idle: 0, catching_up: false });
        }
    }

    /// The messages that NICOS kept, those that were missed among them.
    pub(super) fn caught_up(&mut self, messages: Result<Value, NicosError>) {
        if let Some(away) = &mut self.away {
            away.catching_up = false;
        }
        let Some(run) = &mut self.run else { return };
        match messages {
            Ok(Value::Array(messages)) => run.messages_so_far(&messages),
            Ok(_) | Err(_) => run.record.take_note("what the script wrote while NICOS was away is missing"),
        }
    }

    /// Whether our script is still there after a reconnection. What is not known ends the job.
    pub(super) async fn is_back(&mut self, truth: &Truth) -> bool {
        let (Some(away), Some(run)) = (&mut self.away, &mut self.run) else { return true };
        let running = run.is(truth.request.as_deref());
        let waits = run.request.as_ref().is_some_and(|request| truth.waiting.contains(request));
        if waits || (running && truth.thread_lives && truth.activity != Activity::Idle) {
            tracing::info!(job = %run.job(), "NICOS still has the script");
            self.away = None;
            return true;
        }
        if running && truth.thread_lives && away.idle < IDLE_TIMES {
            away.idle += 1;
            self.look_at = Instant::now() + LOOK_AT_RUN / 5;
            return false;
        }
        let why = if running {
            "the script ended while the connection to NICOS was lost; whether it came to its end is not known"
        } else {
            "NICOS was restarted, or runs something else, since the connection was lost"
        };
        if let Some(run) = self.run.take() {
            self.finish(run, Finish::Lost(why.into())).await;
        }
        false
    }
}
