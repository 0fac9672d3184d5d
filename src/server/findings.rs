//! What is to be said about the jobs that have not ended, kept with them.
//!
//! Reading a script takes time, and asking the interpreter takes more, so both happen outside the loop. What
//! comes back belongs to a job only as long as the job still runs what was read and the catalogue by which
//! it was read is still in force; anything else is late and is let go. Findings are kept here and not in
//! the machines: a restart finds them again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use beamq_machines::{JobBody, JobId, JobSpec, Timestamp, job::JobMachine};
use serde_json::Value;
use tokio::{
    sync::{Semaphore, mpsc},
    task, time,
};

use super::{catalogue, clients::ReplyTo, dispatcher::Dispatcher, inside::Inside, views};
use crate::{
    catalogue::{Catalogue, Diagnostic, Source},
    dryrun::{Compiler, FinalWord, Host, Unheard, diagnose_script_for, static_check::SYNTAX_ERROR},
    protocol::{
        EventBody, JobEvent, RpcError,
        view::{Finding, JobView, Severity},
    },
};

/// So many scripts are read at a time, whoever sent them: each needs memory many times its size.
pub(super) static READERS: Semaphore = Semaphore::const_new(2);
/// A submission is answered after this time, whatever the check is doing.
const LONGEST: Duration = Duration::from_secs(2);
/// No job shows more findings: people correct the first ones, and every event carries them.
const SHOWN: usize = 20;
/// So many jobs are told of a finding in one go; other inputs come in between.
const JOBS_AT_ONCE: usize = 64;

/// What a job runs, as far as findings depend on it.
#[derive(Clone, Debug)]
enum Subject {
    Script(Arc<str>),
    Calls(Arc<JobSpec>),
}

impl Subject {
    fn of(spec: &Arc<JobSpec>) -> Self {
        match &spec.body {
            JobBody::Script { source, .. } => Self::Script(Arc::clone(source)),
            JobBody::Commands(_) => Self::Calls(Arc::clone(spec)),
        }
    }

    /// Whether it is this that a job runs. A text that was sent again is another one, which costs a reading
    /// and never shows a finding that is out of date.
    fn is_of(&self, spec: &Arc<JobSpec>) -> bool {
        match (self, &spec.body) {
            (Self::Script(read), JobBody::Script { source, .. }) => Arc::ptr_eq(read, source),
            (Self::Calls(read), JobBody::Commands(_)) => Arc::ptr_eq(read, spec),
            (Self::Script(_), JobBody::Commands(_)) | (Self::Calls(_), JobBody::Script { .. }) => false,
        }
    }

    fn address(&self) -> usize {
        match self {
            Self::Script(source) => source.as_ptr().addr(),
            Self::Calls(spec) => Arc::as_ptr(spec).addr(),
        }
    }
}

/// What was found in what a job runs.
#[derive(Clone, Debug)]
struct Judged {
    subject: Subject,
    findings: Arc<[Finding]>,
    /// What the interpreter said, once it was asked.
    heard: Option<Arc<Heard>>,
}

/// What came of asking the interpreter, which does not depend on the catalogue.
#[derive(Debug)]
enum Heard {
    Word(FinalWord),
    /// It cannot judge this script; why.
    Nothing(Finding),
}

impl Heard {
    fn settle(&self, script: &str, found: &mut Vec<Diagnostic>) -> Vec<Finding> {
        match self {
            Self::Word(word) => {
                settle(word, script, found);
                shown(found)
            }
            Self::Nothing(why) => shown(found).into_iter().chain([why.clone()]).collect(),
        }
    }
}

/// The findings of the jobs that have not ended.
#[derive(Debug, Default)]
pub(super) struct Findings {
    by_job: BTreeMap<JobId, Judged>,
    /// Counts the catalogues: who reads by an earlier one can stop.
    catalogues: Arc<AtomicU64>,
}

impl Findings {
    /// What is to be said about a job now.
    pub(super) fn of(&self, machine: &JobMachine) -> Arc<[Finding]> {
        let judged = self.by_job.get(&machine.id).filter(|judged| judged.subject.is_of(&machine.spec));
        judged.map_or_else(|| Arc::from([]), |judged| Arc::clone(&judged.findings))
    }

    /// Lets go of a job that has ended.
    pub(super) fn forget(&mut self, id: JobId) {
        self.by_job.remove(&id);
    }
}

/// A reply that waits for what is found in the job that it is about.
#[derive(Debug)]
pub(super) struct AwaitedReply {
    pub(super) to: ReplyTo,
    pub(super) value: Value,
    /// Which member of the value gets the findings, as a JSON pointer; none when it has no room for them.
    pub(super) findings_in: Option<&'static str>,
}

/// What was found, on its way into the loop.
#[derive(Debug)]
pub(super) struct Judgement {
    jobs: Vec<JobId>,
    by: Arc<Catalogue>,
    judged: Judged,
    reply: Option<AwaitedReply>,
}

/// Jobs that run the same.
#[derive(Debug)]
struct Group {
    jobs: Vec<JobId>,
    subject: Subject,
    before: Option<Judged>,
}

impl Dispatcher {
    /// A job that has not ended, as clients see it.
    pub(super) fn live_job(&self, id: JobId, now: Timestamp) -> Option<JobView> {
        let mut view = views::live_job(&self.core, id, now)?;
        view.findings =
            self.core.job(id).map(|machine| self.in_force.findings.of(machine).to_vec()).unwrap_or_default();
        Some(self.expected(id, now).shown_in(view))
    }

    /// Judges every waiting job anew, because another catalogue is in force.
    pub(super) fn examine_waiting(&mut self) {
        self.in_force.findings.catalogues.fetch_add(1, Ordering::Relaxed);
        let waiting = self.core.queue().order.clone();
        self.examine(&waiting, None);
    }

    /// What runs the scripts.
    pub(super) fn host(&self) -> Host {
        if self.has_nicos() { Host::Nicos } else { Host::Process }
    }

    /// Reads what jobs run, outside the loop. A reply goes out once the first of them was read.
    pub(super) fn examine(&mut self, jobs: &[JobId], reply: Option<AwaitedReply>) {
        let groups = self.groups(jobs);
        if groups.is_empty() {
            if let Some(reply) = reply {
                self.answer(&reply.to, Ok(reply.value));
            }
            return;
        }
        let reading = Reading {
            host: self.host(),
            by: Arc::clone(&self.in_force.catalogue),
            compiler: Arc::clone(&self.settings.compiler),
            to_loop: self.to_self.clone(),
            catalogues: Arc::clone(&self.in_force.findings.catalogues),
            started_in: self.in_force.findings.catalogues.load(Ordering::Relaxed),
        };
        task::spawn(reading.run(groups, reply));
    }

    /// Jobs that were multiplied share their text, which is read once.
    fn groups(&self, jobs: &[JobId]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known = BTreeMap::new();
        for machine in jobs.iter().filter_map(|id| self.core.job(*id)) {
            let subject = Subject::of(&machine.spec);
            let at = *known.entry(subject.address()).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.jobs.push(machine.id),
                None => {
                    let before = self.in_force.findings.by_job.get(&machine.id);
                    let before = before.filter(|judged| judged.subject.is_of(&machine.spec)).cloned();
                    groups.push(Group { jobs: vec![machine.id], subject, before });
                }
            }
        }
        groups
    }

    /// Keeps what was found with the jobs that it is still true of, and tells everyone.
    pub(super) fn examined(&mut self, judgement: Judgement) {
        let Judgement { mut jobs, by, judged, reply } = judgement;
        let rest = jobs.split_off(jobs.len().min(JOBS_AT_ONCE));
        if by.version() == self.in_force.catalogue.version() {
            for id in jobs {
                self.keep(id, judged.clone());
            }
        }
        let shown = Arc::clone(&judged.findings);
        if !rest.is_empty() {
            self.to_self.send(Inside::Judged(Box::new(Judgement { jobs: rest, by, judged, reply }))).ok();
        } else if let Some(AwaitedReply { to, mut value, findings_in }) = reply {
            let room = findings_in.and_then(|place| value.pointer_mut(place)).and_then(Value::as_object_mut);
            if let Some(members) = room.filter(|_| !shown.is_empty()) {
                // Findings are made of texts and numbers, which can always be written.
                members.insert("findings".into(), serde_json::to_value(&*shown).unwrap_or_default());
            }
            self.answer(&to, Ok(value));
        }
    }

    fn keep(&mut self, id: JobId, judged: Judged) {
        let Some(machine) = self.core.job(id).filter(|machine| judged.subject.is_of(&machine.spec)) else {
            return;
        };
        let changed = *self.in_force.findings.of(machine) != *judged.findings;
        self.in_force.findings.by_job.insert(id, judged);
        if changed {
            self.queue_looks_different();
            let at = Self::now();
            if let Some(job) = self.live_job(id, at) {
                self.announce(EventBody::Job(Box::new(JobEvent { job })), at);
            }
        }
    }

    /// Answers an order about jobs, once the first of these jobs was read.
    pub(super) fn answer_with_findings(
        &mut self,
        to: &ReplyTo,
        jobs: &[JobId],
        findings_in: Option<&'static str>,
        reply: Result<Value, RpcError>,
    ) {
        match reply {
            Ok(value) if !self.tells_findings(to) => self.answer(to, Ok(value)),
            Ok(value) => self.examine(jobs, Some(AwaitedReply { to: to.clone(), value, findings_in })),
            Err(error) => self.answer::<()>(to, Err(error)),
        }
    }
}

/// Reads jobs one after the other.
struct Reading {
    host: Host,
    by: Arc<Catalogue>,
    compiler: Arc<Compiler>,
    to_loop: mpsc::UnboundedSender<Inside>,
    catalogues: Arc<AtomicU64>,
    started_in: u64,
}

/// A group of which the interpreter has said nothing yet.
struct Unsettled {
    group: Group,
    findings: Arc<[Finding]>,
    has_syntax_error: bool,
}

impl Reading {
    async fn run(self, groups: Vec<Group>, mut reply: Option<AwaitedReply>) {
        let mut unsettled = Vec::new();
        for group in groups {
            // Whoever waits is answered, also when another catalogue has come into force meanwhile.
            if reply.is_none() && self.is_late() {
                return;
            }
            unsettled.extend(self.read_first(group, &mut reply).await);
        }
        // The interpreter is asked last: what can be told without it does not wait for it.
        for one in unsettled {
            if self.is_late() {
                return;
            }
            self.settle(one).await;
        }
    }

    fn is_late(&self) -> bool {
        self.catalogues.load(Ordering::Relaxed) != self.started_in || self.to_loop.is_closed()
    }

    fn tell(
        &self,
        group: &Group,
        findings: Arc<[Finding]>,
        heard: Option<Arc<Heard>>,
        reply: Option<AwaitedReply>,
    ) {
        let known = group.before.as_ref().is_some_and(|before| {
            *before.findings == *findings
                && before.heard.is_some() == heard.is_some()
                && group.jobs.len() == 1
        });
        if known && reply.is_none() {
            return;
        }
        let judged = Judged { subject: group.subject.clone(), findings, heard };
        let judgement = Judgement { jobs: group.jobs.clone(), by: Arc::clone(&self.by), judged, reply };
        self.to_loop.send(Inside::Judged(Box::new(judgement))).ok();
    }

    /// Reads what a group runs, with what the interpreter is known to say about it.
    async fn read_first(&self, group: Group, reply: &mut Option<AwaitedReply>) -> Option<Unsettled> {
        let heard = group.before.as_ref().and_then(|before| before.heard.clone());
        let source = match &group.subject {
            Subject::Script(source) => Arc::clone(source),
            Subject::Calls(spec) => {
                let findings = self.read_calls(Arc::clone(spec)).await;
                self.tell(&group, findings.into(), None, reply.take());
                return None;
            }
        };
        let mut reading = task::spawn(read(self.host, Arc::clone(&source), Arc::clone(&self.by)));
        let found = match time::timeout(LONGEST, &mut reading).await {
            Ok(found) => found,
            Err(_) => {
                if reply.is_some() {
                    let why = "reading the script takes long; what is found follows with the job's events";
                    self.tell(&group, Arc::from([not_checked(why)]), None, reply.take());
                }
                reading.await
            }
        };
        let mut found = found.unwrap_or_default();
        let has_syntax_error = found.iter().any(|one| one.code == SYNTAX_ERROR);
        let findings: Arc<[Finding]> = match &heard {
            Some(heard) => heard.settle(&source, &mut found).into(),
            None => shown(&found).into(),
        };
        self.tell(&group, Arc::clone(&findings), heard.clone(), reply.take());
        heard.is_none().then_some(Unsettled { group, findings, has_syntax_error })
    }

    async fn read_calls(&self, spec: Arc<JobSpec>) -> Vec<Finding> {
        let by = Arc::clone(&self.by);
        let reading = task::spawn_blocking(move || match &spec.body {
            JobBody::Commands(calls) => catalogue::findings(&by, calls),
            JobBody::Script { .. } => Vec::new(),
        });
        reading.await.unwrap_or_default()
    }

    async fn settle(&self, one: Unsettled) {
        let Unsettled { group, findings, has_syntax_error } = one;
        let Subject::Script(source) = &group.subject else { return };
        let heard = match self.compiler.final_word(source).await {
            Ok(word) => Heard::Word(word),
            Err(unheard) if unheard.is_of_the_script() => Heard::Nothing(not_compiled(&unheard)),
            Err(unheard) => {
                tracing::debug!("the syntax of a script is not settled: failed to {unheard}");
                return;
            }
        };
        let nothing_new = matches!(&heard, Heard::Word(word) if word.is_silent()) && !has_syntax_error;
        let findings = if nothing_new {
            findings
        } else {
            let mut found = read(self.host, Arc::clone(source), Arc::clone(&self.by)).await;
            heard.settle(source, &mut found).into()
        };
        self.tell(&group, findings, Some(Arc::new(heard)), None);
    }
}

/// Reads a script by a catalogue, when its turn has come.
pub(super) async fn read(host: Host, script: Arc<str>, catalogue: Arc<Catalogue>) -> Vec<Diagnostic> {
    let permit = READERS.acquire().await.ok();
    let reading = task::spawn_blocking(move || {
        // It is given back when the reading ends, also when nobody waits for it any more.
        let _permit = permit;
        diagnose_script_for(host, NAME, &script, &catalogue)
    });
    reading.await.unwrap_or_default()
}

/// Scripts have no file here; findings leave it out.
const NAME: &str = "<script>";

/// Puts what the interpreter says in the place of what was guessed.
pub(super) fn settle(word: &FinalWord, script: &str, found: &mut Vec<Diagnostic>) {
    let source = match found.first() {
        Some(one) => Arc::clone(&one.place.source),
        None if word.is_silent() => return,
        None => Arc::new(Source::new(NAME, script)),
    };
    word.settle(&source, found);
}

/// What reading a job finds, without asking the interpreter.
pub(super) async fn of_body(host: Host, body: &JobBody, by: &Arc<Catalogue>) -> Vec<Finding> {
    match body {
        JobBody::Script { source, .. } => shown(&read(host, Arc::clone(source), Arc::clone(by)).await),
        JobBody::Commands(calls) => catalogue::findings(by, calls),
    }
}

/// The findings as clients see them.
pub(super) fn plain(found: &[Diagnostic]) -> impl Iterator<Item = Finding> {
    found.iter().map(|one| Finding { file: None, ..one.finding() })
}

/// The first findings, and that there are more.
fn shown(found: &[Diagnostic]) -> Vec<Finding> {
    let more = (found.len() > SHOWN).then(|| {
        let message = format!("{} more findings are not listed here", found.len() - SHOWN);
        let hint = "dryrun.script and `beamq check` list them".to_owned();
        Finding { hint: Some(hint), ..note("more_findings", message) }
    });
    plain(found).take(SHOWN).chain(more).collect()
}

/// Says that there is no judgement, and why.
pub(super) fn not_checked(message: impl Into<String>) -> Finding {
    note("not_checked", message.into())
}

/// Says that the interpreter has not judged, and why.
pub(super) fn not_compiled(unheard: &Unheard) -> Finding {
    note("not_compiled", format!("the interpreter was not heard: failed to {unheard}"))
}

fn note(code: &str, message: String) -> Finding {
    Finding::new(Severity::Note, code, message)
}
