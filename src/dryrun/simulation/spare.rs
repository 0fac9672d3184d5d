//! A child for the next simulation. Where one simulation follows on another, as in the forecast of a queue, half of
//! the time would go by with starting interpreters one after the other: the next one starts beside the present one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::runtime::{self, Handle};

use super::{Budget, Priority, SimulationWish, child::Started, many::Many};

/// One follows on another when it begins so soon after it.
const FOLLOWS_WITHIN: Duration = Duration::from_millis(500);
/// What nobody has needed for so long is ended.
const UNUSED_FOR: Duration = Duration::from_secs(2);

/// On what a child depends before it knows its wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    catalogue: String,
    folders: Arc<[PathBuf]>,
    budget: Budget,
    priority: Priority,
    /// The connection to it ends with its runtime.
    runtime: runtime::Id,
}

impl Terms {
    pub(super) fn of(wish: &SimulationWish, priority: Priority) -> Self {
        Self {
            catalogue: wish.catalogue.version().to_owned(),
            folders: Arc::clone(&wish.folders),
            budget: wish.budget,
            priority,
            runtime: Handle::current().id(),
        }
    }
}

/// What waits for the next wish.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A process that forks a child for it, and for the one after it.
    Many(Many),
    /// A child of its own, where the system cannot keep forked ones apart.
    One(Box<Started>),
}

/// At most one process that waits for a wish.
#[derive(Debug, Default)]
pub(super) struct Spare(Arc<Mutex<Place>>);

#[derive(Debug, Default)]
struct Place {
    waiting: Option<(Terms, Waiting)>,
    /// Counts them, so that each is ended by its own watch only.
    number: u64,
    last_end: Option<Instant>,
}

impl Spare {
    /// What waits, if it is for a wish like this. Another one is ended.
    pub(super) fn take(&self, terms: &Terms) -> Option<Waiting> {
        let (made_for, waiting) = self.place().waiting.take()?;
        (made_for == *terms).then_some(waiting)
    }

    /// Whether the simulation that begins now follows on another, so that a further one is likely.
    pub(super) fn is_worth_it(&self) -> bool {
        self.place().last_end.is_some_and(|end| end.elapsed() < FOLLOWS_WITHIN)
    }

    pub(super) fn one_has_ended(&self) {
        self.place().last_end = Some(Instant::now());
    }

    /// Keeps it for the next simulation, for a while.
    pub(super) fn keep(&self, terms: Terms, waiting: Waiting) {
        let number = {
            let mut place = self.place();
            place.waiting = Some((terms, waiting));
            place.number += 1;
            place.number
        };
        let place = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(UNUSED_FOR).await;
            let Some(place) = place.upgrade() else { return };
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let unused = if place.number == number { place.waiting.take() } else { None };
            // Ending it and removing its folder hold up nobody who wants a child.
            drop(place);
            drop(unused);
        });
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
