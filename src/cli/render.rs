//! Jobs, reports and tables as text.

use beamq_machines::{Phase, Report};

use super::{
    model::{Estimate, Finding, Group, Job, JobState, Prompt},
    moment,
    terminal::{Terminal, Tone},
};

/// Rows of text in aligned columns, under a heading. Numbers of columns may differ; the last cell of a row
/// is never padded.
#[derive(Debug, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<(String, Option<Tone>)>>,
}

impl Table {
    /// A table with these column names.
    #[must_use]
    pub fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; a cell may have a tone.
    pub fn row(&mut self, cells: Vec<(String, Option<Tone>)>) {
        self.rows.push(cells);
    }

    /// The lines of the table.
    #[must_use]
    pub fn lines(&self, terminal: &Terminal) -> Vec<String> {
        let mut widths: Vec<usize> = self.heading.iter().map(|name| name.chars().count()).collect();
        for row in &self.rows {
            for (width, (cell, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let heading: Vec<_> = self.heading.iter().map(|name| (name.clone(), Some(Tone::Faint))).collect();
        let rows = std::iter::once(&heading).chain(&self.rows);
        rows.map(|row| aligned(row, &widths, terminal)).collect()
    }
}

fn aligned(row: &[(String, Option<Tone>)], widths: &[usize], terminal: &Terminal) -> String {
    let mut line = String::new();
    let last = row.iter().rposition(|(cell, _)| !cell.is_empty()).unwrap_or(0);
    for (column, ((cell, tone), width)) in row.iter().zip(widths).enumerate().take(last + 1) {
        line.push_str(&tone.map_or_else(|| cell.clone(), |tone| terminal.tone(tone, cell)));
        if column < last {
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
    }
    line
}

/// Text from outside for a table's cell: in one line, without control characters, not longer than `longest`
/// characters.
#[must_use]
pub fn cell(text: &str, longest: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= longest {
        return text.chars().map(clean).collect();
    }
    text.chars().take(longest.saturating_sub(1)).map(clean).chain(['…']).collect()
}

/// How long a job is expected to take: `12 min 30 s`, `at least 1 h 05 min`, `unknown`.
#[must_use]
pub fn estimate(estimate: Option<&Estimate>) -> String {
    let Some((estimate, expected)) = estimate.and_then(|one| Some((one, one.expected_s?))) else {
        return "unknown".to_owned();
    };
    let at_least = if estimate.at_least { "at least " } else { "" };
    format!("{at_least}{}", moment::duration(expected))
}

/// How far a series of jobs has come: `night: 3 of 12, 1 did not succeed`.
#[must_use]
pub fn group(name: &str, group: &Group) -> String {
    let mut text = format!("{}: {} of {}", cell(name, 40), group.ended, group.submitted);
    if group.failed > 0 {
        text.push_str(&format!(", {} did not succeed", group.failed));
    }
    if let Some(time) = &group.expected_finish {
        text.push_str(&format!(", done about {}", moment::short(time)));
    }
    text
}

/// The tone of a job's state.
#[must_use]
pub fn state_tone(state: &JobState) -> Option<Tone> {
    match state.0.as_str() {
        "succeeded" | "running" => Some(Tone::Good),
        "failed" | "interrupted" => Some(Tone::Bad),
        "paused" | "pausing" | "held" | "aborting" | "aborted" | "expired" | "succeeded_with_errors" => {
            Some(Tone::Attention)
        }
        "cancelled" => Some(Tone::Faint),
        _ => None,
    }
}

/// The queue's state with its reason: `held by ann: beam is off`, `blocked (the engine is away)`.
#[must_use]
pub fn queue_state(state: &str, why: Option<&str>, terminal: &Terminal) -> String {
    let words = match why.map(|why| cell(why, LONGEST_REASON)) {
        // The server's reasons for a hold begin with the state itself.
        Some(why) if why.starts_with(state) => why,
        Some(why) => format!("{state} ({why})"),
        None => state.to_owned(),
    };
    match state {
        "held" | "blocked" | "draining" => terminal.tone(Tone::Attention, &words),
        _ => words,
    }
}

/// `job 7 cool_down.py`, as every text names a job.
#[must_use]
pub fn job_name(job: &Job) -> String {
    if job.name.is_empty() {
        format!("job {}", job.id)
    } else {
        format!("job {} {}", job.id, cell(&job.name, 40))
    }
}

/// How long a job took, or has been running, in seconds.
#[must_use]
pub fn seconds(job: &Job) -> Option<f64> {
    let measured = job.elapsed.map(|elapsed| elapsed.wall_s);
    let stamped = || moment::between(job.started_at.as_deref()?, job.finished_at.as_deref()?);
    measured.or_else(stamped).or_else(|| job.report.as_ref().map(|report| report.elapsed_s))
}

/// What went wrong in one line, or nothing.
#[must_use]
pub fn error_line(job: &Job) -> Option<String> {
    let report = job.report.as_ref()?;
    if report.error_type.is_empty() {
        let errors = report.command_errors.len();
        return (errors > 0).then(|| format!("{errors} command errors that the script went on after"));
    }
    let message = report.message.lines().next().unwrap_or_default();
    let line = report.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    Some(format!("{line}{}: {message}", report.error_type))
}

/// Whether a report repeats the last lines of output, which are not there to be seen otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatOutput {
    Yes,
    No,
}

/// A job's report for a person: what, where, the way there, the last output, what to try.
#[must_use]
pub fn report(job: &Job, output: RepeatOutput, terminal: &Terminal) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(report) = job.report.as_ref() else { return lines };
    if report.error_type.is_empty() && report.command_errors.is_empty() {
        return lines;
    }
    if !report.error_type.is_empty() {
        let what = format!("{}: {}", report.error_type, terminal.foreign(&report.message));
        lines.push(format!("  {}", terminal.tone(Tone::Bad, what.lines().next().unwrap_or_default())));
        lines.extend(what.lines().skip(1).map(|line| format!("  {line}")));
        lines.extend(place(report, terminal));
        lines.extend(traceback(report, terminal));
        lines.extend(report.causes.iter().map(|cause| format!("  because of {}", terminal.foreign(cause))));
    }
    if let Some(command) = &report.command {
        lines.push(format!("  during {}", call(&command.name, &command.arguments)));
    }
    if let Some(ending) = process_end(report) {
        lines.push(format!("  {ending}"));
    }
    lines.extend(report.command_errors.iter().map(|error| {
        let line = error.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!(
            "  {line}{} failed: {}",
            call(&error.command, &error.arguments),
            terminal.foreign(&error.message)
        )
    }));
    if output == RepeatOutput::Yes {
        lines.extend(last_output(report, terminal));
    }
    if let Some(hint) = &report.hint {
        lines.push(format!("  {} {}", terminal.tone(Tone::Attention, "hint:"), terminal.foreign(hint)));
    }
    lines
}

fn place(report: &Report, terminal: &Terminal) -> Option<String> {
    let line = report.line?;
    let column = report.column.map(|column| format!(", column {column}")).unwrap_or_default();
    let text = report.text.as_deref().map(str::trim_end).unwrap_or_default();
    Some(format!("  line {line}{column} │ {}", terminal.tone(Tone::Strong, &terminal.foreign(text))))
}

/// The way through the script's own functions; a single frame says no more than the line above it.
fn traceback(report: &Report, terminal: &Terminal) -> Vec<String> {
    if report.traceback.len() < 2 {
        return Vec::new();
    }
    let faint = |text: &str| terminal.tone(Tone::Faint, &terminal.foreign(text));
    let frame = |frame: &beamq_machines::TracebackFrame| {
        let text = format!("    {}:{} in {}: {}", frame.file, frame.line, frame.function, frame.text.trim());
        let locals = frame.locals.iter().map(|local| format!("        {} = {}", local.name, local.value));
        std::iter::once(text).chain(locals).map(|line| faint(&line)).collect::<Vec<_>>()
    };
    std::iter::once("  called from".to_owned()).chain(report.traceback.iter().flat_map(frame)).collect()
}

/// How many lines of output a report on the terminal repeats; all of them are in `beamq output`.
const LAST_LINES: usize = 5;
/// The longest reason, in characters, why an engine or a queue is as it is: what failed stands at its end.
pub const LONGEST_REASON: usize = 400;

fn last_output(report: &Report, terminal: &Terminal) -> Vec<String> {
    let lines = without_traceback(report);
    let last: Vec<_> = lines.iter().skip(lines.len().saturating_sub(LAST_LINES)).collect();
    if last.is_empty() {
        return Vec::new();
    }
    let line = |text: &&String| format!("    {}", terminal.tone(Tone::Faint, &terminal.foreign(text)));
    std::iter::once("  last output".to_owned()).chain(last.into_iter().map(line)).collect()
}

/// The last output without Python's traceback, which says nothing that the report has not said already. It
/// need not be at the very end: the order between the two streams is not certain.
fn without_traceback(report: &Report) -> Vec<&String> {
    let tail = &report.output_tail;
    let all = || tail.iter().collect();
    let Some(begin) = tail.iter().rposition(|line| line.starts_with("Traceback (most recent call last)"))
    else {
        return all();
    };
    let is_end = |line: &String| !line.starts_with(' ') && line.contains(&report.error_type);
    match tail.iter().skip(begin + 1).position(is_end) {
        Some(length) => tail.iter().take(begin).chain(tail.iter().skip(begin + length + 2)).collect(),
        None => all(),
    }
}

fn process_end(report: &Report) -> Option<String> {
    let while_doing = match report.phase {
        Phase::Run | Phase::Killed => "",
        Phase::Validation => " during validation",
        Phase::Syntax => " while it was compiled",
        Phase::Import => " in an import",
        Phase::Hook => " in a start-up script",
    };
    match (&report.signal, report.exit_code) {
        (Some(signal), _) => Some(format!("the process was ended by {signal}")),
        (None, Some(code)) if code != 0 => Some(format!("the process ended with exit code {code}")),
        _ if while_doing.is_empty() => None,
        _ => Some(format!("it failed{while_doing}")),
    }
}

fn call(name: &str, arguments: &serde_json::Map<String, serde_json::Value>) -> String {
    let arguments: Vec<_> = arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{name}({})", arguments.join(", "))
}

/// Where a running job is: `line 12 · step Measure · 40 %`.
#[must_use]
pub fn whereabouts(job: &Job) -> String {
    let progress = job.progress.clone().unwrap_or_default();
    let mut parts = Vec::new();
    parts.extend(progress.line.map(|line| format!("line {line}")));
    parts.extend(progress.step.map(|step| format!("step {}", cell(&step, 40))));
    parts.extend(progress.command.map(|command| match &progress.remaining {
        Some(remaining) => format!("{} ({})", cell(&command, 40), cell(remaining, 40)),
        None => cell(&command, 40),
    }));
    parts.extend(progress.percent.map(|percent| format!("{percent:.0} %")));
    parts.extend(progress.text.map(|text| cell(&text, 60)));
    parts.extend(job.elapsed.map(|elapsed| moment::duration(elapsed.wall_s)));
    parts.join(" · ")
}

/// The question of a running script, and how to answer it.
#[must_use]
pub fn prompt(prompt: &Prompt, terminal: &Terminal) -> Vec<String> {
    if let Some(settled) = &prompt.settled {
        return vec![format!("question {}: {}", prompt.prompt, settled.replace('_', " "))];
    }
    let mut line = format!("question {}: {}", prompt.prompt, terminal.foreign(prompt.text.trim_end()));
    if let Some(choices) = &prompt.choices {
        let choices: Vec<_> = choices.iter().map(plain).collect();
        line.push_str(&format!(" [{}]", choices.join(", ")));
    }
    if let Some(preset) = &prompt.preset {
        line.push_str(&format!(" (default {})", plain(preset)));
    }
    if let Some(until) = &prompt.until {
        line.push_str(&format!(" until {}", moment::short(until)));
    }
    vec![
        terminal.tone(Tone::Attention, &line),
        format!("  answer it with: beamq answer {} VALUE", prompt.prompt),
    ]
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A finding about a submitted script.
#[must_use]
pub fn finding(finding: &Finding) -> String {
    let line = finding.line.map(|line| format!(" line {line}:")).unwrap_or_default();
    let hint = finding.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}:{line} {}{hint}", finding.severity, finding.message)
}

#[cfg(test)]
mod tests {
    use beamq_machines::TracebackFrame;

    use super::*;
    use crate::cli::terminal::ColorWhen;

    fn terminal() -> Terminal {
        Terminal::new(false, false, ColorWhen::Never)
    }

    #[test]
    fn columns_are_aligned_and_rows_do_not_end_in_blanks() {
        let mut table = Table::new(&["id", "name", "group"]);
        table.row(vec![("7".into(), None), ("µA·h.py".into(), None), (String::new(), None)]);
        table.row(vec![("112".into(), None), ("b".into(), Some(Tone::Bad)), ("series".into(), None)]);
        assert_eq!(table.lines(&terminal()), ["id   name     group", "7    µA·h.py", "112  b        series"]);
    }

    #[test]
    fn the_reason_of_a_hold_is_not_said_twice() {
        let state = |state, why| queue_state(state, why, &terminal());
        assert_eq!(state("held", Some("held by ann: beam is off")), "held by ann: beam is off");
        assert_eq!(state("blocked", Some("the engine is away")), "blocked (the engine is away)");
        assert_eq!(state("idle", None), "idle");
    }

    #[test]
    fn a_cell_is_one_short_line() {
        assert_eq!(cell("two\nlines", 20), "two lines");
        assert_eq!(cell("abcdefgh", 5), "abcd…");
    }

    #[test]
    fn a_report_says_what_where_and_what_to_try() {
        let frame = |line, function: &str, text: &str| TracebackFrame {
            file: "scan.py".into(),
            line,
            function: function.into(),
            text: text.into(),
            locals: Vec::new(),
        };
        let report_of = Report {
            error_type: "NameError".into(),
            message: "name 'temprature' is not defined".into(),
            line: Some(12),
            text: Some("    return temprature * 2".into()),
            traceback: vec![frame(20, "<module>", "double()"), frame(12, "double", "return temprature * 2")],
            output_tail: (1..=6)
                .map(|n| format!("point {n}"))
                .chain(
                    ["Traceback (most recent call last):", "  File", "NameError: …", "point 7"]
                        .map(Into::into),
                )
                .collect(),
            exit_code: Some(1),
            hint: Some("did you mean 'temperature'?".into()),
            ..Report::default()
        };
        let job = Job { id: "3".into(), report: Some(report_of), ..Job::default() };
        assert_eq!(
            report(&job, RepeatOutput::Yes, &terminal()).join("\n"),
            "  NameError: name 'temprature' is not defined\n\
             \x20 line 12 │     return temprature * 2\n\
             \x20 called from\n\
             \x20   scan.py:20 in <module>: double()\n\
             \x20   scan.py:12 in double: return temprature * 2\n\
             \x20 the process ended with exit code 1\n\
             \x20 last output\n\
             \x20   point 3\n\x20   point 4\n\x20   point 5\n\x20   point 6\n\x20   point 7\n\
             \x20 hint: did you mean 'temperature'?"
        );
        assert_eq!(error_line(&job).as_deref(), Some("line 12: NameError: name 'temprature' is not defined"));
    }

    #[test]
    fn a_job_that_succeeded_has_nothing_to_report() {
        let output_tail = vec!["done".to_owned()];
        let job = Job { report: Some(Report { output_tail, ..Report::default() }), ..Job::default() };
        assert_eq!(report(&job, RepeatOutput::Yes, &terminal()), Vec::<String>::new());
        assert_eq!(error_line(&job), None);
    }

    #[test]
    fn a_question_shows_its_choices_and_how_to_answer() {
        let question = Prompt {
            prompt: "4".into(),
            text: "Go on? ".into(),
            choices: Some(vec!["yes".into(), "no".into()]),
            preset: Some("no".into()),
            ..Prompt::default()
        };
        assert_eq!(
            prompt(&question, &terminal()),
            ["question 4: Go on? [yes, no] (default no)", "  answer it with: beamq answer 4 VALUE"]
        );
    }
}
