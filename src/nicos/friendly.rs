//! What clients see of well-known objects of NICOS: a second layer over the tagged forms of [`pickle`], which stay for
//! everything that is not known here. `docs/nicos.md` lists the forms.
//!
//! [`pickle`]: crate::wire::pickle

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde_json::{Map, Number, Value, json};

use crate::wire::pickle::tag;

/// Replaces the tagged forms of well-known objects, however deep they are, by forms that need no knowledge of Python.
///
/// Recurses once per level: values from the decoder are nested no deeper than its limit.
#[must_use]
pub fn friendly(value: Value) -> Value {
    match value {
        Value::Array(members) => members.into_iter().map(friendly).collect(),
        Value::Object(members) => {
            let members: Map<String, Value> =
                members.into_iter().map(|(name, value)| (name, friendly(value))).collect();
            known(members)
        }
        plain => plain,
    }
}

/// Whether a value is the tagged form of an exception.
#[must_use]
pub fn is_exception(value: &Value) -> bool {
    value.get(tag::OBJECT).and_then(Value::as_str).is_some_and(is_exception_class)
}

fn is_exception_class(class: &str) -> bool {
    let Some((module, name)) = class.rsplit_once('.') else { return false };
    let ends_like_one = ["Error", "Exception", "Warning", "Exit", "Interrupt", "Iteration", "Fault"];
    match module {
        "exceptions" | "nicos.core.errors" => true,
        _ => ends_like_one.iter().any(|end| name.ends_with(end)),
    }
}

/// An object whose members are friendly already.
fn known(members: Map<String, Value>) -> Value {
    let Some(class) = members.get(tag::OBJECT).and_then(Value::as_str) else {
        return Value::Object(members);
    };
    let form = match class {
        // A device is written as the call that gives its name.
        "__builtin__.unicode" | "builtins.str" => only_argument(&members).filter(|it| it.is_string()),
        "nicos.utils.readonlylist" => only_argument(&members).filter(|it| it.is_array()),
        "nicos.utils.readonlydict" => only_argument(&members).filter(|it| it.is_object()),
        "uuid.UUID" => uuid(&members),
        "time.struct_time" => time(&members),
        "nicos.core.params.Value" | "nicos.core.params.Param" => state(&members).map(Value::Object),
        "nicos.core.device.DeviceParInfo" => parameter(&members),
        "collections.OrderedDict" | "collections.defaultdict" => dictionary(&members),
        "numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar" => scalar(&members),
        _ => match class.strip_prefix("nicos.core.data.dataset.") {
            Some(name) => dataset(name, &members),
            None if is_exception_class(class) => Some(exception(class, &members)),
            None => None,
        },
    };
    form.unwrap_or(Value::Object(members))
}

fn arguments(members: &Map<String, Value>) -> &[Value] {
    members.get(tag::ARGS).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The argument of an object that is nothing but that.
fn only_argument(members: &Map<String, Value>) -> Option<Value> {
    match (members.len(), arguments(members)) {
        (2, [argument]) => Some(argument.clone()),
        _ => None,
    }
}

/// The members of an object that is nothing but them.
fn state(members: &Map<String, Value>) -> Option<Map<String, Value>> {
    let only = members.len() == 2;
    let state = members.get(tag::STATE).and_then(Value::as_object).filter(|_| only)?;
    (!state.keys().any(|name| name.starts_with('$'))).then(|| state.clone())
}

fn uuid(members: &Map<String, Value>) -> Option<Value> {
    let number = members.get(tag::STATE)?.get("int")?;
    let number: u128 = match number.get(tag::INT) {
        Some(digits) => digits.as_str()?.parse().ok()?,
        None => number.as_u64()?.into(),
    };
    let digits = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
    Some(parts.join("-").into())
}

/// A broken-down time, as RFC 3339; without an offset it is taken for UTC.
fn time(members: &Map<String, Value>) -> Option<Value> {
    let [parts, rest @ ..] = arguments(members) else { return None };
    let parts: Vec<i64> = parts.as_array()?.iter().map_while(Value::as_i64).collect();
    let [year, month, day, hour, minute, second, ..] = *parts.as_slice() else { return None };
    let small = |number: i64| i8::try_from(number).ok();
    let civil = DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        // A leap second, as Python may have it.
        small(second.min(59))?,
        0,
    )
    .ok()?;
    let seconds =
        rest.first().and_then(|rest| rest.get("tm_gmtoff")).and_then(Value::as_i64).unwrap_or_default();
    let offset = Offset::from_seconds(i32::try_from(seconds).ok()?).ok()?;
    let timestamp: Timestamp = offset.to_timestamp(civil).ok()?;
    Some(timestamp.display_with_offset(offset).to_string().into())
}

/// The value of a device's parameter as a dataset keeps it.
fn parameter(members: &Map<String, Value>) -> Option<Value> {
    match arguments(members) {
        [value, text, unit, category] => {
            Some(json!({"value": value, "text": text, "unit": unit, "category": category}))
        }
        _ => None,
    }
}

/// A dictionary of a special class, if its keys can be names of members.
fn dictionary(members: &Map<String, Value>) -> Option<Value> {
    if members.contains_key(tag::STATE) || members.contains_key(tag::ITEMS) {
        return None;
    }
    let pairs = match members.get(tag::PAIRS) {
        Some(pairs) => pairs.as_array()?.as_slice(),
        None => &[],
    };
    let mut plain = Map::new();
    for pair in pairs {
        let [Value::String(name), value] = pair.as_array()?.as_slice() else { return None };
        if name.starts_with('$') {
            return None;
        }
        plain.insert(name.clone(), value.clone());
    }
    Some(Value::Object(plain))
}

/// A number of numpy: its type and its bytes.
fn scalar(members: &Map<String, Value>) -> Option<Value> {
    let [kind, bytes] = arguments(members) else { return None };
    let code = arguments(kind.as_object()?).first()?.as_str()?;
    let order = kind.get(tag::STATE)?.as_array()?.get(1)?.as_str()?;
    let mut bytes = decoded(bytes)?;
    if order == ">" {
        bytes.reverse();
    }
    let mut filled = [0_u8; 8];
    filled.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    match (code, bytes.len()) {
        ("b1", 1) => Some(Value::Bool(filled != [0; 8])),
        ("f8", 8) => number(f64::from_le_bytes(filled)),
        ("f4", 4) => {
            let [a, b, c, d, ..] = filled;
            // The decimal digits of the short number are those that are meant.
            number(f32::from_le_bytes([a, b, c, d]).to_string().parse().ok()?)
        }
        ("u1", 1) | ("u2", 2) | ("u4", 4) | ("u8", 8) => {
            i64::try_from(u64::from_le_bytes(filled)).ok().map(Value::from)
        }
        ("i1", 1) | ("i2", 2) | ("i4", 4) | ("i8", 8) => {
            let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
            Some((i64::from_le_bytes(filled) << unused >> unused).into())
        }
        _ => None,
    }
}

fn number(float: f64) -> Option<Value> {
    Number::from_f64(float).map(Value::Number)
}

fn decoded(bytes: &Value) -> Option<Vec<u8>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(bytes.get(tag::BYTES)?.as_str()?).ok()
}

/// A dataset: its members, with the kind of dataset as `class`.
fn dataset(class: &str, members: &Map<String, Value>) -> Option<Value> {
    let mut dataset = state(members)?;
    if let Some(info) = dataset.get_mut("metainfo")
        && let Some(by_device) = by_device(info)
    {
        *info = by_device;
    }
    dataset.insert("class".into(), class.into());
    Some(Value::Object(dataset))
}

/// What is kept by pairs of device and parameter, as an object of objects.
fn by_device(info: &Value) -> Option<Value> {
    let mut devices = Map::new();
    for entry in info.get(tag::MAP)?.as_array()? {
        let [key, value] = entry.as_array()?.as_slice() else { return None };
        let [Value::String(device), Value::String(parameter)] = key.as_array()?.as_slice() else {
            return None;
        };
        if device.starts_with('$') || parameter.starts_with('$') {
            return None;
        }
        let parameters = devices.entry(device.clone()).or_insert_with(|| Value::Object(Map::new()));
        parameters.as_object_mut()?.insert(parameter.clone(), value.clone());
    }
    Some(Value::Object(devices))
}

/// An exception: its class, what it says, and the rest of it.
fn exception(class: &str, members: &Map<String, Value>) -> Value {
    let arguments = arguments(members);
    let message = match arguments {
        [] => String::new(),
        [Value::String(text), ..] => text.clone(),
        [other, ..] => other.to_string(),
    };
    let mut form = Map::from_iter([
        ("exception".to_owned(), Value::from(class)),
        ("message".to_owned(), message.into()),
        ("args".to_owned(), arguments.into()),
    ]);
    if let Some(details) = members.get(tag::STATE) {
        form.insert("details".into(), details.clone());
    }
    Value::Object(form)
}

#[cfg(test)]
mod tests;
