//! NICOS's tracebacks: texts in the manner of Python's, in which the frames of NICOS itself are followed by the values
//! of their variables and an empty line.

use beamq_machines::{LocalVariable, Report, TracebackFrame};

/// How NICOS names the script.
const SCRIPT: &str = "<script>";
/// How the traceback of each exception of a chain begins.
const HEADER: &str = "Traceback (most recent call last):";
/// The most of a traceback that is looked at.
pub(super) const LONGEST: usize = 1 << 20;
/// More frames than these are left out, in the middle.
const MOST_FRAMES: usize = 50;
/// More exceptions that led to the one that counts are left out.
const MOST_CAUSES: usize = 10;
/// A line of source, or an exception that led to the one that counts, is cut after so many characters.
const LONGEST_LINE: usize = 500;
/// More variables of a frame are left out.
const MOST_VARIABLES: usize = 50;
/// A value is cut after so many characters, as NICOS itself does.
const LONGEST_VALUE: usize = 256;
/// All variables of a traceback together take no more bytes than this; the innermost frames come first.
const MOST_BYTES_OF_VARIABLES: usize = 64 * 1024;

/// What a traceback tells of the script.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Traceback {
    /// The way from the script to the error, outermost first.
    pub(super) frames: Vec<TracebackFrame>,
    /// Exceptions that led to the one that counts, the direct cause first.
    pub(super) causes: Vec<String>,
    /// The class of the one that counts.
    pub(super) class: Option<String>,
}

impl Traceback {
    /// Reads what NICOS wrote of a script with this source and name. Without `variables` it has the frames of the
    /// user's own code: the script's, and of what it called that is not NICOS. With `variables` it also has those of
    /// NICOS below the script, with the values of variables, since NICOS tells these for its own frames alone.
    pub(super) fn read(text: &str, source: &str, name: &str, variables: bool) -> Self {
        let mut exceptions = exceptions(text);
        let last = exceptions.pop().unwrap_or_default();
        let below_script = last.frames.iter().skip_while(|frame| frame.file != SCRIPT);
        let frames = below_script.filter(|frame| variables || !frame.is_nicos());
        let mut frames: Vec<TracebackFrame> =
            frames.map(|frame| frame.described(source, name, variables)).collect();
        if frames.len() > MOST_FRAMES {
            frames.drain(MOST_FRAMES / 2..frames.len() - MOST_FRAMES / 2);
        }
        keep_within_bounds(&mut frames);
        let causes = exceptions.into_iter().rev().take(MOST_CAUSES);
        Self {
            frames,
            causes: causes.map(|exception| shortened(exception.error, LONGEST_LINE)).collect(),
            class: class_of(last.error),
        }
    }
}

/// The script's file in tracebacks, made of the job's name as the python engine does.
pub(super) fn file_name(name: &str) -> String {
    let fits = |c: char| if c < ' ' || "/\\<>".contains(c) { '_' } else { c };
    let name: String = name.chars().map(fits).collect();
    match name.trim() {
        "" => "script.py".to_owned(),
        name if name.ends_with(".py") => name.to_owned(),
        name => format!("{name}.py"),
    }
}

/// A report as Python writes the error that ends a script.
pub(super) fn written(report: &Report) -> Vec<String> {
    let frames = report.traceback.iter().filter(|frame| !frame.file.contains("/nicos/"));
    let frames = frames.flat_map(|frame| {
        let place = format!("  File \"{}\", line {}, in {}", frame.file, frame.line, frame.function);
        let text = Some(frame.text.trim()).filter(|text| !text.is_empty());
        [Some(place), text.map(|text| format!("    {text}"))].into_iter().flatten()
    });
    let error = match report.message.as_str() {
        "" => report.error_type.clone(),
        message => format!("{}: {message}", report.error_type),
    };
    let error = error.split('\n').map(str::to_owned).collect::<Vec<_>>();
    std::iter::once(HEADER.to_owned()).chain(frames).chain(error).collect()
}

/// The lines of the script that a traceback names, also the one of a syntax error.
pub(super) fn script_lines(text: &str) -> Vec<u32> {
    bounded(text)
        .lines()
        .filter_map(place)
        .filter(|(file, ..)| *file == SCRIPT)
        .map(|(_, line, _)| line)
        .collect()
}

/// A line of a text, from 1.
pub(super) fn line_of(source: &str, line: u32) -> String {
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    shortened(source.lines().nth(index).unwrap_or_default(), LONGEST_LINE)
}

/// The traceback of one exception of a chain.
#[derive(Default)]
struct Exception<'a> {
    frames: Vec<Frame<'a>>,
    /// Its type and message.
    error: &'a str,
}

#[derive(Default)]
struct Frame<'a> {
    file: &'a str,
    line: u32,
    function: &'a str,
    text: &'a str,
    variables: Vec<(&'a str, String)>,
}

impl Frame<'_> {
    fn is_nicos(&self) -> bool {
        self.file.contains("/nicos/")
    }

    fn described(&self, source: &str, name: &str, variables: bool) -> TracebackFrame {
        let (file, text) = match self.file == SCRIPT {
            true => (name, line_of(source, self.line).trim().to_owned()),
            false => (self.file, shortened(self.text, LONGEST_LINE)),
        };
        let told = self.variables.iter().take(if variables { MOST_VARIABLES } else { 0 });
        let locals = told.map(|(name, value)| LocalVariable {
            name: shortened(name, LONGEST_LINE),
            value: shortened(value, LONGEST_VALUE),
        });
        TracebackFrame {
            file: file.to_owned(),
            line: self.line,
            function: self.function.to_owned(),
            text,
            locals: locals.collect(),
        }
    }
}

/// The exceptions of a chain, the last one raised last.
fn exceptions(text: &str) -> Vec<Exception<'_>> {
    let mut exceptions: Vec<Exception<'_>> = Vec::new();
    let mut among_variables = false;
    for line in bounded(text).lines() {
        if line == HEADER && !among_variables {
            exceptions.push(Exception::default());
            continue;
        }
        let Some(exception) = exceptions.last_mut() else { continue };
        if line.is_empty() {
            among_variables = false;
        } else if !among_variables && let Some((file, line, Some(function))) = place(line) {
            exception.frames.push(Frame { file, line, function, ..Frame::default() });
        } else if let Some(frame) = exception.frames.last_mut()
            && exception.error.is_empty()
        {
            if let Some(variable) = variable(line) {
                among_variables = true;
                frame.variables.push(variable);
            } else if among_variables {
                // A value may have several lines.
                if let Some((_, value)) = frame.variables.last_mut() {
                    value.push('\n');
                    value.push_str(line);
                }
            } else if line.starts_with(' ') {
                frame.text = line.trim();
            } else {
                exception.error = line;
            }
        }
    }
    exceptions
}

/// The place that a line tells: `  File "NAME", line N, in FUNCTION`.
fn place(line: &str) -> Option<(&str, u32, Option<&str>)> {
    let (file, rest) = line.strip_prefix("  File \"")?.split_once("\", line ")?;
    let (number, function) = match rest.split_once(", in ") {
        Some((number, function)) => (number, Some(function)),
        None => (rest, None),
    };
    Some((file, number.trim().parse().ok()?, function))
}

/// The variable that a line tells: `        NAME                 = VALUE`. A line of source has fewer blanks before it.
fn variable(line: &str) -> Option<(&str, String)> {
    let (name, value) = line.strip_prefix("        ")?.split_once(" = ")?;
    let name = name.trim_end();
    // A comprehension calls what it goes through `.0`.
    is_name(name.trim_start_matches('.')).then(|| (name, value.to_owned()))
}

/// The class in `module.Class: message`, without its module.
fn class_of(error: &str) -> Option<String> {
    let (path, _) = error.split_once(": ").unwrap_or((error, ""));
    let class = path.rsplit('.').next()?.trim_end_matches(':');
    is_name(class).then(|| class.to_owned())
}

/// Whether it can be the name of something in Python.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 100 && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// As much of a traceback as is looked at.
pub(super) fn bounded(text: &str) -> &str {
    let end = (0..=text.len().min(LONGEST)).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// A text of so many characters at most.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn keep_within_bounds(frames: &mut [TracebackFrame]) {
    let mut left = MOST_BYTES_OF_VARIABLES;
    for frame in frames.iter_mut().rev() {
        frame.locals.retain(|variable| {
            let size = variable.name.len() + variable.value.len();
            let fits = size <= left;
            left = if fits { left - size } else { 0 };
            fits
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// As a daemon writes it, with names and numbers changed.
    const CHAIN: &str = "Traceback (most recent call last):\n  File \"<script>\", line 5, in <module>\nKeyError: 'hunter1'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/opt/nicos/nicos/services/daemon/script.py\", line 669, in run\n    exec(code)\n        code                 = 'hunter2'\n\n  File \"<script>\", line 4, in <module>\n  File \"<script>\", line 2, in f\n  File \"/home/ada/means.py\", line 10, in mean\n    raise ValueError(x)\n  File \"<generated>\", line 1, in g\n  File \"/opt/nicos/nicos/core/device.py\", line 1, in _wrap\n    return f()\n        self                 = <device m1>\n        matrix               = array([[1, 2],\n       [3, 4]])\n        a_name_longer_than_twenty = 'hunter3'\n\nnicos.core.errors.LimitError: bad\nand more\n";

    const SOURCE: &str = "def f(x):\n    return mean(x)\n\nf(0)\n";

    #[test]
    fn without_variables_there_are_the_users_frames_and_no_values() {
        let read = Traceback::read(CHAIN, SOURCE, "a job", false);
        let told: Vec<_> = read
            .frames
            .iter()
            .map(|frame| (frame.file.as_str(), frame.line, frame.function.as_str(), frame.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("a job", 4, "<module>", "f(0)"),
                ("a job", 2, "f", "return mean(x)"),
                ("/home/ada/means.py", 10, "mean", "raise ValueError(x)"),
                ("<generated>", 1, "g", ""),
            ]
        );
        assert_eq!(
            (read.causes, read.class.as_deref()),
            (vec!["KeyError: 'hunter1'".to_owned()], Some("LimitError"))
        );
        assert!(read.frames.iter().all(|frame| frame.locals.is_empty()));
        assert!(!format!("{:?}", read.frames).contains("hunter"));
    }

    #[test]
    fn with_variables_the_frames_of_nicos_below_the_script_have_theirs() {
        let frames = Traceback::read(CHAIN, SOURCE, "a job", true).frames;
        assert!(!format!("{frames:?}").contains("hunter2"), "nothing above the script: {frames:?}");
        let (generated, device) = (&frames[3], &frames[4]);
        assert_eq!((generated.file.as_str(), generated.locals.len()), ("<generated>", 0));
        assert_eq!((device.function.as_str(), device.text.as_str()), ("_wrap", "return f()"));
        let told: Vec<_> =
            device.locals.iter().map(|local| (local.name.as_str(), local.value.as_str())).collect();
        assert_eq!(
            told,
            [
                ("self", "<device m1>"),
                ("matrix", "array([[1, 2],\n       [3, 4]])"),
                ("a_name_longer_than_twenty", "'hunter3'"),
            ]
        );
    }

    #[test]
    fn the_last_word_of_a_script_is_pythons() {
        assert_eq!(
            ["scan.py", "a/b", " ", "(unnamed)"].map(file_name),
            ["scan.py", "a_b.py", "script.py", "(unnamed).py"]
        );
        let Traceback { frames, .. } = Traceback::read(CHAIN, SOURCE, "job.py", true);
        let report = Report {
            error_type: "LimitError".into(),
            message: "bad\nand more".into(),
            traceback: frames,
            ..Report::default()
        };
        let expected = "Traceback (most recent call last):\n  File \"job.py\", line 4, in <module>\n    f(0)\n  \
            File \"job.py\", line 2, in f\n    return mean(x)\n  File \"/home/ada/means.py\", line 10, in mean\n    \
            raise ValueError(x)\n  File \"<generated>\", line 1, in g\nLimitError: bad\nand more";
        assert_eq!(written(&report).join("\n"), expected);
    }

    #[test]
    fn a_value_that_looks_like_a_frame_is_none_and_a_variable_is_no_line_of_source() {
        let text = "Traceback (most recent call last):\n  File \"<script>\", line 1, in <module>\n  File \"/opt/x.py\", line 2, in g\n        text                 = a\n  File \"/etc/shadow\", line 3, in hunter2\n    hunter2\n\nE: x";
        let frames = Traceback::read(text, "g()\n", "j", false).frames;
        assert_eq!(frames.len(), 2, "{frames:?}");
        assert_eq!(frames[1].text, "");
    }

    #[test]
    fn whatever_nicos_tells_the_report_is_bounded() {
        let frame = |n: usize| {
            let variables: String =
                (0..60).map(|v| format!("        v{v:<19} = {}\n", "é".repeat(300))).collect();
            format!(
                "  File \"/opt/nicos/nicos/a.py\", line {n}, in f\n    {}\n{variables}\n",
                "x".repeat(900)
            )
        };
        let text: String = (1..20).map(frame).collect();
        let text = format!("{HEADER}\n  File \"<script>\", line 1, in <module>\n{text}E: x\n");
        let read = Traceback::read(&text, "f()\n", "j", true);
        let values: usize =
            read.frames.iter().flat_map(|frame| &frame.locals).map(|local| local.value.len()).sum();
        assert!(values <= MOST_BYTES_OF_VARIABLES && values > 0, "{values}");
        assert!(read.frames.len() <= MOST_FRAMES && read.frames[0].file == "j", "{}", read.frames.len());
        assert!(
            read.frames.last().unwrap().locals.len() == MOST_VARIABLES,
            "the innermost frame comes first"
        );
        let deep: String = (1..2_000).map(|n| format!("  File \"<script>\", line {n}, in f\n")).collect();
        let read = Traceback::read(&format!("{HEADER}\n{deep}E: x\n"), "f()\n", "j", false);
        let (first, last) = (read.frames.first().unwrap(), read.frames.last().unwrap());
        assert_eq!((read.frames.len(), first.line, last.line), (MOST_FRAMES, 1, 1_999));
    }
}
