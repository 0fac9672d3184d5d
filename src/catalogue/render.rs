//! Diagnostics for people: with the line and a mark under what is wrong, or as annotations of a build.

use std::fmt::Write;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Place, Source};
use crate::protocol::view::{Finding, Severity};

/// A longer line is cut around the place that is meant.
const SHOWN_CHARACTERS: usize = 400;

/// Shows a diagnostic with the lines that it is about.
#[must_use]
pub fn to_text(diagnostic: &Diagnostic, colored: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut excerpts = vec![Excerpt::of(&diagnostic.place, AnnotationKind::Primary)];
    if let Some(related) = &diagnostic.related {
        excerpts.push(Excerpt::of(related, AnnotationKind::Context));
    }
    let message = one_line(&diagnostic.message);
    let mut group = Group::with_title(level.primary_title(message.as_str()).id(diagnostic.code));
    for excerpt in &excerpts {
        group = group.element(excerpt.snippet());
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if colored { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// The line of a place. Only the line is given to the renderer, so that its work does not grow with the file.
struct Excerpt<'a> {
    source: &'a Source,
    text: String,
    line: u32,
    start: usize,
    end: usize,
    kind: AnnotationKind,
    label: &'a str,
}

impl<'a> Excerpt<'a> {
    fn of(place: &'a Place, kind: AnnotationKind) -> Self {
        let source = &*place.source;
        let (line, column) = place.line_and_column();
        let text = source.line(line);
        let length = source
            .text
            .get(source.clamped(&place.range))
            .map_or(1, |marked| marked.lines().next().unwrap_or_default().chars().count());
        let before = column as usize - 1;
        let skipped = if text.chars().count() > SHOWN_CHARACTERS { before.saturating_sub(40) } else { 0 };
        // A tab or a control character would move the marks away from what they mean.
        let shown: String = text
            .chars()
            .skip(skipped)
            .take(SHOWN_CHARACTERS)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let byte = |characters: usize| shown.char_indices().nth(characters).map_or(shown.len(), |(at, _)| at);
        let start = byte(before - skipped);
        let end = byte(before - skipped + length.max(1)).max(start);
        Self { source, line, start, end, kind, label: &place.label, text: shown }
    }

    fn snippet(&self) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let annotation = self.kind.span(self.start..self.end);
        let annotation = if self.label.is_empty() { annotation } else { annotation.label(self.label) };
        Snippet::source(self.text.as_str())
            .path(self.source.name.as_str())
            .line_start(self.line as usize)
            .annotation(annotation)
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Shows a finding as an annotation that GitHub puts next to the line of a change.
#[must_use]
pub fn to_github(finding: &Finding) -> String {
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut annotation = format!("::{kind} ");
    if let Some(file) = &finding.file {
        let _ = write!(annotation, "file={},", escaped(file, true));
    }
    for (name, number) in [("line", finding.line), ("col", finding.column)] {
        if let Some(number) = number {
            let _ = write!(annotation, "{name}={number},");
        }
    }
    let message = match &finding.hint {
        Some(hint) => format!("{}\n{hint}", finding.message),
        None => finding.message.clone(),
    };
    let _ = write!(annotation, "title={}::{}", escaped(&finding.code, true), escaped(&message, false));
    annotation
}

/// The escapes of GitHub's workflow commands.
fn escaped(text: &str, property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
}
