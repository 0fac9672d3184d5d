//! Where jobs go, as properties: against a list that is edited one job at a time, and as what must be
//! true of every move.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::Arc;

use beamq_machines::{
    JobId, Policy, Role,
    core::{Actor, Answer, Core, Input, NewJob, Order, Place, Refusal, Selection},
};
use common::{BEGIN, parse::script};
use proptest::{prelude::*, sample::subsequence};

const JOBS: u64 = 9;

fn ann() -> Actor {
    Actor { user: "ann".into(), role: Role::Scientist }
}

fn submit(ids: impl IntoIterator<Item = u64>, place: Place) -> Order {
    let spec = Arc::new(script("a scan"));
    let job = |id| NewJob { id: JobId(id), spec: Arc::clone(&spec), held: false, rerun_of: None };
    Order::Submit { jobs: ids.into_iter().map(job).collect(), place, revision: None }
}

/// A held queue with jobs 1 to `count`.
fn queue_of(count: u64) -> Core {
    let mut core = Core::new(Policy::default());
    core.handle(Input::Order(ann(), Order::HoldQueue { why: None }), BEGIN);
    core.handle(Input::Order(ann(), submit(1..=count, Place::Back)), BEGIN);
    core
}

fn give(core: &mut Core, order: Order) -> Result<Answer, Refusal> {
    core.handle(Input::Order(ann(), order), BEGIN).answer.expect("an order has an answer")
}

fn move_to(ids: &[JobId], place: Place) -> Order {
    Order::Move { jobs: Selection::Ids(ids.to_vec()), place, revision: None }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Front),
        Just(Place::Back),
        prop_oneof![0..=JOBS + 2, Just(u64::MAX)].prop_map(Place::Index),
        (1..=JOBS).prop_map(|id| Place::Before(JobId(id))),
        (1..=JOBS).prop_map(|id| Place::After(JobId(id))),
    ]
}

/// Some of the jobs, in any order.
fn some() -> impl Strategy<Value = Vec<JobId>> {
    let all: Vec<_> = (1..=JOBS).map(JobId).collect();
    subsequence(all, 0..=JOBS as usize).prop_shuffle()
}

/// Puts the jobs in one at a time: the first at the place, each other one right after the one before it.
fn one_by_one(order: &mut Vec<JobId>, ids: &[JobId], place: Place) {
    let mut behind: Option<JobId> = None;
    let position = |order: &[JobId], id: JobId| order.iter().position(|other| *other == id).unwrap();
    for id in ids {
        let at = match (behind, place) {
            (Some(id), _) => position(order, id) + 1,
            (None, Place::Front) => 0,
            (None, Place::Back) => order.len(),
            (None, Place::Index(index)) => usize::try_from(index).unwrap().min(order.len()),
            (None, Place::Before(id)) => position(order, id),
            (None, Place::After(id)) => position(order, id) + 1,
        };
        order.insert(at, *id);
        behind = Some(*id);
    }
}

fn anchor(place: Place) -> Option<JobId> {
    match place {
        Place::Before(id) | Place::After(id) => Some(id),
        Place::Front | Place::Back | Place::Index(_) => None,
    }
}

proptest! {
    #[test]
    fn a_move_is_taking_out_and_putting_in_one_by_one(moves in prop::collection::vec((some(), place()), 1..6)) {
        let mut core = queue_of(JOBS);
        for (ids, place) in moves {
            let before = core.queue().order.clone();
            let revision = core.queue().revision;
            let answer = give(&mut core, move_to(&ids, place));
            let after = core.queue().order.clone();
            if anchor(place).is_some_and(|id| ids.contains(&id)) {
                prop_assert!(matches!(answer, Err(Refusal::BadPlace { .. })), "{answer:?}");
                prop_assert_eq!((after, core.queue().revision), (before, revision));
                continue;
            }
            let mut expected: Vec<_> = before.iter().copied().filter(|id| !ids.contains(id)).collect();
            one_by_one(&mut expected, &ids, place);
            prop_assert_eq!(&after, &expected);
            let bumped = u64::from(before != after);
            prop_assert_eq!(core.queue().revision, revision + bumped);
            prop_assert_eq!(answer, Ok(Answer::Ordered { order: after, revision: revision + bumped }));
        }
    }

    #[test]
    fn a_move_changes_nothing_but_the_place_of_what_moves(ids in some(), place in place()) {
        let mut core = queue_of(JOBS);
        let before = core.queue().order.clone();
        let _ = give(&mut core, move_to(&ids, place));
        let after = &core.queue().order;
        let others = |order: &[JobId]| order.iter().copied().filter(|id| !ids.contains(id)).collect::<Vec<_>>();
        prop_assert_eq!(others(&before), others(after), "the others keep their order");
        let mut sorted = after.clone();
        sorted.sort_unstable();
        prop_assert_eq!(before, sorted, "nothing is lost or doubled");
    }

    #[test]
    fn a_batch_lies_in_a_row_at_its_place(count in 0_u64..5, place in place()) {
        let mut core = queue_of(JOBS);
        let mut expected = core.queue().order.clone();
        let new: Vec<_> = (JOBS + 1..=JOBS + count).map(JobId).collect();
        one_by_one(&mut expected, &new, place);
        let answer = give(&mut core, submit(new.iter().map(|id| id.0), place));
        prop_assert_eq!(&core.queue().order, &expected);
        let Ok(Answer::Submitted { ids, position, .. }) = answer else { panic!("{answer:?}") };
        prop_assert_eq!(&ids, &new);
        if let Some(first) = new.first() {
            prop_assert_eq!(expected.get(position), Some(first), "the position told is the first job's");
        }
    }

    #[test]
    fn a_move_and_the_whole_order_say_the_same(order in some()) {
        let mut moved = queue_of(JOBS);
        let mut reordered = queue_of(JOBS);
        let _ = give(&mut moved, move_to(&order, Place::Front));
        let whole = moved.queue().order.clone();
        let revision = reordered.queue().revision;
        let answer = give(&mut reordered, Order::Reorder { order: whole, revision });
        prop_assert!(answer.is_ok(), "{answer:?}");
        prop_assert!(moved.same_state(&reordered));
    }
}

#[test]
fn ten_thousand_jobs_are_turned_round_in_one_order() {
    let mut core = queue_of(10_000);
    let order: Vec<_> = (1..=10_000).rev().map(JobId).collect();
    let revision = core.queue().revision;
    let outcome = core.handle(Input::Order(ann(), Order::Reorder { order: order.clone(), revision }), BEGIN);
    assert_eq!(outcome.facts.len(), 1, "one fact, so it is all or nothing in the journal too");
    assert_eq!(outcome.answer, Some(Ok(Answer::Ordered { order, revision: revision + 1 })));
}
