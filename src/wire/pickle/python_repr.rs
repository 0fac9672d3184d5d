//! How Python would write a JSON value: the order in which the members of a set are listed.

use std::{fmt::Write as _, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

pub(super) fn python_repr(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

/// Recurses once per level of the value, which the decoder has bounded.
fn write(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(value) => text.push_str(if *value { "True" } else { "False" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => write_float(text, float),
            _ => text.push_str(&number.to_string()),
        },
        Value::String(string) => write_string(text, string),
        Value::Array(members) => {
            text.push('[');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                write(text, member);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                write_string(text, name);
                text.push_str(": ");
                write(text, member);
            }
            text.push('}');
        }
    }
}

/// The shortest digits that give the number again; with an exponent outside 1e-4 to 1e16.
fn write_float(text: &mut String, number: f64) {
    let scientific = format!("{number:e}");
    let exponent = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok());
    match (scientific.split_once('e'), exponent) {
        (Some((digits, _)), Some(exponent)) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            let _ = write!(text, "{digits}e{sign}{:02}", exponent.unsigned_abs());
        }
        _ => {
            let _ = write!(text, "{number:?}");
        }
    }
}

/// What Python takes for not printable: control and format characters, what is not assigned, and separators.
static NOT_PRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{C}\p{Z}&&[^ ]]").ok());

fn is_printable(character: char) -> bool {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => !byte.is_ascii_control(),
        _ => !NOT_PRINTABLE.as_ref().is_some_and(|it| it.is_match(character.encode_utf8(&mut [0; 4]))),
    }
}

fn write_string(text: &mut String, string: &str) {
    let quote = if string.contains('\'') && !string.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for character in string.chars() {
        let code = u32::from(character);
        let _ = match character {
            '\\' => text.write_str("\\\\"),
            '\n' => text.write_str("\\n"),
            '\r' => text.write_str("\\r"),
            '\t' => text.write_str("\\t"),
            _ if character == quote => write!(text, "\\{character}"),
            _ if is_printable(character) => text.write_char(character),
            _ if code <= 0xff => write!(text, "\\x{code:02x}"),
            _ if code <= 0xffff => write!(text, "\\u{code:04x}"),
            _ => write!(text, "\\U{code:08x}"),
        };
    }
    text.push(quote);
}
