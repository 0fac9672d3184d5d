//! Dry runs that clients ask for. They read, so they happen outside the loop.

use std::sync::Arc;

use beamq_machines::{JobBody, JobId, JobSpec, Timestamp, queue};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    News, Snapshot,
    desk::JobPlan,
    outlook::{Outlook, Turn, outlook},
    workshop::{Setting, Workshop, quick_plan},
};
use crate::{
    catalogue::Catalogue,
    dryrun::{
        nicos::{self, Told},
        simulation::{InstrumentState, JobFacts, Priority},
    },
    estimate::{Interval, Memory},
    protocol::{
        Rfc3339, RpcError,
        request::{DryRunMode, DryRunQueue},
        view::{DryRunReport, Finding, JobForecast, QueueForecast, Seconds, Severity},
    },
    server::{
        clients::ReplyTo,
        dispatcher::{After, Dispatcher},
        findings,
        inside::Inside,
    },
};

/// Everything that a simulation for a client needs, taken out of the loop.
#[derive(Clone)]
pub(in crate::server) struct Bench {
    workshop: Workshop,
    memory: Arc<Memory>,
    catalogue: Arc<Catalogue>,
    start: InstrumentState,
    begins_at: Option<Timestamp>,
    now: Timestamp,
    /// Other jobs come before it, and what they do is not known where it is simulated.
    starts_from_now: bool,
    /// The job that this tells something new of, where nobody simulates it unasked.
    teaches: Option<(JobId, Arc<JobSpec>, mpsc::UnboundedSender<Inside>)>,
}

/// What a simulation for a client of the proxy dialect has found.
#[derive(Debug)]
pub(in crate::server) struct ProxySimulated {
    uuid: String,
    report: DryRunReport,
    /// What NICOS said in its own words, where it is NICOS that simulates.
    told: Option<Told>,
}

impl Bench {
    /// Runs a job on virtual time and adds what reading it has found.
    pub(in crate::server) async fn report(&self, spec: &JobSpec, read: Vec<Finding>) -> DryRunReport {
        self.report_and_words(spec, read).await.0
    }

    async fn report_and_words(&self, spec: &JobSpec, read: Vec<Finding>) -> (DryRunReport, Option<Told>) {
        let facts = JobFacts { tags: spec.tags.clone(), group: spec.group.clone(), ..JobFacts::default() };
        let setting = Setting {
            job: facts,
            start: self.start.clone(),
            begins_at: self.begins_at,
            catalogue: Arc::clone(&self.catalogue),
            memory: Arc::clone(&self.memory),
            now: self.now,
            priority: Priority::Low,
        };
        let run = self.workshop.run(spec, setting).await;
        let mut report = with_read(run.simulated.report.clone(), read);
        if self.starts_from_now {
            report.findings.push(nicos::starts_from_now());
        }
        let told = run.told.clone();
        // What is known without a run stands.
        let quick = quick_plan(spec, &self.catalogue, &self.memory, self.now.0);
        if report.totals.seconds.expected.is_none()
            && let Some(guess) = quick.guess
        {
            let Interval { low, expected, high } = guess.interval;
            report.totals.seconds = Seconds {
                low: Some(low),
                expected: Some(expected),
                high: Some(high),
                at_least: quick.at_least,
            };
        }
        if let Some((job, spec, to_loop)) = &self.teaches {
            let plan = Arc::new(run.plan(spec, quick, &self.memory, self.now.0));
            to_loop.send(Inside::Forecast(News::Plans(vec![(*job, plan)]))).ok();
        }
        (report, told)
    }
}

/// A report with what reading the script has found, each thing once.
fn with_read(mut report: DryRunReport, read: Vec<Finding>) -> DryRunReport {
    let known = |finding: &Finding| {
        report.findings.iter().any(|other| other.code == finding.code && other.line == finding.line)
    };
    let new: Vec<_> = read.into_iter().filter(|finding| !known(finding)).collect();
    report.findings.splice(0..0, new);
    report.findings.sort_by_key(|finding| finding.line.unwrap_or(0));
    report.ok = report.findings.iter().all(|finding| finding.severity != Severity::Error);
    report
}

/// The description of a job that nobody queues.
pub(in crate::server) fn unqueued(body: JobBody) -> JobSpec {
    JobSpec {
        name: "dry run".into(),
        body,
        tags: Vec::new(),
        group: None,
        not_before: None,
        deadline: None,
        timeout_ms: None,
    }
}

impl Dispatcher {
    /// What a simulation needs that begins where the job (or the queue) begins.
    pub(in crate::server) fn bench(&self, before: Option<JobId>) -> Result<Bench, RpcError> {
        let link = self.forecast.link.as_ref();
        let link = link.ok_or_else(|| RpcError::unavailable("this server simulates nothing"))?;
        let memory = Arc::clone(&link.memory.borrow());
        Ok(Bench {
            workshop: link.workshop.clone(),
            memory,
            catalogue: Arc::clone(&self.in_force.catalogue),
            start: self.state_before(before),
            begins_at: before.and_then(|id| self.expected(id, Self::now()).start),
            now: Self::now(),
            starts_from_now: !link.workshop.works_unasked() && self.is_behind_others(before),
            teaches: before
                .filter(|_| !link.workshop.works_unasked())
                .and_then(|job| Some((job, Arc::clone(&self.core.job(job)?.spec), self.to_self.clone()))),
        })
    }

    /// Whether a job waits until others have run.
    fn is_behind_others(&self, job: Option<JobId>) -> bool {
        let queue = self.core.queue();
        let waits = job.filter(|job| queue.order.contains(job));
        waits.is_some_and(|job| queue.active.is_some() || queue.order.first() != Some(&job))
    }

    /// The instrument where a waiting job finds it, as far as the jobs before it were simulated.
    fn state_before(&self, job: Option<JobId>) -> InstrumentState {
        let queue = self.core.queue();
        let before = queue.order.iter().take_while(|id| job.is_some_and(|job| **id != job));
        let on_queue = job.is_some_and(|job| queue.order.contains(&job));
        let before: Vec<_> =
            queue.active.iter().filter(|_| on_queue).chain(before.filter(|_| on_queue)).collect();
        let mut ends = before.into_iter().rev().filter_map(|id| {
            let machine = self.core.job(*id)?;
            self.forecast.plan(*id, &machine.spec)?.end.clone()
        });
        ends.next().unwrap_or_else(|| self.forecast.instrument().clone())
    }

    /// Forecasts the whole queue.
    pub(in crate::server) fn dry_run_queue(&mut self, to: ReplyTo, params: &DryRunQueue) {
        if params.mode == DryRunMode::Static {
            return self.read_queue(to);
        }
        let before = params.before.map(|time| time.0);
        let assumes = match self.core.queue().state() {
            queue::State::Idle {} | queue::State::Busy {} | queue::State::Between {} => None,
            queue::State::Draining { .. } => {
                Some("the queue stops after the active job: the times are as if it went on")
            }
            queue::State::Held { .. } => Some("the queue is held: the times are as if it were released now"),
            queue::State::Blocked { .. } => Some("the queue is blocked: the times are as if it went on now"),
        };
        let Some((snapshot, answered)) = self.order_forecast(params.at.map(|time| time.0)) else {
            return self.answer::<()>(&to, Err(RpcError::unavailable("this server simulates nothing")));
        };
        let chained = self.forecast.link.as_ref().is_none_or(|link| link.workshop.works_unasked());
        let active_left_s = snapshot.active.as_ref().map(|active| active.left_s);
        self.later(to, async move {
            let plans = answered.await.map_err(|_| RpcError::unavailable("the server is stopping"))?;
            let mut found = forecast(&snapshot, &plans, active_left_s, before, assumes);
            if !chained {
                let first = usize::from(snapshot.active.is_none());
                let behind = found.jobs.iter_mut().skip(first);
                behind.for_each(|job| job.findings.push(nicos::starts_from_now()));
            }
            Ok(found)
        });
    }

    /// Reads every waiting script without running any.
    fn read_queue(&mut self, to: ReplyTo) {
        let (host, catalogue) = (self.host(), Arc::clone(&self.in_force.catalogue));
        let snapshot = self.forecast_snapshot(Self::now());
        self.later(to, async move {
            let mut jobs = Vec::new();
            for job in snapshot.waiting {
                let read = findings::of_body(host, &job.spec.body, &catalogue).await;
                jobs.push(JobForecast {
                    id: job.id,
                    ok: read.iter().all(|finding| finding.severity != Severity::Error),
                    findings: read,
                    estimate: None,
                    expected_start: None,
                    expected_finish: None,
                });
            }
            Ok(QueueForecast {
                jobs,
                expected_finish: None,
                fits_before: None,
                at_least: true,
                assumes: None,
            })
        });
    }

    /// Simulates for a client of the proxy dialect, which is told by events.
    pub(in crate::server) fn proxy_simulate(
        &mut self,
        name: Option<String>,
        code: Arc<str>,
        uuid: Option<String>,
    ) -> Result<(), String> {
        let bench = self.bench(None).map_err(|error| error.message)?;
        let uuid = uuid.unwrap_or_else(|| "0".into());
        let to_self = self.to_self.clone();
        let (host, catalogue) = (self.host(), Arc::clone(&self.in_force.catalogue));
        let mut spec = unqueued(JobBody::Script { source: code, black_box: false });
        spec.name = name.unwrap_or(spec.name);
        let task = async move {
            let read = findings::of_body(host, &spec.body, &catalogue).await;
            let (report, told) = bench.report_and_words(&spec, read).await;
            to_self.send(Inside::ProxySimulated(Box::new(ProxySimulated { uuid, report, told }))).ok();
        };
        self.pending.after.push(After::Read(Box::pin(task)));
        Ok(())
    }

    /// Tells clients of the proxy dialect what a simulation has found, in NICOS's shapes.
    pub(in crate::server) fn proxy_simulated(&mut self, simulated: ProxySimulated) {
        let ProxySimulated { uuid, report, told } = simulated;
        let now = Self::now().0 as f64 / 1000.0;
        let in_own_words = told.as_ref().is_some_and(|told| !told.messages.is_empty());
        for finding in &report.findings {
            if in_own_words && nicos::IN_ITS_WORDS.contains(&finding.code.as_str()) {
                continue;
            }
            let level = match finding.severity {
                Severity::Error => 40,
                Severity::Warning => 30,
                Severity::Note => 20,
            };
            let line = finding.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let text = format!("{line}{}\n", finding.message);
            self.proxy_event("simmessage", &json!(["beamq", now, level, text, "", uuid]));
        }
        let Told { messages, devices: ranges } = told.unwrap_or_default();
        for mut message in messages {
            if let Some(items) = message.as_array_mut() {
                items.push(json!(uuid));
            }
            self.proxy_event("simmessage", &message);
        }
        let seconds = report.totals.seconds.expected.filter(|_| report.ok).unwrap_or(-1.0);
        if let Some(ranges) = ranges {
            return self.proxy_event("simresult", &json!([seconds, ranges, uuid]));
        }
        let devices: serde_json::Map<_, _> = report
            .devices
            .iter()
            .map(|device| {
                let text =
                    |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.6}"));
                let range = json!([text(device.end), text(device.min), text(device.max), []]);
                (device.name.clone(), range)
            })
            .collect();
        self.proxy_event("simresult", &json!([seconds, devices, uuid]));
    }
}

fn forecast(
    snapshot: &Snapshot,
    plans: &[(JobId, Arc<JobPlan>)],
    active_left_s: Option<Option<f64>>,
    before: Option<Timestamp>,
    assumes: Option<&str>,
) -> QueueForecast {
    let by_id: std::collections::BTreeMap<_, _> = plans.iter().map(|(id, plan)| (*id, plan)).collect();
    let turns = snapshot.waiting.iter().filter(|job| !job.held).map(|job| Turn {
        id: job.id,
        not_before: job.spec.not_before,
        deadline: job.spec.deadline,
    });
    let found =
        outlook(snapshot.now, active_left_s, snapshot.not_before, turns, |id| by_id.get(&id)?.seconds());
    let jobs = snapshot.waiting.iter().map(|job| {
        let plan = by_id.get(&job.id);
        let mut findings = plan.map(|plan| plan.findings.clone()).unwrap_or_default();
        findings.extend(about_times(&found, job.id, &job.spec, plan.copied()));
        let times = found.jobs.get(&job.id).copied().unwrap_or_default();
        JobForecast {
            id: job.id,
            ok: findings.iter().all(|finding| finding.severity != Severity::Error),
            findings,
            estimate: plan.and_then(|plan| plan.estimate()),
            expected_start: times.start.map(Rfc3339),
            expected_finish: times.finish.map(Rfc3339),
        }
    });
    // What cannot be over before then does not fit, however long the unknown rest takes.
    let fits_before = before.and_then(|before| match found.finish {
        Some(finish) => Some(finish <= before),
        None if found.not_before > before => Some(false),
        None => None,
    });
    QueueForecast {
        jobs: jobs.collect(),
        expected_finish: found.finish.map(Rfc3339),
        fits_before,
        at_least: found.finish.is_none(),
        assumes: assumes.map(str::to_owned),
    }
}

/// What is to be said about a job that the times alone tell.
fn about_times(found: &Outlook, id: JobId, spec: &JobSpec, plan: Option<&Arc<JobPlan>>) -> Vec<Finding> {
    let finding = |code: &str, message: String, hint: &str| Finding {
        hint: Some(hint.into()),
        ..Finding::new(Severity::Warning, code, message)
    };
    let mut findings = Vec::new();
    if found.expires.contains(&id) {
        findings.push(finding(
            "expires_before_start",
            "the deadline passes before its turn comes: it will expire".into(),
            "move it forward, or give it a later deadline",
        ));
    }
    let expected = plan.and_then(|plan| plan.plan.guess).map(|guess| guess.interval.expected);
    let limit = spec.timeout_ms.map(|ms| ms as f64 / 1000.0);
    if let Some((expected, limit)) = expected.zip(limit).filter(|(expected, limit)| expected > limit) {
        findings.push(finding(
            "longer_than_timeout",
            format!("it takes about {expected:.0} s, and its time limit is {limit:.0} s: it will be ended"),
            "give it a longer timeout, or make it shorter",
        ));
    }
    findings
}
