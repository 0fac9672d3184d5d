//! What a job or the whole queue would do, asked of the server.

use std::path::Path;

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    super::{
        connect::{Globals, Session},
        exit::{Exit, Failure},
        model::{Estimate, Finding},
        moment, render,
        render::Table,
        terminal::{Terminal, Tone},
    },
    files::{self, Rehearsed},
    timeline,
};
use crate::{
    dryrun::simulation::{InstrumentState, LookedAt, Simulated},
    protocol::view::{DryRunReport, Severity},
};

#[derive(Args, Debug)]
pub(super) struct ServerArgs {
    /// Run this job of the server, from where the instrument will be when its turn comes
    #[arg(long, value_name = "ID", conflicts_with_all = ["queue", "files"])]
    pub(super) job: Option<String>,
    /// Forecast the whole queue of the server: when each job starts and ends
    #[arg(long, conflicts_with = "files")]
    pub(super) queue: bool,
    /// Say whether the queue is finished by this time (08:00, or a span such as 10h: from --at on); exit code 1
    /// when it is not
    #[arg(long, value_name = "TIME", value_parser = moment::checked, requires = "queue")]
    pub(super) before: Option<String>,
}

pub(super) async fn run(
    args: &ServerArgs,
    at: Option<&str>,
    svg: Option<&Path>,
    globals: &Globals,
) -> Result<(), Failure> {
    // The next 08:00 is the one behind the begin.
    let before = args.before.as_deref().map(|before| moment::parse_after(before, at.unwrap_or_default()));
    let before = before.transpose().map_err(|reason| Failure::new(Exit::Usage, reason))?;
    let session = globals.connect().await?;
    let outcome = match &args.job {
        Some(id) => job(&session, id, at, svg).await,
        None => queue(&session, at, before.as_deref()).await,
    };
    session.client.close().await;
    outcome
}

/// The answer of `dryrun.queue`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Forecast {
    jobs: Vec<JobForecast>,
    expected_finish: Option<String>,
    fits_before: Option<bool>,
    at_least: bool,
    assumes: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct JobForecast {
    id: String,
    ok: bool,
    findings: Vec<Finding>,
    estimate: Option<Estimate>,
    expected_start: Option<String>,
    expected_finish: Option<String>,
}

async fn job(session: &Session, id: &str, at: Option<&str>, svg: Option<&Path>) -> Result<(), Failure> {
    let params: Map<String, Value> = Map::from_iter([("id".to_owned(), id.into())]);
    let answer: Value = session.call("dryrun.job", params).await?;
    let report: DryRunReport = serde_json::from_value(answer.clone())?;
    let (terminal, ok) = (&session.terminal, report.ok);
    let rehearsed = rehearsed(id, report, at);
    if let Some(file) = svg {
        files::draw(std::slice::from_ref(&rehearsed), file)?;
    }
    if terminal.json {
        terminal.document(&answer)?;
    } else {
        report_lines(&rehearsed, terminal).iter().try_for_each(|line| terminal.line(line))?;
    }
    if ok { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}

async fn queue(session: &Session, at: Option<&str>, before: Option<&str>) -> Result<(), Failure> {
    let given = [("at", at), ("before", before)];
    let params: Map<String, Value> =
        given.into_iter().filter_map(|(name, time)| Some((name.to_owned(), time?.into()))).collect();
    let answer: Value = session.call("dryrun.queue", params).await?;
    let forecast: Forecast = serde_json::from_value(answer.clone())?;
    let terminal = &session.terminal;
    if terminal.json {
        terminal.document(&answer)?;
    } else {
        forecast_lines(&forecast, before, terminal).iter().try_for_each(|line| terminal.line(line))?;
    }
    let good = forecast.jobs.iter().all(|job| job.ok) && forecast.fits_before != Some(false);
    if good { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}

fn rehearsed(id: &str, report: DryRunReport, at: Option<&str>) -> Rehearsed {
    let simulated = Simulated {
        report,
        end: InstrumentState::default(),
        passages: Vec::new(),
        diagnostics: Vec::new(),
        looked_at: LookedAt::UNKNOWN,
    };
    let begins_at = at.and_then(|at| at.parse().ok()).unwrap_or_else(jiff::Timestamp::now);
    Rehearsed { name: format!("job {id}"), begins_at, simulated }
}

fn report_lines(rehearsed: &Rehearsed, terminal: &Terminal) -> Vec<String> {
    let findings = rehearsed.simulated.report.findings.iter().map(|finding| Finding {
        severity: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
        .to_owned(),
        line: finding.line,
        message: finding.message.clone(),
        hint: finding.hint.clone(),
    });
    let mut lines = timeline::lines(rehearsed, terminal);
    lines.extend(findings.map(|finding| finding_line(&finding, terminal)));
    lines
}

fn forecast_lines(forecast: &Forecast, before: Option<&str>, terminal: &Terminal) -> Vec<String> {
    let mut table = Table::new(&["id", "takes", "starts", "ends", ""]);
    let time = |time: &Option<String>| time.as_deref().map_or_else(|| "–".to_owned(), moment::short);
    for job in &forecast.jobs {
        let bad = (!job.ok).then(|| ("would fail".to_owned(), Some(Tone::Bad)));
        table.row(vec![
            (job.id.clone(), None),
            (render::estimate(job.estimate.as_ref()), None),
            (time(&job.expected_start), None),
            (time(&job.expected_finish), None),
            bad.unwrap_or_default(),
        ]);
    }
    let mut lines = if forecast.jobs.is_empty() { Vec::new() } else { table.lines(terminal) };
    for job in &forecast.jobs {
        let of_job = job.findings.iter().map(|finding| finding_line(finding, terminal));
        lines.extend(of_job.map(|line| format!("job {}: {line}", job.id)));
    }
    lines.extend(forecast.assumes.clone());
    lines.push(match (&forecast.expected_finish, forecast.at_least) {
        (Some(finish), _) => format!("done about {}", moment::short(finish)),
        (None, true) => "the end is unknown: nobody knows how long something that waits will take".to_owned(),
        (None, false) => "nothing waits".to_owned(),
    });
    lines.extend(before.map(|before| {
        let before = moment::short(before);
        match forecast.fits_before {
            Some(true) => terminal.tone(Tone::Good, &format!("that is before {before}")),
            Some(false) => terminal.tone(Tone::Bad, &format!("that is not before {before}")),
            None => terminal.tone(Tone::Attention, &format!("whether that is before {before} is unknown")),
        }
    }));
    lines
}

fn finding_line(finding: &Finding, terminal: &Terminal) -> String {
    let tone = match finding.severity.as_str() {
        "error" => Tone::Bad,
        "warning" => Tone::Attention,
        _ => Tone::Faint,
    };
    let line = finding.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let hint = finding.hint.as_ref().map(|hint| format!(" ({})", terminal.foreign(hint))).unwrap_or_default();
    let severity = terminal.tone(tone, &finding.severity);
    format!("{severity}: {line}{}{hint}", terminal.foreign(&finding.message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::ColorWhen;

    #[test]
    fn a_forecast_is_a_table_with_the_answer_below_it() {
        let forecast: Forecast = serde_json::from_value(json!({
            "jobs": [
                {"id": "5", "ok": true, "findings": [], "expected_start": "2020-03-01T22:00:00Z",
                    "expected_finish": "2020-03-01T22:30:00Z",
                    "estimate": {"low_s": 1700.0, "expected_s": 1800.0, "high_s": 2000.0, "source": "simulated"}},
                {"id": "6", "ok": false, "findings": [{"severity": "error", "code": "x", "message": "no beam", "line": 3}],
                    "estimate": {"low_s": 50.0, "expected_s": 60.0, "high_s": 80.0, "source": "formula", "at_least": true}},
            ],
            "fits_before": false, "at_least": true, "assumes": "the queue is held",
        }))
        .unwrap_or_default();
        let terminal = Terminal::new(false, false, ColorWhen::Never);
        let lines = forecast_lines(&forecast, Some("2020-03-01T22:40:00Z"), &terminal);
        let short = moment::short;
        let (start, end) = (short("2020-03-01T22:00:00Z"), short("2020-03-01T22:30:00Z"));
        assert_eq!(
            lines,
            [
                "id  takes                starts            ends".to_owned(),
                format!("5   30 min 00 s          {start}  {end}"),
                "6   at least 1 min 00 s  –                 –                 would fail".to_owned(),
                "job 6: error: line 3: no beam".to_owned(),
                "the queue is held".to_owned(),
                "the end is unknown: nobody knows how long something that waits will take".to_owned(),
                format!("that is not before {}", short("2020-03-01T22:40:00Z")),
            ]
        );
    }
}
