//! What NICOS is seen to do with our script.

use std::time::Duration;

use beamq_machines::{AbortStage, Basis, Progress};
use tokio::time::Instant;

use super::{Finish, Run};
use crate::engine::{
    EngineEvent,
    nicos::truth::{Activity, Truth},
};

/// Where the script is, is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// A pause that nobody here asked for is told after this long: it may belong to a question, which comes by itself.
const STRANGE_AFTER: Duration = Duration::from_millis(300);
/// Events that were sent before something was seen to be over have arrived after this long.
const SETTLED_AFTER: Duration = Duration::from_millis(500);
/// NICOS's word for a request that it has not, and does not run, counts after this long.
const GONE_AFTER: Duration = Duration::from_secs(3);
/// After the strongest stop, it takes so long until somebody is told why it does not work.
const STUBBORN_AFTER: Duration = Duration::from_secs(3);

impl Run {
    /// Takes a moment of NICOS in: what there is to tell, and whether it is over.
    pub(in crate::engine::nicos) fn observe(
        &mut self,
        truth: &Truth,
        tell: &mut Vec<EngineEvent>,
    ) -> Option<Finish> {
        if !self.is(truth.request.as_deref()) {
            return self.observe_elsewhere(truth);
        }
        self.gone_since = None;
        if !truth.thread_lives {
            let since = *self.dead_since.get_or_insert_with(Instant::now);
            return (since.elapsed() >= SETTLED_AFTER).then(|| self.killed_thread());
        }
        tell.extend(self.begins());
        if truth.activity != Activity::Idle {
            self.line = truth.line.or(self.line);
        }
        let goes_on = matches!(truth.activity, Activity::Running | Activity::Paused);
        if goes_on && self.held.as_ref().is_some_and(|(_, since)| since.elapsed() >= SETTLED_AFTER) {
            self.release();
        }
        match truth.activity {
            Activity::Paused => self.observe_paused(tell),
            Activity::Running if self.paused && self.abort.is_none() => {
                // Not by us: then it would not count as paused any longer.
                self.paused = false;
                self.strange_since = None;
                tell.push(EngineEvent::ResumedElsewhere(self.job()));
            }
            Activity::Running | Activity::Idle | Activity::Stopping => self.strange_since = None,
        }
        tell.extend(self.question_left_behind(truth.activity));
        self.tell_progress(tell);
        self.say_if_stubborn();
        None
    }

    /// A script that goes on has its answer from somebody else. Before version 24 of its protocol NICOS does not say so.
    fn question_left_behind(&mut self, activity: Activity) -> Option<EngineEvent> {
        if activity != Activity::Running || self.question.is_none() {
            self.going_on_since = None;
            return None;
        }
        let since = *self.going_on_since.get_or_insert_with(Instant::now);
        if since.elapsed() < SETTLED_AFTER {
            return None;
        }
        self.question = None;
        Some(EngineEvent::AskedNoMore(self.job()))
    }

    /// NICOS runs something else: ours waits, or is gone.
    fn observe_elsewhere(&mut self, truth: &Truth) -> Option<Finish> {
        let waits = self.request.as_ref().is_some_and(|request| truth.waiting.contains(request));
        if waits && truth.thread_lives {
            self.gone_since = None;
            return None;
        }
        let since = *self.gone_since.get_or_insert_with(Instant::now);
        let why = if waits {
            "another script ended NICOS's script thread before this one began"
        } else {
            "NICOS neither runs the script nor has it in its queue any longer"
        };
        (since.elapsed() >= GONE_AFTER).then(|| Finish::Lost(why.into()))
    }

    fn observe_paused(&mut self, tell: &mut Vec<EngineEvent>) {
        if matches!(self.pause, Some((_, true))) {
            self.pause = None;
            self.paused = true;
            tell.push(EngineEvent::Paused(self.job(), self.line));
            return;
        }
        let expected = self.paused
            || self.resume
            || self.take_back
            || self.pause.is_some()
            || self.answer.is_some()
            || self.question.is_some()
            || self.abort.is_some();
        if expected {
            self.strange_since = None;
        } else if self.strange_since.get_or_insert_with(Instant::now).elapsed() >= STRANGE_AFTER {
            self.strange_since = None;
            self.paused = true;
            tell.push(EngineEvent::PausedElsewhere(self.job(), self.line));
        }
    }

    fn tell_progress(&mut self, tell: &mut Vec<EngineEvent>) {
        if self.told_at.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        let basis = self.cells.basis();
        let cell = self.line.and_then(|line| self.cells.enter(line));
        let percent = cell.and_then(|cell| cell.percent);
        let progress = Progress {
            percent,
            basis: if percent.is_some() { basis } else { Basis::Unknown },
            line: self.line,
            step: cell.map(|cell| cell.title.clone()),
            text: self.action.clone(),
            ..Progress::default()
        };
        if progress != self.told {
            self.told = progress.clone();
            self.told_at = Some(Instant::now());
            tell.push(EngineEvent::Progress(self.job(), progress));
        }
    }

    fn say_if_stubborn(&mut self) {
        let too_long = self
            .stopped
            .is_some_and(|(stage, at)| stage == AbortStage::Kill && at.elapsed() >= STUBBORN_AFTER);
        if too_long && !self.told_stubborn {
            self.told_stubborn = true;
            self.record.take_note(
                "NICOS cannot interrupt what the script is doing. The job ends when that returns; otherwise only \
                 a restart of the NICOS daemon helps.",
            );
        }
    }
}
