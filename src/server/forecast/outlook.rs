//! From the durations of jobs to the times at which they start and end. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use beamq_machines::{JobId, Timestamp};

/// A waiting job, as far as its turn depends on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Turn {
    pub(super) id: JobId,
    pub(super) not_before: Option<Timestamp>,
    pub(super) deadline: Option<Timestamp>,
}

/// When a job starts and ends, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Times {
    pub(in crate::server) start: Option<Timestamp>,
    pub(in crate::server) finish: Option<Timestamp>,
}

/// When the waiting jobs start and end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Outlook {
    pub(in crate::server) jobs: BTreeMap<JobId, Times>,
    /// When the last job that will run has ended; absent when that is unknown.
    pub(in crate::server) finish: Option<Timestamp>,
    /// The earliest time at which all of it can be over, also when the end is unknown.
    pub(in crate::server) not_before: Timestamp,
    /// Jobs whose deadline passes before their turn comes.
    pub(in crate::server) expires: Vec<JobId>,
}

/// Who is next, in the way of the queue: the first job whose time has come.
#[derive(Debug)]
pub(super) struct Course {
    now: Timestamp,
    /// Whether `now` is when things happen, and not only the earliest time at which they can.
    certain: bool,
    left: VecDeque<Turn>,
    outlook: Outlook,
}

impl Course {
    /// The course of the jobs that are not held, from `now` on; `busy_s` is what is left of the active
    /// job: `None` when there is none, `Some(None)` when it is unknown.
    pub(super) fn new(now: Timestamp, busy_s: Option<Option<f64>>, jobs: impl Iterator<Item = Turn>) -> Self {
        let mut course = Self { now, certain: true, left: jobs.collect(), outlook: Outlook::default() };
        if let Some(left_s) = busy_s {
            course.pass(left_s);
        }
        course
    }

    /// Nothing begins before this time.
    pub(super) fn not_before(mut self, time: Option<Timestamp>) -> Self {
        self.now = time.map_or(self.now, |time| time.max(self.now));
        self
    }

    /// The next job that runs, with its start if that is known.
    pub(super) fn next(&mut self) -> Option<(JobId, Option<Timestamp>)> {
        loop {
            let ready = |turn: &Turn| turn.not_before.is_none_or(|time| time <= self.now);
            let Some(index) = self.left.iter().position(ready) else {
                // Nothing may start yet: the queue waits for the first one that may.
                self.now = self.left.iter().filter_map(|turn| turn.not_before).min()?;
                continue;
            };
            let turn = self.left.remove(index)?;
            // What starts at the earliest after its deadline does not start.
            if turn.deadline.is_some_and(|deadline| deadline <= self.now) {
                self.outlook.expires.push(turn.id);
                continue;
            }
            let start = self.certain.then_some(self.now);
            self.outlook.jobs.insert(turn.id, Times { start, finish: None });
            return Some((turn.id, start));
        }
    }

    /// The job that was next took so long.
    pub(super) fn took(&mut self, id: JobId, seconds: Option<f64>) {
        self.pass(seconds);
        if let Some(times) = self.outlook.jobs.get_mut(&id) {
            times.finish = self.certain.then_some(self.now);
        }
    }

    fn pass(&mut self, seconds: Option<f64>) {
        match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(duration) => self.now = self.now.after(duration),
            None => self.certain = false,
        }
    }

    /// What came of it, when there is no next job any more.
    pub(super) fn over(self) -> Outlook {
        Outlook { finish: self.certain.then_some(self.now), not_before: self.now, ..self.outlook }
    }
}

/// The outlook for jobs whose durations are known to `seconds`; `None` for what is unknown.
pub(super) fn outlook(
    now: Timestamp,
    busy_s: Option<Option<f64>>,
    not_before: Option<Timestamp>,
    jobs: impl Iterator<Item = Turn>,
    seconds: impl Fn(JobId) -> Option<f64>,
) -> Outlook {
    let mut course = Course::new(now, busy_s, jobs).not_before(not_before);
    while let Some((id, _)) = course.next() {
        course.took(id, seconds(id));
    }
    course.over()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(43_200_000);

    fn turn(id: u64) -> Turn {
        Turn { id: JobId(id), not_before: None, deadline: None }
    }

    fn after(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp(NOON.0 + seconds * 1000))
    }

    fn times(outlook: &Outlook) -> Vec<(u64, Option<Timestamp>, Option<Timestamp>)> {
        outlook.jobs.iter().map(|(id, times)| (id.0, times.start, times.finish)).collect()
    }

    #[test]
    fn r26_each_job_starts_when_the_one_before_has_ended() {
        let jobs = [turn(2), turn(1)];
        let found = outlook(NOON, Some(Some(30.0)), None, jobs.into_iter(), |id| Some(100.0 * id.0 as f64));
        assert_eq!(times(&found), [(1, after(230), after(330)), (2, after(30), after(230))]);
        assert_eq!((found.finish, found.expires), (after(330), Vec::new()));
    }

    #[test]
    fn behind_something_unknown_there_are_no_times_but_an_earliest_one() {
        let jobs = [turn(1), turn(2), turn(3)];
        let found = outlook(NOON, None, None, jobs.into_iter(), |id| (id.0 != 2).then_some(60.0));
        assert_eq!(times(&found), [(1, after(0), after(60)), (2, after(60), None), (3, None, None)]);
        assert_eq!((found.finish, found.not_before), (None, Timestamp(NOON.0 + 120_000)));
    }

    #[test]
    fn a_job_that_may_not_start_yet_is_passed_over_and_waited_for_when_nothing_else_is_left() {
        let late = Turn { not_before: after(1000), ..turn(1) };
        let found = outlook(NOON, None, None, [late, turn(2)].into_iter(), |_| Some(60.0));
        assert_eq!(times(&found), [(1, after(1000), after(1060)), (2, after(0), after(60))]);
    }

    #[test]
    fn a_job_whose_deadline_passes_before_its_turn_does_not_run() {
        let hasty = Turn { deadline: after(30), ..turn(2) };
        let found = outlook(NOON, None, None, [turn(1), hasty, turn(3)].into_iter(), |_| Some(60.0));
        assert_eq!(times(&found), [(1, after(0), after(60)), (3, after(60), after(120))]);
        assert_eq!(found.expires, [JobId(2)]);
    }

    #[test]
    fn a_forecast_for_a_later_begin_waits_for_it_and_for_the_active_job() {
        let found = outlook(NOON, Some(Some(30.0)), after(600), [turn(1)].into_iter(), |_| Some(60.0));
        assert_eq!(times(&found), [(1, after(600), after(660))]);
        let found = outlook(NOON, Some(Some(900.0)), after(600), [turn(1)].into_iter(), |_| Some(60.0));
        assert_eq!(times(&found), [(1, after(900), after(960))]);
    }

    #[test]
    fn an_empty_queue_is_over_with_its_active_job() {
        let found = outlook(NOON, Some(None), None, std::iter::empty(), |_| None);
        assert_eq!((found.finish, found.not_before), (None, NOON));
        assert_eq!(outlook(NOON, Some(Some(5.0)), None, std::iter::empty(), |_| None).finish, after(5));
    }
}
