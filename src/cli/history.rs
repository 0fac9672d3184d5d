//! `beamq history`: the jobs that have ended.

use clap::Args;
use serde_json::{Map, Value};

use super::{
    connect::Globals,
    exit::Failure,
    model::{History, Job},
    moment, render,
    render::Table,
};

#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    /// Only jobs that ended in one of these states (succeeded, failed, aborted …)
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<String>,
    /// Only jobs of this owner
    #[arg(long)]
    owner: Option<String>,
    /// Only jobs with this text in their name, tags, group or error
    #[arg(long)]
    text: Option<String>,
    /// Only jobs that ended at this time or later (RFC 3339, "2026-01-31 08:00", or a span such as -2h)
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<String>,
    /// Only jobs that ended before this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<String>,
    /// Only jobs that come after this one in the list, to turn pages
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub(super) async fn run(args: HistoryArgs, globals: Globals) -> Result<(), Failure> {
    let session = globals.connect().await?;
    let answer: Value = session.call("history.list", params(&args)).await?;
    let terminal = session.terminal;
    if terminal.json {
        terminal.document(&answer)?;
    } else {
        let history: History = serde_json::from_value(answer)?;
        table(&history.jobs).lines(&terminal).iter().try_for_each(|line| terminal.line(line))?;
        if let Some(last) = history.jobs.last().filter(|_| history.more) {
            terminal.remark(format!("there are older ones: add --before {}", last.id));
        }
    }
    session.client.close().await;
    Ok(())
}

fn params(args: &HistoryArgs) -> Map<String, Value> {
    let texts = [
        ("owner", &args.owner),
        ("text", &args.text),
        ("since", &args.since),
        ("until", &args.until),
        ("before", &args.before),
    ];
    let given = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())));
    let states = Some(&args.state).filter(|states| !states.is_empty());
    let states = states.map(|states| ("state".to_owned(), states.as_slice().into()));
    given.chain(states).chain([("limit".to_owned(), args.limit.into())]).collect()
}

fn table(jobs: &[Job]) -> Table {
    let mut table = Table::new(&["id", "ended", "state", "name", "owner", "expected", "took", "error"]);
    for job in jobs {
        table.row(vec![
            (job.id.clone(), None),
            (job.finished_at.as_deref().map(moment::short).unwrap_or_default(), None),
            (job.state.words(), render::state_tone(&job.state)),
            (render::cell(&job.name, 32), None),
            (render::cell(&job.owner, 16), None),
            (predicted(job), None),
            (render::seconds(job).map(moment::duration).unwrap_or_default(), None),
            (render::error_line(job).map(|error| render::cell(&error, 80)).unwrap_or_default(), None),
        ]);
    }
    table
}

/// What was expected when the job started; nothing when that was unknown.
fn predicted(job: &Job) -> String {
    job.estimate.as_ref().map(|estimate| render::estimate(Some(estimate))).unwrap_or_default()
}
