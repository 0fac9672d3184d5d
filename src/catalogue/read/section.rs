//! Mappings with known keys, and single values of a known type, with the traps of YAML.

use std::ops::Range;

use serde_json::Number;

use super::Reader;
use crate::catalogue::{
    names,
    yaml::{Node, NodeValue},
};

/// Texts shorter than this are one line of a page.
const LINE: usize = 300;
/// No description is longer.
const TEXT: usize = 20_000;

/// A mapping whose keys are known.
pub(super) struct Section<'n> {
    entries: Vec<(&'n str, &'n Node, &'n Node)>,
    /// Where the name of what the mapping describes stands.
    pub(super) name_at: Option<Range<usize>>,
    /// The keys that unknown ones probably mean: they are not missing as well.
    pub(super) meant: Vec<String>,
}

impl<'n> Section<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _, _)| *name == key).map(|(_, _, value)| *value)
    }

    /// The section as the description of what stands under this key.
    pub(super) fn named(self, key: &Node) -> Self {
        Self { name_at: Some(key.at.clone()), ..self }
    }

    /// Where a key stands.
    pub(super) fn key_at(&self, key: &str) -> Option<Range<usize>> {
        self.entries.iter().find(|(name, _, _)| *name == key).map(|(_, key, _)| key.at.clone())
    }

    pub(super) fn first_key(&self) -> Option<Range<usize>> {
        self.entries.first().map(|(_, key, _)| key.at.clone())
    }
}

/// Words that other formats use for our keys.
const OTHER_WORDS: [(&str, &str); 31] = [
    ("min", "minimum"),
    ("minvalue", "minimum"),
    ("lower", "minimum"),
    ("max", "maximum"),
    ("maxvalue", "maximum"),
    ("upper", "maximum"),
    ("units", "unit"),
    ("egu", "unit"),
    ("enum", "choices"),
    ("values", "choices"),
    ("options", "choices"),
    ("allowed", "choices"),
    ("desc", "description"),
    ("doc", "description"),
    ("help", "description"),
    ("regex", "pattern"),
    ("increment", "step"),
    ("multiple", "step"),
    ("params", "parameters"),
    ("args", "parameters"),
    ("arguments", "parameters"),
    ("function", "implementation"),
    ("python", "implementation"),
    ("call", "implementation"),
    ("duration", "estimate"),
    ("time", "estimate"),
    ("effects", "effect"),
    ("title", "summary"),
    ("confirmation", "confirm"),
    ("version", "catalogue"),
    ("command", "commands"),
];

impl Reader {
    /// The entries of a mapping with names of the author's choice, without the second of duplicates.
    pub(super) fn entries<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        example: &str,
    ) -> Option<Vec<(&'n str, &'n Node, &'n Node)>> {
        let NodeValue::Mapping(entries) = &node.value else {
            let name = if what.contains([' ', '`']) { what.to_owned() } else { format!("`{what}`") };
            let message = format!("{name} is a mapping, and this is {}", node.kind());
            let found = self.error(&node.at, "wrong_type", message);
            found.help(match &node.value {
                NodeValue::List(_) => format!("write {example}, without a dash"),
                _ => format!("write {example}"),
            });
            return None;
        };
        let mut known: Vec<(&str, &Node, &Node)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let NodeValue::Text(name) = &key.value else {
                let shown = self.written(key).to_owned();
                self.error(
                    &key.at,
                    "wrong_type",
                    format!("the key `{shown}` is {}, and keys are names", key.kind()),
                )
                .help("put it in quotes if it is a name");
                continue;
            };
            if let Some((_, first, _)) = known.iter().find(|(other, _, _)| other == name) {
                let (code, message) = match what {
                    "commands" => ("duplicate_command", format!("the command `{name}` is there twice")),
                    _ => ("duplicate_key", format!("the key `{name}` is there twice")),
                };
                let first = self.place(&first.at, "the first one stands here");
                self.error(&key.at, code, message).related(first).help("remove one of the two");
                continue;
            }
            known.push((name, key, value));
        }
        Some(known)
    }

    /// A mapping in which only these keys can stand.
    pub(super) fn section<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> Option<Section<'n>> {
        if let NodeValue::Null = node.value {
            self.error(&node.at, "missing_key", format!("{what} has no description"))
                .help("indent the keys of the description two spaces further than the name");
            return None;
        }
        let entries = self.entries(node, what, "`key: value` lines below it")?;
        let mut all_meant = Vec::new();
        for (name, key, value) in &entries {
            if keys.contains(name) {
                continue;
            }
            let other_word = OTHER_WORDS.iter().find(|(word, key)| word == name && keys.contains(key));
            let meant =
                other_word.map(|(_, key)| *key).or_else(|| names::nearest(name, keys.iter().copied()));
            all_meant.extend(meant.map(str::to_owned));
            let found = self.error(&key.at, "unknown_key", format!("there is no key `{name}` here"));
            match (*name, meant) {
                ("required", _) => {
                    found.help(
                        "a parameter without `default` is required; `optional: true` makes it optional",
                    );
                }
                (_, None) if value.value == NodeValue::Null => {
                    found
                        .help("is it a part of the value before it? a list has brackets around it: `[a, b]`");
                }
                _ => {
                    found.did_you_mean(meant);
                }
            }
            found.allowed(keys.iter().copied());
        }
        Some(Section { entries, name_at: None, meant: all_meant })
    }

    /// A text of one line.
    pub(super) fn line(&mut self, node: &Node, key: &str) -> Option<String> {
        let text = self.text(node, key)?;
        let text = text.trim();
        if text.contains('\n') || text.chars().count() > LINE {
            self.error(&node.at, "wrong_type", format!("`{key}` is one line of at most {LINE} characters"))
                .help("put more into `description: |`");
            return None;
        }
        Some(text.to_owned())
    }

    /// A text.
    pub(super) fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        let shown: String = self.written(node).chars().take(60).collect();
        match &node.value {
            NodeValue::Text(text) if text.trim().is_empty() => {
                self.error(&node.at, "wrong_type", format!("`{key}` is empty"));
                None
            }
            NodeValue::Text(text) if text.len() > TEXT => {
                self.error(&node.at, "wrong_type", format!("`{key}` is longer than {TEXT} bytes"));
                None
            }
            NodeValue::Text(text) => Some(text.clone()),
            NodeValue::Null => {
                self.error(&node.at, "wrong_type", format!("the value of `{key}` is missing"))
                    .help("write a text, or remove the key");
                None
            }
            NodeValue::Boolean(_) | NodeValue::Integer(_) | NodeValue::Number(_) => {
                let message = format!("`{key}` is a text, and YAML reads `{shown}` as {}", node.kind());
                self.error(&node.at, "yaml_trap", message).help(format!("put it in quotes: \"{shown}\""));
                None
            }
            NodeValue::List(_) | NodeValue::Mapping(_) => {
                let message = format!("`{key}` is a text, and this is {}", node.kind());
                let found = self.error(&node.at, "wrong_type", message);
                found.help("put a text that begins with `[` or `{`, or holds `: `, in quotes");
                None
            }
        }
    }

    /// True or false.
    pub(super) fn boolean(&mut self, node: &Node, key: &str) -> Option<bool> {
        if let NodeValue::Boolean(flag) = node.value {
            return Some(flag);
        }
        let shown: String = self.written(node).chars().take(60).collect();
        let message = format!("`{key}` is true or false, and this is {}", node.kind());
        let meant = match shown.trim_matches(['"', '\'']).to_lowercase().as_str() {
            "yes" | "on" | "y" | "1" | "true" => Some("true"),
            "no" | "off" | "n" | "0" | "false" => Some("false"),
            _ => None,
        };
        let trap = matches!(node.value, NodeValue::Text(_)) && meant.is_some();
        let code = if trap { "yaml_trap" } else { "wrong_type" };
        let found = self.error(&node.at, code, message);
        if trap {
            found.label(format!("`{shown}` is a text here"));
        }
        found.did_you_mean(meant).allowed(["true", "false"]);
        None
    }

    /// A number as it stands in the file, when it means what it seems to mean.
    pub(super) fn number(&mut self, node: &Node, key: &str) -> Option<Number> {
        self.check_number_trap(node)?;
        match &node.value {
            NodeValue::Integer(number) => Some((*number).into()),
            NodeValue::Number(number) => Number::from_f64(*number),
            NodeValue::Text(text) => {
                let text = text.clone();
                let found =
                    self.error(&node.at, "wrong_type", format!("`{key}` is a number, and this is text"));
                number_hint(&text).map(|hint| found.help(hint));
                None
            }
            _ => {
                let message = format!("`{key}` is a number, and this is {}", node.kind());
                self.error(&node.at, "wrong_type", message);
                None
            }
        }
    }

    /// Refuses numbers that mean different things to different readers. `None` when it did.
    pub(super) fn check_number_trap(&mut self, node: &Node) -> Option<()> {
        if !matches!(node.value, NodeValue::Integer(_) | NodeValue::Number(_)) {
            return Some(());
        }
        let written = self.written(node).to_owned();
        let digits = written.trim_start_matches(['+', '-']);
        let leading_zero = digits.len() > 1
            && digits.starts_with('0')
            && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if leading_zero {
            let plain = digits.trim_start_matches('0');
            let plain = if plain.is_empty() || plain.starts_with('.') {
                format!("0{plain}")
            } else {
                plain.to_owned()
            };
            self.error(
                &node.at,
                "yaml_trap",
                format!("`{written}` is an octal number to some and {plain} to others"),
            )
            .help(format!("write {plain} for the number, \"{written}\" for the text"));
            return None;
        }
        if written.contains('_') {
            let plain = written.replace('_', "");
            self.error(
                &node.at,
                "yaml_trap",
                format!("`{written}` is a number to some and a text to others"),
            )
            .help(format!("write {plain} for the number, \"{written}\" for the text"));
            return None;
        }
        Some(())
    }

    /// A list of texts in one line each.
    pub(super) fn lines(&mut self, node: &Node, key: &str) -> Option<Vec<String>> {
        let NodeValue::List(items) = &node.value else {
            let message = format!("`{key}` is a list, and this is {}", node.kind());
            let shown: String = self.written(node).chars().take(60).collect();
            let found = self.error(&node.at, "wrong_type", message);
            if let NodeValue::Text(_) = node.value {
                found.help(format!("a list of one is `[{shown}]`"));
            }
            return None;
        };
        items.iter().map(|item| self.line(item, key)).collect()
    }
}

fn number_hint(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if trimmed.parse::<f64>().is_ok_and(f64::is_finite) {
        return Some(format!("write {trimmed} without quotes"));
    }
    let comma = trimmed.replace(',', ".");
    if comma != trimmed && comma.parse::<f64>().is_ok() {
        return Some(format!("write a point: {comma}"));
    }
    let number = trimmed.split(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).next()?;
    number.parse::<f64>().ok()?;
    let unit = trimmed.get(number.len()..)?.trim();
    Some(format!("write the number alone, {number}, and `unit: {unit}`"))
}
