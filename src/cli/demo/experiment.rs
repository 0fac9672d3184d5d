//! The experiment that the demo performs, what is shown of it, and what has to come out.

use std::{collections::HashSet, path::Path, time::Duration};

use serde_json::{Value, json};

use super::server::SPEED;
use crate::cli::{
    connect::Session,
    exit::{Exit, Failure},
    follow::{self, Follower},
    live::{Live, Scope, ShowOutput},
    model::{Event, Job, Status},
    moment, render,
    render::Table,
    terminal::Tone,
};

const CELLS: &str = include_str!("../../../examples/scripts/cells.py");
const BLACK_BOX: &str = include_str!("../../../examples/scripts/blackbox.py");
const FAILING: &str = include_str!("../../../examples/scripts/failing.py");
const MEASUREMENT: &str = include_str!("../../../examples/scripts/measurement.py");

/// The mistake in the failing script, and what was meant.
const MISTAKE: (&str, &str) = ("mean(reading)", "mean(readings)");

/// The step of the first script during which it is paused.
const PAUSE_IN: &str = "Measure";

/// How long the pause is, so that a person can see it.
const PAUSE: Duration = Duration::from_millis(1500);

/// What has been seen of the things that the demo is to show.
#[derive(Debug, Default)]
struct Seen {
    asked_to_pause: bool,
    paused_at: Option<u32>,
    resumed: bool,
    held: bool,
    /// What the dry run of the job of commands said, in seconds.
    predicted_s: Option<f64>,
}

struct Demo<'a> {
    session: &'a Session,
    follower: Follower,
    live: Live,
    seen: Seen,
}

/// Performs the experiment; fails when anything comes out differently from what is to be shown.
pub(super) async fn run(session: &Session, data: &Path) -> Result<(), Failure> {
    let follower = Follower::start(session).await?;
    let live = Live::new(session.terminal, Scope::Everything, ShowOutput::Lines);
    let mut demo = Demo { session, follower, live, seen: Seen::default() };
    demo.say("An experiment of three Python scripts, on a server of its own")?;
    demo.explain(&format!("the server keeps its data in {}", data.display()))?;

    let ids = demo.submit().await?;
    let [cells, black_box, failing] = ids.as_slice() else {
        return Err(unplanned("the server did not queue three jobs"));
    };
    demo.follow_until_ended(failing, Some(cells)).await?;
    let corrected = demo.correct_and_rerun(failing).await?;
    demo.follow_until_ended(&corrected, None).await?;
    let commands = demo.use_the_commands().await?;
    let [_, measurement] = commands.as_slice() else {
        return Err(unplanned("the server did not queue the two jobs of commands"));
    };
    demo.follow_until_ended(measurement, None).await?;
    demo.live.finish();

    let mut jobs = Vec::new();
    for id in [cells, black_box, failing, &corrected].into_iter().chain(&commands) {
        jobs.push(follow::job(session, id).await?);
    }
    demo.summarise(&jobs)?;
    if let Some(calls) = jobs.get(4) {
        demo.compare(calls).await?;
    }
    judge(&jobs, &demo.seen)
}

impl Demo<'_> {
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.session.terminal.json {
            return Ok(());
        }
        self.live.print("")?;
        self.live.print(&self.session.terminal.tone(Tone::Strong, text))
    }

    fn explain(&self, text: &str) -> Result<(), Failure> {
        if self.session.terminal.json || self.session.terminal.quiet {
            return Ok(());
        }
        self.live.print(&format!("  {text}"))
    }

    async fn submit(&mut self) -> Result<Vec<String>, Failure> {
        self.say("Submitting cells.py, blackbox.py and failing.py together")?;
        self.explain("cells.py has cells and reports its progress, blackbox.py knows nothing of beamq,")?;
        self.explain("and failing.py has a mistake in it.")?;
        let jobs = json!([
            {"name": "cells.py", "script": CELLS, "group": "demo", "tags": ["example"]},
            {"name": "blackbox.py", "script": BLACK_BOX, "group": "demo", "black_box": true},
            {"name": "failing.py", "script": FAILING, "group": "demo"},
        ]);
        self.submit_batch(jobs).await
    }

    async fn use_the_commands(&mut self) -> Result<Vec<String>, Failure> {
        self.say("Using the commands of the instrument, which a catalogue describes")?;
        self.explain(
            "first a job that is a list of command calls, as a form makes it; then a script that uses",
        )?;
        self.explain("the same commands as functions. The instrument is simulated and runs fast.")?;
        let calls = json!([
            {"command": "change_title", "parameters": {"title": "empty beam"}},
            {"command": "begin", "parameters": {}},
            {"command": "waitfor_frames", "parameters": {"frames": 600}},
            {"command": "end", "parameters": {}},
        ]);
        self.dry_run(&calls).await?;
        let jobs = json!([
            {"name": "empty beam", "commands": calls, "group": "demo"},
            {"name": "measurement.py", "script": MEASUREMENT, "group": "demo"},
        ]);
        self.submit_batch(jobs).await
    }

    /// Shows what the calls would do, before anything moves.
    async fn dry_run(&mut self, calls: &Value) -> Result<(), Failure> {
        let report: Value = self.session.call("dryrun.commands", json!({"commands": calls})).await?;
        let expected = report.pointer("/totals/seconds/expected").and_then(Value::as_f64);
        self.seen.predicted_s = expected;
        let ok = report.get("ok").and_then(Value::as_bool) == Some(true);
        let length = expected.map_or_else(|| "a time that is not known".to_owned(), moment::duration);
        self.explain(&format!(
            "a dry run of it finds {} and takes {length} of the instrument's time, none of yours",
            if ok { "no mistake" } else { "mistakes" },
        ))
    }

    /// Holds what the commands of a job took against what the dry run has said.
    async fn compare(&self, job: &Job) -> Result<(), Failure> {
        let answer: Value = self.session.call("job.get", json!({"id": job.id})).await?;
        let calls = answer.pointer("/job/calls").and_then(Value::as_array).cloned().unwrap_or_default();
        let took: f64 = calls.iter().filter_map(|call| call.get("took_s")?.as_f64()).sum();
        let predicted = self.seen.predicted_s.map_or_else(|| "nothing".to_owned(), moment::duration);
        self.explain(&format!(
            "the dry run of “{}” said {predicted}; its commands took {} of the instrument's time, which runs",
            job.name,
            moment::duration(took * f64::from(SPEED)),
        ))?;
        self.explain(&format!(
            "{SPEED} times faster here: beamq has learnt from that, and expects it the next time"
        ))
    }

    async fn submit_batch(&self, jobs: Value) -> Result<Vec<String>, Failure> {
        let answer: Value = self.session.call("job.submit_batch", json!({"jobs": jobs})).await?;
        let verdicts = answer.get("verdicts").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(verdicts.iter().filter_map(|verdict| verdict.get("id")?.as_str().map(str::to_owned)).collect())
    }

    /// Shows what happens until a job has ended. Another job may be paused on the way.
    async fn follow_until_ended(&mut self, last: &str, to_pause: Option<&String>) -> Result<(), Failure> {
        loop {
            let notification = self.follower.next().await?;
            let event = Event::of(&notification);
            self.live.show(&notification, &event)?;
            if let Some(id) = to_pause {
                self.pause_and_resume(id, &event).await?;
            }
            if let Event::Job(job) = &event
                && job.id == last
                && job.state.is_final()
            {
                return Ok(());
            }
        }
    }

    async fn pause_and_resume(&mut self, id: &str, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Progress { id: running, progress, .. }
                if running == id
                    && !self.seen.asked_to_pause
                    && progress.step.as_deref().is_some_and(|step| step.starts_with(PAUSE_IN)) =>
            {
                self.seen.asked_to_pause = true;
                self.say("Pausing it in the middle of its measurement")?;
                let _: Value = self.session.call("run.pause", json!({"level": "line"})).await?;
            }
            Event::Job(job) if job.id == id && job.state.0 == "paused" && !self.seen.resumed => {
                let job = follow::job(self.session, id).await?;
                self.seen.paused_at = job.progress.and_then(|progress| progress.line);
                self.explain(
                    "the script stands between two of its lines; the instrument could be looked at now",
                )?;
                tokio::time::sleep(PAUSE).await;
                self.say("Going on")?;
                self.seen.resumed = true;
                let _: Value = self.session.call("run.resume", json!({})).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn correct_and_rerun(&mut self, failing: &str) -> Result<String, Failure> {
        let status: Status = self.session.call("server.status", json!({})).await?;
        self.seen.held = status.queue.state == "held";
        self.say("The mistake is found, and the queue is held: nothing runs on after a failure unasked")?;
        self.explain(&format!(
            "correcting `{}` to `{}`, running it again, and releasing the queue",
            MISTAKE.0, MISTAKE.1
        ))?;
        let params = json!({"id": failing, "script": corrected(), "name": "failing.py, corrected"});
        let answer: Value = self.session.call("job.rerun", params).await?;
        let id = answer.get("id").and_then(Value::as_str).map(str::to_owned);
        let _: Value = self.session.call("queue.release", json!({})).await?;
        id.ok_or_else(|| unplanned("the server did not name the new job"))
    }

    fn summarise(&self, jobs: &[Job]) -> Result<(), Failure> {
        let terminal = self.session.terminal;
        if terminal.json {
            let rows: Vec<_> = jobs
                .iter()
                .map(|job| json!({"id": job.id, "name": job.name, "state": job.state.0, "elapsed_s": render::seconds(job),
                    "expected_s": job.estimate.as_ref().and_then(|estimate| estimate.expected_s)}))
                .collect();
            return terminal.document(&json!({"summary": rows}));
        }
        self.say("Summary")?;
        let mut table = Table::new(&["job", "outcome", "took", "error", "hint"]);
        for job in jobs {
            let hint = job.report.as_ref().and_then(|report| report.hint.clone());
            table.row(vec![
                (format!("{} {}", job.id, job.name), None),
                (job.state.words(), render::state_tone(&job.state)),
                (render::seconds(job).map(moment::duration).unwrap_or_default(), None),
                (render::error_line(job).map(|error| render::cell(&error, 70)).unwrap_or_default(), None),
                (hint.map(|hint| render::cell(&hint, 60)).unwrap_or_default(), None),
            ]);
        }
        table.lines(&terminal).iter().try_for_each(|line| terminal.line(format!("  {line}")))
    }
}

fn corrected() -> String {
    FAILING.replacen(MISTAKE.0, MISTAKE.1, 1)
}

/// The line of the failing script in which Python finds the mistake.
fn line_of_the_mistake() -> Option<u32> {
    let index = FAILING.lines().position(|line| line.contains(MISTAKE.0))?;
    u32::try_from(index + 1).ok()
}

/// Whether everything came out as it was to be shown.
fn judge(jobs: &[Job], seen: &Seen) -> Result<(), Failure> {
    let [cells, black_box, failing, corrected, calls, measurement] = jobs else {
        return Err(unplanned("there are not six jobs"));
    };
    let error = failing.report.clone().unwrap_or_default();
    let distinct: HashSet<_> = jobs.iter().map(|job| &job.id).collect();
    let checks = [
        (distinct.len() == 6, "every job has an id of its own"),
        (cells.state.succeeded(), "cells.py succeeds"),
        (seen.paused_at.is_some(), "cells.py pauses at a line"),
        (seen.resumed, "cells.py goes on after the pause"),
        (black_box.state.succeeded(), "blackbox.py succeeds"),
        (failing.state.0 == "failed", "failing.py fails"),
        (error.error_type == "NameError", "the report names the error's type"),
        (error.line == line_of_the_mistake(), "the report names the line of the mistake"),
        (seen.held, "the queue is held after a failure"),
        (corrected.state.succeeded(), "the corrected script succeeds"),
        (corrected.rerun_of.as_ref() == Some(&failing.id), "the new job names the job that it runs again"),
        (calls.state.succeeded(), "the job of command calls succeeds"),
        (measurement.state.succeeded(), "the script that uses the commands succeeds"),
        (seen.predicted_s.is_some_and(|seconds| seconds > 0.0), "a dry run tells how long the commands take"),
    ];
    let missed: Vec<_> = checks.iter().filter(|(good, _)| !good).map(|(_, what)| *what).collect();
    if missed.is_empty() { Ok(()) } else { Err(unplanned(&missed.join("; "))) }
}

fn unplanned(what: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("the demo did not go as planned. This was to be seen, and was not: {what}"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use beamq_machines::Report;

    use super::*;
    use crate::cli::model::JobState;

    fn job(id: &str, state: &str) -> Job {
        Job { id: id.into(), state: JobState(state.into()), ..Job::default() }
    }

    fn as_planned() -> (Vec<Job>, Seen) {
        let report =
            Report { error_type: "NameError".into(), line: line_of_the_mistake(), ..Report::default() };
        let failing = Job { report: Some(report), ..job("3", "failed") };
        let corrected = Job { rerun_of: Some("3".into()), ..job("4", "succeeded") };
        let seen = Seen {
            asked_to_pause: true,
            paused_at: Some(40),
            resumed: true,
            held: true,
            predicted_s: Some(66.0),
        };
        let jobs = vec![
            job("1", "succeeded"),
            job("2", "succeeded"),
            failing,
            corrected,
            job("5", "succeeded"),
            job("6", "succeeded"),
        ];
        (jobs, seen)
    }

    #[test]
    fn the_example_scripts_have_what_the_demo_shows() {
        assert_eq!(FAILING.matches(MISTAKE.0).count(), 1);
        assert!(!corrected().contains(MISTAKE.0));
        assert!(line_of_the_mistake().unwrap() > 10);
        assert!(CELLS.lines().any(|line| line == format!("# %% {PAUSE_IN}")));
        assert!(!BLACK_BOX.contains("import beamq"));
    }

    #[test]
    fn the_demo_fails_when_anything_comes_out_differently() {
        let (jobs, seen) = as_planned();
        judge(&jobs, &seen).unwrap();
        let failure = judge(&jobs, &Seen { held: false, ..as_planned().1 }).unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.message.contains("held after a failure"), "{}", failure.message);
        let (mut jobs, seen) = as_planned();
        jobs[0].state = JobState("failed".into());
        assert!(judge(&jobs, &seen).unwrap_err().message.contains("cells.py succeeds"));
    }
}
