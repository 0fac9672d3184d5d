//! The description of a parameter.

use serde_json::{Number, Value};

use super::{Reader, Section};
use crate::catalogue::{
    model::{ParameterSpec, ParameterType, ValueSpec},
    names, units,
    values::{self, Spelling},
    yaml::{Node, NodeValue},
};

pub(in crate::catalogue) const VALUE_KEYS: [&str; 8] =
    ["type", "unit", "minimum", "maximum", "step", "choices", "pattern", "items"];
pub(in crate::catalogue) const PARAMETER_KEYS: [&str; 12] = [
    "type",
    "unit",
    "minimum",
    "maximum",
    "step",
    "choices",
    "pattern",
    "items",
    "default",
    "optional",
    "keywords",
    "description",
];
/// How deep `items` can be inside `items`.
const DEEPEST: usize = 4;
/// More choices than this are no choice.
const MOST_CHOICES: usize = 1_000;

/// What other languages call our types.
const OTHER_TYPES: [(&str, &str); 14] = [
    ("float", "number"),
    ("double", "number"),
    ("real", "number"),
    ("int", "integer"),
    ("long", "integer"),
    ("str", "string"),
    ("text", "string"),
    ("enum", "string"),
    ("bool", "boolean"),
    ("flag", "boolean"),
    ("list", "array"),
    ("dict", "object"),
    ("mapping", "object"),
    ("map", "object"),
];

impl Reader {
    pub(super) fn parameter(&mut self, name: &str, key: &Node, node: &Node) -> Option<ParameterSpec> {
        if let NodeValue::Text(text) = &node.value
            && ParameterType::ALL.iter().any(|kind| kind.name() == text)
        {
            let message = format!("the parameter `{name}` is a mapping, and this is text");
            self.error(&node.at, "wrong_type", message).help(format!("write `{name}: {{type: {text}}}`"));
            return None;
        }
        let section = self.section(node, &format!("the parameter `{name}`"), &PARAMETER_KEYS)?.named(key);
        let value = self.value(&section, node, 0)?;
        let mut spec = ParameterSpec {
            value,
            default: None,
            optional: section
                .get("optional")
                .and_then(|node| self.boolean(node, "optional"))
                .unwrap_or(false),
            keywords: section.get("keywords").map(|node| self.keywords(node)).unwrap_or_default(),
            description: section.get("description").and_then(|node| self.text(node, "description")),
        };
        if let Some(node) = section.get("default") {
            spec.default = self.default(node, &spec);
        }
        Some(spec)
    }

    fn value(&mut self, section: &Section<'_>, node: &Node, depth: usize) -> Option<ValueSpec> {
        let Some(kind) = section.get("type") else {
            let all = ParameterType::ALL.map(ParameterType::name).join(", ");
            self.missing(section, node, "type", "what values it takes", &format!("allowed: {all}"));
            return None;
        };
        let kind = self.parameter_type(kind)?;
        self.keys_fit(section, kind);
        let mut spec = ValueSpec::of(kind);
        spec.unit = section.get("unit").and_then(|node| self.unit(node));
        spec.minimum = section.get("minimum").and_then(|node| self.limit(node, "minimum", kind));
        spec.maximum = section.get("maximum").and_then(|node| self.limit(node, "maximum", kind));
        self.limits_in_order(section, &mut spec);
        spec.step = section.get("step").and_then(|node| self.step(node));
        spec.pattern = section.get("pattern").and_then(|node| self.pattern(node));
        if let Some(items) = section.get("items") {
            spec.items = self.items(items, depth);
        }
        if let Some(choices) = section.get("choices") {
            spec.choices = self.choices(choices, &spec);
        }
        Some(spec)
    }

    fn parameter_type(&mut self, node: &Node) -> Option<ParameterType> {
        let text = self.line(node, "type")?;
        if let Some(kind) = ParameterType::ALL.into_iter().find(|kind| kind.name() == text) {
            return Some(kind);
        }
        let all = ParameterType::ALL.map(ParameterType::name);
        let lower = text.to_lowercase();
        let other = OTHER_TYPES.iter().find(|(word, _)| *word == lower).map(|(_, name)| *name);
        self.error(&node.at, "unknown_type", format!("there is no type `{text}`"))
            .did_you_mean(other.or_else(|| names::nearest(&text, all)))
            .allowed(all);
        None
    }

    /// Complains about keys that say nothing about values of the type.
    fn keys_fit(&mut self, section: &Section<'_>, kind: ParameterType) {
        let sized = kind != ParameterType::Boolean;
        for (key, fits, whose) in [
            ("unit", kind.is_numeric() || kind == ParameterType::Array, "numbers"),
            ("step", kind.is_numeric(), "numbers"),
            ("minimum", sized, "numbers, texts, arrays and objects"),
            ("maximum", sized, "numbers, texts, arrays and objects"),
            ("pattern", kind == ParameterType::String, "texts"),
            ("items", matches!(kind, ParameterType::Array | ParameterType::Object), "arrays and objects"),
            ("choices", kind.is_numeric() || kind == ParameterType::String, "numbers and texts"),
        ] {
            if let Some(at) = section.key_at(key).filter(|_| !fits) {
                let message = format!("`{key}` is for {whose}, and the type here is {}", kind.name());
                self.error(&at, "key_not_for_type", message)
                    .help(format!("remove `{key}`, or change the type"));
            }
        }
    }

    fn unit(&mut self, node: &Node) -> Option<String> {
        let unit = self.line(node, "unit")?;
        if units::is_known(&unit) {
            return Some(unit);
        }
        if unit.starts_with(units::OTHER) {
            self.error(&node.at, "unknown_unit", "the name of a unit has 1 to 20 characters")
                .help(format!("write for example `unit: \"{}ohm\"`", units::OTHER));
            return None;
        }
        let meant = units::nearest(&unit);
        let own = format!("a unit of your own is declared as `unit: \"{}{unit}\"`", units::OTHER);
        let found = self.error(&node.at, "unknown_unit", format!("there is no unit `{unit}`"));
        found.did_you_mean(meant).help(own);
        if meant.is_none() {
            found.allowed(units::all());
        }
        None
    }

    fn limit(&mut self, node: &Node, key: &str, kind: ParameterType) -> Option<Number> {
        let number = self.number(node, key)?;
        if !kind.is_numeric() && number.as_u64().is_none() {
            let message = format!("`{key}` of a {} is a whole number of its parts", kind.name());
            self.error(&node.at, "wrong_type", message);
            return None;
        }
        if kind == ParameterType::Integer && number.as_f64().is_some_and(|number| number.fract() != 0.0) {
            self.warning(
                &node.at,
                "limit_not_whole",
                format!("`{key}` is no whole number, and the values are"),
            );
        }
        Some(number)
    }

    fn limits_in_order(&mut self, section: &Section<'_>, spec: &mut ValueSpec) {
        let (Some(least), Some(most)) = (&spec.minimum, &spec.maximum) else { return };
        if least.as_f64() <= most.as_f64() {
            return;
        }
        let message =
            format!("the minimum, {}, is above the maximum, {}", values::number(least), values::number(most));
        let (Some(at), Some(other)) = (section.get("minimum"), section.get("maximum")) else { return };
        let other = self.place(&other.at, "the maximum stands here");
        self.error(&at.at, "limits_reversed", message).related(other).help("exchange the two");
        // What follows is not to be measured against limits that let nothing through.
        (spec.minimum, spec.maximum) = (None, None);
    }

    fn step(&mut self, node: &Node) -> Option<Number> {
        let step = self.number(node, "step")?;
        if step.as_f64().is_some_and(|step| step > 0.0) {
            return Some(step);
        }
        self.error(&node.at, "bad_step", "`step` is greater than 0");
        None
    }

    fn pattern(&mut self, node: &Node) -> Option<String> {
        let pattern = self.text(node, "pattern")?;
        match regex::Regex::new(&values::anchored(&pattern)) {
            Ok(_) => Some(pattern),
            Err(error) => {
                let reason = match &error {
                    regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                    // The parser's text shows the pattern again; its last line has the reason.
                    other => {
                        let text = other.to_string();
                        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
                    }
                };
                let found =
                    self.error(&node.at, "bad_pattern", format!("the pattern cannot be used: {reason}"));
                if pattern.starts_with('*') {
                    found.help("`*` repeats what stands before it: any text is `.*`");
                } else {
                    found.help(
                        "put a backslash before a character that is meant literally: `\\(`, `\\.`, `\\+`",
                    );
                }
                None
            }
        }
    }

    fn items(&mut self, node: &Node, depth: usize) -> Option<Box<ValueSpec>> {
        if depth >= DEEPEST {
            self.error(&node.at, "yaml_too_large", format!("`items` nest deeper than {DEEPEST} levels"));
            return None;
        }
        let section = self.section(node, "`items`", &VALUE_KEYS)?;
        self.value(&section, node, depth + 1).map(Box::new)
    }

    fn choices(&mut self, node: &Node, spec: &ValueSpec) -> Vec<Value> {
        let NodeValue::List(items) = &node.value else {
            let message = format!("`choices` is a list, and this is {}", node.kind());
            let first: String = match &node.value {
                NodeValue::Text(text) => text.chars().take(40).collect(),
                _ => "SMALL".to_owned(),
            };
            self.error(&node.at, "wrong_type", message)
                .help(format!("put the values in brackets: `choices: [{first}, …]`"));
            return Vec::new();
        };
        if items.is_empty() || items.len() > MOST_CHOICES {
            let message = format!("{} choices; there can be 1 to {MOST_CHOICES}", items.len());
            self.error(&node.at, "bad_choice", message);
            return Vec::new();
        }
        let mut choices: Vec<Value> = Vec::with_capacity(items.len());
        for item in items {
            let value = item.to_json();
            if let Some(first) = choices.iter().position(|other| values::same(other, &value)) {
                let first = items.get(first).map(|first| self.place(&first.at, "the first one stands here"));
                let message = format!("the choice {} is there twice", values::shown(&value));
                let found = self.warning(&item.at, "bad_choice", message);
                found.related = first;
                continue;
            }
            if self.choice_fits(item, &value, spec) {
                choices.push(value);
            }
        }
        choices
    }

    fn choice_fits(&mut self, item: &Node, value: &Value, spec: &ValueSpec) -> bool {
        let written = self.written(item).to_owned();
        if self.check_number_trap(item).is_none() {
            return false;
        }
        if spec.kind == ParameterType::String
            && matches!(
                item.value,
                NodeValue::Boolean(_) | NodeValue::Integer(_) | NodeValue::Number(_) | NodeValue::Null
            )
        {
            let message = format!("the choices are texts, and YAML reads `{written}` as {}", item.kind());
            self.error(&item.at, "yaml_trap", message).help(format!("put it in quotes: \"{written}\""));
            return false;
        }
        let ambiguous = ["on", "off", "yes", "no", "y", "n"].contains(&written.to_lowercase().as_str());
        if ambiguous && matches!(item.value, NodeValue::Text(_)) {
            self.warning(&item.at, "yaml_trap", format!("`{written}` is a boolean to other readers of YAML"))
                .help(format!("put it in quotes: \"{written}\""));
        }
        let Some(complaint) = values::complaint(Spelling::Json, &bare(spec), value) else { return true };
        let found =
            self.error(&item.at, "bad_choice", format!("this choice is not possible: {}", complaint.message));
        found.help(format!("allowed: {}", complaint.allowed));
        false
    }

    fn keywords(&mut self, node: &Node) -> Vec<String> {
        let words = self.lines(node, "keywords").unwrap_or_default();
        if node.value == NodeValue::List(Vec::new()) {
            self.warning(&node.at, "bad_choice", "there is no word in `keywords`");
        }
        words
    }

    fn default(&mut self, node: &Node, spec: &ParameterSpec) -> Option<Value> {
        if node.value == NodeValue::Null {
            if !spec.optional {
                self.error(&node.at, "bad_default", "the default is missing")
                    .help("write a value, or `optional: true` for a parameter that may be left out");
            }
            return None;
        }
        self.check_number_trap(node)?;
        let value = node.to_json();
        let Some(complaint) = values::complaint(Spelling::Json, spec, &value) else { return Some(value) };
        if spec.value.kind == ParameterType::String && (value.is_number() || value.is_boolean()) {
            let written = self.written(node).to_owned();
            let message = format!("the default is a text, and YAML reads `{written}` as {}", node.kind());
            self.error(&node.at, "yaml_trap", message).help(format!("put it in quotes: \"{written}\""));
            return None;
        }
        let written: String = self.written(node).chars().take(60).collect();
        let trap = spec.value.kind == ParameterType::Boolean
            && matches!(written.to_lowercase().as_str(), "on" | "off" | "yes" | "no" | "y" | "n");
        let code = if trap { "yaml_trap" } else { "bad_default" };
        let message = format!("the default is not possible: {}", complaint.message);
        let found = self.error(&node.at, code, message);
        if let Some(hint) = complaint.hint {
            found.help(hint);
        }
        found.help(format!("allowed: {}", complaint.allowed));
        None
    }
}

/// A value by its type and limits alone.
fn bare(spec: &ValueSpec) -> ParameterSpec {
    ParameterSpec {
        value: ValueSpec { choices: Vec::new(), ..spec.clone() },
        default: None,
        optional: false,
        keywords: Vec::new(),
        description: None,
    }
}
