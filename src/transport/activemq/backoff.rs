//! How long to wait before the next try.

use std::time::Duration;

/// The first wait and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// A connection that stood for so long was a good one.
const STOOD: Duration = Duration::from_secs(5);

/// Waits that double, with jitter so that many servers do not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// Notes how long the connection stood.
    pub(super) fn was_up_for(&mut self, time: Duration) {
        if time >= STOOD {
            self.next = FIRST;
        }
    }

    /// The next wait: between half and the whole of a time that doubles up to 5 s.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        // Without randomness there is no jitter, which is no reason not to try again.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        wait / 2 + (wait / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_with_jitter_and_start_over_after_a_good_connection() {
        let mut backoff = Backoff::default();
        let mut full = FIRST;
        for _ in 0..12 {
            let wait = backoff.next();
            assert!(wait >= full / 2 && wait <= full, "{wait:?} of {full:?}");
            full = (full * 2).min(LONGEST);
        }
        backoff.was_up_for(Duration::from_secs(1));
        assert!(backoff.next() >= LONGEST / 2);
        backoff.was_up_for(STOOD);
        assert!(backoff.next() <= FIRST);
    }
}
