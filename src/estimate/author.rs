//! What the author of a script says about its length: `estimate="10 min"` in the markers of cells, and
//! the estimates of steps.

use super::interval::{Guess, Interval};
use crate::protocol::view::EstimateSource;

/// How much shorter and longer a script takes than its author thinks.
const AUTHORS: (f64, f64) = (0.6, 1.7);
/// Longer scripts are generated; nobody writes estimates into them by hand.
const LONGEST: usize = 1 << 20;

/// The kinds of words that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Comment,
    Text,
    /// A name, a number, or a single sign.
    Other,
    Open,
    Close,
    Newline,
}

/// A word of the script.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    kind: Kind,
    text: &'a str,
    /// Whether it stands at the very beginning of its line.
    at_margin: bool,
}

/// The words of a script, as far as they matter: enough to know a comment from a text that looks like one.
/// It takes no stack, however a script is nested.
fn words(source: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = source;
    let mut at_margin = true;
    std::iter::from_fn(move || {
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\x0c', '\\']);
        at_margin &= trimmed.len() == rest.len();
        let first = trimmed.chars().next()?;
        let (kind, length) = match first {
            '\n' => (Kind::Newline, 1),
            '#' => (Kind::Comment, trimmed.find('\n').unwrap_or(trimmed.len())),
            '\'' | '"' => (Kind::Text, length_of_text(trimmed, first)),
            '(' | '[' | '{' => (Kind::Open, 1),
            ')' | ']' | '}' => (Kind::Close, 1),
            c if is_of_a_name(c) => {
                (Kind::Other, trimmed.find(|c: char| !is_of_a_name(c) && c != '.').unwrap_or(trimmed.len()))
            }
            c => (Kind::Other, c.len_utf8()),
        };
        let (text, after) = trimmed.split_at_checked(length)?;
        let word = Word { kind, text, at_margin };
        // A text of several lines can end at a margin, and nothing begins there.
        at_margin = kind == Kind::Newline;
        rest = after;
        Some(word)
    })
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long a text is that begins here, with its quotes.
fn length_of_text(text: &str, quote: char) -> usize {
    let (end, begin) = match (text.starts_with("\"\"\"") || text.starts_with("'''"), quote) {
        (true, '"') => ("\"\"\"", 3),
        (true, _) => ("'''", 3),
        (false, '"') => ("\"", 1),
        (false, _) => ("'", 1),
    };
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(begin) {
        let ends = text.get(at..).is_some_and(|rest| rest.starts_with(end));
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if ends => return at + end.len(),
            '\n' if begin == 1 => return at,
            _ => {}
        }
    }
    text.len()
}

/// The beginning of a cell of code: `# %% Title [beamq] estimate="10 min" progress=40`.
#[derive(Clone, Debug, PartialEq)]
pub struct CellMarker {
    /// Its line, from 1.
    pub line: u32,
    /// What its author calls it; may be empty.
    pub title: String,
    /// How long the author expects the cell to take, in seconds.
    pub estimate_s: Option<f64>,
    /// How far the job is when the cell begins, in per cent.
    pub progress: Option<f64>,
    /// Whether it stands in the middle of a statement of several lines: then nothing begins there.
    pub inside: bool,
}

/// The words with which a statement goes on at the margin.
const CONTINUES: [&str; 4] = ["else", "elif", "except", "finally"];

/// The beginnings of a script's cells in order; none of a script that is longer than people write.
#[must_use]
pub fn cell_markers(source: &str) -> Vec<CellMarker> {
    let mut found: Vec<CellMarker> = Vec::new();
    if source.len() > LONGEST || !source.contains("%%") {
        return found;
    }
    let (mut line, mut depth, mut counted) = (1u32, 0usize, source);
    // How many of the last ones have not been followed by a statement yet.
    let mut fresh = 0;
    for word in words(source) {
        // Lines are counted up to the word, which is a part of what is left.
        let before = word.text.as_ptr().addr().saturating_sub(counted.as_ptr().addr());
        let (passed, rest) = counted.split_at_checked(before).unwrap_or((counted, ""));
        line = line.saturating_add(u32::try_from(passed.matches('\n').count()).unwrap_or(u32::MAX));
        counted = rest;
        match word.kind {
            Kind::Comment if word.at_margin => {
                if let Some(marker) = marker(word.text, line) {
                    found.push(CellMarker { inside: depth > 0, ..marker });
                    fresh += 1;
                }
            }
            Kind::Comment | Kind::Newline => {}
            Kind::Open | Kind::Close | Kind::Text | Kind::Other => {
                let inside = depth == 0 && (!word.at_margin || CONTINUES.contains(&word.text));
                let waiting = found.iter_mut().rev().take(std::mem::take(&mut fresh));
                waiting.for_each(|marker| marker.inside |= inside);
                match word.kind {
                    Kind::Open => depth += 1,
                    Kind::Close => depth = depth.saturating_sub(1),
                    Kind::Text | Kind::Other | Kind::Comment | Kind::Newline => {}
                }
            }
        }
    }
    found
}

/// The estimates of a script's cells in order, in seconds; `None` for a cell without one.
#[must_use]
pub fn cell_estimates(source: &str) -> Vec<Option<f64>> {
    cell_markers(source).into_iter().map(|marker| marker.estimate_s).collect()
}

/// What the author says about the whole script: the sum of what is said, and whether something is left
/// out. `None` when nothing is said.
#[must_use]
pub fn author_estimate(source: &str) -> Option<(Guess, bool)> {
    let cells = cell_estimates(source);
    let said = if cells.iter().any(Option::is_some) { cells } else { step_estimates(source) };
    let seconds: f64 = said.iter().flatten().sum();
    if seconds <= 0.0 {
        return None;
    }
    let interval = Interval { low: seconds * AUTHORS.0, expected: seconds, high: seconds * AUTHORS.1 };
    let left_out = said.iter().any(Option::is_none);
    Some((Guess { interval, source: EstimateSource::Author }, left_out))
}

/// What a comment says that begins a cell of code, or `None`. A title may have other words in brackets.
fn marker(comment: &str, line: u32) -> Option<CellMarker> {
    let rest = comment.strip_prefix('#')?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest).strip_prefix("%%")?;
    if rest.starts_with('%') {
        return None;
    }
    let tags = ["[beamq]", "[markdown]", "[md]", "[raw]"].into_iter();
    let tag = tags.filter_map(|tag| Some((rest.find(tag)?, tag))).min();
    let (title, options) = match tag {
        None => (rest, ""),
        Some((at, tag @ "[beamq]")) => {
            (rest.get(..at).unwrap_or_default(), rest.get(at + tag.len()..).unwrap_or_default())
        }
        Some(_) => return None,
    };
    let progress: Option<f64> =
        option(options, "progress").and_then(|text| text.trim_end_matches('%').parse().ok());
    Some(CellMarker {
        line,
        title: title.trim().to_owned(),
        estimate_s: option(options, "estimate").and_then(|text| seconds(&text)),
        progress: progress.filter(|progress| (0.0..=100.0).contains(progress)),
        inside: false,
    })
}

fn option(options: &str, name: &str) -> Option<String> {
    let at = options.find(name)?;
    let value = options.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start();
    let quoted = |quote: char| value.strip_prefix(quote)?.split(quote).next();
    let text = quoted('"').or_else(|| quoted('\''));
    text.map(str::to_owned).or_else(|| unquoted(value))
}

/// The first word, with the unit that follows a number: the quotes of a duration are easily forgotten.
fn unquoted(value: &str) -> Option<String> {
    let mut words = value.split_whitespace();
    let number = words.next()?;
    let unit = words.next().filter(|word| matches!(*word, "s" | "sec" | "min" | "m" | "h" | "d"));
    match unit {
        Some(unit) if number.parse::<f64>().is_ok() => Some(format!("{number} {unit}")),
        _ => Some(number.to_owned()),
    }
}

/// A duration as authors write it: `10 min`, `90 s`, `2h`; a plain number is seconds.
fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text.get(..end)?.parse().ok()?;
    let unit = match text.get(end..)?.trim() {
        "" | "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Some(number * unit)
}

/// The estimates of the steps at the margin of a script: those in loops are said once and taken often.
fn step_estimates(source: &str) -> Vec<Option<f64>> {
    if source.len() > LONGEST || !source.contains("step") {
        return Vec::new();
    }
    let mut found = Vec::new();
    // Whether a statement is about to begin, and whether the present one began at the margin.
    let (mut begins, mut at_margin, mut depth) = (true, false, 0usize);
    // The depth of brackets at which a call of `step` began, and what it said so far.
    let mut step: Option<(usize, Option<f64>)> = None;
    let mut before = ["", ""];
    for word in words(source) {
        match word.kind {
            Kind::Newline => begins = depth == 0,
            Kind::Comment => {}
            _ if std::mem::take(&mut begins) => at_margin = word.at_margin,
            _ => {}
        }
        match word.kind {
            Kind::Open => {
                let [_, name] = before;
                if word.text == "(" && matches!(name, "step" | "beamq.step") && at_margin && step.is_none() {
                    step = Some((depth, None));
                }
                depth += 1;
            }
            Kind::Close => {
                depth = depth.saturating_sub(1);
                found.extend(step.take_if(|(began, _)| *began == depth).map(|(_, said)| said));
            }
            Kind::Text | Kind::Other if matches!(before, ["estimate", "="]) => {
                if let Some((_, said)) = &mut step {
                    *said = seconds(word.text.trim_matches(['"', '\'']));
                }
            }
            Kind::Text | Kind::Other | Kind::Comment | Kind::Newline => {}
        }
        let [_, last] = before;
        before = [last, word.text];
    }
    found
}
