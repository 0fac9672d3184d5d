//! The queue as a table.

use serde_json::{Value, json};

use crate::cli::{
    connect::Session,
    exit::Failure,
    model::{Job, Queue},
    moment, render,
    render::Table,
    terminal::{Terminal, Tone},
};

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let answer: Value = session.call("queue.get", json!({})).await?;
    let terminal = session.terminal;
    if terminal.json {
        return terminal.document(&answer);
    }
    let queue: Queue = serde_json::from_value(answer)?;
    text(&queue, &terminal).iter().try_for_each(|line| terminal.line(line))
}

fn text(queue: &Queue, terminal: &Terminal) -> Vec<String> {
    let state = render::queue_state(&queue.state, queue.why.as_deref(), terminal);
    let mut lines =
        vec![format!("queue {state}, {} waiting, revision {}", queue.waiting.len(), queue.revision)];
    if queue.active.is_none() && queue.waiting.is_empty() {
        return lines;
    }
    let mut table = Table::new(&["", "id", "state", "name", "owner", "estimate", "done about", "group"]);
    if let Some(active) = &queue.active {
        table.row(row("▸".to_owned(), active));
    }
    for (position, job) in queue.waiting.iter().enumerate() {
        table.row(row(position.to_string(), job));
    }
    lines.extend(table.lines(terminal));
    lines.extend(queue.groups.iter().map(|(name, group)| format!("group {}", render::group(name, group))));
    lines
}

fn row(position: String, job: &Job) -> Vec<(String, Option<Tone>)> {
    vec![
        (position, None),
        (job.id.clone(), None),
        (job.state.words(), render::state_tone(&job.state)),
        (render::cell(&job.name, 40), None),
        (render::cell(&job.owner, 16), None),
        (render::estimate(job.estimate.as_ref()), None),
        (job.expected_finish.as_deref().map(moment::short).unwrap_or_default(), None),
        (job.group.as_deref().map(|group| render::cell(group, 24)).unwrap_or_default(), None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::ColorWhen;

    #[test]
    fn the_active_job_stands_above_the_waiting_ones_and_an_unknown_estimate_is_called_so() {
        let queue: Queue = serde_json::from_value(json!({
            "revision": 8, "state": "busy",
            "active": {"id": "5", "name": "cells.py", "state": "running", "owner": "ann"},
            "waiting": [
                {"id": "6", "name": "scan", "state": "queued", "owner": "bob", "group": "night",
                    "expected_finish": "2020-03-01T22:30:00Z",
                    "estimate": {"low_s": 60.0, "expected_s": 90.0, "high_s": 120.0, "source": "history"}},
                {"id": "17", "name": "cool down", "state": "held", "owner": "ann"},
            ],
            "groups": {"night": {"submitted": 12, "ended": 3, "failed": 1, "waiting": 9}},
        }))
        .unwrap_or_default();
        let lines = text(&queue, &Terminal::new(false, false, ColorWhen::Never));
        let finish = moment::short("2020-03-01T22:30:00Z");
        assert_eq!(
            lines,
            [
                "queue busy, 2 waiting, revision 8",
                "   id  state    name       owner  estimate    done about        group",
                "▸  5   running  cells.py   ann    unknown",
                &format!("0  6   queued   scan       bob    1 min 30 s  {finish}  night"),
                "1  17  held     cool down  ann    unknown",
                "group night: 3 of 12, 1 did not succeed",
            ]
        );
    }

    #[test]
    fn an_empty_queue_is_one_line() {
        let queue = Queue {
            state: "held".into(),
            why: Some("held by beamq: job 3 failed".into()),
            revision: 2,
            ..Queue::default()
        };
        let lines = text(&queue, &Terminal::new(false, false, ColorWhen::Never));
        assert_eq!(lines, ["queue held by beamq: job 3 failed, 0 waiting, revision 2"]);
    }
}
