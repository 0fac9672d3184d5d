//! Standard output and standard error, as the subcommands use them.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::exit::Failure;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A heading or the name of something.
    Strong,
    /// What is there for completeness.
    Faint,
    /// What went well.
    Good,
    /// What wants attention.
    Attention,
    /// What went wrong.
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Attention => "33",
            Self::Bad => "31",
        }
    }
}

/// Where results and remarks go.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Results are JSON.
    pub json: bool,
    /// Remarks are left out.
    pub quiet: bool,
    color: ColorWhen,
    out_is_terminal: bool,
    err_is_terminal: bool,
}

impl Terminal {
    /// Looks at what standard output and standard error are.
    #[must_use]
    pub fn new(json: bool, quiet: bool, color: ColorWhen) -> Self {
        let color = match color {
            ColorWhen::Auto if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => {
                ColorWhen::Never
            }
            other => other,
        };
        let (out_is_terminal, err_is_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self { json, quiet, color, out_is_terminal, err_is_terminal }
    }

    /// Whether a person watches: both streams are a terminal, and no JSON is asked for.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.out_is_terminal && self.err_is_terminal && !self.json
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when nobody reads or the disk is full.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.as_ref())?;
        out.flush()?;
        Ok(())
    }

    /// Writes a JSON value in one line to standard output.
    ///
    /// # Errors
    ///
    /// As [`Terminal::line`].
    pub fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(value)?)
    }

    /// Writes a remark to standard error, unless `--quiet`.
    pub fn remark(&self, text: impl AsRef<str>) {
        if !self.quiet {
            // Nobody may be there to read remarks, and that is no reason to fail.
            let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// Explains a failure on standard error.
    pub fn explain(&self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        let mut err = io::stderr().lock();
        if self.json {
            let _ = writeln!(err, "{}", failure.document());
            return;
        }
        let colored = self.colors(self.err_is_terminal);
        let _ = writeln!(err, "{} {}", toned(colored, Tone::Bad, "error:"), failure.message);
        if let Some(hint) = &failure.hint {
            let _ = writeln!(err, "{} {hint}", toned(colored, Tone::Attention, "hint:"));
        }
    }

    /// Text for standard output, in a tone where colours are wanted.
    #[must_use]
    pub fn tone(&self, tone: Tone, text: &str) -> String {
        toned(self.colors(self.out_is_terminal), tone, text)
    }

    /// Whether standard output gets colours.
    #[must_use]
    pub fn colors_on_output(&self) -> bool {
        self.colors(self.out_is_terminal)
    }

    /// Text of a script, fit for where it goes: a terminal gets no control characters but colours, which
    /// could otherwise move its cursor or worse; a file or a pipe gets what the script wrote.
    #[must_use]
    pub fn foreign(&self, text: &str) -> String {
        if self.out_is_terminal { harmless(text) } else { text.to_owned() }
    }

    fn colors(&self, is_terminal: bool) -> bool {
        match self.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => is_terminal,
        }
    }
}

fn toned(colored: bool, tone: Tone, text: &str) -> String {
    if colored { format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code()) } else { text.to_owned() }
}

/// Replaces control characters, except tabs and the escape sequences that only set colours.
fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if let Some(length) = color_sequence(rest) {
            clean.push_str(rest.get(..length).unwrap_or_default());
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        clean.push(if c.is_control() && c != '\t' { '\u{fffd}' } else { c });
        rest = after;
    }
    clean
}

/// The length of the colour sequence (`ESC [ digits and semicolons m`) that the text begins with.
fn color_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    (parameters.get(end..)?.starts_with('m')).then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_cannot_steer_the_terminal_but_may_use_colours() {
        assert_eq!(harmless("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(harmless("\u{1b}]0;title\u{7}x"), "\u{fffd}]0;title\u{fffd}x");
        assert_eq!(harmless("\u{1b}[1;31mred\u{1b}[0m\tend"), "\u{1b}[1;31mred\u{1b}[0m\tend");
        assert_eq!(harmless("µA·h \u{1b}["), "µA·h \u{fffd}[");
    }

    #[test]
    fn colours_follow_the_choice() {
        let terminal = |color| Terminal {
            json: false,
            quiet: false,
            color,
            out_is_terminal: false,
            err_is_terminal: false,
        };
        assert_eq!(terminal(ColorWhen::Auto).tone(Tone::Bad, "x"), "x");
        assert_eq!(terminal(ColorWhen::Always).tone(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(terminal(ColorWhen::Never).tone(Tone::Bad, "x"), "x");
    }
}
