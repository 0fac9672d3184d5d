//! The parameters of a command as JSON Schema (draft 2020-12), from which clients build forms.
//!
//! What JSON Schema has no word for is an annotation: `x-unit`, `x-step` (multiples of it from the minimum),
//! `x-keywords`, and `x-order`, the place of a parameter among the others.

use serde_json::{Map, Number, Value, json};

use super::{
    model::{CommandSpec, ParameterSpec, ParameterType, ValueSpec},
    values,
};

/// The schema of the arguments of a command.
#[must_use]
pub fn of_command(name: &str, spec: &CommandSpec) -> Value {
    let properties: Map<String, Value> = spec
        .parameters
        .iter()
        .enumerate()
        .map(|(order, (name, parameter))| (name.to_owned(), of_parameter(parameter, order)))
        .collect();
    let required: Vec<&str> = spec
        .parameters
        .iter()
        .filter(|(_, parameter)| parameter.is_required())
        .map(|(name, _)| name)
        .collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": spec.summary,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if !spec.examples.is_empty()
        && let Some(members) = schema.as_object_mut()
    {
        members.insert("examples".into(), json!(spec.examples));
    }
    schema
}

fn of_parameter(parameter: &ParameterSpec, order: usize) -> Value {
    let value = of_value(&parameter.value);
    let mut ways = vec![Value::Object(value.clone())];
    if !parameter.keywords.is_empty() {
        ways.push(json!({"enum": parameter.keywords}));
    }
    if parameter.optional {
        ways.push(json!({"type": "null"}));
    }
    let mut schema = if ways.len() == 1 {
        value
    } else {
        let mut union = Map::from_iter([("anyOf".to_owned(), Value::Array(ways))]);
        // Forms look for the unit beside the title.
        if let Some(unit) = &parameter.value.unit {
            union.insert("x-unit".into(), unit.as_str().into());
        }
        union
    };
    if !parameter.keywords.is_empty() {
        schema.insert("x-keywords".into(), json!(parameter.keywords));
    }
    if let Some(description) = &parameter.description {
        schema.insert("description".into(), description.as_str().into());
    }
    if let Some(default) = &parameter.default {
        schema.insert("default".into(), default.clone());
    }
    schema.insert("x-order".into(), order.into());
    Value::Object(schema)
}

fn of_value(spec: &ValueSpec) -> Map<String, Value> {
    let mut schema = Map::from_iter([("type".to_owned(), Value::from(spec.kind.name()))]);
    let [least, most] = match spec.kind {
        ParameterType::String => ["minLength", "maxLength"],
        ParameterType::Array => ["minItems", "maxItems"],
        ParameterType::Object => ["minProperties", "maxProperties"],
        ParameterType::Number | ParameterType::Integer | ParameterType::Boolean => ["minimum", "maximum"],
    };
    for (name, limit) in [(least, &spec.minimum), (most, &spec.maximum)] {
        if let Some(limit) = limit {
            schema.insert(name.into(), Value::Number(limit.clone()));
        }
    }
    if let Some(step) = &spec.step {
        schema.insert("x-step".into(), Value::Number(step.clone()));
        if let Some(multiple) = exact_multiple(spec, step) {
            schema.insert("multipleOf".into(), multiple.into());
        }
    }
    if !spec.choices.is_empty() {
        schema.insert("enum".into(), Value::Array(spec.choices.clone()));
    }
    if let Some(pattern) = &spec.pattern {
        schema.insert("pattern".into(), values::anchored(pattern).into());
    }
    if let Some(unit) = &spec.unit {
        schema.insert("x-unit".into(), unit.as_str().into());
    }
    if let Some(items) = &spec.items {
        let name = if spec.kind == ParameterType::Object { "additionalProperties" } else { "items" };
        schema.insert(name.into(), Value::Object(of_value(items)));
    }
    schema
}

/// `multipleOf` counts from 0 and is exact, which agrees with a step only among whole numbers.
fn exact_multiple(spec: &ValueSpec, step: &Number) -> Option<i64> {
    let step = step.as_i64()?;
    let base = spec.minimum.as_ref().map_or(Some(0), Number::as_i64)?;
    (spec.kind == ParameterType::Integer && step > 0 && base % step == 0).then_some(step)
}
