//! What follows from an input, as lines of text.

use beamq_machines::{
    Announcement, Due, Effect, EngineOrder, Notice, PromptEnd, Report, Timer,
    core::{Answer, Fact, Outcome, Refusal},
    job::JobEvent,
    queue::{Hold, QueueEvent},
};

use super::{BEGIN, Conversation};

/// Everything that follows, in order.
pub fn outcome(talk: &Conversation, outcome: &Outcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome.facts.iter().map(|it| format!("fact {}", fact(it))).collect();
    lines.extend(outcome.effects.iter().map(|it| effect(talk, it)));
    match &outcome.answer {
        Some(Ok(answer)) => lines.push(format!("answer {}", good(answer))),
        Some(Err(refusal)) => lines.push(format!("refused {}", bad(refusal))),
        None => {}
    }
    if let Some(it) = &outcome.turned_down {
        lines.push(format!("turned down {} in state {}: {}", it.event, it.state, it.reason));
    }
    lines
}

fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Submitted { job, spec, owner, rerun_of } => {
            let rerun = rerun_of.map(|id| format!(" rerun of {id}")).unwrap_or_default();
            format!("job {job} submitted {:?} by {owner}{rerun}", spec.name)
        }
        Fact::Job(id, event) => format!("job {id} {}", job_event(event)),
        Fact::Queue(event) => format!("queue {}", queue_event(event)),
    }
}

fn job_event(event: &JobEvent) -> String {
    let name: &'static str = event.into();
    match event {
        JobEvent::Edited { spec } => format!("{name} {:?}", spec.name),
        JobEvent::PauseAsked { level } => format!("{name} {level:?}").to_lowercase(),
        JobEvent::Paused { line } | JobEvent::PausedElsewhere { line } => {
            line.map_or(name.into(), |line| format!("{name} at line {line}"))
        }
        JobEvent::Skipped { what } => what.as_ref().map_or(name.into(), |what| format!("{name} {what}")),
        JobEvent::AbortAsked { why } => why.as_ref().map_or(name.into(), |why| format!("{name}: {why}")),
        JobEvent::Ended { verdict, report } => format!("{name} {verdict:?}{}", self::report(report)),
        JobEvent::Interrupted { why, .. } => format!("{name}: {why}"),
        JobEvent::HoldAsked
        | JobEvent::ReleaseAsked
        | JobEvent::Removed
        | JobEvent::DeadlinePassed
        | JobEvent::StartOrdered
        | JobEvent::Started
        | JobEvent::PauseCancelled
        | JobEvent::ResumedElsewhere
        | JobEvent::ReminderDue
        | JobEvent::ResumeAsked
        | JobEvent::SkipAsked
        | JobEvent::TimedOut
        | JobEvent::GraceExpired => name.into(),
    }
}

fn report(report: &Report) -> String {
    if report == &Report::default() {
        return String::new();
    }
    let hint = report.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!(" ({}: {}, phase {:?}{hint})", report.error_type, report.message, report.phase)
}

fn queue_event(event: &QueueEvent) -> String {
    let name: &'static str = event.into();
    match event {
        QueueEvent::Inserted { jobs, at } => format!("{name} {} at {at}", ids(jobs)),
        QueueEvent::Withdrawn { jobs } => format!("{name} {}", ids(jobs)),
        QueueEvent::Reordered { order } => format!("{name} {}", ids(order)),
        QueueEvent::Taken { job } => format!("{name} {job}"),
        QueueEvent::ActiveEnded { then: None } => name.into(),
        QueueEvent::ActiveEnded { then: Some(hold) } | QueueEvent::HoldAsked(hold) => {
            format!("{name}, hold {}", self::hold(hold))
        }
        QueueEvent::StopAsked { by } => format!("{name} by {by}"),
        QueueEvent::EngineLost { why } => format!("{name}: {why}"),
        QueueEvent::Amended
        | QueueEvent::Settled
        | QueueEvent::ReleaseAsked
        | QueueEvent::StopCancelled
        | QueueEvent::EngineBack => name.into(),
    }
}

fn hold(hold: &Hold) -> String {
    format!("by {}: {}", hold.by, hold.why)
}

fn effect(talk: &Conversation, effect: &Effect) -> String {
    match effect {
        Effect::Engine { job, order } => format!("engine {job} {}", engine_order(order)),
        Effect::SetTimer { timer, due: Due::After(duration) } => {
            format!("set {} in {} s", self::timer(*timer), duration.as_secs_f64())
        }
        Effect::SetTimer { timer, due: Due::At(time) } => {
            format!("set {} at {} s", self::timer(*timer), (time.0 - BEGIN.0) / 1000)
        }
        Effect::CancelTimer(timer) => format!("cancel {}", self::timer(*timer)),
        Effect::Announce(Announcement::Job(id)) => {
            let state =
                talk.core.job(*id).or_else(|| talk.ended.get(id)).map_or("lost", |job| job.state().name());
            format!("tell job {id} is {state}")
        }
        Effect::Announce(Announcement::Queue) => {
            let queue = talk.core.queue();
            let why = queue.state().why().map(|why| format!(" ({why})")).unwrap_or_default();
            let active = queue.active.map(|id| format!(" with {id}")).unwrap_or_default();
            let order = if queue.order.is_empty() { "-".into() } else { ids(&queue.order) };
            format!(
                "tell queue is {}{active}{why}, waiting {order}, revision {}",
                queue.state().name(),
                queue.revision
            )
        }
        Effect::Announce(Announcement::Prompt(id)) => {
            let open = talk.core.prompt().filter(|prompt| prompt.id == *id);
            let until = open.map_or(0, |prompt| (prompt.until.0 - BEGIN.0) / 1000);
            format!("tell prompt {id} is open until {until} s")
        }
        Effect::Announce(Announcement::PromptSettled(id, how)) => {
            let how = match how {
                PromptEnd::Answered => "answered",
                PromptEnd::TimedOut => "timed out",
                PromptEnd::Withdrawn => "withdrawn",
            };
            format!("tell prompt {id} is settled: {how}")
        }
        Effect::Announce(Announcement::Notice(Notice::PausedLong { job, minutes })) => {
            format!("tell notice: job {job} has been paused for {minutes} min")
        }
        Effect::Announce(Announcement::Notice(Notice::NothingToSkip { job })) => {
            format!("tell notice: job {job} was in no wait")
        }
        Effect::CloseLink(id) => format!("close link of session {id}"),
    }
}

fn engine_order(order: &EngineOrder) -> String {
    match order {
        EngineOrder::Start => "start".into(),
        EngineOrder::Pause(level) => format!("pause {level:?}").to_lowercase(),
        EngineOrder::CancelPause => "cancel pause".into(),
        EngineOrder::Resume => "resume".into(),
        EngineOrder::Skip => "skip".into(),
        EngineOrder::Abort(stage) => format!("abort {stage:?}").to_lowercase(),
        EngineOrder::Answer { prompt, value: Some(value) } => format!("answer {prompt} {value}"),
        EngineOrder::Answer { prompt, value: None } => format!("no answer {prompt}"),
    }
}

fn timer(timer: Timer) -> String {
    match timer {
        Timer::AbortGrace(id) => format!("grace {id}"),
        Timer::PauseReminder(id) => format!("reminder {id}"),
        Timer::JobTimeout(id) => format!("timeout {id}"),
        Timer::JobDeadline(id) => format!("deadline {id}"),
        Timer::JobNotBefore(id) => format!("not_before {id}"),
        Timer::PromptTimeout(id) => format!("prompt {id}"),
        Timer::LoginTimeout(id) => format!("login {id}"),
        Timer::SessionIdle(id) => format!("idle {id}"),
    }
}

fn ids(ids: &[beamq_machines::JobId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn good(answer: &Answer) -> String {
    match answer {
        Answer::Submitted { ids, position, revision } => {
            format!("submitted {} at {position}, revision {revision}", self::ids(ids))
        }
        Answer::Edited { jobs, revision } => format!("edited {}, revision {revision}", ids(jobs)),
        Answer::Removed { ids, revision } => format!("removed {}, revision {revision}", self::ids(ids)),
        Answer::Ordered { order, revision } => format!("order {}, revision {revision}", ids(order)),
        Answer::Queue { state } => format!("queue {state}"),
        Answer::Run { state, acts: None } => format!("run {state}"),
        Answer::Run { state, acts: Some(acts) } => format!("run {state}, acts {acts}"),
        Answer::Done => "done".into(),
    }
}

fn bad(refusal: &Refusal) -> String {
    match refusal {
        Refusal::WrongState(it) => {
            let hint = it.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("wrong state: {} when {}: {}{hint}", it.event, it.state, it.reason)
        }
        Refusal::NotPausable(it) => format!("not pausable when {}: {}", it.state, it.reason),
        Refusal::NothingActive { wanted } => format!("nothing active: {wanted}"),
        Refusal::NotFound { ids, group: None } => format!("not found: {}", self::ids(ids)),
        Refusal::NotFound { group: Some(group), .. } => format!("not found: group {group}"),
        Refusal::NotWaiting { ids } => format!("not waiting: {ids:?}"),
        Refusal::Stale { given, revision, order } => {
            format!("stale: given {given}, now {revision}, order {}", ids(order))
        }
        Refusal::Forbidden { needs, reason } => format!("forbidden: {reason}; needs {needs}"),
        Refusal::NoSuchPlace { id } => format!("not found: {id}"),
        Refusal::BadPlace { reason } => format!("bad place: {reason}"),
        Refusal::BadOrder { missing, unknown, twice } => format!(
            "bad order: missing [{}], unknown [{}], twice [{}]",
            ids(missing),
            ids(unknown),
            ids(twice)
        ),
        Refusal::NoSuchPrompt { prompt, open } => format!("no prompt {prompt}, open is {open:?}"),
        Refusal::BadAnswer { choices } => format!("not a choice of {choices:?}"),
    }
}
