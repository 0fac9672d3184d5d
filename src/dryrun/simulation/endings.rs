//! What is to be said of a child that did not say everything itself.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use nix::sys::signal::Signal;

use super::{
    SimulationWish,
    account::Account,
    child::{Ending, file_name},
    message::Told,
};
use crate::protocol::view::Severity;

/// Makes a finding of an ending that is not good.
pub(super) fn explain(ending: Ending, wish: &SimulationWish, account: &mut Account<'_>) {
    let told = match ending {
        // One that got nowhere was begun again.
        Ending::Told | Ending::Starved => return,
        Ending::Refused(reason) | Ending::NotStarted(reason) => {
            finding(Severity::Warning, "not_simulated", format!("the script was not run: {reason}"))
        }
        Ending::TooSlow(last_words) => {
            let seconds = wish.budget.real.as_secs_f64();
            let line = line_of(&last_words, wish);
            let message = format!("after {seconds} s of the simulation the script has not ended");
            let hint = "the dry run ends here; the script may well be right";
            Told { line, hint: Some(hint.into()), ..finding(Severity::Error, "too_long", message) }
        }
        Ending::Early { status, last_words } => of_early_end(status, &last_words, wish),
    };
    account.finding(told);
}

fn of_early_end(status: Option<ExitStatus>, last_words: &str, wish: &SimulationWish) -> Told {
    let line = line_of(last_words, wish);
    if last_words.contains("Timeout (") {
        return explain_hang(wish, line);
    }
    let killed = status.and_then(|status| status.signal()).and_then(|number| Signal::try_from(number).ok());
    let crashed = last_words.contains("Fatal Python error");
    let message = match (killed, status.and_then(|status| status.code())) {
        // Our own way of ending it: it had closed its end of the conversation.
        (Some(Signal::SIGKILL), _) if !crashed => {
            "the script ended the conversation with the simulation".to_owned()
        }
        (Some(signal), _) => format!("the interpreter crashed with {signal}"),
        (None, Some(code)) => format!("the script ended the interpreter at once, with exit code {code}"),
        (None, None) => "the simulation ended early".to_owned(),
    };
    tracing::debug!(last_words, "a simulation ended early");
    let hint = "what the script did until then is in the report";
    let code = if crashed || message.contains("crashed") { "crashed" } else { "ended_early" };
    let severity = if code == "crashed" { Severity::Error } else { Severity::Warning };
    Told { line, hint: Some(hint.into()), ..finding(severity, code, message) }
}

fn explain_hang(wish: &SimulationWish, line: Option<u32>) -> Told {
    let seconds = wish.budget.real.as_secs_f64();
    let message = format!("after {seconds} s of the simulation the script has not ended");
    let hint = "compiled code runs there that the simulation cannot look into, or the machine is busy";
    Told { line, hint: Some(hint.into()), ..finding(Severity::Error, "too_long", message) }
}

/// The innermost line of the script in what Python wrote about its end.
fn line_of(last_words: &str, wish: &SimulationWish) -> Option<u32> {
    let marker = format!("  File \"{}\", line ", file_name(&wish.name));
    let told = last_words.rfind("(most recent call first)").and_then(|at| last_words.get(at..))?;
    let after = told.split(&marker).nth(1)?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What is to be said when not every limit holds.
pub(super) fn of_confinement(holds: &str) -> Option<Told> {
    let wanted: &[(&str, &str)] = if cfg!(target_os = "linux") {
        &[("rlimits", "resource limits"), ("landlock", "Landlock"), ("seccomp", "seccomp")]
    } else {
        &[("rlimits", "resource limits")]
    };
    let missing = wanted.iter().filter(|(name, _)| !holds.split(' ').any(|one| one == *name));
    let missing: Vec<_> = missing.map(|(_, words)| *words).collect();
    if missing.is_empty() && cfg!(target_os = "linux") {
        return None;
    }
    let message = if missing.is_empty() {
        "this system has no confinement for dry runs: only Python's own guards hold".to_owned()
    } else {
        format!("the dry run was not confined by {}: Python's own guards hold instead", missing.join(" and "))
    };
    let hint = "a script that works against them could reach what is outside; look at docs/dry-run.md";
    Some(Told { hint: Some(hint.into()), ..finding(Severity::Note, "confinement", message) })
}

fn finding(severity: Severity, code: &str, message: String) -> Told {
    Told { severity, code: code.to_owned(), message, hint: None, line: None, command: None, parameter: None }
}
