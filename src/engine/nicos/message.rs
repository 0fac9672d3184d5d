//! NICOS's messages: lines of output, errors of commands, and why a script failed.

use beamq_machines::{CommandError, Phase, Report, TracebackFrame};
use serde_json::{Map, Value};

use crate::engine::OutputStream;

/// The levels that mean something here.
pub(super) const ACTION: i64 = 21;
const INPUT: i64 = 26;
const WARNING: i64 = 30;
const ERROR: i64 = 40;

/// The logger of what no device says.
const GENERAL: &str = "nicos";
/// How NICOS names the script in tracebacks.
const SCRIPT: &str = "<script>";
/// The most of a traceback that is looked at.
const LONGEST_TRACEBACK: usize = 1 << 20;
/// A longer line of output is cut into several.
const LONGEST_LINE: usize = 64 * 1024;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// A device, or `nicos`.
    pub(super) logger: String,
    /// Seconds since 1970 UTC.
    pub(super) time: f64,
    pub(super) level: i64,
    pub(super) text: String,
    /// With the values of variables, which stay here.
    pub(super) traceback: Option<String>,
    /// The request that it belongs to.
    pub(super) request: Option<String>,
}

impl Message {
    /// Reads what came with an event, or as an item of `getmessages`.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let [logger, time, level, text, traceback, rest @ ..] = value.as_array()?.as_slice() else {
            return None;
        };
        Some(Self {
            logger: logger.as_str().unwrap_or(GENERAL).to_owned(),
            time: time.as_f64()?,
            level: level.as_i64()?,
            text: printable(text)?,
            traceback: traceback.as_str().map(str::to_owned),
            request: rest.first().and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// The lines of output that it is, with the stream they belong to. What tells clients what to show in
    /// their status line, and the script itself, are none.
    pub(super) fn lines(&self) -> Option<(OutputStream, Vec<String>)> {
        if matches!(self.level, ACTION | INPUT) {
            return None;
        }
        let stream = if self.level >= WARNING { OutputStream::Stderr } else { OutputStream::Stdout };
        let prefix = match self.logger.as_str() {
            GENERAL | "" => String::new(),
            device => format!("{device}: "),
        };
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text);
        let lines = text.split('\n').flat_map(|line| cut(format!("{prefix}{line}")));
        Some((stream, lines.collect()))
    }

    /// The milliseconds since 1970 UTC.
    pub(super) fn time_ms(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is as good as its end")]
        let time = (self.time * 1000.0) as i64;
        time
    }

    /// Whether it tells of an error. NICOS's own verdict on a script does not count those of its commands.
    pub(super) fn is_error(&self) -> bool {
        self.level >= ERROR
    }

    /// The error as one of a command that the script went on after.
    pub(super) fn as_command_error(&self, line: Option<u32>) -> CommandError {
        CommandError {
            command: if self.logger == GENERAL { String::new() } else { self.logger.clone() },
            arguments: Map::new(),
            line,
            message: self.text.trim_end().to_owned(),
        }
    }

    /// The error as the reason for the script's end.
    pub(super) fn as_report(&self, source: &str, name: &str) -> Report {
        let text = self.text.trim_end();
        let (error_type, message) = match text.split_once(" - ") {
            Some((kind, message)) if kind.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') => {
                (kind.to_owned(), message.to_owned())
            }
            _ => ("Error".to_owned(), text.to_owned()),
        };
        let syntax = matches!(error_type.as_str(), "SyntaxError" | "IndentationError" | "TabError");
        let traceback = self.traceback.as_deref().unwrap_or_default();
        let mut report = Report { error_type, message, ..Report::default() };
        if syntax {
            report.line = script_lines(traceback).last().copied().or_else(|| line_in(&report.message));
            report.phase = Phase::Syntax;
        } else {
            report.traceback = frames(traceback, source, name);
            report.line =
                report.traceback.iter().rev().find(|frame| frame.file == name).map(|frame| frame.line);
            if matches!(report.error_type.as_str(), "ImportError" | "ModuleNotFoundError") {
                report.phase = Phase::Import;
            }
        }
        report.text = report.line.map(|line| line_of(source, line)).filter(|text| !text.is_empty());
        report
    }
}

/// A text of Python as one that everybody can show: lone surrogates are replaced.
fn printable(value: &Value) -> Option<String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    match value {
        Value::String(text) => Some(text.clone()),
        other => {
            let bytes = STANDARD.decode(other.get("$wtf8")?.as_str()?).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

/// A line in pieces of bounded length.
fn cut(mut line: String) -> Vec<String> {
    let mut pieces = Vec::new();
    while line.len() > LONGEST_LINE {
        let end = (0..=LONGEST_LINE).rev().find(|&end| line.is_char_boundary(end)).unwrap_or(0);
        let rest = line.split_off(end);
        pieces.push(std::mem::replace(&mut line, rest));
    }
    pieces.push(line);
    pieces
}

fn line_of(source: &str, line: u32) -> String {
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    source.lines().nth(index).unwrap_or_default().chars().take(500).collect()
}

/// The number in `… (<script>, line 3)`.
fn line_in(message: &str) -> Option<u32> {
    message.rsplit_once("line ")?.1.trim_end_matches(')').parse().ok()
}

/// The place that a line of a traceback tells: `  File "NAME", line N, in FUNCTION`.
fn place(line: &str) -> Option<(&str, u32, Option<&str>)> {
    let (file, rest) = line.strip_prefix("  File \"")?.split_once("\", line ")?;
    let (number, function) = match rest.split_once(", in ") {
        Some((number, function)) => (number, Some(function)),
        None => (rest, None),
    };
    Some((file, number.trim().parse().ok()?, function))
}

fn bounded_lines(traceback: &str) -> impl Iterator<Item = &str> {
    let end = (0..=traceback.len().min(LONGEST_TRACEBACK)).rev().find(|&end| traceback.is_char_boundary(end));
    traceback.get(..end.unwrap_or(0)).unwrap_or_default().lines()
}

fn script_lines(traceback: &str) -> Vec<u32> {
    bounded_lines(traceback)
        .filter_map(place)
        .filter(|(file, ..)| *file == SCRIPT)
        .map(|(_, line, _)| line)
        .collect()
}

/// The frames of the user's own code: the script's, and what it called that is not NICOS. Only places and the
/// text of their lines; the values of variables, which NICOS adds, may be anything.
fn frames(traceback: &str, source: &str, name: &str) -> Vec<TracebackFrame> {
    let mut frames = Vec::new();
    let mut lines = bounded_lines(traceback).peekable();
    while let Some(line) = lines.next() {
        let Some((file, number, Some(function))) = place(line) else { continue };
        if file == SCRIPT {
            let text = line_of(source, number).trim().to_owned();
            frames.push(TracebackFrame {
                file: name.to_owned(),
                line: number,
                function: function.to_owned(),
                text,
            });
        } else if !file.contains("/nicos/") && !frames.is_empty() {
            let text = lines.peek().filter(|text| place(text).is_none()).map_or("", |text| text.trim());
            frames.push(TracebackFrame {
                file: file.to_owned(),
                line: number,
                function: function.to_owned(),
                text: text.chars().take(500).collect(),
            });
        }
    }
    frames
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"<script>\", line 4, in <module>\n        secret               = 'hunter2'\n\n  File \"<script>\", line 2, in f\n        x                    = 0\n\n  File \"/usr/lib/python3/statistics.py\", line 10, in mean\n    raise ValueError(x)\n        x                    = 'hunter2'\n\n  File \"/opt/nicos/nicos/core/device.py\", line 1, in _wrap\n    return f()\n\nValueError: hunter3";

    fn error(text: &str, traceback: &str) -> Message {
        Message::read(&json!(["nicos", 1.5, 40, text, traceback, "id"])).unwrap()
    }

    #[test]
    fn a_failure_names_the_users_frames_and_no_values() {
        let source = "def f(x):\n    return mean(x)\n\nf(0)\n";
        let report = error("ValueError - it is bad\n", TRACEBACK).as_report(source, "a job");
        assert_eq!((report.error_type.as_str(), report.message.as_str()), ("ValueError", "it is bad"));
        assert_eq!((report.line, report.text.as_deref()), (Some(2), Some("    return mean(x)")));
        let places: Vec<_> = report.traceback.iter().map(|frame| (frame.file.as_str(), frame.line)).collect();
        assert_eq!(places, [("a job", 4), ("a job", 2), ("/usr/lib/python3/statistics.py", 10)]);
        assert_eq!(report.traceback.last().unwrap().text, "raise ValueError(x)");
        assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let traceback = "Traceback\n  File \"/x/nicos/utils.py\", line 94, in compiler\n    return compile(src)\n\n  File \"<script>\", line 2\n    x = (\nSyntaxError: '(' was never closed";
        let report = error("SyntaxError - '(' was never closed (<script>, line 2)\n", traceback)
            .as_report("y = 1\nx = (\n", "j");
        assert_eq!((report.phase, report.line), (Phase::Syntax, Some(2)));
        assert_eq!(report.text.as_deref(), Some("x = ("));
    }

    #[test]
    fn messages_become_lines_of_bounded_length_with_their_device() {
        let read = |logger: &str, level: i64, text: &str| {
            Message::read(&json!([logger, 1.5, level, text, null, "id"])).unwrap().lines()
        };
        assert_eq!(read("nicos", 20, "a\nb\n"), Some((OutputStream::Stdout, vec!["a".into(), "b".into()])));
        assert_eq!(read("m1", 30, "hot\n"), Some((OutputStream::Stderr, vec!["m1: hot".into()])));
        assert_eq!(read("nicos", ACTION, "moving"), None);
        assert_eq!(read("nicos", INPUT, ">>> script"), None);
        let (_, lines) = read("nicos", 20, &"é".repeat(100_000)).unwrap();
        assert!(lines.len() == 4 && lines.iter().all(|line| line.len() <= LONGEST_LINE), "{}", lines.len());
    }
}
