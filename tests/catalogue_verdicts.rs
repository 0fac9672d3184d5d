//! Our verdicts on calls against JSON Schema applied directly: the schemas here are made by the test from
//! what it generates, and owe nothing to the code that they judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use beamq::catalogue::Catalogue;
use beamq_machines::CommandCall;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A parameter as the catalogue writes it, and as JSON Schema does.
#[derive(Clone, Debug)]
struct Parameter {
    written: Value,
    schema: Value,
    required: bool,
}

fn limits() -> impl Strategy<Value = (Option<i32>, Option<i32>)> {
    (prop::option::of(-8..8i32), prop::option::of(0..8i32))
        .prop_map(|(least, width)| (least, width.map(|width| least.unwrap_or(-4) + width)))
}

fn value_spec() -> impl Strategy<Value = (Value, Value)> {
    let kinds = prop::sample::select(vec!["number", "integer", "string", "boolean", "array", "object"]);
    (kinds, limits(), any::<bool>(), any::<bool>(), 1..4i32).prop_map(
        |(kind, (least, most), special, items, step)| {
            let mut written = json!({"type": kind});
            let mut schema = json!({"type": kind});
            let sized = matches!(kind, "string" | "array" | "object");
            let (least, most) = if sized { (least.map(i32::abs), most.map(i32::abs)) } else { (least, most) };
            let most = most.map(|most| most.max(least.unwrap_or(most)));
            let [low, high] = match kind {
                "string" => ["minLength", "maxLength"],
                "array" => ["minItems", "maxItems"],
                "object" => ["minProperties", "maxProperties"],
                _ => ["minimum", "maximum"],
            };
            if kind != "boolean" {
                for (ours, theirs, limit) in [("minimum", low, least), ("maximum", high, most)] {
                    if let Some(limit) = limit {
                        written[ours] = limit.into();
                        schema[theirs] = limit.into();
                    }
                }
            }
            match kind {
                "integer" if special && least.is_none_or(|least| least % step == 0) => {
                    written["step"] = step.into();
                    schema["multipleOf"] = step.into();
                }
                "string" if special && least.is_none() && most.is_none() => {
                    written["choices"] = json!(["on", "a b", "µ", "1"]);
                    schema["enum"] = json!(["on", "a b", "µ", "1"]);
                }
                "string" if items => {
                    written["pattern"] = "[a-c ]+|µ".into();
                    schema["pattern"] = "^(?:[a-c ]+|µ)$".into();
                }
                "array" if items => {
                    written["items"] = json!({"type": "number", "minimum": 0});
                    schema["items"] = json!({"type": "number", "minimum": 0});
                }
                "object" if items => {
                    written["items"] = json!({"type": "integer"});
                    schema["additionalProperties"] = json!({"type": "integer"});
                }
                _ => {}
            }
            (written, schema)
        },
    )
}

fn parameter() -> impl Strategy<Value = Parameter> {
    (value_spec(), any::<bool>(), any::<bool>()).prop_map(|((mut written, value), keyword, optional)| {
        let mut ways = vec![value];
        if keyword {
            written["keywords"] = json!(["keep"]);
            ways.push(json!({"const": "keep"}));
        }
        if optional {
            written["optional"] = true.into();
            ways.push(json!({"type": "null"}));
        }
        Parameter { written, schema: json!({"anyOf": ways}), required: !optional }
    })
}

fn argument() -> impl Strategy<Value = Value> {
    let single = prop_oneof![
        (-10..10i32).prop_map(Value::from),
        (-40..40i32).prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        prop::sample::select(vec!["keep", "on", "a b", "µ", "", "abcabcabc", "1", "K"]).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    prop_oneof![
        4 => single.clone(),
        1 => prop::collection::vec(single.clone(), 0..5).prop_map(Value::from),
        1 => prop::collection::btree_map("[a-c]", single, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_verdict_is_that_of_json_schema(
        parameters in prop::collection::vec(parameter(), 0..4),
        calls in prop::collection::vec(prop::collection::btree_map("p[0-4]", argument(), 0..4), 1..12),
    ) {
        let mut written = Map::new();
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (n, parameter) in parameters.iter().enumerate() {
            let name = format!("p{n}");
            written.insert(name.clone(), parameter.written.clone());
            properties.insert(name.clone(), parameter.schema.clone());
            if parameter.required {
                required.push(name);
            }
        }
        // JSON is YAML.
        let file = json!({"catalogue": 1, "commands": {"go": {
            "summary": "Goes.", "implementation": "a:b", "parameters": written,
        }}});
        let (catalogue, findings) = Catalogue::check(&[("generated.yaml".into(), file.to_string())]);
        let errors: Vec<_> = findings.iter().filter(|finding| finding.code != "parameter_order").collect();
        prop_assert!(errors.is_empty(), "{file}: {errors:?}");
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        });
        let direct = jsonschema::validator_for(&schema).unwrap();
        for parameters in calls {
            let parameters: Map<String, Value> = parameters.into_iter().collect();
            let good = direct.is_valid(&Value::Object(parameters.clone()));
            let problems = catalogue.check_call(&CommandCall { command: "go".into(), parameters: parameters.clone() });
            prop_assert_eq!(problems.is_empty(), good, "{}: {:?}: {:?}", file, parameters, problems);
            for problem in problems {
                prop_assert!(problem.message.starts_with("go"), "{:?}", problem);
            }
        }
    }

    #[test]
    fn any_text_is_a_catalogue_or_has_findings_at_places_that_exist(text in "(?s)[-a-z0-9:{}\\[\\],.&*!|>'\"#%@`?\t\n µ]{0,200}") {
        check_any(&format!("catalogue: 1\ncommands:\n  {text}"));
        check_any(&text);
    }
}

fn check_any(text: &str) {
    let (_, diagnostics) = Catalogue::diagnose(&[("any.yaml".into(), text.to_owned())]);
    for diagnostic in &diagnostics {
        let shown = beamq::catalogue::render::to_text(diagnostic, false);
        assert!(shown.contains("any.yaml:"), "{shown}");
        let finding = diagnostic.finding();
        let lines = text.split('\n').count();
        assert!(finding.line.is_some_and(|line| line >= 1 && line as usize <= lines), "{finding:?}");
    }
}
