//! What became of our script, and why.

use std::fmt::Write;

use beamq_machines::{Ending, Phase, Report};

use super::{Finish, Run};
use crate::engine::{JobEnd, nicos::traceback};

impl Run {
    /// The script has ended, by NICOS's word.
    pub(in crate::engine::nicos) fn ended(&mut self, success: bool) -> Finish {
        let reason = if success { None } else { Some(self.reason()) };
        Finish::Ended(Box::new(self.end(reason)))
    }

    /// NICOS has thrown the request away before it began.
    pub(in crate::engine::nicos) fn thrown_away(&mut self) -> Finish {
        let report = Report {
            error_type: "Stopped".into(),
            message: "somebody took the script off NICOS's queue before it began".into(),
            phase: Phase::Killed,
            ..Report::default()
        };
        Finish::Ended(Box::new(self.end(Some(report))))
    }

    /// The end that NICOS refused to take the script.
    pub(in crate::engine::nicos) fn refused(&mut self, why: &str) -> Finish {
        let report = Report {
            error_type: "NicosError".into(),
            message: why.to_owned(),
            phase: Phase::Validation,
            ..Report::default()
        };
        Finish::Ended(Box::new(self.end(Some(report))))
    }

    fn reason(&mut self) -> Report {
        if let Some(report) = self.own_reason.take() {
            return report;
        }
        if let Some(by) = self.stopped_by.take() {
            return Report {
                error_type: "Stopped".into(),
                message: format!("the script was stopped in NICOS by {by}"),
                line: self.line,
                ..Report::default()
            };
        }
        // An error that ends the script has the traceback that leads through it.
        let failed = self.errors.last().is_some_and(|(message, _)| message.traceback.is_some());
        match if failed { self.errors.pop() } else { None } {
            Some((message, _)) => {
                let file = traceback::file_name(&self.start.name);
                let report = message.as_report(&self.start.source, &file, self.local_variables);
                self.write_last_word(&report);
                report
            }
            None => Report {
                error_type: "NicosError".into(),
                message: "NICOS ended the script without success and did not say why".into(),
                line: self.line,
                ..Report::default()
            },
        }
    }

    fn end(&mut self, reason: Option<Report>) -> JobEnd {
        self.release();
        let ending = if reason.is_some() { Ending::Failed } else { Ending::Completed };
        let command_errors: Vec<_> =
            self.errors.drain(..).map(|(message, line)| message.as_command_error(line)).collect();
        let report = Report {
            elapsed_s: self.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64()),
            command_errors: command_errors.clone(),
            ..reason.unwrap_or_default()
        };
        JobEnd { ending, report, command_errors, calls: Vec::new() }
    }

    pub(super) fn killed_thread(&mut self) -> Finish {
        let mut message =
            "the script ended NICOS's script thread, as sys.exit(), SystemExit, KeyboardInterrupt and \
                           GeneratorExit do"
                .to_owned();
        // NICOS does not say where; the line that was seen last may be long past.
        if let Some(line) = self.line {
            write!(message, "; line {line} was seen last").unwrap_or_default();
        }
        let report = Report {
            error_type: "SystemExit".into(),
            message,
            phase: Phase::Killed,
            hint: Some(
                "restart the NICOS daemon: until then it runs no script at all. To end a script early, raise \
                 another exception, or return from a function"
                    .into(),
            ),
            ..Report::default()
        };
        Finish::KilledThread(Box::new(self.end(Some(report))))
    }
}
