//! NICOS's messages: lines of output, errors of commands, and why a script failed.

use beamq_machines::{CommandError, Phase, Report};
use serde_json::{Map, Value};

use super::traceback::{self, Traceback, line_of, shortened};
use crate::engine::OutputStream;

/// The levels that mean something here.
pub(super) const ACTION: i64 = 21;
const INPUT: i64 = 26;
const WARNING: i64 = 30;
const ERROR: i64 = 40;

/// The logger of what no device says.
const GENERAL: &str = "nicos";
/// A longer line of output is cut into several.
const LONGEST_LINE: usize = 64 * 1024;
/// The text of an error in a report is cut after so many characters, as with the python engine.
const LONGEST_ERROR: usize = 10_000;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// A device, or `nicos`.
    pub(super) logger: String,
    /// Seconds since 1970 UTC.
    pub(super) time: f64,
    pub(super) level: i64,
    pub(super) text: String,
    /// With the values of variables.
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
            traceback: printable(traceback),
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

    /// The error as it is kept until the script ends: a hundred of them are no burden.
    pub(super) fn kept(mut self) -> Self {
        self.text = shortened(&self.text, LONGEST_ERROR);
        if self.traceback.as_ref().is_some_and(|text| text.len() > traceback::LONGEST) {
            self.traceback = self.traceback.map(|text| traceback::bounded(&text).to_owned());
        }
        self
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

    /// The error as the reason for the script's end, with the values of variables if they are wanted.
    pub(super) fn as_report(&self, source: &str, name: &str, variables: bool) -> Report {
        let text = self.text.trim_end();
        let written = self.traceback.as_deref().unwrap_or_default();
        let Traceback { frames, causes, class } = Traceback::read(written, source, name, variables);
        // Errors of NICOS have their category instead of their class.
        let (error_type, message) = match (text.split_once(" - "), class) {
            (Some((kind, message)), class)
                if class.as_deref().map_or(traceback::is_name(kind), |class| class == kind) =>
            {
                (kind.to_owned(), message.to_owned())
            }
            (_, class) => (class.unwrap_or_else(|| "Error".to_owned()), text.to_owned()),
        };
        // What the running script compiles or imports may have such an error as well.
        let syntax = frames.is_empty()
            && matches!(error_type.as_str(), "SyntaxError" | "IndentationError" | "TabError");
        let mut report = Report { error_type, message, causes, ..Report::default() };
        if syntax {
            let line = traceback::script_lines(written).last().copied();
            report.line = line.or_else(|| line_in(&report.message));
            report.phase = Phase::Syntax;
        } else {
            report.traceback = frames;
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

/// The number in `… (<script>, line 3)`.
fn line_in(message: &str) -> Option<u32> {
    message.rsplit_once("line ")?.1.trim_end_matches(')').parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(text: &str, traceback: &Value) -> Message {
        Message::read(&json!(["nicos", 1.5, 40, text, traceback, "id"])).unwrap()
    }

    #[test]
    fn a_failure_has_the_innermost_line_of_the_script() {
        let source = "def f(x):\n    return mean(x)\n\nf(0)\n";
        let traceback = "Traceback (most recent call last):\n  File \"<script>\", line 4, in <module>\n  File \"<script>\", line 2, in f\n  File \"/usr/lib/python3/statistics.py\", line 10, in mean\n    raise ValueError(x)\nValueError: it is bad";
        let report = error("ValueError - it is bad\n", &json!(traceback)).as_report(source, "a job", false);
        assert_eq!((report.error_type.as_str(), report.message.as_str()), ("ValueError", "it is bad"));
        assert_eq!((report.line, report.text.as_deref()), (Some(2), Some("    return mean(x)")));
        assert_eq!((report.phase, report.traceback.len()), (Phase::Run, 3));

        // A script that compiles something runs.
        let traceback = traceback.replace("ValueError", "SyntaxError");
        let report = error("SyntaxError - it is bad\n", &json!(traceback)).as_report(source, "a job", false);
        assert_eq!((report.phase, report.line), (Phase::Run, Some(2)));

        // NICOS begins with the category of its own errors.
        let traceback_of_nicos = traceback.replace("SyntaxError", "nicos.core.errors.LimitError");
        let report =
            error("Out of bounds - too far\n", &json!(traceback_of_nicos)).as_report(source, "a job", false);
        assert_eq!(
            (report.error_type.as_str(), report.message.as_str()),
            ("LimitError", "Out of bounds - too far")
        );

        // A lone surrogate in it costs nothing but itself.
        let mut bytes = traceback.into_bytes();
        bytes.extend(b"\xed\xa0\x80");
        let coded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        let report =
            error("SyntaxError - it is bad\n", &json!({"$wtf8": coded})).as_report(source, "a job", false);
        assert_eq!((report.line, report.traceback.len()), (Some(2), 3));
    }

    #[test]
    fn the_text_of_an_error_is_bounded() {
        let long =
            error(&format!("ValueError - {}", "é".repeat(1 << 20)), &json!("x".repeat(2 << 20))).kept();
        assert!(long.traceback.as_ref().unwrap().len() <= traceback::LONGEST);
        assert!(long.as_report("", "j", false).message.chars().count() <= LONGEST_ERROR);
        assert!(long.as_command_error(None).message.chars().count() <= LONGEST_ERROR + 1);
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let traceback = "Traceback\n  File \"/x/nicos/utils.py\", line 94, in compiler\n    return compile(src)\n\n  File \"<script>\", line 2\n    x = (\nSyntaxError: '(' was never closed";
        let report = error("SyntaxError - '(' was never closed (<script>, line 2)\n", &json!(traceback))
            .as_report("y = 1\nx = (\n", "j", false);
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
