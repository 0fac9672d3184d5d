use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalogue::model::{ParameterType, ValueSpec};

fn parameter(kind: ParameterType, keywords: &[&str]) -> ParameterSpec {
    ParameterSpec {
        value: ValueSpec::of(kind),
        default: None,
        optional: true,
        keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
        description: None,
    }
}

fn parameters() -> Ordered<ParameterSpec> {
    Ordered(vec![
        ("value".into(), parameter(ParameterType::Number, &["keep"])),
        ("rate".into(), parameter(ParameterType::Number, &[])),
        ("wait".into(), parameter(ParameterType::Boolean, &[])),
        ("mode".into(), parameter(ParameterType::String, &[])),
        ("angles".into(), parameter(ParameterType::Array, &[])),
    ])
}

fn seconds(text: &str, arguments: Value) -> Option<f64> {
    let state = |name: &str| (name == "temperature").then(|| json!(300));
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    Expression::parse(text, &parameters()).unwrap().seconds(&arguments, &state)
}

fn complaint(text: &str) -> String {
    let error = *Expression::parse(text, &parameters()).unwrap_err();
    let marked = text.get(error.range.clone()).unwrap();
    format!("`{marked}` {}", error.message)
}

#[test]
fn the_expression_of_the_protocol_gives_its_seconds() {
    let text = "wait ? abs(value - state.temperature) / 2.0 * 60 + 30 : 1";
    assert_eq!(seconds(text, json!({"value": 290, "wait": true})), Some(330.0));
    assert_eq!(seconds(text, json!({"value": 290, "wait": false})), Some(1.0));
}

#[test]
fn operators_bind_as_people_expect() {
    for (text, value) in [
        ("1 + 2 * 3 - 4 / 2", 5.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 2 - 3", 5.0),
        ("-2 * -3", 6.0),
        ("1 < 2 && !(3 < 2) || false ? 7 : 8", 7.0),
        ("min(3, 1, 2) + max(1, 4) + ceil(0.2) + floor(0.9) + round(2.5)", 9.0),
        ("false ? 1 : true ? 2 : 3", 2.0),
        ("1e3 + .5", 1000.5),
    ] {
        assert_eq!(seconds(text, json!({})), Some(value), "{text}");
    }
}

#[test]
fn what_is_not_known_spreads_until_something_decides_without_it() {
    assert_eq!(seconds("rate * 2", json!({})), None);
    assert_eq!(seconds("state.nowhere + 1", json!({})), None);
    assert_eq!(seconds("wait ? 5 : 5", json!({})), Some(5.0));
    assert_eq!(seconds("wait ? 5 : 6", json!({})), None);
    assert_eq!(seconds("false && wait ? 1 : 2", json!({})), Some(2.0));
    assert_eq!(seconds("1 / 0", json!({})), None);
    assert_eq!(seconds("0 - 5", json!({})), None, "less than no time says nothing");
    assert_eq!(seconds("value * 2", json!({"value": "keep"})), None);
}

#[test]
fn words_lists_and_absence_can_be_asked_about() {
    assert_eq!(seconds(r#"value == "keep" ? 0 : 60"#, json!({"value": "keep"})), Some(0.0));
    assert_eq!(seconds("value == 'keep' ? 0 : 60", json!({"value": 4})), Some(60.0));
    assert_eq!(seconds("count(angles) * 10 + sum(angles)", json!({"angles": [1, 2.5]})), Some(23.5));
    assert_eq!(seconds("given(rate) ? 100 / rate : 7", json!({"rate": 50})), Some(2.0));
    assert_eq!(seconds("given(rate) ? 100 / rate : 7", json!({"rate": null})), Some(7.0));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        ("valeu * 2", "`valeu` there is no parameter `valeu`"),
        ("2 *", "`` a value is missing at the end"),
        ("wait + 1", "`wait` this is true or false; `+ - * /` need numbers"),
        ("wait", "`wait` this is true or false; an estimate is a number of seconds"),
        ("rate ? 1 : 2", "`rate` this is a number; before `?` stands a condition"),
        ("wait ? 1", "`` `:` is missing here: a choice is written `CONDITION ? A : B`"),
        ("(1 + 2", "`` `)` is missing here: the bracket is not closed"),
        ("1 2", "`2` the expression has ended before this"),
        ("1 < 2 < 3 ? 1 : 0", "`<` comparisons cannot be chained"),
        ("rate = 2 ? 1 : 0", "`=` `=` means nothing here"),
        ("minimum(1, 2)", "`minimum` there is no function `minimum`"),
        ("abs(1, 2)", "`abs(1, 2)` `abs` takes one value, not 2"),
        ("1.2.3", "`1.2.3` `1.2.3` is not a number"),
        ("mode == 5 ? 1 : 0", "`5` this is a number; it is compared with a text"),
        ("wait ? 'a' : 1", "`1` this is a number; the other way gives a text"),
        ("angles * 2", "`angles` this is a list; `+ - * /` need numbers"),
        ("state.", "`` the name of a device is missing after `state.`"),
    ] {
        assert_eq!(complaint(text), expected, "{text}");
    }
}

#[test]
fn an_expression_cannot_be_made_to_nest_or_grow_without_end() {
    assert!(complaint(&"(".repeat(900)).ends_with("the expression nests too deeply"));
    assert!(complaint(&"-".repeat(900)).ends_with("the expression nests too deeply"));
    assert!(complaint(&"1+".repeat(600)).ends_with("is longer than 1000 bytes"));
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_located(text in "[-+*/<>=!&|?:(),.a-z0-9 \"'µ]{0,60}") {
        match Expression::parse(&text, &parameters()) {
            Ok(expression) => {
                let seconds = expression.seconds(&Map::new(), &|_| None);
                prop_assert!(seconds.is_none_or(|seconds| seconds >= 0.0));
            }
            Err(error) => prop_assert!(text.get(error.range.clone()).is_some(), "{:?}", error),
        }
    }
}
