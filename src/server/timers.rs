//! The named timers that the machines ask for, on one sleeping task's worth of tokio.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use beamq_machines::{Due, Timer, Timestamp};
use tokio::time::Instant;

/// A time of day is looked at again at least this often, so that a clock that was set is noticed.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The running timers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_timer: BTreeMap<Timer, Running>,
    by_time: BTreeSet<(Instant, Timer)>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    wakes: Instant,
    due: Due,
}

impl Timers {
    /// Starts a timer, or starts it anew.
    pub(super) fn set(&mut self, timer: Timer, due: Due, now: Instant, wall: Timestamp) {
        self.cancel(timer);
        let wait = match due {
            Due::After(duration) => duration,
            Due::At(time) => time.since(wall).min(CLOCK_CHECK),
        };
        let wakes = now + wait;
        self.by_timer.insert(timer, Running { wakes, due });
        self.by_time.insert((wakes, timer));
    }

    /// Stops a timer, if it runs.
    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(running) = self.by_timer.remove(&timer) {
            self.by_time.remove(&(running.wakes, timer));
        }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(wakes, _)| *wakes)
    }

    /// Takes out one timer that is due.
    pub(super) fn pop(&mut self, now: Instant, wall: Timestamp) -> Option<Timer> {
        while let Some((wakes, timer)) = self.by_time.first().copied() {
            if wakes > now {
                return None;
            }
            let due = self.by_timer.get(&timer).map(|running| running.due);
            self.cancel(timer);
            match due {
                // Only woken to look at the clock: it is not time yet.
                Some(Due::At(time)) if time > wall => self.set(timer, Due::At(time), now, wall),
                _ => return Some(timer),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use beamq_machines::JobId;

    use super::*;

    const WALL: Timestamp = Timestamp(1_000_000);

    #[test]
    fn timers_come_due_in_order_and_once() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.set(Timer::JobTimeout(JobId(1)), Due::After(Duration::from_secs(2)), now, WALL);
        timers.set(Timer::AbortGrace(JobId(1)), Due::After(Duration::from_secs(1)), now, WALL);
        assert_eq!(timers.next(), Some(now + Duration::from_secs(1)));
        assert_eq!(timers.pop(now, WALL), None);
        let later = now + Duration::from_secs(3);
        assert_eq!(timers.pop(later, WALL.after(Duration::from_secs(3))), Some(Timer::AbortGrace(JobId(1))));
        assert_eq!(timers.pop(later, WALL.after(Duration::from_secs(3))), Some(Timer::JobTimeout(JobId(1))));
        assert_eq!(timers.pop(later, WALL.after(Duration::from_secs(3))), None);
    }

    #[test]
    fn a_timer_that_is_set_again_runs_from_then_on() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.set(Timer::JobTimeout(JobId(1)), Due::After(Duration::from_secs(1)), now, WALL);
        timers.set(Timer::JobTimeout(JobId(1)), Due::After(Duration::from_secs(9)), now, WALL);
        assert_eq!(timers.next(), Some(now + Duration::from_secs(9)));
        timers.cancel(Timer::JobTimeout(JobId(1)));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_time_of_day_follows_the_clock_when_it_is_set() {
        let now = Instant::now();
        let mut timers = Timers::default();
        let eight = WALL.after(Duration::from_secs(3600));
        timers.set(Timer::JobNotBefore(JobId(1)), Due::At(eight), now, WALL);
        assert_eq!(timers.next(), Some(now + CLOCK_CHECK));
        // A minute later the clock has been set forward by an hour: the timer is due.
        assert_eq!(timers.pop(now + CLOCK_CHECK, eight), Some(Timer::JobNotBefore(JobId(1))));
        // Had it not been set, the timer would have gone on waiting.
        timers.set(Timer::JobNotBefore(JobId(1)), Due::At(eight), now, WALL);
        assert_eq!(timers.pop(now + CLOCK_CHECK, WALL.after(CLOCK_CHECK)), None);
        assert_eq!(timers.next(), Some(now + CLOCK_CHECK * 2));
    }
}
