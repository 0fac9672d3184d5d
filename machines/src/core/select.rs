//! Which jobs an order means, where they go, and whether the actor may.

use std::collections::BTreeSet;

use super::{Actor, Core, Place, Refusal, Selection};
use crate::{ids::JobId, job::JobMachine, role::Role};

impl Core {
    /// Refuses an edit that was made for another revision of the queue.
    pub(super) fn check_revision(&self, given: Option<u64>) -> Result<(), Refusal> {
        let queue = &self.kept.queue;
        match given {
            Some(given) if given != queue.revision => {
                Err(Refusal::Stale { given, revision: queue.revision, order: queue.order.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses somebody who may not change anything.
    pub(super) fn check_not_viewer(actor: &Actor) -> Result<(), Refusal> {
        if actor.role > Role::Viewer {
            return Ok(());
        }
        Err(Refusal::Forbidden { needs: Role::User, reason: "a viewer only reads".into() })
    }

    /// Refuses somebody whose role does not reach over the whole queue.
    pub(super) fn check_scientist(actor: &Actor) -> Result<(), Refusal> {
        if actor.role >= Role::Scientist {
            return Ok(());
        }
        let reason = format!("a {} controls only jobs of their own, not the queue", actor.role);
        Err(Refusal::Forbidden { needs: Role::Scientist, reason })
    }

    /// Refuses somebody who neither owns the job nor reaches over the whole queue.
    pub(super) fn check_owner(actor: &Actor, job: &JobMachine) -> Result<(), Refusal> {
        match actor.role {
            Role::Scientist | Role::Admin => Ok(()),
            Role::User if job.owner == actor.user => Ok(()),
            Role::User => Err(Refusal::Forbidden {
                needs: Role::Scientist,
                reason: format!(
                    "job {} belongs to {}, and a user controls only their own jobs",
                    job.id, job.owner
                ),
            }),
            Role::Viewer => Self::check_not_viewer(actor),
        }
    }

    /// The waiting jobs that a selection names, each once, or why not.
    pub(super) fn select(&self, selection: &Selection, actor: &Actor) -> Result<Vec<JobId>, Refusal> {
        let jobs = match selection {
            Selection::Ids(ids) => {
                let mut seen = BTreeSet::new();
                let ids: Vec<_> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
                self.check_all_wait(&ids)?;
                ids
            }
            Selection::Group(group) => self.waiting_in_group(group)?,
        };
        for id in &jobs {
            if let Some(job) = self.kept.jobs.get(id) {
                Self::check_owner(actor, job)?;
            }
        }
        Ok(jobs)
    }

    /// As [`Self::select`], leaving out what does not wait or does not belong to the actor.
    pub(super) fn select_leniently(&self, selection: &Selection, actor: &Actor) -> Vec<JobId> {
        let ids = match selection {
            Selection::Ids(ids) => ids.clone(),
            Selection::Group(group) => self.waiting_in_group(group).unwrap_or_default(),
        };
        let mut seen = BTreeSet::new();
        ids.into_iter()
            .filter(|id| {
                self.kept
                    .jobs
                    .get(id)
                    .is_some_and(|job| job.state().is_waiting() && Self::check_owner(actor, job).is_ok())
                    && seen.insert(*id)
            })
            .collect()
    }

    fn waiting_in_group(&self, group: &str) -> Result<Vec<JobId>, Refusal> {
        let in_group =
            |id: &JobId| self.kept.jobs.get(id).is_some_and(|job| job.spec.group.as_deref() == Some(group));
        let jobs: Vec<_> = self.kept.queue.order.iter().copied().filter(in_group).collect();
        if jobs.is_empty() {
            return Err(Refusal::NotFound { ids: Vec::new(), group: Some(group.into()) });
        }
        Ok(jobs)
    }

    fn check_all_wait(&self, ids: &[JobId]) -> Result<(), Refusal> {
        let unknown: Vec<_> = ids.iter().copied().filter(|id| !self.was_given(*id)).collect();
        if !unknown.is_empty() {
            return Err(Refusal::NotFound { ids: unknown, group: None });
        }
        let busy: Vec<_> = ids
            .iter()
            .filter_map(|id| match self.kept.jobs.get(id) {
                None => Some((*id, "ended")),
                Some(job) if job.state().is_waiting() => None,
                Some(job) => Some((*id, job.state().name())),
            })
            .collect();
        if busy.is_empty() { Ok(()) } else { Err(Refusal::NotWaiting { ids: busy }) }
    }

    /// Whether this number was ever given to a job: they are counted up by one.
    fn was_given(&self, id: JobId) -> bool {
        (1..=self.kept.last_job).contains(&id.0)
    }

    /// The index in `order` (the waiting jobs without those that move) at which a place lies.
    pub(super) fn index_of(&self, place: Place, order: &[JobId]) -> Result<usize, Refusal> {
        let active = self.kept.queue.active;
        match place {
            Place::Front => Ok(0),
            Place::Back => Ok(order.len()),
            Place::Index(index) => Ok(usize::try_from(index).unwrap_or(usize::MAX).min(order.len())),
            Place::After(id) if active == Some(id) => Ok(0),
            Place::Before(id) if active == Some(id) => {
                Err(Refusal::BadPlace { reason: format!("job {id} is active: nothing can go before it") })
            }
            Place::Before(id) | Place::After(id) => match order.iter().position(|other| *other == id) {
                Some(index) => Ok(index + usize::from(matches!(place, Place::After(_)))),
                None if self.kept.queue.order.contains(&id) => {
                    Err(Refusal::BadPlace { reason: format!("job {id} is one of those that are to move") })
                }
                None if self.was_given(id) => {
                    Err(Refusal::BadPlace { reason: format!("job {id} is not waiting any more") })
                }
                None => Err(Refusal::NoSuchPlace { id }),
            },
        }
    }
}
