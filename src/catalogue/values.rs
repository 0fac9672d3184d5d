//! Values against what a parameter takes, in words for people.

use serde_json::{Number, Value};

use super::{
    model::{ParameterSpec, ParameterType, ValueSpec},
    names,
};

/// How values are spelled in what people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `true`, `null`: in messages of clients, on the command line, and in catalogue files.
    Json,
    /// `True`, `None`: in scripts.
    Python,
}

impl Spelling {
    const fn boolean(self, value: bool) -> &'static str {
        match (self, value) {
            (Self::Json, true) => "true",
            (Self::Json, false) => "false",
            (Self::Python, true) => "True",
            (Self::Python, false) => "False",
        }
    }

    fn text(self, value: &Value) -> String {
        match (self, value) {
            (Self::Python, Value::Null) => "None".into(),
            (_, Value::Bool(value)) => self.boolean(*value).into(),
            (_, Value::Number(given)) => number(given),
            (Self::Python, Value::Array(items)) => {
                let items: Vec<_> = items.iter().map(|item| self.text(item)).collect();
                format!("[{}]", items.join(", "))
            }
            (Self::Python, Value::Object(members)) => {
                let member = |(name, value): (&String, &Value)| {
                    format!("{}: {}", Value::from(name.as_str()), self.text(value))
                };
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
            (_, other) => other.to_string(),
        }
    }

    /// A value as people read it, cut to what a line can show.
    fn shown(self, value: &Value) -> String {
        let text = match value {
            Value::Array(items) if items.len() > 8 => format!("a list of {} items", items.len()),
            Value::Object(members) if members.len() > 8 => format!("a mapping of {} items", members.len()),
            other => self.text(other),
        };
        if text.chars().count() > 80 { text.chars().take(79).chain(['…']).collect() } else { text }
    }
}

/// Why a value is not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    /// Where in the value: `[2]`, `.x`; empty for the value itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be taken.
    pub allowed: String,
    /// What to try.
    pub hint: Option<String>,
}

/// What is wrong with a value of a parameter.
#[must_use]
pub fn complaint(spelling: Spelling, parameter: &ParameterSpec, value: &Value) -> Option<Complaint> {
    if parameter.optional && value.is_null() {
        return None;
    }
    if let Value::String(word) = value
        && parameter.keywords.contains(word)
    {
        return None;
    }
    let mut found = complaint_about(spelling, &parameter.value, value, String::new())?;
    if found.path.is_empty() {
        found.allowed = allowed(parameter);
        if let Value::String(word) = value
            && let Some(meant) = names::nearest(word, parameter.keywords.iter().map(String::as_str))
        {
            found.hint = Some(format!("did you mean {meant}?"));
        }
    }
    Some(found)
}

/// What a parameter takes, in one line.
#[must_use]
pub fn allowed(parameter: &ParameterSpec) -> String {
    let mut text = allowed_values(&parameter.value);
    if !parameter.keywords.is_empty() {
        text.push_str(", or ");
        text.push_str(&parameter.keywords.join(", "));
    }
    text
}

/// What values are taken, in one line.
#[must_use]
pub fn allowed_values(spec: &ValueSpec) -> String {
    if !spec.choices.is_empty() {
        let choices: Vec<_> = spec.choices.iter().map(shown).collect();
        return format!("{}{}", choices.join(", "), spec.unit_suffix());
    }
    let counted = match spec.kind {
        ParameterType::String => " characters",
        ParameterType::Array | ParameterType::Object => " items",
        _ => "",
    };
    let unit = if spec.kind.is_numeric() { spec.unit_suffix() } else { counted.to_owned() };
    let range = match (&spec.minimum, &spec.maximum) {
        (Some(least), Some(most)) => format!(" from {} to {}{unit}", number(least), number(most)),
        (Some(least), None) => format!(" of at least {}{unit}", number(least)),
        (None, Some(most)) => format!(" of at most {}{unit}", number(most)),
        (None, None) if !unit.is_empty() && spec.kind.is_numeric() => format!(" in{unit}"),
        (None, None) => String::new(),
    };
    let mut text = format!("{}{range}", spec.kind.words());
    if let Some(step) = &spec.step {
        text.push_str(&format!(" in steps of {}", number(step)));
    }
    if let Some(pattern) = &spec.pattern {
        text.push_str(&format!(" that matches `{pattern}`"));
    }
    if let Some(items) = &spec.items {
        text.push_str(&format!(", each {}", allowed_values(items)));
    }
    text
}

fn complaint_about(spelling: Spelling, spec: &ValueSpec, value: &Value, path: String) -> Option<Complaint> {
    let refuse = |message: String, hint: Option<String>| {
        Some(Complaint { path: path.clone(), message, allowed: allowed_values(spec), hint })
    };
    if !has_type(spec.kind, value) {
        let message =
            format!("{} is {}, and {} is expected", spelling.shown(value), kind_of(value), spec.kind.words());
        return refuse(message, hint_for_type(spelling, spec, value));
    }
    if !spec.choices.is_empty() && !spec.choices.iter().any(|choice| same(choice, value)) {
        let message = format!("{} is not one of the choices", spelling.shown(value));
        let texts = spec.choices.iter().filter_map(Value::as_str);
        let meant = value.as_str().and_then(|given| names::nearest(given, texts));
        return refuse(message, meant.map(|meant| format!("did you mean {meant}?")));
    }
    let size = match value {
        Value::Number(given) => given.as_f64(),
        Value::String(text) => Some(text.chars().count() as f64),
        Value::Array(items) => Some(items.len() as f64),
        Value::Object(members) => Some(members.len() as f64),
        Value::Null | Value::Bool(_) => None,
    };
    let subject = match value {
        Value::Number(_) => format!("{}{}", spelling.shown(value), spec.unit_suffix()),
        Value::String(text) => format!("a text of {} characters", text.chars().count()),
        Value::Array(items) => format!("a list of {} items", items.len()),
        _ => format!("{} items", size.unwrap_or_default()),
    };
    let limit = |limit: &Option<Number>| limit.as_ref().and_then(Number::as_f64);
    if let (Some(size), Some(least)) = (size, limit(&spec.minimum))
        && size < least
    {
        return refuse(format!("{subject} is below the minimum of {}{}", least, spec.unit_suffix()), None);
    }
    if let (Some(size), Some(most)) = (size, limit(&spec.maximum))
        && size > most
    {
        return refuse(format!("{subject} is above the maximum of {}{}", most, spec.unit_suffix()), None);
    }
    if spec.kind.is_numeric()
        && let (Some(given), Some(step)) = (value.as_f64(), limit(&spec.step))
        && !is_step(given, limit(&spec.minimum).unwrap_or(0.0), step)
    {
        let base = limit(&spec.minimum).unwrap_or(0.0);
        let nearest = base + ((given - base) / step).round() * step;
        let hint = format!("the nearest step is {}", tidy(nearest));
        return refuse(format!("{subject} is no multiple of the step {step} from {base}"), Some(hint));
    }
    if let (Some(pattern), Value::String(text)) = (&spec.pattern, value)
        && whole_match(pattern).is_some_and(|regex| !regex.is_match(text))
    {
        return refuse(format!("{} does not match the pattern `{pattern}`", spelling.shown(value)), None);
    }
    let items = spec.items.as_deref()?;
    match value {
        Value::Array(list) => list
            .iter()
            .enumerate()
            .find_map(|(n, item)| complaint_about(spelling, items, item, format!("{path}[{n}]"))),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, item)| complaint_about(spelling, items, item, format!("{path}.{name}"))),
        _ => None,
    }
}

/// The pattern, which is to match the whole of a text.
#[must_use]
pub fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}

fn whole_match(pattern: &str) -> Option<regex::Regex> {
    regex::Regex::new(&anchored(pattern)).ok()
}

/// Whether a number is a whole number of steps away from the base, as far as floating point can tell.
#[must_use]
pub fn is_step(number: f64, base: f64, step: f64) -> bool {
    let steps = (number - base) / step;
    (steps - steps.round()).abs() <= 1e-9 * steps.abs().max(1.0)
}

fn has_type(kind: ParameterType, value: &Value) -> bool {
    match (kind, value) {
        (ParameterType::Number, Value::Number(_))
        | (ParameterType::String, Value::String(_))
        | (ParameterType::Boolean, Value::Bool(_))
        | (ParameterType::Array, Value::Array(_))
        | (ParameterType::Object, Value::Object(_)) => true,
        (ParameterType::Integer, Value::Number(number)) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    }
}

/// Whether two values are the same; 1 and 1.0 are.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

fn hint_for_type(spelling: Spelling, spec: &ValueSpec, value: &Value) -> Option<String> {
    let without_quotes = |value| Some(format!("write {}, without quotes", spelling.boolean(value)));
    match (spec.kind, value) {
        (ParameterType::Number | ParameterType::Integer, Value::String(text)) => {
            let text = text.trim();
            if text.parse::<f64>().is_ok_and(f64::is_finite) {
                return Some(format!("write {text} without quotes"));
            }
            let number = text.split(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).next()?;
            number.parse::<f64>().ok()?;
            let unit = spec.unit_suffix();
            let unit = if unit.is_empty() { unit } else { format!("; it is in{unit}") };
            Some(format!("give the number alone: {number}{unit}"))
        }
        (ParameterType::Integer, Value::Number(number)) => {
            Some(format!("the nearest whole number is {}", number.as_f64()?.round()))
        }
        (ParameterType::Boolean, Value::String(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => without_quotes(true),
            "false" | "no" | "off" | "n" => without_quotes(false),
            _ => None,
        },
        (ParameterType::Boolean, Value::Number(number)) => match number.as_f64()? {
            1.0 => Some(format!("write {}", spelling.boolean(true))),
            0.0 => Some(format!("write {}", spelling.boolean(false))),
            _ => None,
        },
        (ParameterType::String, Value::Number(_) | Value::Bool(_)) => {
            Some(format!("put it in quotes: \"{}\"", spelling.shown(value)))
        }
        (ParameterType::Array, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
            Some(format!("a list of one is [{}]", spelling.shown(value)))
        }
        (_, Value::Null) => Some("give a value, or leave the parameter out".into()),
        _ => None,
    }
}

/// A value as people read it, cut to what a line can show.
#[must_use]
pub fn shown(value: &Value) -> String {
    Spelling::Json.shown(value)
}

/// A number as people write it: without a useless fraction.
#[must_use]
pub fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(given) if number.is_f64() && given.fract() == 0.0 && given.abs() < 1e15 => format!("{given:.0}"),
        _ => number.to_string(),
    }
}

fn tidy(number: f64) -> f64 {
    (number * 1e9).round() / 1e9
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
