//! The queue as a plain list: what the core must come to, said again in the simplest way.

use beamq_machines::PauseLevel;

pub type Id = u64;

/// A job on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub id: Id,
    pub held: bool,
    pub renamed: u32,
    pub in_group: bool,
    /// Seconds since the beginning.
    pub not_before: Option<u64>,
    pub deadline: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Running,
    Pausing(PauseLevel),
    Paused,
    Skipping,
    /// 0 asked, 1 terminating, 2 killing; and when the next stage is due.
    Aborting {
        stage: u8,
        timed_out: bool,
        grace: Option<u64>,
    },
}

#[derive(Clone, Debug)]
pub struct Active {
    pub id: Id,
    pub phase: Phase,
    pub started: bool,
    /// When its time limit is over.
    pub limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Holds {
    pub after_failure: bool,
    pub after_abort: bool,
    pub after_restart: bool,
}

/// Where jobs go.
#[derive(Clone, Copy, Debug)]
pub enum Where {
    Front,
    Back,
    Index(usize),
    Before(Id),
    After(Id),
}

#[derive(Clone, Debug)]
pub enum Notice {
    Started,
    Paused,
    PausedElsewhere,
    ResumedElsewhere,
    Skipped(bool),
    Progress(f64),
    Ended { good: bool, errors: bool },
    Lost,
}

#[derive(Clone, Debug)]
pub enum Step {
    Submit {
        count: u64,
        place: Where,
        held: bool,
        in_group: bool,
        not_before: Option<u64>,
        deadline: Option<u64>,
    },
    Edit {
        id: Id,
        rename: bool,
        regroup: bool,
        held: Option<bool>,
    },
    Hold(Vec<Id>, bool),
    HoldGroup(bool),
    Remove {
        ids: Vec<Id>,
        lenient: bool,
    },
    RemoveGroup,
    Move(Vec<Id>, Where),
    MoveGroup(Where),
    /// The new order, or one that leaves the last job out.
    Reorder {
        rotate: usize,
        reverse: bool,
        complete: bool,
    },
    Stale,
    Clear,
    HoldQueue,
    ReleaseQueue,
    Stop,
    CancelStop,
    Pause(PauseLevel),
    CancelPause,
    Resume,
    Skip,
    Abort,
    Engine {
        to_active: bool,
        other: Id,
        notice: Notice,
    },
    EngineAvailable(bool),
    Pass(u64),
    CrashAndReplay,
    SnapshotAndRestore,
}

pub const LIMIT: u64 = 300;

#[derive(Clone, Debug)]
pub struct Model {
    pub holds: Holds,
    pub now: u64,
    pub last: Id,
    pub waiting: Vec<Waiting>,
    pub active: Option<Active>,
    pub active_in_group: bool,
    pub held: bool,
    pub draining: bool,
    pub blocked: bool,
    pub revision: u64,
    /// The members of the group since it began that were not removed: whether each has ended, and well.
    pub group: Vec<(Id, Option<bool>)>,
    pub ended: Vec<(Id, &'static str)>,
    /// What the last order must be answered: `ok`, or the kind of the refusal.
    pub answer: Option<&'static str>,
}

impl Model {
    pub fn new(holds: Holds) -> Self {
        Self {
            holds,
            now: 0,
            last: 0,
            waiting: Vec::new(),
            active: None,
            active_in_group: false,
            held: false,
            draining: false,
            blocked: false,
            revision: 0,
            group: Vec::new(),
            ended: Vec::new(),
            answer: None,
        }
    }

    pub fn order(&self) -> Vec<Id> {
        self.waiting.iter().map(|job| job.id).collect()
    }

    pub fn group_ids(&self) -> Vec<Id> {
        self.waiting.iter().filter(|job| job.in_group).map(|job| job.id).collect()
    }

    pub fn queue_state(&self) -> &'static str {
        match () {
            () if self.blocked => "blocked",
            () if self.held => "held",
            () if self.draining => "draining",
            () if self.active.is_some() => "busy",
            () => "idle",
        }
    }

    pub fn active_state(&self) -> Option<(Id, &'static str)> {
        let active = self.active.as_ref()?;
        let state = match active.phase {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Pausing(_) => "pausing",
            Phase::Paused => "paused",
            Phase::Skipping => "skipping",
            Phase::Aborting { .. } => "aborting",
        };
        Some((active.id, state))
    }

    pub fn tally(&self) -> Option<(usize, usize, usize)> {
        let ended = self.group.iter().filter(|(_, end)| end.is_some()).count();
        let failed = self.group.iter().filter(|(_, end)| *end == Some(false)).count();
        (!self.group.is_empty()).then_some((self.group.len(), ended, failed))
    }

    pub fn step(&mut self, step: &Step) {
        self.answer = None;
        match step {
            Step::Engine { to_active, other, notice } => {
                let active = self.active.as_ref().map(|active| active.id);
                if *to_active || active == Some(*other) {
                    self.notice(notice);
                }
            }
            Step::EngineAvailable(true) => self.blocked = false,
            Step::EngineAvailable(false) => {
                self.blocked = true;
                self.held |= std::mem::take(&mut self.draining);
            }
            Step::Pass(seconds) => self.pass(*seconds),
            Step::CrashAndReplay => self.restart(),
            Step::SnapshotAndRestore => {}
            order => self.answer = Some(self.order_given(order).err().unwrap_or("ok")),
        }
        self.settle();
    }

    /// Overdue jobs expire, and the next one starts if it may.
    fn settle(&mut self) {
        let now = self.now;
        for id in self
            .waiting
            .iter()
            .filter(|job| job.deadline.is_some_and(|time| time <= now))
            .map(|job| job.id)
            .collect::<Vec<_>>()
        {
            self.leave(id, "expired");
            self.revision += 1;
        }
        if self.active.is_some() || self.held || self.blocked {
            return;
        }
        let next =
            self.waiting.iter().position(|job| !job.held && job.not_before.is_none_or(|time| time <= now));
        if let Some(next) = next {
            let job = self.waiting.remove(next);
            self.active = Some(Active { id: job.id, phase: Phase::Starting, started: false, limit: None });
            self.active_in_group = job.in_group;
            self.revision += 1;
        }
    }

    fn leave(&mut self, id: Id, state: &'static str) {
        self.waiting.retain(|job| job.id != id);
        self.end(id, state);
    }

    fn end(&mut self, id: Id, state: &'static str) {
        self.ended.push((id, state));
        if state == "cancelled" {
            self.group.retain(|member| member.0 != id);
        }
        for member in self.group.iter_mut().filter(|member| member.0 == id) {
            member.1 = Some(state == "succeeded");
        }
        self.forget_finished_group();
    }

    fn forget_finished_group(&mut self) {
        if self.group.iter().all(|(_, end)| end.is_some()) {
            self.group.clear();
        }
    }

    fn end_active(&mut self, state: &'static str, hold: bool) {
        if let Some(active) = self.active.take() {
            self.held |= hold || self.draining;
            self.draining = false;
            self.end(active.id, state);
        }
    }

    fn restart(&mut self) {
        self.blocked = false;
        let hold = self.holds.after_restart;
        if self.active.is_some() {
            self.end_active("interrupted", hold);
        } else if !self.waiting.is_empty() {
            self.held |= hold;
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let now = self.now;
        let Some(active) = &mut self.active else { return };
        if let Phase::Aborting { stage, grace, .. } = &mut active.phase {
            if grace.is_some_and(|time| time <= now) {
                *stage += 1;
                *grace = (*stage == 1).then_some(now + 3);
            }
        } else if active.limit.is_some_and(|time| time <= now) {
            active.phase = Phase::Aborting { stage: 0, timed_out: true, grace: Some(now + 2) };
        }
    }

    fn notice(&mut self, notice: &Notice) {
        let (now, holds) = (self.now, self.holds);
        let Some(active) = &mut self.active else { return };
        match (notice, active.phase) {
            (Notice::Started, Phase::Starting | Phase::Pausing(_) | Phase::Aborting { .. })
                if !active.started =>
            {
                active.started = true;
                active.limit = Some(now + LIMIT);
                if active.phase == Phase::Starting {
                    active.phase = Phase::Running;
                }
            }
            (Notice::Paused, Phase::Pausing(_))
            | (Notice::PausedElsewhere, Phase::Running | Phase::Pausing(_) | Phase::Skipping) => {
                active.phase = Phase::Paused;
            }
            (Notice::ResumedElsewhere, Phase::Paused) => active.phase = Phase::Running,
            (Notice::Skipped(_), Phase::Skipping) => active.phase = Phase::Running,
            (Notice::Ended { .. }, Phase::Aborting { timed_out: false, .. }) => {
                self.end_active("aborted", holds.after_abort);
            }
            (Notice::Ended { .. }, Phase::Aborting { timed_out: true, .. }) => {
                self.end_active("failed", holds.after_failure);
            }
            (Notice::Ended { good, errors }, phase) => {
                let pending = matches!(phase, Phase::Pausing(_));
                match (good, errors) {
                    (true, false) => self.end_active("succeeded", pending),
                    (true, true) => self.end_active("succeeded_with_errors", pending),
                    (false, _) => self.end_active("failed", pending || holds.after_failure),
                }
            }
            (Notice::Lost, _) => self.end_active("interrupted", true),
            (
                Notice::Started
                | Notice::Paused
                | Notice::PausedElsewhere
                | Notice::ResumedElsewhere
                | Notice::Skipped(_)
                | Notice::Progress(_),
                _,
            ) => {}
        }
    }

    fn order_given(&mut self, step: &Step) -> Result<(), &'static str> {
        match step {
            Step::Submit { count, place, held, in_group, not_before, deadline } => {
                let at = self.index(*place, &self.order())?;
                for n in 0..*count {
                    self.last += 1;
                    let id = self.last;
                    let (renamed, not_before) = (0, not_before.map(|seconds| self.now + seconds));
                    let deadline = deadline.map(|seconds| self.now + seconds);
                    let job = Waiting { id, held: *held, renamed, in_group: *in_group, not_before, deadline };
                    self.waiting.insert(at + usize::try_from(n).unwrap(), job);
                    if *in_group {
                        self.group.push((id, None));
                    }
                }
                self.revision += u64::from(*count > 0);
            }
            Step::Edit { id, rename, regroup, held } => {
                self.all_wait(&[*id])?;
                let job = self.waiting.iter_mut().find(|job| job.id == *id).unwrap();
                let before = job.clone();
                job.renamed += u32::from(*rename);
                job.in_group ^= regroup;
                job.held = held.unwrap_or(job.held);
                let after = job.clone();
                self.revision += u64::from(before != after);
                match (before.in_group, after.in_group) {
                    (true, false) => {
                        self.group.retain(|member| member.0 != *id);
                        self.forget_finished_group();
                    }
                    (false, true) => self.group.push((*id, None)),
                    (true, true) | (false, false) => {}
                }
            }
            Step::Hold(ids, held) => {
                self.all_wait(ids)?;
                self.set_held(ids, *held);
            }
            Step::HoldGroup(held) => {
                let ids = self.whole_group()?;
                self.set_held(&ids, *held);
            }
            Step::Remove { ids, lenient: false } => {
                self.all_wait(ids)?;
                self.remove(ids);
            }
            Step::Remove { ids, lenient: true } => self.remove(ids),
            Step::RemoveGroup => {
                let ids = self.whole_group()?;
                self.remove(&ids);
            }
            Step::Move(ids, place) => {
                self.all_wait(ids)?;
                self.relocate(ids, *place)?;
            }
            Step::MoveGroup(place) => {
                let ids = self.whole_group()?;
                self.relocate(&ids, *place)?;
            }
            Step::Reorder { complete: false, .. } if !self.waiting.is_empty() => return Err("bad_order"),
            Step::Reorder { rotate, reverse, .. } => {
                let order = reordered(&self.order(), *rotate, *reverse);
                self.set_order(&order);
            }
            Step::Stale => return Err("stale"),
            Step::Clear => self.remove(&self.order()),
            Step::HoldQueue if self.held => return Err("wrong_state"),
            Step::HoldQueue => (self.held, self.draining) = (true, false),
            Step::ReleaseQueue if !self.held => return Err("wrong_state"),
            Step::ReleaseQueue => self.held = false,
            Step::Stop if self.queue_state() != "busy" => return Err("wrong_state"),
            Step::Stop => self.draining = true,
            Step::CancelStop if self.queue_state() != "draining" => return Err("wrong_state"),
            Step::CancelStop => self.draining = false,
            Step::Pause(_) | Step::CancelPause | Step::Resume | Step::Skip | Step::Abort => {
                let now = self.now;
                let active = self.active.as_mut().ok_or("nothing_active")?;
                active.phase = active.steered(step, now).ok_or("wrong_state")?;
            }
            other => unreachable!("{other:?} is no order"),
        }
        Ok(())
    }

    fn all_wait(&self, ids: &[Id]) -> Result<(), &'static str> {
        if ids.iter().any(|id| *id > self.last) {
            return Err("not_found");
        }
        if ids.iter().any(|id| !self.order().contains(id)) {
            return Err("not_waiting");
        }
        Ok(())
    }

    fn whole_group(&self) -> Result<Vec<Id>, &'static str> {
        let ids = self.group_ids();
        if ids.is_empty() { Err("not_found") } else { Ok(ids) }
    }

    fn set_held(&mut self, ids: &[Id], held: bool) {
        let before = self.waiting.clone();
        for job in self.waiting.iter_mut().filter(|job| ids.contains(&job.id)) {
            job.held = held;
        }
        self.revision += u64::from(before != self.waiting);
    }

    fn remove(&mut self, ids: &[Id]) {
        let before = self.waiting.len();
        for id in ids {
            if self.order().contains(id) {
                self.leave(*id, "cancelled");
            }
        }
        self.revision += u64::from(before != self.waiting.len());
    }

    fn relocate(&mut self, ids: &[Id], place: Where) -> Result<(), &'static str> {
        let mut rest = self.order();
        rest.retain(|id| !ids.contains(id));
        let at = self.index(place, &rest)?;
        let mut moving: Vec<Id> = Vec::new();
        for id in ids {
            if !moving.contains(id) {
                moving.push(*id);
            }
        }
        let (left, right) = rest.split_at(at);
        self.set_order(&[left, &moving, right].concat());
        Ok(())
    }

    fn set_order(&mut self, order: &[Id]) {
        let before = self.order();
        self.waiting.sort_by_key(|job| order.iter().position(|id| *id == job.id));
        self.revision += u64::from(before != self.order());
    }

    /// The index of a place in this order.
    pub fn index(&self, place: Where, order: &[Id]) -> Result<usize, &'static str> {
        let active = self.active.as_ref().map(|active| active.id);
        let (id, behind) = match place {
            Where::Front => return Ok(0),
            Where::Back => return Ok(order.len()),
            Where::Index(index) => return Ok(index.min(order.len())),
            Where::After(id) if active == Some(id) => return Ok(0),
            Where::Before(id) => (id, 0),
            Where::After(id) => (id, 1),
        };
        match order.iter().position(|other| *other == id) {
            Some(index) => Ok(index + behind),
            None if id <= self.last => Err("bad_place"),
            None => Err("not_found"),
        }
    }
}

/// The order turned round, or with its first jobs last.
pub fn reordered(order: &[Id], rotate: usize, reverse: bool) -> Vec<Id> {
    let mut order = order.to_vec();
    if !order.is_empty() {
        let by = rotate % order.len();
        order.rotate_left(by);
    }
    if reverse {
        order.reverse();
    }
    order
}

impl Active {
    /// The phase after an order, if it is allowed.
    fn steered(&self, step: &Step, now: u64) -> Option<Phase> {
        match (step, self.phase) {
            (Step::Pause(asked), Phase::Pausing(pending)) if *asked == pending => None,
            (Step::Pause(level), Phase::Starting | Phase::Running | Phase::Pausing(_) | Phase::Skipping) => {
                Some(Phase::Pausing(*level))
            }
            (Step::CancelPause, Phase::Pausing(_)) if self.started => Some(Phase::Running),
            (Step::CancelPause, Phase::Pausing(_)) => Some(Phase::Starting),
            (Step::Resume, Phase::Paused) => Some(Phase::Running),
            (Step::Skip, Phase::Running | Phase::Paused) => Some(Phase::Skipping),
            (Step::Abort, Phase::Aborting { stage: 0, timed_out, .. }) => {
                Some(Phase::Aborting { stage: 1, timed_out, grace: Some(now + 3) })
            }
            (Step::Abort, Phase::Aborting { stage: 1, timed_out, .. }) => {
                Some(Phase::Aborting { stage: 2, timed_out, grace: None })
            }
            (Step::Abort, Phase::Aborting { .. }) => None,
            (Step::Abort, _) => Some(Phase::Aborting { stage: 0, timed_out: false, grace: Some(now + 2) }),
            _ => None,
        }
    }
}
