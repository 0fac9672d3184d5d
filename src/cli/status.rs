//! `beamq status`: what the server is doing, on a few lines.

use serde_json::{Value, json};

use super::{
    connect::{Globals, Session},
    exit::Failure,
    model::{Info, Queue, Status},
    moment, render,
    terminal::{Terminal, Tone},
};

pub(super) async fn run(globals: Globals) -> Result<(), Failure> {
    let session = globals.connect().await?;
    print(&session).await?;
    session.client.close().await;
    Ok(())
}

/// Prints the status of the server that the session is with.
pub(super) async fn print(session: &Session) -> Result<(), Failure> {
    if session.terminal.json {
        let status: Value = session.call("server.status", json!({})).await?;
        return session.terminal.document(&status);
    }
    // One waiting job tells of the series that comes next, when none is active.
    let (status, info, queue) = tokio::join!(
        session.call("server.status", json!({})),
        session.call("server.info", json!({})),
        session.call("queue.get", json!({"limit": 1}))
    );
    text(&status?, &info?, &queue?, &session.terminal).iter().try_for_each(|line| session.terminal.line(line))
}

fn text(status: &Status, info: &Info, page: &Queue, terminal: &Terminal) -> Vec<String> {
    let row =
        |name: &str, text: String| format!("{}{text}", terminal.tone(Tone::Faint, &format!("{name:<12}")));
    let uptime =
        status.uptime_s.map(|seconds| format!(", up {}", moment::duration(seconds))).unwrap_or_default();
    let instrument = terminal.tone(Tone::Strong, &render::cell(&info.instrument, 60));
    let mut lines = vec![row("instrument", format!("{instrument} (beamq {}{uptime})", info.version))];

    let engine = &status.engine;
    let detail =
        engine.detail.as_ref().map(|detail| format!(": {}", render::cell(detail, render::LONGEST_REASON)));
    lines.push(row("engine", format!("{} {}{}", engine.kind, engine.state, detail.unwrap_or_default())));

    let queue = &status.queue;
    let state = render::queue_state(&queue.state, queue.why.as_deref(), terminal);
    let finish = queue.expected_finish.as_ref().map(|time| format!(", done about {}", moment::short(time)));
    lines.push(row(
        "queue",
        format!(
            "{state}, {} waiting, revision {}{}",
            queue.length,
            queue.revision,
            finish.unwrap_or_default()
        ),
    ));

    if queue.state == "held" {
        lines.push(row("", "  let it go on with: beamq queue release".to_owned()));
    }
    lines.push(match &status.active {
        None => row("active", "–".to_owned()),
        Some(job) => {
            let words = job.state.words();
            let state =
                render::state_tone(&job.state).map_or(words.clone(), |tone| terminal.tone(tone, &words));
            let place = render::whereabouts(job);
            let separator = if place.is_empty() { "" } else { " · " };
            let finish =
                job.expected_finish.as_deref().map(|time| format!(" · done about {}", moment::short(time)));
            row(
                "active",
                format!(
                    "{} {state} (by {}){separator}{place}{}",
                    render::job_name(job),
                    render::cell(&job.owner, 30),
                    finish.unwrap_or_default()
                ),
            )
        }
    });
    if status.active.as_ref().is_some_and(|job| job.state.words() == "paused") {
        lines.push(row("", "  go on with: beamq resume, or end it with: beamq abort".to_owned()));
    }
    if let Some(prompt) = status.active.as_ref().and_then(|job| job.prompt.as_ref()) {
        let mut question = render::prompt(prompt, terminal).into_iter();
        lines.extend(question.next().map(|line| row("asks", line)));
        lines.extend(question.map(|line| row("", line)));
    }
    lines.extend(page.groups.iter().map(|(name, group)| row("group", render::group(name, group))));
    if let Some(broker) = status.transports.get("activemq").and_then(Value::as_str) {
        lines.push(row("broker", render::cell(broker, 200)));
    }
    if let Some(clients) = status.clients {
        lines.push(row("clients", clients.to_string()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{model::Job, terminal::ColorWhen};

    #[test]
    fn the_status_is_short_and_says_how_to_go_on() {
        let status: Status = serde_json::from_value(json!({
            "queue": {"state": "held", "why": "job 3 failed", "revision": 17, "length": 4},
            "active": {"id": "5", "name": "cells.py", "state": "paused", "owner": "ann",
                "progress": {"percent": 40.2, "basis": "tags", "line": 12, "step": "Measure"},
                "elapsed": {"wall_s": 72.0, "active_s": 60.0}},
            "engine": {"kind": "python", "state": "ready"},
            "transports": {"embedded": "127.0.0.1:61613", "activemq": "standing by: another server answers"},
            "clients": 2, "uptime_s": 3.0,
        }))
        .unwrap_or_default();
        let info = Info { name: "beamq".into(), version: "0.1.0".into(), instrument: "DEMO".into() };
        let page: Queue = serde_json::from_value(json!({
            "groups": {"night": {"submitted": 12, "ended": 3, "failed": 0, "waiting": 8, "active": "5",
                "expected_finish": "2020-03-01T22:00:00Z"}},
        }))
        .unwrap_or_default();
        let lines = text(&status, &info, &page, &Terminal::new(false, false, ColorWhen::Never));
        assert_eq!(
            lines,
            [
                "instrument  DEMO (beamq 0.1.0, up 3.0 s)",
                "engine      python ready",
                "queue       held (job 3 failed), 4 waiting, revision 17",
                "              let it go on with: beamq queue release",
                "active      job 5 cells.py paused (by ann) · line 12 · step Measure · 40 % · 1 min 12 s",
                "              go on with: beamq resume, or end it with: beamq abort",
                &format!("group       night: 3 of 12, done about {}", moment::short("2020-03-01T22:00:00Z")),
                "broker      standing by: another server answers",
                "clients     2",
            ]
        );
        let idle = Status { active: None::<Job>, ..Status::default() };
        let lines = text(&idle, &info, &Queue::default(), &Terminal::new(false, false, ColorWhen::Never));
        assert_eq!(lines.last().map(String::as_str), Some("active      –"));
    }
}
