//! Calls that do what is meant in a process of the script's own, and not in NICOS.

use ruff_python_ast::ExprCall;

use super::checker::Checker;
use crate::protocol::view::Severity;

impl Checker<'_> {
    /// Judges the call of something that is no command, where NICOS runs the script. Whether there is nothing else
    /// to say about it.
    pub(super) fn habit_in_nicos(&mut self, call: &ExprCall, path: &str) -> bool {
        let func = call.func.as_ref();
        match path {
            "sys.exit" | "builtins.exit" | "builtins.quit" | "os._exit" | "os.abort" => {
                let message = match path {
                    "sys.exit" => {
                        "this ends the thread in which NICOS runs scripts: until somebody restarts the \
                                   daemon, no script runs any more"
                    }
                    "os._exit" | "os.abort" => "this ends the NICOS daemon",
                    _ => "scripts in NICOS have no such function",
                };
                let found = self.report(Severity::Error, "nicos_exit", func, message);
                found.help.push("raise another exception, or return from a function".to_owned());
            }
            "time.sleep" => {
                let message = "NICOS refuses scripts that call time.sleep";
                let found = self.report(Severity::Error, "nicos_time_sleep", func, message);
                found.help.push("sleep(…) of NICOS can be paused and stopped".to_owned());
            }
            "builtins.input" => {
                let message = "nobody can answer: NICOS has no standard input";
                let found = self.report(Severity::Error, "nicos_input", func, message);
                found.help.push("userinput(…) of NICOS asks the clients".to_owned());
            }
            path if path.starts_with("beamq.") => {
                let message = "NICOS has no beamq module: the import fails, or where the module is on the daemon's \
                               PYTHONPATH, this does nothing";
                let found = self.report(Severity::Warning, "nicos_no_beamq", func, message);
                found.help.push(
                    "cells (# %% Title) are steps in NICOS, too; sleep, pause and userinput are \
                                 NICOS's own"
                        .to_owned(),
                );
            }
            _ => return false,
        }
        true
    }
}
