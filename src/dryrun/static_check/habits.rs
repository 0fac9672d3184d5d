//! Calls that work at a desk and surprise in a queue.

use ruff_python_ast::ExprCall;

use super::{Host, checker::Checker, literal};
use crate::protocol::view::Severity;

/// A longer `time.sleep`, in seconds, is worth a second look.
const LONG_SLEEP: f64 = 3600.0;

/// What opens a window, and waits for somebody to close it.
const WINDOWS: [&str; 8] = [
    "matplotlib.pyplot.show",
    "pylab.show",
    "matplotlib.pylab.show",
    "tkinter.Tk",
    "tkinter.mainloop",
    "cv2.imshow",
    "PyQt5.QtWidgets.QApplication",
    "PyQt6.QtWidgets.QApplication",
];

impl Checker<'_> {
    /// Judges the call of something that is no command.
    pub(super) fn habit(&mut self, call: &ExprCall, path: &str) {
        if self.host == Host::Nicos && self.habit_in_nicos(call, path) {
            return;
        }
        let func = call.func.as_ref();
        match path {
            "builtins.input" => self.question(call),
            "sys.exit" | "builtins.exit" | "builtins.quit" => {
                self.report(Severity::Note, "exits", func, "the script ends here");
            }
            "os._exit" | "os.abort" => {
                let message = "this ends the process at once: nothing is cleaned up, and the job fails";
                let found = self.report(Severity::Warning, "exits_at_once", func, message);
                found.help.push("sys.exit() lets `finally` and `with` do their work".to_owned());
            }
            "time.sleep" => self.sleep(call),
            path if WINDOWS.contains(&path) => {
                let message = "there is no screen to show a window on: nobody will see it";
                let found = self.report(Severity::Warning, "plot_window", func, message);
                if path.ends_with(".show") {
                    found.help.push("write the figure to a file with savefig".to_owned());
                }
            }
            _ => {}
        }
    }

    fn question(&mut self, call: &ExprCall) {
        let (severity, code, message) = if self.loops > 0 {
            let message = "every round of this loop asks the clients a question and waits for the answer";
            (Severity::Warning, "asks_in_loop", message)
        } else {
            let message = "this is asked of the clients, and the script waits for the answer";
            (Severity::Note, "asks", message)
        };
        let found = self.report(severity, code, call.func.as_ref(), message);
        found.help.push("beamq.ask(text, default=…, timeout=…) goes on when nobody answers".to_owned());
    }

    fn sleep(&mut self, call: &ExprCall) {
        let by_place = call.arguments.args.first();
        let Some(seconds) = by_place.and_then(literal::seconds_of) else { return };
        if seconds > LONG_SLEEP {
            let message = format!("this sleeps for {}", in_words(seconds));
            let found = self.report(Severity::Warning, "long_sleep", call, message);
            found.help.push("time.sleep takes seconds; beamq.sleep can be paused and skipped".to_owned());
        }
    }
}

/// A duration in its two largest units.
fn in_words(seconds: f64) -> String {
    if seconds >= 1e12 {
        return "more than thirty thousand years".to_owned();
    }
    let mut rest = seconds.round() as u64;
    let mut parts = Vec::new();
    for (unit, length) in [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)] {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            parts.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.truncate(2);
    parts.join(" ")
}
