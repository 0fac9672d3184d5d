//! A YAML text as a tree that knows where each of its parts stands.

use std::{fmt, ops::Range, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError, Location, Spanned};

use super::diagnostic::{Diagnostic, Place, Source};
use crate::protocol::view::Severity;

/// A part of a YAML text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Where the part is used, in bytes of the text.
    pub(super) at: Range<usize>,
    /// Where it is written, which is elsewhere for `*alias`.
    pub(super) written: Range<usize>,
    pub(super) value: NodeValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeValue {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// The entries in their order; a key can be there twice.
    Mapping(Vec<(Node, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<NodeValue>::deserialize(deserializer)?;
        Ok(Self { at: range(spanned.referenced), written: range(spanned.defined), value: spanned.value })
    }
}

/// The bytes of the text that a location means.
fn range(location: Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().and_then(|start| usize::try_from(start).ok()).unwrap_or(0);
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    start..start.saturating_add(length)
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = NodeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_none<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<NodeValue, D::Error> {
        NodeValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<NodeValue, E> {
        Ok(i64::try_from(value).map_or(NodeValue::Number(value as f64), NodeValue::Integer))
    }

    fn visit_i128<E>(self, value: i128) -> Result<NodeValue, E> {
        Ok(NodeValue::Number(value as f64))
    }

    fn visit_u128<E>(self, value: u128) -> Result<NodeValue, E> {
        Ok(NodeValue::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<NodeValue, E> {
        Ok(NodeValue::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(String::from_utf8_lossy(value).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(NodeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<NodeValue, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            mapping.push(entry);
        }
        Ok(NodeValue::Mapping(mapping))
    }
}

impl Node {
    /// The value as JSON. The last of duplicate keys is kept; they are reported elsewhere.
    pub(super) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Boolean(value) => (*value).into(),
            NodeValue::Integer(value) => (*value).into(),
            NodeValue::Number(value) => (*value).into(),
            NodeValue::Text(text) => text.as_str().into(),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Mapping(entries) => {
                let members = entries.iter().map(|(key, value)| (key.key_text(), value.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    fn key_text(&self) -> String {
        match &self.value {
            NodeValue::Text(text) => text.clone(),
            _ => self.to_json().to_string(),
        }
    }

    /// What kind of value this is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::Null => "nothing",
            NodeValue::Boolean(_) => "a boolean",
            NodeValue::Integer(_) | NodeValue::Number(_) => "a number",
            NodeValue::Text(_) => "text",
            NodeValue::List(_) => "a list",
            NodeValue::Mapping(_) => "a mapping",
        }
    }
}

/// No catalogue file nests deeper, and few have more parts; what goes beyond is an attack or an accident.
fn budget() -> Option<serde_saphyr::Budget> {
    serde_saphyr::budget! {
        max_depth: 32,
        max_nodes: 100_000,
        max_events: 250_000,
        max_aliases: 1_000,
        max_anchors: 1_000,
        max_recorded_anchor_events: 100_000,
        max_merge_keys: 1_000,
    }
}

/// Reads a YAML text.
///
/// # Errors
///
/// The first thing that is not YAML, in words for people who do not know its grammar.
pub(super) fn parse(source: &Arc<Source>) -> Result<Node, Box<Diagnostic>> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        // Both entries of a duplicate reach the visitor, which lets the report point at the first one.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        budget: budget(),
    };
    if let Some(at) = source.text.find('\0') {
        return Err(Box::new(syntax(
            source,
            "yaml_syntax",
            "this is not text: it holds a NUL character",
            at..at + 1,
        )));
    }
    serde_saphyr::from_str_with_options(&source.text, options)
        .map_err(|error| Box::new(explain(source, &error)))
}

fn syntax(
    source: &Arc<Source>,
    code: &'static str,
    message: impl Into<String>,
    range: Range<usize>,
) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code,
        message: message.into(),
        place: Place { source: Arc::clone(source), range, label: String::new() },
        related: None,
        command: None,
        parameter: None,
        help: Vec::new(),
    }
}

/// The bytes of the text that the parser's location means. Its own errors have no bytes, only lines.
fn located(source: &Source, error: &YamlError) -> Range<usize> {
    let Some(location) = error.location() else { return 0..0 };
    let line = u32::try_from(location.line()).unwrap_or(1).max(1);
    let text = source.line(line);
    let line_start = source.start_of_line(line);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let start = text.char_indices().nth(column - 1).map_or(text.len(), |(at, _)| at);
    let length = usize::try_from(location.span().len()).unwrap_or(1).max(1);
    let end = text.char_indices().nth(column - 1 + length).map_or(text.len(), |(at, _)| at);
    line_start + start..line_start + end.max(start)
}

/// Our own words for what the parser found.
fn explain(source: &Arc<Source>, error: &YamlError) -> Diagnostic {
    let range = located(source, error);
    if let YamlError::ExternalMessage { msg, .. } = error.without_snippet() {
        if let Some(tab) = tab_in_indentation(source) {
            let mut found = syntax(source, "yaml_tab", "a tab in the indentation", tab);
            found.label("YAML takes only spaces here");
            found.help("replace every tab at the beginning of a line by two spaces");
            return found;
        }
        return explain_grammar(source, msg, range);
    }
    match error.without_snippet() {
        YamlError::MultipleDocuments { .. } => {
            let mut found = syntax(source, "yaml_syntax", "a second document begins here", range);
            found.help("a file holds one catalogue: remove the `---`, or make two files");
            found
        }
        YamlError::UnknownAnchor { .. } => {
            let mut found = syntax(source, "yaml_syntax", "there is no anchor of this name before", range);
            found.help("`*name` stands for a value marked `&name` further up; put the text in quotes if it is meant literally");
            found
        }
        YamlError::RecursiveReferencesRequireWeakTypes { .. } => {
            let mut found = syntax(source, "yaml_syntax", "this stands for something that holds it", range);
            found.help("`*name` cannot be used inside the value marked `&name`: write the value out");
            found
        }
        YamlError::NonFiniteFloat { .. } => {
            let mut found =
                syntax(source, "yaml_trap", "this is no number that can be calculated with", range);
            found.help("leave a limit out when there is none");
            found
        }
        other if is_budget(other) => {
            let mut found =
                syntax(source, "yaml_too_large", "this is larger or deeper than any catalogue", range);
            found.help(
                "anchors (`&name`) that repeat each other (`*name`) can make a small file enormous: \
                 write the values out",
            );
            found
        }
        other => syntax(source, "yaml_syntax", without_place(&other.to_string()), range),
    }
}

/// Whether the text asks for more than the budget. The parser wraps some of these errors in others.
fn is_budget(error: &YamlError) -> bool {
    matches!(
        error,
        YamlError::Budget { .. }
            | YamlError::AliasReplayLimitExceeded { .. }
            | YamlError::AliasExpansionLimitExceeded { .. }
            | YamlError::AliasReplayStackDepthExceeded { .. }
    ) || error.to_string().contains("budget breached")
}

/// What the parser calls by the words of its grammar.
fn explain_grammar(source: &Arc<Source>, message: &str, range: Range<usize>) -> Diagnostic {
    let (line, _) = source.line_and_column(range.start);
    let before =
        source.text.get(source.start_of_line(line)..source.boundary(range.start)).unwrap_or_default();
    let mut found = syntax(source, "yaml_syntax", without_place(message), range.clone());
    if message.contains("mapping values are not allowed") {
        if before.contains(": ") {
            found.message = "a second `: ` in one line".into();
            found.help("put a text that holds `: ` in quotes: `summary: \"Sets: a value\"`");
        } else if indentation(source.line(line)) > indentation(source.line(line.saturating_sub(1))) {
            found.message = "this line is indented further than the one above, which is complete".into();
            found.help("begin it in the column of the key above, or end the line above with `:`");
        } else {
            found.message = "a key is out of place here".into();
            found.help("is a `:` missing at the end of the line above?");
        }
    } else if message.contains("did not find expected key")
        || message.contains("invalid indentation in block")
    {
        found.message = "wrong indentation: no key above begins in this column".into();
        found.help(
            "keys that belong together begin in the same column; every level is two spaces further right",
        );
    } else if message.contains("did not find expected '-'") {
        found.message = "a key in the middle of a list".into();
        found.help("begin the line with `- `, or indent it as far as the entry that it belongs to");
    } else if message.contains("quoted scalar") {
        if message.contains("trailing content") {
            found.message = "something follows a text that is already closed".into();
            found.help("a single quote inside single quotes is written twice (`'it''s'`), or use double quotes around it");
        } else {
            found.message = "a text in quotes is not closed".into();
            if let Some(open) = unclosed_quote(source, line) {
                found.place.range = open..open + 1;
                found.label("opened here");
            }
            found.help("close the quote on the line where it begins");
        }
    } else if message.contains("mismatched bracket") {
        found.message = "a bracket is closed by one of another kind".into();
        found.help("`[` is closed by `]`, and `{` by `}`");
    } else if message.contains("unclosed bracket")
        || message.contains("illegal placement of ':'")
        || message.contains("flow")
    {
        if let Some(open) = unclosed_bracket(source, range.end) {
            found.place.range = open..open + 1;
        }
        found.message = "a bracket is not closed".into();
        found.label("opened here");
        found.help("close it with `]` or `}` before the next key");
    } else if message.contains("misplaced bracket") {
        found.message = "a closing bracket that was not opened".into();
        found.help("remove it");
    } else if message.contains("unexpected character") {
        found.message = "a text cannot begin with this character".into();
        found.help("put the text in quotes");
    }
    found
}

/// The place of the last bracket before `end` that is still open. Quotes and comments are only roughly
/// understood, which is enough to point at a place.
fn unclosed_bracket(source: &Source, end: usize) -> Option<usize> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut comment = false;
    for (at, c) in source.text.get(..source.boundary(end))?.char_indices() {
        match (c, quote) {
            ('\n', _) => comment = false,
            _ if comment => {}
            (_, Some(mark)) => quote = (c != mark).then_some(mark),
            ('"' | '\'', None) if !open.is_empty() => quote = Some(c),
            ('#', None) => comment = true,
            ('[' | '{', None) => open.push(at),
            (']' | '}', None) => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// The place of the quote that is probably open at a line: in the last line above with an odd one.
fn unclosed_quote(source: &Source, line: u32) -> Option<usize> {
    (1..=line).rev().find_map(|line| {
        let text = source.line(line);
        let open = ['"', '\''].into_iter().find(|mark| text.matches(*mark).count() % 2 == 1)?;
        Some(source.start_of_line(line) + text.find(open)?)
    })
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn tab_in_indentation(source: &Source) -> Option<Range<usize>> {
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tab = line.get(..indentation).and_then(|indentation| indentation.find('\t'));
        if let Some(tab) = tab.filter(|_| !line.trim().is_empty()) {
            return Some(start + tab..start + tab + 1);
        }
        start += line.len();
    }
    None
}

/// The parser appends its own idea of the place to its messages.
fn without_place(message: &str) -> String {
    let end = message.find(" at line ").unwrap_or(message.len());
    message.get(..end).unwrap_or(message).chars().take(300).collect()
}
