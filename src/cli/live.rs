//! The live view: what happens, line by line, and a progress bar below it on a terminal.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use beamq_machines::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{
    exit::Failure,
    model::{Elapsed, Event, Job, JobState, OutputLine},
    moment,
    render::{self, RepeatOutput},
    terminal::{Terminal, Tone},
};

/// Which jobs the view is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them, the queue and the engine as well.
    Everything,
    /// Only these.
    Jobs(HashSet<String>),
}

/// How much of the jobs' output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShowOutput {
    /// Every line.
    Lines,
    /// None.
    Nothing,
}

/// What has been shown of a job that has not ended.
#[derive(Debug, Default)]
struct Shown {
    name: String,
    state: JobState,
    step: Option<String>,
    tenths: u32,
    next_line: u64,
}

/// Shows notifications as they come.
pub(super) struct Live {
    terminal: Terminal,
    scope: Scope,
    output: ShowOutput,
    jobs: HashMap<String, Shown>,
    queue: String,
    bar: Option<(String, ProgressBar)>,
}

impl Live {
    pub(super) fn new(terminal: Terminal, scope: Scope, output: ShowOutput) -> Self {
        Self { terminal, scope, output, jobs: HashMap::new(), queue: String::new(), bar: None }
    }

    /// Shows a notification: as it is with `--json`, else in words.
    pub(super) fn show(&mut self, notification: &Value, event: &Event) -> Result<(), Failure> {
        if !self.concerns(event) {
            return Ok(());
        }
        if self.terminal.json {
            return self.terminal.document(notification);
        }
        match event {
            Event::Job(job) => self.show_job(job),
            Event::Output { job, lines } => self.show_output(job, lines),
            Event::Progress { id, state, progress, elapsed } => {
                self.show_progress(id, state, progress, *elapsed)
            }
            Event::Queue { state, why } => self.show_queue(state, why.as_deref()),
            Event::Prompt(prompt) => self.print_all(render::prompt(prompt, &self.terminal)),
            Event::Engine(engine) => {
                let detail =
                    engine.detail.as_deref().map(|detail| format!(": {}", render::cell(detail, 200)));
                self.remark(&format!("engine {}{}", engine.state, detail.unwrap_or_default()))
            }
            Event::Notice(notice) => self.remark(&notice_text(notice)),
            Event::Other => Ok(()),
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        let Scope::Jobs(ids) = &self.scope else { return true };
        match event {
            Event::Job(job) => ids.contains(&job.id),
            Event::Output { job, .. } => ids.contains(job),
            Event::Progress { id, .. } => ids.contains(id),
            Event::Prompt(prompt) => prompt.job.as_ref().is_none_or(|job| ids.contains(job)),
            // A job that waits does so because of these.
            Event::Queue { .. } | Event::Engine(_) | Event::Notice(_) => !self.terminal.json,
            Event::Other => false,
        }
    }

    /// Shows a job's state, once for every change.
    pub(super) fn show_job(&mut self, job: &Job) -> Result<(), Failure> {
        let shown = self.jobs.entry(job.id.clone()).or_default();
        shown.name.clone_from(&job.name);
        if shown.state == job.state {
            return Ok(());
        }
        shown.state = job.state.clone();
        if !job.state.is_active() {
            self.clear_bar(&job.id);
        }
        if job.state.0 == "starting" {
            return Ok(());
        }
        let mut words = job.state.words();
        if job.state.is_final() {
            self.jobs.remove(&job.id);
            if let Some(seconds) = render::seconds(job) {
                words.push_str(&format!(" after {}", moment::duration(seconds)));
            }
        }
        if let Some(line) =
            job.progress.as_ref().and_then(|progress| progress.line).filter(|_| job.state.0 == "paused")
        {
            words.push_str(&format!(" at line {line}"));
        }
        let words = render::state_tone(&job.state)
            .map_or_else(|| words.clone(), |tone| self.terminal.tone(tone, &words));
        self.stamped(&format!("{}: {words}", render::job_name(job)))?;
        if !job.state.is_final() {
            return Ok(());
        }
        let repeat = match self.output {
            ShowOutput::Lines => RepeatOutput::No,
            ShowOutput::Nothing => RepeatOutput::Yes,
        };
        self.print_all(render::report(job, repeat, &self.terminal))
    }

    /// Shows lines of output that have not been shown before.
    pub(super) fn show_output(&mut self, job: &str, lines: &[OutputLine]) -> Result<(), Failure> {
        let next_line = self.jobs.get(job).map_or(0, |shown| shown.next_line);
        for line in lines.iter().filter(|line| line.n >= next_line) {
            if self.output == ShowOutput::Lines {
                let text = self.terminal.foreign(&line.text);
                let text = match line.stream.as_str() {
                    "stderr" => self.terminal.tone(Tone::Attention, &text),
                    "note" => self.terminal.tone(Tone::Faint, &format!("note: {text}")),
                    _ => text,
                };
                self.print(&format!("  {} {text}", self.terminal.tone(Tone::Faint, "│")))?;
            }
            self.seen_until(job, line.n + 1);
        }
        Ok(())
    }

    /// Notes that the lines before `next_line` of a job's output are known.
    pub(super) fn seen_until(&mut self, job: &str, next_line: u64) {
        if let Some(shown) = self.jobs.get_mut(job) {
            shown.next_line = shown.next_line.max(next_line);
        }
    }

    fn show_progress(
        &mut self,
        id: &str,
        state: &JobState,
        progress: &Progress,
        elapsed: Option<Elapsed>,
    ) -> Result<(), Failure> {
        if self.terminal.is_live() {
            self.move_bar(id, state, progress, elapsed);
            return Ok(());
        }
        let shown = self.jobs.entry(id.to_owned()).or_default();
        let tenths = tenths(progress.percent);
        if shown.step == progress.step && shown.tenths == tenths {
            return Ok(());
        }
        shown.step.clone_from(&progress.step);
        shown.tenths = tenths;
        let job = Job {
            id: id.to_owned(),
            name: shown.name.clone(),
            progress: Some(progress.clone()),
            elapsed,
            ..Job::default()
        };
        self.stamped(&format!("{}: {}", render::job_name(&job), render::whereabouts(&job)))
    }

    fn move_bar(&mut self, id: &str, state: &JobState, progress: &Progress, elapsed: Option<Elapsed>) {
        if self.bar.as_ref().is_none_or(|(job, _)| job != id) {
            let wall = Duration::try_from_secs_f64(elapsed.unwrap_or_default().wall_s).unwrap_or_default();
            let bar = ProgressBar::new(100).with_elapsed(wall);
            bar.enable_steady_tick(Duration::from_millis(250));
            self.bar = Some((id.to_owned(), bar));
        }
        let Some((_, bar)) = &self.bar else { return };
        let name = self.jobs.get(id).map(|shown| shown.name.clone()).unwrap_or_default();
        let template = match progress.percent {
            Some(_) => "{prefix} [{bar:24}] {pos:>3} % {elapsed} {wide_msg}",
            None => "{spinner} {prefix} {elapsed} {wide_msg}",
        };
        // The templates are constants; one that did not parse would leave the default look.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(format!("{id} {} {}", render::cell(&name, 24), state.words()));
        bar.set_position(u64::from(hundredths(progress.percent)));
        // The bar itself shows the percentage.
        let progress = Progress { percent: None, ..progress.clone() };
        let job = Job { progress: Some(progress), ..Job::default() };
        bar.set_message(render::whereabouts(&job));
    }

    fn clear_bar(&mut self, id: &str) {
        if let Some((_, bar)) = self.bar.take_if(|(job, _)| job == id) {
            bar.finish_and_clear();
        }
    }

    /// Shows when the queue stops taking jobs and when it goes on; idle and busy go without saying.
    fn show_queue(&mut self, state: &str, why: Option<&str>) -> Result<(), Failure> {
        let notable = |state: &str| matches!(state, "held" | "blocked" | "draining");
        let before = std::mem::replace(&mut self.queue, state.to_owned());
        if before == state || !(notable(state) || notable(&before)) {
            return Ok(());
        }
        let text = format!("queue {}", render::queue_state(state, why, &self.terminal));
        self.stamped(&text)
    }

    /// Shows a remark of this program.
    pub(super) fn remark(&self, text: &str) -> Result<(), Failure> {
        self.stamped(text)
    }

    /// Takes the progress bar away; the lines stay.
    pub(super) fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn stamped(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{} {text}", self.terminal.tone(Tone::Faint, &moment::now())))
    }

    fn print_all(&self, lines: Vec<String>) -> Result<(), Failure> {
        lines.iter().try_for_each(|line| self.print(line))
    }

    /// Prints a line above the progress bar.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        match &self.bar {
            Some((_, bar)) => bar.suspend(|| self.terminal.line(text)),
            None => self.terminal.line(text),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Percent as a whole number from 0 to 100.
fn hundredths(percent: Option<f64>) -> u32 {
    // The value is clamped before, so the conversion loses the fraction only.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = percent.unwrap_or(0.0).clamp(0.0, 100.0) as u32;
    whole
}

fn tenths(percent: Option<f64>) -> u32 {
    hundredths(percent) / 10
}

/// A notice in words: its text if it has one, else its members.
fn notice_text(notice: &Value) -> String {
    let text = ["text", "message"].into_iter().find_map(|member| notice.get(member)?.as_str());
    match (text, notice.as_object()) {
        (Some(text), _) => render::cell(text, 300),
        (None, Some(members)) => {
            let shown = members.iter().filter(|(name, _)| !matches!(name.as_str(), "seq" | "time"));
            let shown: Vec<_> = shown.map(|(name, value)| format!("{name} {value}")).collect();
            format!("notice: {}", render::cell(&shown.join(", "), 300))
        }
        (None, None) => "notice".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::ColorWhen;

    #[test]
    fn a_view_of_one_job_leaves_the_others_out() {
        let terminal = Terminal::new(true, false, ColorWhen::Never);
        let live = Live::new(terminal, Scope::Jobs(HashSet::from(["3".to_owned()])), ShowOutput::Lines);
        let of = |value: Value| Event::of(&value);
        assert!(live.concerns(&of(json!({"method": "event.job", "params": {"job": {"id": "3"}}}))));
        assert!(!live.concerns(&of(json!({"method": "event.job", "params": {"job": {"id": "4"}}}))));
        assert!(live.concerns(&of(json!({"method": "event.output", "params": {"job": "3", "lines": []}}))));
        assert!(!live.concerns(&of(json!({"method": "event.output", "params": {"job": "33", "lines": []}}))));
        assert!(!live.concerns(&of(json!({"method": "event.queue", "params": {"state": "held"}}))));
    }

    #[test]
    fn a_notice_is_told_in_words() {
        assert_eq!(
            notice_text(&json!({"seq": 1, "text": "job 3 has been paused for 10 min"})),
            "job 3 has been paused for 10 min"
        );
        assert_eq!(notice_text(&json!({"seq": 1, "kind": "x", "job": "3"})), "notice: job \"3\", kind \"x\"");
    }

    #[test]
    fn percent_is_clamped() {
        assert_eq!([None, Some(-1.0), Some(99.9), Some(1e9)].map(hundredths), [0, 0, 99, 100]);
    }
}
