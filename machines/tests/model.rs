//! The core against a plain list of jobs, over random histories with crashes in between. After every
//! step the invariants of the design hold, and replaying the facts gives the same state again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod reference;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use beamq_machines::{
    Effect, Ending, EngineOrder, JobId, JobSpec, PauseLevel, Policy, Progress, QueuePolicy, Report, Role,
    core::{Actor, Answer, EngineNotice, Fact, Input, NewJob, Order, Place, Refusal, Selection},
    job::JobEvent,
};
use common::{Conversation, parse::script};
use proptest::{collection::vec, option, prelude::*};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use reference::{Holds, Id, LIMIT, Model, Notice, Step, Where, reordered};

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_list_does(sequential 1..100 => CoreTest);
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        any::<[bool; 3]>()
            .prop_map(|[after_failure, after_abort, after_restart]| {
                Model::new(Holds { after_failure, after_abort, after_restart })
            })
            .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        prop_oneof![
            5 => edits(state.last),
            4 => steering(),
            6 => engine(state.last),
            1 => any::<bool>().prop_map(Step::EngineAvailable),
            2 => prop_oneof![1_u64..6, 6_u64..120, Just(LIMIT)].prop_map(Step::Pass),
            1 => prop_oneof![2 => Just(Step::CrashAndReplay), 1 => Just(Step::SnapshotAndRestore)],
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.step(step);
        state
    }
}

fn place(last: Id) -> impl Strategy<Value = Where> {
    prop_oneof![
        1 => Just(Where::Front),
        3 => Just(Where::Back),
        1 => (0_usize..8).prop_map(Where::Index),
        1 => (1..=last + 1).prop_map(Where::Before),
        1 => (1..=last + 1).prop_map(Where::After),
    ]
}

fn edits(last: Id) -> impl Strategy<Value = Step> {
    let id = 1..=last + 1;
    let few = vec(id.clone(), 0..3);
    // Most ids are those of recent jobs, so that many of them still wait.
    let recent = last.saturating_sub(5).max(1)..=last.max(1);
    let some = prop_oneof![few, vec(recent.clone(), 1..4), vec(recent.clone(), 1..4)];
    let one = prop_oneof![id, recent];
    prop_oneof![
        8 => (0_u64..4, place(last), any::<bool>(), any::<bool>(), option::weighted(0.2, 0_u64..90), option::weighted(0.2, 0_u64..90))
            .prop_map(|(count, place, held, in_group, not_before, deadline)| Step::Submit {
                count, place, held: held && in_group, in_group, not_before, deadline
            }),
        2 => (one, any::<bool>(), any::<bool>(), option::of(any::<bool>()))
            .prop_map(|(id, rename, regroup, held)| Step::Edit { id, rename, regroup, held }),
        2 => (some.clone(), any::<bool>()).prop_map(|(ids, held)| Step::Hold(ids, held)),
        1 => any::<bool>().prop_map(Step::HoldGroup),
        1 => (some.clone(), any::<bool>()).prop_map(|(ids, lenient)| Step::Remove { ids, lenient }),
        1 => Just(Step::RemoveGroup),
        3 => (some, place(last)).prop_map(|(ids, place)| Step::Move(ids, place)),
        1 => place(last).prop_map(Step::MoveGroup),
        1 => (0_usize..5, any::<bool>(), any::<bool>())
            .prop_map(|(rotate, reverse, complete)| Step::Reorder { rotate, reverse, complete }),
        1 => Just(Step::Stale),
        1 => Just(Step::Clear),
    ]
}

fn level() -> impl Strategy<Value = PauseLevel> {
    prop_oneof![Just(PauseLevel::Line), Just(PauseLevel::Point), Just(PauseLevel::Now)]
}

fn steering() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::HoldQueue),
        4 => Just(Step::ReleaseQueue),
        2 => Just(Step::Stop),
        1 => Just(Step::CancelStop),
        4 => level().prop_map(Step::Pause),
        2 => Just(Step::CancelPause),
        2 => Just(Step::Resume),
        2 => Just(Step::Skip),
        2 => Just(Step::Abort),
    ]
}

fn engine(last: Id) -> impl Strategy<Value = Step> {
    let notice = prop_oneof![
        6 => Just(Notice::Started),
        3 => Just(Notice::Paused),
        1 => Just(Notice::PausedElsewhere),
        1 => Just(Notice::ResumedElsewhere),
        2 => any::<bool>().prop_map(Notice::Skipped),
        3 => prop_oneof![0.0..120.0_f64, Just(f64::NAN), Just(-5.0), Just(100.0)].prop_map(Notice::Progress),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(good, errors)| Notice::Ended { good, errors }),
        1 => Just(Notice::Lost),
    ];
    (prop::bool::weighted(0.9), 1..=last + 1, notice).prop_map(|(to_active, other, notice)| Step::Engine {
        to_active,
        other,
        notice,
    })
}

/// The core, and what was seen of it.
struct CoreTest {
    talk: Conversation,
    started: BTreeSet<JobId>,
    answer: Option<&'static str>,
    percent: Option<(JobId, f64)>,
}

impl StateMachineTest for CoreTest {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let hold = |hold| if hold { QueuePolicy::Hold } else { QueuePolicy::Continue };
        let policy = Policy {
            after_failure: hold(model.holds.after_failure),
            after_abort: hold(model.holds.after_abort),
            after_restart: hold(model.holds.after_restart),
            job_timeout: Some(std::time::Duration::from_secs(LIMIT)),
            ..Policy::default()
        };
        Self { talk: Conversation::new(policy), started: BTreeSet::new(), answer: None, percent: None }
    }

    fn apply(mut test: Self, _: &Model, step: Step) -> Self {
        test.answer = None;
        match step {
            Step::CrashAndReplay => {
                test.talk.crash();
                test.input(Input::Restarted(Default::default()));
            }
            Step::SnapshotAndRestore => {
                test.talk.snapshot();
                // Progress is not kept: a restored core knows of none.
                test.percent = None;
            }
            Step::Pass(seconds) => {
                test.talk.now = test.talk.now.after(std::time::Duration::from_secs(seconds));
            }
            Step::EngineAvailable(true) => test.input(Input::EngineAvailable(Ok(()))),
            Step::EngineAvailable(false) => test.input(Input::EngineAvailable(Err("no python".into()))),
            Step::Engine { to_active, other, notice } => {
                let active = test.talk.core.queue().active.filter(|_| to_active);
                test.input(Input::Engine(active.unwrap_or(JobId(other)), engine_notice(notice)));
            }
            order => {
                let order = test.order(order);
                let actor = Actor { user: "ann".into(), role: Role::Scientist };
                test.input(Input::Order(actor, order));
            }
        }
        test.fire_due_timers();
        test
    }

    fn check_invariants(test: &Self, model: &Model) {
        let core = &test.talk.core;
        let queue = core.queue();
        let ids = |ids: &[JobId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        let active = queue.active.map(|id| (id.0, core.job(id).expect("the active job").state().name()));

        // The list says the same.
        assert_eq!(test.answer, model.answer, "the answer");
        assert_eq!(ids(&queue.order), model.order(), "the order");
        assert_eq!(active, model.active_state(), "the active job");
        assert_eq!(queue.state().name(), model.queue_state(), "the queue's state");
        assert_eq!(queue.revision, model.revision, "the revision");
        assert_eq!(core.last_job(), model.last, "the last number");
        let tally = core.groups().get("g").map(|it| (it.submitted, it.ended, it.failed));
        let expected = model.tally().map(|(a, b, c)| (a as u64, b as u64, c as u64));
        assert_eq!(tally, expected, "the group");
        let ended: BTreeMap<_, _> =
            test.talk.ended.iter().map(|(id, job)| (id.0, job.state().name())).collect();
        assert_eq!(ended, model.ended.iter().copied().collect(), "the jobs that ended");
        for job in &model.waiting {
            let state = core.job(JobId(job.id)).expect("a waiting job").state().name();
            assert_eq!(state, if job.held { "held" } else { "queued" }, "job {}", job.id);
        }

        // The order has no duplicates and is the set of the waiting jobs; all others but one are over.
        let order: BTreeSet<_> = queue.order.iter().copied().collect();
        assert_eq!(order.len(), queue.order.len(), "a job waits twice");
        let waiting: BTreeSet<_> =
            core.jobs().filter(|job| job.state().is_waiting()).map(|job| job.id).collect();
        assert_eq!(order, waiting, "the order and the waiting jobs");
        let live: Vec<_> = core.jobs().filter(|job| !job.state().is_waiting()).map(|job| job.id).collect();
        assert_eq!(live, queue.active.into_iter().collect::<Vec<_>>(), "at most one job is active");
        assert!(core.jobs().all(|job| !job.state().is_final()), "a job that ended is still there");
        if matches!(queue.state().name(), "busy" | "draining" | "idle") {
            assert_eq!(
                queue.state().name() != "idle",
                queue.active.is_some(),
                "busy exactly with an active job"
            );
        }
    }
}

impl CoreTest {
    /// Hands an input to the core and checks what can only be seen as it happens.
    fn input(&mut self, input: Input) {
        let is_order = matches!(input, Input::Order(..));
        let active_before = self.talk.core.queue().active;
        let over: BTreeSet<JobId> = self.talk.ended.keys().copied().collect();
        let outcome = self.talk.input(input);
        let active = self.talk.core.queue().active;

        assert_eq!(outcome.answer.is_some(), is_order, "exactly one answer for an order, none for the rest");
        if let Some(Err(refusal)) = &outcome.answer {
            assert_eq!(outcome.facts, [], "refused, and yet something changed: {refusal:?}");
            assert_eq!(outcome.effects, [], "refused, and yet something is wanted: {refusal:?}");
        }
        if let Some(answer) = &outcome.answer {
            self.answer = Some(kind(answer));
            self.check_revision(answer);
        }
        for fact in &outcome.facts {
            if let Fact::Job(id, event) = fact {
                assert!(!over.contains(id), "job {id} is over, and {event:?} happened to it");
                let aborts = matches!(event, JobEvent::AbortAsked { .. } | JobEvent::GraceExpired);
                assert!(!aborts || Some(*id) == active_before, "an abort of job {id}, which is not active");
            }
        }
        for effect in &outcome.effects {
            if let Effect::Engine { job, order } = effect {
                assert!(Some(*job) == active || Some(*job) == active_before, "{order:?} for job {job}");
                if *order == EngineOrder::Start {
                    assert!(self.started.insert(*job), "job {job} was started twice");
                }
            }
        }
        self.check_percent();
    }

    fn check_revision(&self, answer: &Result<Answer, Refusal>) {
        if let Ok(
            Answer::Submitted { revision, .. }
            | Answer::Edited { revision, .. }
            | Answer::Removed { revision, .. }
            | Answer::Ordered { revision, .. },
        ) = answer
        {
            assert_eq!(*revision, self.talk.core.queue().revision, "the revision told is the present one");
        }
    }

    fn check_percent(&mut self) {
        let core = &self.talk.core;
        let now = core.queue().active.zip(core.progress().percent);
        if let Some((job, percent)) = now {
            assert!((0.0..100.0).contains(&percent), "{percent} % while the job runs");
            if let Some((earlier, before)) = self.percent {
                assert!(earlier != job || before <= percent, "fell from {before} % to {percent} %");
            }
        }
        self.percent = now;
    }

    fn fire_due_timers(&mut self) {
        let answer = self.answer;
        while let Some((timer, _)) = self
            .talk
            .timers
            .iter()
            .filter(|(_, due)| **due <= self.talk.now)
            .min_by_key(|(_, due)| **due)
            .map(|(timer, due)| (*timer, *due))
        {
            self.talk.timers.remove(&timer);
            self.input(Input::Timer(timer));
        }
        self.answer = answer;
    }

    fn order(&self, step: Step) -> Order {
        let core = &self.talk.core;
        let some = |ids: Vec<Id>| Selection::Ids(ids.into_iter().map(JobId).collect());
        let group = || Selection::Group("g".into());
        let revision = core.queue().revision;
        match step {
            Step::Submit { count, place, held, in_group, not_before, deadline } => {
                let time = |seconds: u64| self.talk.now.after(std::time::Duration::from_secs(seconds));
                let spec = Arc::new(JobSpec {
                    group: in_group.then(|| "g".into()),
                    not_before: not_before.map(time),
                    deadline: deadline.map(time),
                    ..script("a scan")
                });
                let ids = core.last_job() + 1..=core.last_job() + count;
                let job = |id| NewJob { id: JobId(id), spec: Arc::clone(&spec), held, rerun_of: None };
                Order::Submit { jobs: ids.map(job).collect(), place: self::core_place(place), revision: None }
            }
            Step::Edit { id, rename, regroup, held } => {
                let mut spec =
                    core.job(JobId(id)).map_or_else(|| script("?"), |job| JobSpec::clone(&job.spec));
                if rename {
                    spec.name.push('!');
                }
                if regroup {
                    spec.group = if spec.group.is_some() { None } else { Some("g".into()) };
                }
                Order::Edit { job: JobId(id), spec: Arc::new(spec), held, revision: Some(revision) }
            }
            Step::Hold(ids, true) => Order::HoldJobs { jobs: some(ids), revision: None },
            Step::Hold(ids, false) => Order::ReleaseJobs { jobs: some(ids), revision: None },
            Step::HoldGroup(true) => Order::HoldJobs { jobs: group(), revision: None },
            Step::HoldGroup(false) => Order::ReleaseJobs { jobs: group(), revision: None },
            Step::Remove { ids, lenient } => Order::Remove { jobs: some(ids), lenient, revision: None },
            Step::RemoveGroup => Order::Remove { jobs: group(), lenient: false, revision: None },
            Step::Move(ids, place) => {
                Order::Move { jobs: some(ids), place: core_place(place), revision: None }
            }
            Step::MoveGroup(place) => Order::Move { jobs: group(), place: core_place(place), revision: None },
            Step::Reorder { rotate, reverse, complete } => {
                let order: Vec<_> = core.queue().order.iter().map(|id| id.0).collect();
                let mut order = reordered(&order, rotate, reverse);
                if !complete {
                    order.pop();
                }
                Order::Reorder { order: order.into_iter().map(JobId).collect(), revision }
            }
            Step::Stale => Order::Clear { revision: Some(revision + 1) },
            Step::Clear => Order::Clear { revision: Some(revision) },
            Step::HoldQueue => Order::HoldQueue { why: None },
            Step::ReleaseQueue => Order::ReleaseQueue,
            Step::Stop => Order::StopAfterCurrent,
            Step::CancelStop => Order::CancelStop,
            Step::Pause(level) => Order::Pause(level),
            Step::CancelPause => Order::CancelPause,
            Step::Resume => Order::Resume,
            Step::Skip => Order::Skip,
            Step::Abort => Order::Abort { why: None },
            other => unreachable!("{other:?} is no order"),
        }
    }
}

fn core_place(place: Where) -> Place {
    match place {
        Where::Front => Place::Front,
        Where::Back => Place::Back,
        Where::Index(index) => Place::Index(index as u64),
        Where::Before(id) => Place::Before(JobId(id)),
        Where::After(id) => Place::After(JobId(id)),
    }
}

fn engine_notice(notice: Notice) -> EngineNotice {
    match notice {
        Notice::Started => EngineNotice::Started,
        Notice::Paused => EngineNotice::Paused(Some(3)),
        Notice::PausedElsewhere => EngineNotice::PausedElsewhere(None),
        Notice::ResumedElsewhere => EngineNotice::ResumedElsewhere,
        Notice::Skipped(something) => EngineNotice::Skipped(something.then(|| "waitfor".into())),
        Notice::Progress(percent) => {
            EngineNotice::Progress(Progress { percent: Some(percent), ..Progress::default() })
        }
        Notice::Ended { good, errors } => EngineNotice::Ended {
            ending: if good { Ending::Completed } else { Ending::Failed },
            errors,
            report: Arc::new(Report::default()),
        },
        Notice::Lost => EngineNotice::Lost { why: "the worker is gone".into() },
    }
}

fn kind(answer: &Result<Answer, Refusal>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(Refusal::WrongState(_)) => "wrong_state",
        Err(Refusal::NotPausable(_)) => "not_pausable",
        Err(Refusal::NothingActive { .. }) => "nothing_active",
        Err(Refusal::NotFound { .. } | Refusal::NoSuchPlace { .. }) => "not_found",
        Err(Refusal::NotWaiting { .. }) => "not_waiting",
        Err(Refusal::Stale { .. }) => "stale",
        Err(Refusal::Forbidden { .. }) => "forbidden",
        Err(Refusal::BadPlace { .. }) => "bad_place",
        Err(Refusal::BadOrder { .. }) => "bad_order",
        Err(Refusal::NoSuchPrompt { .. }) => "no_such_prompt",
        Err(Refusal::BadAnswer { .. }) => "bad_answer",
    }
}
