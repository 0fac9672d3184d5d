//! Time, as data. The machines never look at a clock: every input brings the time at which it happened.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::ids::{JobId, PromptId, SessionId};

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z. Serialised as that number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time `duration` after this one; saturates at the end of representable time.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when the clock was set back in between.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A timer that the machines ask for. At most one of each name runs; setting it again replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// An abort stage did not end the job in its grace time: the next stage is due.
    AbortGrace(JobId),
    /// The job has been paused for long: somebody should be reminded.
    PauseReminder(JobId),
    /// The job ran longer than its `timeout`.
    JobTimeout(JobId),
    /// The job was to start before its `deadline`.
    JobDeadline(JobId),
    /// The job may start from its `not_before` on.
    JobNotBefore(JobId),
    /// Nobody answered the running script's question.
    PromptTimeout(PromptId),
    /// A client announced itself and did not log in.
    LoginTimeout(SessionId),
    /// A client has been silent for long.
    SessionIdle(SessionId),
}

/// When a timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Due {
    /// At a time of day: follows the wall clock, also when it is set.
    At(Timestamp),
    /// After a duration on the monotonic clock.
    After(Duration),
}
