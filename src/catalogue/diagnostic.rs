//! What is wrong with a catalogue file, and exactly where.

use std::{ops::Range, sync::Arc};

use crate::protocol::view::{Finding, Severity};

/// A file of a catalogue, as diagnostics need it.
#[derive(Debug)]
pub struct Source {
    /// The file's name, as people know it.
    pub name: String,
    /// Its text.
    pub text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// A file with this name and this text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, line_starts }
    }

    /// The line and the column of a byte, both from 1; the column counts characters.
    #[must_use]
    pub fn line_and_column(&self, at: usize) -> (u32, u32) {
        let at = self.boundary(at);
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        (saturating(line), saturating(column))
    }

    /// The text of a line, without its end.
    #[must_use]
    pub fn line(&self, line: u32) -> &str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.line_starts.get(index) else { return "" };
        let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len());
        self.text.get(*start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// The byte at a line and a column, both from 1; the column counts characters.
    #[must_use]
    pub fn place_of(&self, line: u32, column: u32) -> usize {
        let text = self.line(line);
        let before = (column as usize).saturating_sub(1);
        let within = text.char_indices().nth(before).map_or(text.len(), |(at, _)| at);
        (self.start_of_line(line) + within).min(self.text.len())
    }

    /// The byte at which a line begins.
    pub(super) fn start_of_line(&self, line: u32) -> usize {
        self.line_starts.get((line as usize).saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// The nearest place not after `at` where the text can be cut.
    pub(super) fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// The range, brought within the text and to the borders of characters.
    #[must_use]
    pub(super) fn clamped(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.boundary(range.start);
        start..self.boundary(range.end).max(start)
    }
}

fn saturating(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A part of a file that a diagnostic points at.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes of its text.
    pub range: Range<usize>,
    /// What is to be said at this place; may be empty.
    pub label: String,
}

impl Place {
    /// The line and the column where the place begins, both from 1.
    #[must_use]
    pub fn line_and_column(&self) -> (u32, u32) {
        self.source.line_and_column(self.range.start)
    }
}

/// Something that is wrong with a catalogue file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is. A file with an error is not put in force.
    pub severity: Severity,
    /// The kind, which never changes.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Place,
    /// Another place that belongs to it: the first of two duplicates.
    pub related: Option<Place>,
    /// The command it is about.
    pub command: Option<String>,
    /// The parameter it is about.
    pub parameter: Option<String>,
    /// What is allowed, what was probably meant, what to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// Says at the place itself what is wrong with it.
    pub(super) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.place.label = label.into();
        self
    }

    /// Adds what to do.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help.push(help.into());
        self
    }

    /// Adds what was probably meant, if that is known.
    pub(super) fn did_you_mean(&mut self, meant: Option<&str>) -> &mut Self {
        if let Some(meant) = meant {
            self.help.push(format!("did you mean `{meant}`?"));
        }
        self
    }

    /// Lists what is allowed.
    pub(super) fn allowed<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.help.push(format!("allowed: {}", names.into_iter().collect::<Vec<_>>().join(", ")));
        self
    }

    /// Points at another place that belongs to it.
    pub(super) fn related(&mut self, place: Place) -> &mut Self {
        self.related = Some(place);
        self
    }

    /// Whether the file cannot be used because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The diagnostic as clients see it.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let (line, column) = self.place.line_and_column();
        let mut hints = self.help.clone();
        if let Some(related) = &self.related {
            let (line, column) = related.line_and_column();
            hints.push(format!("{} ({}:{line}:{column})", related.label, related.source.name));
        }
        Finding {
            severity: self.severity,
            code: self.code.to_owned(),
            file: Some(self.place.source.name.clone()),
            line: Some(line),
            column: Some(column),
            command: self.command.clone(),
            parameter: self.parameter.clone(),
            message: self.message.clone(),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
        }
    }
}
