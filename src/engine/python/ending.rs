//! How a job ended: what its worker said, and what became of its process, made into one report.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use beamq_machines::{CommandError, Ending, Phase, Report};

use super::{
    commands::{Calls, LastWords},
    control::ControlError,
    worker::{describe, signal_name},
};
use crate::engine::JobEnd;

/// A worker's word on its script.
#[derive(Debug)]
pub(super) struct Finished {
    /// When the script failed.
    pub(super) report: Option<Report>,
    /// The exit status to expect of the process.
    pub(super) status: i32,
    /// Errors of commands that the script went on after.
    pub(super) command_errors: Vec<CommandError>,
}

/// What is known when the process of a job is gone.
#[derive(Debug)]
pub(super) struct Remains<'a> {
    /// The worker's word, if it came to that.
    pub(super) finished: Option<Finished>,
    /// The commands that it told of.
    pub(super) calls: Calls,
    /// How the process ended.
    pub(super) status: ExitStatus,
    /// Why the worker could not be listened to any longer, when the engine ended it for that.
    pub(super) fault: Option<ControlError>,
    /// The line that was seen last.
    pub(super) line: Option<u32>,
    pub(super) source: &'a str,
    pub(super) elapsed: Duration,
    pub(super) tail: Vec<String>,
}

/// The end of a job.
pub(super) fn end_of(remains: Remains<'_>) -> JobEnd {
    let Remains { finished, calls, status, fault, line, source, elapsed, tail } = remains;
    let as_said = finished.as_ref().is_some_and(|said| status.code() == Some(said.status));
    let said = finished.is_some();
    let LastWords { command, errors: told_errors, calls } = calls.into_last();
    let (own_report, command_errors) = match finished {
        Some(finished) => (finished.report, finished.command_errors),
        None => (None, told_errors),
    };
    let report = match (own_report, fault) {
        (Some(report), _) => Some(report),
        (None, _) if as_said => None,
        (None, fault) => {
            let report = match fault {
                Some(fault) => worker_error(&fault.to_string()),
                None => process_error(status, said),
            };
            // After its end the script is at no line and in no command.
            Some(if said { report } else { Report { command, ..located(report, line, source) } })
        }
    };
    let ending = if report.is_none() { Ending::Completed } else { Ending::Failed };
    let report = Report {
        output_tail: tail,
        elapsed_s: elapsed.as_secs_f64(),
        command_errors: command_errors.clone(),
        ..report.unwrap_or_default()
    };
    JobEnd { ending, command_errors, report, calls }
}

/// The end of a job that never got a worker.
pub(super) fn end_before_start(message: &str) -> JobEnd {
    let report = Report {
        error_type: "Abort".into(),
        message: message.into(),
        phase: Phase::Killed,
        ..Report::default()
    };
    JobEnd { ending: Ending::Failed, report, command_errors: Vec::new(), calls: Vec::new() }
}

/// The end of a job whose run failed for a reason within the engine.
pub(super) fn end_by_engine(message: &str) -> JobEnd {
    let report = worker_error(message);
    JobEnd { ending: Ending::Failed, report, command_errors: Vec::new(), calls: Vec::new() }
}

fn worker_error(message: &str) -> Report {
    Report {
        error_type: "WorkerError".into(),
        message: message.into(),
        phase: Phase::Killed,
        hint: Some(
            "the script, or a library in it, disturbed the process it runs in; run it again, and tell \
                    those who look after the script server if it comes back"
                .into(),
        ),
        ..Report::default()
    }
}

/// The report on a process that ended in a way that its worker did not announce.
fn process_error(status: ExitStatus, finished: bool) -> Report {
    let when = if finished { "after the script came to its end, " } else { "" };
    match status.signal() {
        Some(number) => {
            let signal = signal_name(number);
            Report {
                error_type: "Signal".into(),
                message: format!("{when}the script's process was ended by {signal}{}", meaning(number)),
                phase: Phase::Killed,
                hint: advice(number).map(str::to_owned),
                signal: Some(signal),
                ..Report::default()
            }
        }
        None => Report {
            error_type: "SystemExit".into(),
            message: if finished {
                format!("{when}its process failed to shut down ({})", describe(status))
            } else {
                format!("the script's process exited before the script came to its end ({})", describe(status))
            },
            phase: Phase::Run,
            exit_code: status.code(),
            hint: (!finished).then(|| {
                "os._exit() ends a process at once: nothing is cleaned up; use sys.exit(), or let the script end"
                    .to_owned()
            }),
            ..Report::default()
        },
    }
}

fn located(mut report: Report, line: Option<u32>, source: &str) -> Report {
    report.line = line;
    report.text = line
        .and_then(|line| source.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?))
        .map(|text| text.chars().take(500).collect());
    report
}

fn meaning(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => " (a library read or wrote memory that is not its own)",
        libc::SIGBUS => " (a library used memory in a wrong way)",
        libc::SIGFPE => " (a library calculated something impossible)",
        libc::SIGILL => " (a library ran an instruction that this processor does not know)",
        libc::SIGABRT => " (a library found itself in an impossible state)",
        libc::SIGKILL => " (it was killed from outside)",
        libc::SIGXCPU => " (it used more processor time than is allowed)",
        _ => "",
    }
}

fn advice(signal: i32) -> Option<&'static str> {
    match signal {
        libc::SIGKILL => Some(
            "if nobody aborted the job, the system was probably out of memory: work on the data in parts, \
             and look into the system's log",
        ),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGABRT | libc::SIGFPE | libc::SIGILL => Some(
            "a library in compiled code crashed; the end of the output shows where it was called. Check the \
             arguments of that call and the library's version",
        ),
        libc::SIGPIPE => Some("a program that the script wrote to ended early"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn remains(finished: Option<(Option<Report>, i32)>, raw_status: i32) -> Remains<'static> {
        Remains {
            finished: finished.map(|(report, status)| Finished {
                report,
                status,
                command_errors: Vec::new(),
            }),
            calls: Calls::default(),
            status: ExitStatus::from_raw(raw_status),
            fault: None,
            line: Some(2),
            source: "import os\nos._exit(0)\n",
            elapsed: Duration::from_millis(1500),
            tail: vec!["last".into()],
        }
    }

    #[test]
    fn a_finished_script_whose_process_ends_as_it_said_is_complete() {
        let end = end_of(remains(Some((None, 0)), 0));
        assert_eq!(end.ending, Ending::Completed);
        assert_eq!(end.report.error_type, "");
        assert_eq!(end.report.output_tail, ["last"]);
        assert!((end.report.elapsed_s - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_process_that_exits_with_zero_before_the_end_of_its_script_failed() {
        let end = end_of(remains(None, 0));
        assert_eq!(end.ending, Ending::Failed);
        assert_eq!(end.report.exit_code, Some(0));
        assert_eq!(end.report.phase, Phase::Run);
        assert_eq!((end.report.line, end.report.text.as_deref()), (Some(2), Some("os._exit(0)")));
        assert!(end.report.message.contains("before the script came to its end"), "{}", end.report.message);
    }

    #[test]
    fn a_crash_after_the_end_of_the_script_is_no_success() {
        let end = end_of(remains(Some((None, 0)), libc::SIGSEGV));
        assert_eq!(end.ending, Ending::Failed);
        assert_eq!(end.report.signal.as_deref(), Some("SIGSEGV"));
        assert!(end.report.message.starts_with("after the script came to its end"));
        assert_eq!(end.report.line, None);
    }

    #[test]
    fn the_workers_own_report_outweighs_the_signal_that_came_after_it() {
        let own = Report { error_type: "ValueError".into(), ..Report::default() };
        let end = end_of(remains(Some((Some(own), 1)), libc::SIGKILL));
        assert_eq!(end.report.error_type, "ValueError");
    }
}
