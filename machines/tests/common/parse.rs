//! The inputs of a conversation, read from text. Anything that is not understood fails the test.

use std::{sync::Arc, time::Duration};

use beamq_machines::{
    CommandError, Ending, JobBody, JobId, JobSpec, PauseLevel, Progress, PromptId, Report, Role, SessionId,
    Timer,
    core::{Actor, EngineNotice, Input, NewJob, Order, Place, Prompt, Selection},
    session::SessionEvent,
};

use super::{BEGIN, Conversation, render};
use beamq_machines::Timestamp;

/// Plays one line and says what follows.
pub fn step(talk: &mut Conversation, line: &str) -> Vec<String> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if let Some(time) = words[0].strip_prefix('+') {
        talk.now = talk.now.after(duration(time));
        words.remove(0);
    }
    let input = match words[..] {
        ["crash"] => {
            talk.crash();
            return Vec::new();
        }
        ["snapshot"] => {
            talk.snapshot();
            return Vec::new();
        }
        ["restarted"] => Input::Restarted(Default::default()),
        ["closing"] => Input::Closing { abort_active: false },
        ["closing", "abort"] => Input::Closing { abort_active: true },
        ["engine", "available"] => Input::EngineAvailable(Ok(())),
        ["engine", "unavailable", ref why @ ..] => Input::EngineAvailable(Err(why.join(" "))),
        ["engine", id, ref notice @ ..] => Input::Engine(job(id), engine_notice(notice)),
        ["stale", "timer", name, id] => Input::Timer(timer(name, id)),
        ["timer", name, id] => {
            let timer = timer(name, id);
            let due = talk.timers.remove(&timer).unwrap_or_else(|| panic!("{line}: the timer does not run"));
            assert!(due <= talk.now, "{line}: the timer is due in {:?}", due.since(talk.now));
            Input::Timer(timer)
        }
        ["session", id, ref event @ ..] => {
            Input::Session(SessionId(id.parse().unwrap()), session_event(event))
        }
        [actor, ref order @ ..] => Input::Order(self::actor(actor), self::order(talk, order)),
        [] => panic!("an empty line"),
    };
    let outcome = talk.input(input);
    render::outcome(talk, &outcome)
}

fn actor(text: &str) -> Actor {
    let text = text.strip_suffix(':').unwrap_or_else(|| panic!("not understood: {text}"));
    let (user, role) = text.split_once('/').unwrap_or((text, "scientist"));
    Actor { user: user.into(), role: role_of(role) }
}

fn role_of(text: &str) -> Role {
    serde_json::from_value(text.into()).unwrap()
}

/// `30s`, `10m`, `2h`, `250ms`.
pub fn duration(text: &str) -> Duration {
    let (unit, factor) = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        .into_iter()
        .find(|(unit, _)| text.ends_with(unit))
        .unwrap();
    Duration::from_millis(text.strip_suffix(unit).unwrap().parse::<u64>().unwrap() * factor)
}

fn job(text: &str) -> JobId {
    text.parse().unwrap_or_else(|_| panic!("not a job: {text}"))
}

fn jobs(words: &[&str]) -> Vec<JobId> {
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn revision(words: &[&str]) -> Option<u64> {
    option(words, "rev").map(|text| text.parse().unwrap())
}

fn place(words: &[&str]) -> Place {
    match option(words, "place") {
        None | Some("back") => Place::Back,
        Some("front") => Place::Front,
        Some(text) => match text.split_once(':') {
            Some(("index", index)) => Place::Index(index.parse().unwrap()),
            Some(("before", id)) => Place::Before(job(id)),
            Some(("after", id)) => Place::After(job(id)),
            _ => panic!("not a place: {text}"),
        },
    }
}

fn selection(words: &[&str]) -> Selection {
    option(words, "group").map_or_else(|| Selection::Ids(jobs(words)), |group| Selection::Group(group.into()))
}

/// A plain script of this name.
pub fn script(name: &str) -> JobSpec {
    JobSpec {
        name: name.into(),
        body: JobBody::Script { source: "pass".into(), black_box: false },
        tags: Vec::new(),
        group: None,
        not_before: None,
        deadline: None,
        timeout_ms: None,
    }
}

/// Times count from the beginning of the conversation: `deadline=60s`.
fn changed(mut spec: JobSpec, words: &[&str]) -> Arc<JobSpec> {
    let time = |name| option(words, name).map(|text| BEGIN.after(duration(text)));
    if let Some(name) = option(words, "name") {
        spec.name = name.into();
    }
    if let Some(group) = option(words, "group") {
        spec.group = (group != "none").then(|| group.into());
    }
    spec.not_before = time("not_before").or(spec.not_before);
    spec.deadline = time("deadline").or(spec.deadline);
    if let Some(limit) = option(words, "timeout") {
        spec.timeout_ms = Some(u64::try_from(duration(limit).as_millis()).unwrap());
    }
    if words.contains(&"at_any_time") {
        spec.not_before = None;
        spec.deadline = None;
    }
    if words.contains(&"black_box") {
        spec.body = JobBody::Script { source: "pass".into(), black_box: true };
    }
    Arc::new(spec)
}

fn order(talk: &Conversation, words: &[&str]) -> Order {
    let why = |words: &[&str]| (!words.is_empty()).then(|| words.join(" "));
    match words[0] {
        "submit" => Order::Submit {
            jobs: jobs(words)
                .into_iter()
                .map(|id| NewJob {
                    id,
                    spec: changed(script(&format!("job {id}")), words),
                    held: words.contains(&"held"),
                    rerun_of: option(words, "rerun_of").map(job),
                })
                .collect(),
            place: place(words),
            revision: revision(words),
        },
        "edit" => {
            let id = job(words[1]);
            let spec = talk.core.job(id).map_or_else(|| script("?"), |job| JobSpec::clone(&job.spec));
            let held = words.contains(&"held").then_some(true);
            let held = held.or(words.contains(&"released").then_some(false));
            Order::Edit { job: id, spec: changed(spec, words), held, revision: revision(words) }
        }
        "hold" => Order::HoldJobs { jobs: selection(words), revision: revision(words) },
        "release" => Order::ReleaseJobs { jobs: selection(words), revision: revision(words) },
        "remove" => Order::Remove {
            jobs: selection(words),
            lenient: words.contains(&"lenient"),
            revision: revision(words),
        },
        "move" => Order::Move { jobs: selection(words), place: place(words), revision: revision(words) },
        "reorder" => Order::Reorder { order: jobs(words), revision: revision(words).unwrap() },
        "clear" => Order::Clear { revision: revision(words) },
        "queue" => match words[1] {
            "hold" => Order::HoldQueue { why: why(&words[2..]) },
            "release" => Order::ReleaseQueue,
            "stop" => Order::StopAfterCurrent,
            "cancel_stop" => Order::CancelStop,
            other => panic!("not understood: queue {other}"),
        },
        "pause" => Order::Pause(match words.get(1) {
            None | Some(&"line") => PauseLevel::Line,
            Some(&"point") => PauseLevel::Point,
            Some(&"now") => PauseLevel::Now,
            Some(other) => panic!("not a level: {other}"),
        }),
        "cancel_pause" => Order::CancelPause,
        "resume" => Order::Resume,
        "skip" => Order::Skip,
        "abort" => Order::Abort { why: why(&words[1..]) },
        "answer" => Order::Answer {
            prompt: PromptId(words[1].parse().unwrap()),
            value: serde_json::from_str(words[2]).unwrap(),
        },
        other => panic!("not understood: {other}"),
    }
}

fn engine_notice(words: &[&str]) -> EngineNotice {
    let json = |name| option(words, name).map(|text| serde_json::from_str(text).unwrap());
    match words[0] {
        "started" => EngineNotice::Started,
        "paused" => EngineNotice::Paused(words.get(1).map(|line| line.parse().unwrap())),
        "paused-elsewhere" => EngineNotice::PausedElsewhere(words.get(1).map(|line| line.parse().unwrap())),
        "resumed-elsewhere" => EngineNotice::ResumedElsewhere,
        "skipped" => EngineNotice::Skipped(words.get(1).map(|what| (*what).into())),
        "asks-no-more" => EngineNotice::AskedNoMore,
        "lost" => EngineNotice::Lost { why: words[1..].join(" ") },
        "progress" => EngineNotice::Progress(Progress {
            percent: option(words, "percent").map(|text| text.parse().unwrap()),
            line: option(words, "line").map(|text| text.parse().unwrap()),
            command: option(words, "command").map(Into::into),
            ..Progress::default()
        }),
        "asks" => EngineNotice::Asked(Prompt {
            id: PromptId(words[1].parse().unwrap()),
            text: "Which sample?".into(),
            choices: option(words, "choices").map(|text| serde_json::from_str(text).unwrap()),
            default: json("default"),
            timeout_ms: option(words, "timeout")
                .map(|text| u64::try_from(duration(text).as_millis()).unwrap()),
            until: Timestamp::default(),
        }),
        "ended" => ended(words[1]),
        other => panic!("not understood: {other}"),
    }
}

fn ended(how: &str) -> EngineNotice {
    let swallowed = CommandError { command: "cset".into(), ..CommandError::default() };
    let (ending, errors, report) = match how {
        "ok" => (Ending::Completed, false, Report::default()),
        "with_errors" => {
            (Ending::Completed, true, Report { command_errors: vec![swallowed], ..Report::default() })
        }
        "failed" => (
            Ending::Failed,
            false,
            Report { error_type: "ValueError".into(), message: "no beam".into(), ..Report::default() },
        ),
        other => panic!("not understood: {other}"),
    };
    EngineNotice::Ended { ending, errors, report: Arc::new(report) }
}

fn timer(name: &str, id: &str) -> Timer {
    let number = id.parse().unwrap();
    match name {
        "grace" => Timer::AbortGrace(JobId(number)),
        "reminder" => Timer::PauseReminder(JobId(number)),
        "timeout" => Timer::JobTimeout(JobId(number)),
        "deadline" => Timer::JobDeadline(JobId(number)),
        "not_before" => Timer::JobNotBefore(JobId(number)),
        "prompt" => Timer::PromptTimeout(PromptId(number)),
        "login" => Timer::LoginTimeout(SessionId(number)),
        "idle" => Timer::SessionIdle(SessionId(number)),
        other => panic!("not a timer: {other}"),
    }
}

fn session_event(words: &[&str]) -> SessionEvent {
    match words {
        ["opened"] => SessionEvent::Opened { connect: false },
        ["opened", "connect"] => SessionEvent::Opened { connect: true },
        ["connected"] => SessionEvent::Connected,
        ["message"] => SessionEvent::MessageArrived,
        ["login", who] => {
            let (user, role) = who.split_once('/').unwrap();
            SessionEvent::LoginAccepted { user: user.into(), role: role_of(role) }
        }
        ["refused"] => SessionEvent::LoginRefused,
        ["logout"] => SessionEvent::LoggedOut,
        ["gone"] => SessionEvent::DestinationGone,
        ["close", why @ ..] => SessionEvent::CloseAsked { why: why.join(" ") },
        ["closed"] => SessionEvent::Closed,
        other => panic!("not understood: {other:?}"),
    }
}
