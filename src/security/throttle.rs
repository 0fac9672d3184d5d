//! Slows down those who guess. Pure: the time is an argument.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// So many failures cost nothing: people mistype.
const FREE_FAILURES: u32 = 4;
/// The first wait; each further failure doubles it …
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After this long without a failure, an origin begins afresh.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// So many origins are remembered; the one that failed longest ago gives way.
const ORIGINS: usize = 1024;

/// Counts failed logins per origin (an address, a broker connection) and says how long the next one has
/// to wait.
#[derive(Debug, Default)]
pub struct LoginThrottle {
    origins: BTreeMap<String, Failures>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl LoginThrottle {
    /// How long this origin has to wait before a login is looked at; zero when it may try now.
    #[must_use]
    pub fn wait(&self, origin: &str, now: Instant) -> Duration {
        let Some(failures) = self.origins.get(origin) else { return Duration::ZERO };
        let since = now.saturating_duration_since(failures.last);
        failures.penalty().saturating_sub(since)
    }

    /// Notes a failed login.
    pub fn failed(&mut self, origin: &str, now: Instant) {
        if !self.origins.contains_key(origin) {
            self.make_room(now);
        }
        let failures = self.origins.entry(origin.to_owned()).or_insert(Failures { count: 0, last: now });
        if now.saturating_duration_since(failures.last) >= FORGOTTEN_AFTER {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// Forgives this origin.
    pub fn succeeded(&mut self, origin: &str) {
        self.origins.remove(origin);
    }

    fn make_room(&mut self, now: Instant) {
        if self.origins.len() < ORIGINS {
            return;
        }
        self.origins.retain(|_, failures| now.saturating_duration_since(failures.last) < FORGOTTEN_AFTER);
        while self.origins.len() >= ORIGINS {
            let oldest = self.origins.iter().min_by_key(|(_, failures)| failures.last);
            let Some(oldest) = oldest.map(|(origin, _)| origin.clone()) else { return };
            self.origins.remove(&oldest);
        }
    }
}

impl Failures {
    fn penalty(self) -> Duration {
        match self.count.checked_sub(FREE_FAILURES + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                FIRST_WAIT.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST_WAIT)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_few_mistakes_cost_nothing_then_each_doubles_the_wait_up_to_a_minute() {
        let (mut throttle, start) = (LoginThrottle::default(), Instant::now());
        let waits: Vec<u64> = (0..14)
            .map(|_| {
                throttle.failed("127.0.0.1", start);
                throttle.wait("127.0.0.1", start).as_secs()
            })
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn waiting_helps_and_other_origins_do_not_wait() {
        let (mut throttle, start) = (LoginThrottle::default(), Instant::now());
        (0..6).for_each(|_| throttle.failed("a", start));
        assert_eq!(throttle.wait("a", start), seconds(2));
        assert_eq!(throttle.wait("a", start + seconds(1)), seconds(1));
        assert_eq!(throttle.wait("a", start + seconds(2)), Duration::ZERO);
        assert_eq!(throttle.wait("b", start), Duration::ZERO);
    }

    #[test]
    fn a_success_and_a_long_peace_both_forgive() {
        let (mut throttle, start) = (LoginThrottle::default(), Instant::now());
        (0..9).for_each(|_| throttle.failed("a", start));
        (0..9).for_each(|_| throttle.failed("b", start));
        throttle.succeeded("a");
        assert_eq!(throttle.wait("a", start), Duration::ZERO);
        throttle.failed("b", start + FORGOTTEN_AFTER);
        assert_eq!(throttle.wait("b", start + FORGOTTEN_AFTER), Duration::ZERO);
    }

    #[test]
    fn any_number_of_origins_takes_a_bounded_memory_and_spares_the_recent_ones() {
        let (mut throttle, start) = (LoginThrottle::default(), Instant::now());
        for n in 0..5_000_u64 {
            throttle.failed(&format!("origin {n}"), start + Duration::from_millis(n));
        }
        assert_eq!(throttle.origins.len(), ORIGINS);
        assert!(throttle.origins.contains_key("origin 4999"));
        assert!(!throttle.origins.contains_key("origin 0"));
    }
}
