//! How many orders a second the machines take, without journal and wire.

use std::{collections::VecDeque, hint::black_box, sync::Arc, time::Instant};

use beamq_machines::{
    JobBody, JobId, JobSpec, Policy, Role, Timestamp,
    core::{Actor, Core, Input, NewJob, Order, Place, Selection},
};

use crate::{
    Effort,
    table::{Quantity, Table},
};

/// The jobs that wait while orders are given.
const WAITING: u64 = 1_000;

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let orders = effort.choose(2_000, 50_000);
    let mut core = Core::new(Policy::default());
    for id in 1..=WAITING {
        submit(&mut core, id);
    }
    let submitted = rate(orders, |number| submit_and_remove(&mut core, WAITING + 1 + number));
    let moved = rate(orders, |number| {
        let jobs = Selection::Ids(vec![JobId(number % WAITING + 1)]);
        give(&mut core, Order::Move { jobs, place: Place::Front, revision: None });
    });
    let mut list: VecDeque<u64> = (1..=WAITING).collect();
    let plain = rate(orders, |number| {
        let place = list.iter().position(|id| *id == number % WAITING + 1).unwrap();
        let id = list.remove(place).unwrap();
        list.push_front(black_box(id));
    });
    let against = Some(("moves in a plain list of numbers", Quantity::PerSecond(plain)));
    table.remark(
        format!("machines, {WAITING} jobs waiting: submit and remove, pairs"),
        Quantity::PerSecond(submitted),
        against,
    );
    table.remark(
        format!("machines, {WAITING} jobs waiting: move to the front"),
        Quantity::PerSecond(moved),
        against,
    );
}

fn submit_and_remove(core: &mut Core, id: u64) {
    submit(core, id);
    let jobs = Selection::Ids(vec![JobId(id)]);
    give(core, Order::Remove { jobs, lenient: false, revision: None });
    core.take_ended();
}

fn submit(core: &mut Core, id: u64) {
    let spec = JobSpec {
        name: "a job".into(),
        body: JobBody::Script { source: "pass".into(), black_box: false },
        tags: Vec::new(),
        group: None,
        not_before: None,
        deadline: None,
        timeout_ms: None,
    };
    let job = NewJob { id: JobId(id), spec: Arc::new(spec), held: true, rerun_of: None };
    give(core, Order::Submit { jobs: vec![job], place: Place::Back, revision: None });
}

fn give(core: &mut Core, order: Order) {
    let actor = Actor { user: "benchmark".into(), role: Role::Admin };
    let outcome = core.handle(Input::Order(actor, order), Timestamp(1_700_000_000_000));
    assert!(matches!(outcome.answer, Some(Ok(_))));
    black_box(outcome);
}

fn rate(count: u64, mut order: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    (0..count).for_each(&mut order);
    count as f64 / start.elapsed().as_secs_f64()
}
