//! JSON, with tagged forms, as a pickle of protocol 2.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use num_bigint::BigInt;
use serde_json::{Map, Value as Json};
use serde_pickle::{HashableValue, SerOptions, Value as Python};

use super::{EncodeError, limits::DEEPEST, tag};

/// Writes a value for Python to read, with protocol 2. Arrays become lists.
///
/// # Errors
/// When the value has a member that begins with `$` and is no tagged form that can be sent, or is nested too deeply.
pub fn encode(value: &Json) -> Result<Vec<u8>, EncodeError> {
    written(&python(value, 0)?)
}

/// Writes the arguments of a call for Python to read: a tuple, also when there are none.
///
/// # Errors
/// As [`encode`].
pub fn encode_arguments(arguments: &[Json]) -> Result<Vec<u8>, EncodeError> {
    written(&Python::Tuple(all(arguments, 0)?))
}

fn written(value: &Python) -> Result<Vec<u8>, EncodeError> {
    serde_pickle::value_to_vec(value, SerOptions::new().proto_v2())
        .map_err(|error| EncodeError::NotWritten(error.to_string()))
}

fn all(values: &[Json], depth: usize) -> Result<Vec<Python>, EncodeError> {
    values.iter().map(|value| python(value, depth + 1)).collect()
}

fn python(value: &Json, depth: usize) -> Result<Python, EncodeError> {
    if depth > DEEPEST {
        return Err(EncodeError::TooDeep { limit: DEEPEST });
    }
    match value {
        Json::Null => Ok(Python::None),
        Json::Bool(value) => Ok(Python::Bool(*value)),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Ok(Python::I64(number)),
            (_, Some(number), _) => Ok(Python::Int(number.into())),
            (_, _, Some(number)) => Ok(Python::F64(number)),
            _ => Err(not_a_tag(value, "the number is out of range")),
        },
        Json::String(text) => Ok(Python::String(text.clone())),
        Json::Array(members) => Ok(Python::List(all(members, depth)?)),
        Json::Object(members) => match tag_of(members) {
            Some((name, content)) => tagged(value, members, name, content, depth),
            None => dictionary(members, depth),
        },
    }
}

/// The first member whose name begins with `$`: in every tagged form there is exactly one.
fn tag_of(members: &Map<String, Json>) -> Option<(&str, &Json)> {
    members.iter().find(|(name, _)| name.starts_with('$')).map(|(name, content)| (name.as_str(), content))
}

fn dictionary(members: &Map<String, Json>, depth: usize) -> Result<Python, EncodeError> {
    let pairs = members
        .iter()
        .map(|(name, value)| Ok((HashableValue::String(name.clone()), python(value, depth + 1)?)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Python::Dict(pairs))
}

fn tagged(
    value: &Json,
    members: &Map<String, Json>,
    name: &str,
    content: &Json,
    depth: usize,
) -> Result<Python, EncodeError> {
    if name == tag::OBJECT {
        return known_object(members, content, depth);
    }
    if members.len() != 1 {
        return Err(not_a_tag(value, "a tagged form has one member; a dictionary with such a key is a $map"));
    }
    match (name, content) {
        (tag::INT, Json::String(digits)) => digits
            .parse::<BigInt>()
            .map(Python::Int)
            .map_err(|_| not_a_tag(value, "an integer is written with decimal digits")),
        (tag::FLOAT, Json::String(number)) => match number.as_str() {
            "nan" => Ok(Python::F64(f64::NAN)),
            "inf" => Ok(Python::F64(f64::INFINITY)),
            "-inf" => Ok(Python::F64(f64::NEG_INFINITY)),
            _ => Err(not_a_tag(value, "\"nan\", \"inf\" and \"-inf\" are allowed")),
        },
        (tag::BYTES, Json::String(text)) => STANDARD
            .decode(text)
            .map(Python::Bytes)
            .map_err(|_| not_a_tag(value, "the bytes are not in base64 with padding")),
        (tag::SET, Json::Array(members)) => Ok(Python::Set(hashable_set(members, depth)?)),
        (tag::MAP, Json::Array(pairs)) => {
            let pairs =
                pairs.iter().map(|entry| pair(value, entry, depth)).collect::<Result<BTreeMap<_, _>, _>>();
            Ok(Python::Dict(pairs?))
        }
        (tag::WTF8, _) => Err(not_sent(name, "text with lone surrogates has no place in a message")),
        (tag::GLOBAL, _) => {
            Err(not_sent(name, "classes and functions are not sent; name it in a command's text"))
        }
        (tag::RECURSIVE, _) => Err(not_sent(name, "it does not say which value it stands for")),
        (tag::INT | tag::FLOAT | tag::BYTES, _) => Err(not_a_tag(value, "its content is text")),
        (tag::SET | tag::MAP, _) => Err(not_a_tag(value, "its content is an array")),
        _ => Err(not_a_tag(value, "no such tag exists; a dictionary with such a key is a $map")),
    }
}

/// Objects that are no more than a plain value, so that what a client received can be sent back. Nothing else is: reading
/// such a pickle would run whatever the object names.
fn known_object(members: &Map<String, Json>, class: &Json, depth: usize) -> Result<Python, EncodeError> {
    let has_other_members = members.keys().any(|name| name != tag::OBJECT && name != tag::ARGS);
    let args = members.get(tag::ARGS).and_then(Json::as_array).map(Vec::as_slice);
    match (class.as_str(), args, has_other_members) {
        (Some("__builtin__.unicode" | "builtins.str"), Some([text @ Json::String(_)]), false)
        | (Some("nicos.utils.readonlylist"), Some([text @ Json::Array(_)]), false)
        | (Some("nicos.utils.readonlydict"), Some([text @ Json::Object(_)]), false) => {
            python(text, depth + 1)
        }
        _ => Err(not_sent(
            tag::OBJECT,
            "objects are not sent; send the plain value, or make it in a command's text",
        )),
    }
}

fn pair(whole: &Json, entry: &Json, depth: usize) -> Result<(HashableValue, Python), EncodeError> {
    match entry.as_array().map(Vec::as_slice) {
        Some([key, value]) => Ok((hashable(key, depth + 1)?, python(value, depth + 1)?)),
        _ => Err(not_a_tag(whole, "its content is an array of arrays with a key and a value")),
    }
}

fn hashable_set(members: &[Json], depth: usize) -> Result<BTreeSet<HashableValue>, EncodeError> {
    members.iter().map(|member| hashable(member, depth + 1)).collect()
}

/// A key or a member of a set: arrays are tuples there, and sets cannot change.
fn hashable(value: &Json, depth: usize) -> Result<HashableValue, EncodeError> {
    if depth > DEEPEST {
        return Err(EncodeError::TooDeep { limit: DEEPEST });
    }
    if let Json::Array(members) = value {
        let members = members.iter().map(|member| hashable(member, depth + 1)).collect::<Result<_, _>>()?;
        return Ok(HashableValue::Tuple(members));
    }
    match python(value, depth)? {
        Python::Set(members) => Ok(HashableValue::FrozenSet(members)),
        plain => {
            plain.into_hashable().map_err(|_| not_a_tag(value, "it cannot be a key or a member of a set"))
        }
    }
}

/// How much of a wrong value is shown.
const SHOWN_CHARACTERS: usize = 100;

fn not_a_tag(value: &Json, problem: &'static str) -> EncodeError {
    let mut text = value.to_string();
    if let Some((cut, _)) = text.char_indices().nth(SHOWN_CHARACTERS) {
        text.truncate(cut);
        text.push('…');
    }
    EncodeError::NotATag { value: text, problem }
}

fn not_sent(tag: &str, problem: &'static str) -> EncodeError {
    EncodeError::NotSent { tag: tag.to_owned(), problem }
}
