//! What was simulated, so that a changed queue costs only what is new in it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use beamq_machines::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{desk::JobPlan, forecaster::Task, workshop::body_of};
use crate::{dryrun::simulation::InstrumentState, estimate::Memory};

/// So many simulations are kept; a queue has seldom more jobs that differ.
const KEPT: usize = 2_000;
/// So many endless texts are remembered.
const ENDLESS_KEPT: usize = 500;
/// A script that looks at the clock is simulated again when it will begin so much earlier or later.
const SAME_TIME: Duration = Duration::from_secs(60);

/// What a simulation depends on, but for what is known of earlier runs.
type Key = [u8; 32];

/// The simulations of the near past.
#[derive(Default)]
pub(super) struct KeptPlans {
    plans: HashMap<Key, Kept>,
    /// What was found of texts that never come to an end, wherever the instrument was: to find that out
    /// again takes as long as a simulation may take.
    endless: HashMap<Key, Arc<JobPlan>>,
    /// Counts the uses of what is kept.
    clock: u64,
}

struct Kept {
    plan: Arc<JobPlan>,
    /// When the job began in the simulation, if that was decided.
    begins_at: Option<Timestamp>,
    /// What was known of its commands then.
    editions: Vec<(String, u64)>,
    used: u64,
    found_at: Instant,
}

impl Kept {
    fn is_of_same_time(&self, task: &Task<'_>) -> bool {
        match (self.begins_at, task.begins_at) {
            (Some(one), Some(other)) => one.max(other).since(one.min(other)) <= SAME_TIME,
            _ => true,
        }
    }
}

impl KeptPlans {
    /// What an earlier simulation found that would find the same now. Where somebody has asked, an endless text is
    /// looked at anew, and nothing is good for longer than `fresh_for`, if that is given.
    pub(super) fn find(
        &mut self,
        keys: &Keys,
        task: &Task<'_>,
        state: &InstrumentState,
        memory: &Memory,
        asked: bool,
        fresh_for: Option<Duration>,
    ) -> Option<Arc<JobPlan>> {
        self.clock += 1;
        let still_good = |kept: &Kept| {
            kept.editions.iter().all(|(command, edition)| memory.edition(command) == *edition)
                && (!kept.plan.looked_at.date || kept.is_of_same_time(task))
                && fresh_for.is_none_or(|fresh_for| kept.found_at.elapsed() < fresh_for)
        };
        let good =
            [keys.of_any, keys.of_this].into_iter().find(|key| self.plans.get(key).is_some_and(still_good));
        if let Some(kept) = good.and_then(|key| self.plans.get_mut(&key)) {
            kept.used = self.clock;
            return Some(Arc::clone(&kept.plan));
        }
        let endless = self.endless.get(&keys.of_text).filter(|_| !asked)?;
        // Where it will have been left nobody knows, so it is where it was found.
        Some(Arc::new(JobPlan { end: Some(state.clone()), ..JobPlan::clone(endless) }))
    }

    pub(super) fn keep(&mut self, keys: &Keys, task: &Task<'_>, plan: &Arc<JobPlan>, memory: &Memory) {
        if plan.is_endless() {
            if self.endless.len() >= ENDLESS_KEPT {
                self.endless.clear();
            }
            self.endless.insert(keys.of_text, Arc::clone(plan));
        }
        if self.plans.len() >= KEPT {
            self.forget_the_older_half();
        }
        let commands = plan.plan.computed_calls.keys();
        let editions = commands.map(|command| (command.clone(), memory.edition(command))).collect();
        let key = if plan.looked_at.job { keys.of_this } else { keys.of_any };
        let (plan, begins_at, used) = (Arc::clone(plan), task.begins_at, self.clock);
        let kept = Kept { plan, begins_at, editions, used, found_at: Instant::now() };
        self.plans.insert(key, kept);
    }

    fn forget_the_older_half(&mut self) {
        let mut uses: Vec<u64> = self.plans.values().map(|kept| kept.used).collect();
        uses.sort_unstable();
        let middle = uses.get(uses.len() / 2).copied().unwrap_or(self.clock);
        self.plans.retain(|_, kept| kept.used > middle);
    }
}

/// By what a simulation is found again.
pub(super) struct Keys {
    /// The text, wherever it starts from.
    of_text: Key,
    /// The text from this state, in whatever job.
    of_any: Key,
    /// The same in a job of this name, with these tags.
    of_this: Key,
}

impl Keys {
    pub(super) fn of(task: &Task<'_>, state: &InstrumentState, catalogue: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(body_of(task.spec));
        hash.update(catalogue);
        let of_text = hash.clone().finalize().into();
        hash.update([0]);
        hash.update(state.0.to_string());
        let of_any = hash.clone().finalize().into();
        let spec = task.spec;
        let facts = [spec.name.as_str(), task.owner, spec.group.as_deref().unwrap_or_default()];
        for part in facts.into_iter().chain(spec.tags.iter().map(String::as_str)) {
            hash.update([0]);
            hash.update(part);
        }
        Self { of_text, of_any, of_this: hash.finalize().into() }
    }
}
