//! The clock that this program and the scripts share.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`, which is also Python's `time.monotonic_ns()` on Linux.
pub(crate) fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    Duration::new(now.tv_sec().try_into().unwrap(), now.tv_nsec().try_into().unwrap())
}

/// The milliseconds from one time of [`monotonic`] to another; negative when the other one is earlier.
pub(crate) fn ms_between(from: Duration, to: Duration) -> f64 {
    (to.as_secs_f64() - from.as_secs_f64()) * 1e3
}
