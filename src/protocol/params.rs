//! Typed parameters out of JSON, with errors that say exactly which member is wrong, and how.
//!
//! serde asks for an error type that is told what went wrong piece by piece; `serde_json`'s own turns that
//! into a sentence at once. This reader keeps the pieces: the path, the value, what was expected.

use std::fmt;

use serde::{
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess,
        SeqAccess, Unexpected, VariantAccess, Visitor, value::StringDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value, json};

use super::{
    error::RpcError,
    text::{abbreviated, nearest},
};

/// Reads a value as a typed parameter.
///
/// # Errors
///
/// Where the value is not what the type asks for.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, ParamError> {
    T::deserialize(Reader(value))
}

/// What a path belongs to, which decides the code of a bad value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The call itself: a bad value is `invalid_params`.
    Call,
    /// A submission or a place in the queue: a bad value is `invalid_job`.
    Submission,
}

/// One member that is not as it should be.
#[derive(Debug)]
pub(super) struct ParamError {
    /// From the innermost step outwards.
    path: Vec<Step>,
    fault: Fault,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

#[derive(Debug)]
enum Fault {
    Missing(&'static str),
    Unknown { name: String, known: &'static [&'static str] },
    WrongType { value: Option<Value>, found: &'static str, expected: String },
    BadValue { value: Option<Value>, expected: String },
    NoName { value: Option<Value>, found: &'static str, known: &'static [&'static str] },
    BadName { name: String, known: &'static [&'static str] },
    Other(String),
}

impl ParamError {
    /// The first member of the path.
    pub(super) fn top_member(&self) -> Option<&str> {
        match self.path.last() {
            Some(Step::Member(name)) => Some(name),
            _ => None,
        }
    }

    /// The reply for it.
    pub(super) fn into_rpc_error(self, part: Part) -> RpcError {
        let path = self.path();
        let field = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match self.fault {
            Fault::Missing(name) => {
                let field = field(name);
                RpcError::invalid_params(format!("missing member {field}")).with_field(field)
            }
            Fault::Unknown { name, known } => {
                let hint = nearest(&name, known.iter().copied()).map(|name| format!("did you mean {name}?"));
                let shown = abbreviated(name.into());
                let field = field(shown.as_str().unwrap_or_default());
                let error = RpcError::invalid_params(format!("unknown member {field}")).with_field(field);
                let error = match known {
                    [] => error.with_allowed("no members"),
                    known => error.with_allowed(json!(known)),
                };
                match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            Fault::WrongType { value, found, expected } => {
                let expected = plain(&expected);
                let mut error =
                    RpcError::invalid_params(format!("{} is {found}, not {expected}", named(&path)))
                        .with_field(path)
                        .with_allowed(expected);
                if let Some(number @ Value::Number(_)) = &value
                    && expected == "text"
                {
                    error = error.with_hint(format!("write it as text: \"{number}\""));
                }
                error.data.value = value;
                error
            }
            Fault::NoName { value, found, known } => {
                let mut error = RpcError::invalid_params(format!("{} is {found}, not text", named(&path)))
                    .with_field(path)
                    .with_allowed(json!(known));
                error.data.value = value;
                error
            }
            Fault::BadValue { value, expected } => {
                let expected = plain(&expected);
                let message = match &value {
                    Some(value) => format!("{} is {value}, which is not {expected}", named(&path)),
                    None => format!("{} is not {expected}", named(&path)),
                };
                let mut error = bad_value(part, message).with_field(path).with_allowed(expected);
                error.data.value = value;
                error
            }
            Fault::BadName { name, known } => {
                let shown = abbreviated(name.as_str().into());
                let error = bad_value(part, format!("{} cannot be {shown}", named(&path)))
                    .with_field(path)
                    .with_value(shown)
                    .with_allowed(json!(known));
                match nearest(&name, known.iter().copied()) {
                    Some(near) => error.with_hint(format!("did you mean {near}?")),
                    None => error,
                }
            }
            Fault::Other(message) => bad_value(part, format!("{}: {message}", named(&path))).with_field(path),
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Item(n) => path.push_str(&format!("[{n}]")),
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => {
                    path.push('.');
                    path.push_str(name);
                }
            }
        }
        path
    }

    fn within(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    fn of(fault: Fault) -> Self {
        Self { path: Vec::new(), fault }
    }
}

fn named(path: &str) -> &str {
    if path.is_empty() { "the value" } else { path }
}

fn bad_value(part: Part, message: String) -> RpcError {
    match part {
        Part::Call => RpcError::invalid_params(message),
        Part::Submission => RpcError::invalid_job(message),
    }
}

/// The words of serde in the words of a client author.
fn plain(expected: &str) -> &str {
    match expected {
        "a string" | "str" => "text",
        "a boolean" | "bool" => "true or false",
        "u64" | "usize" => "a whole number from 0",
        "u32" => "a whole number from 0 to 4294967295",
        "i64" => "a whole number",
        "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", named(&self.path()), self.fault)
    }
}

impl std::error::Error for ParamError {}

impl de::Error for ParamError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::of(Fault::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of(Fault::WrongType {
            value: shown(found),
            found: type_name(found),
            expected: expected.to_string(),
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of(Fault::BadValue { value: shown(found), expected: expected.to_string() })
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::of(Fault::BadName { name: name.to_owned(), known })
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::of(Fault::Unknown { name: name.to_owned(), known })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::of(Fault::Missing(name))
    }
}

/// What was given, as far as it is small.
fn shown(found: Unexpected<'_>) -> Option<Value> {
    match found {
        Unexpected::Bool(flag) => Some(json!(flag)),
        Unexpected::Unsigned(number) => Some(json!(number)),
        Unexpected::Signed(number) => Some(json!(number)),
        Unexpected::Float(number) => Some(json!(number)),
        Unexpected::Str(text) => Some(abbreviated(text.into())),
        _ => None,
    }
}

fn type_name(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number",
        Unexpected::Str(_) => "text",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "null",
    }
}

/// A JSON value that is read once.
struct Reader(Value);

impl<'de> de::Deserializer<'de> for Reader {
    type Error = ParamError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.into_iter(), n: 0 }),
            Value::Object(members) => visitor.visit_map(Members { members: members.into_iter(), next: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        visitor.visit_newtype_struct(self)
    }

    /// A structure goes by the names of its members; reading it from an array by position would break
    /// clients when a member is added.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        match self.0 {
            Value::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &"an object")),
            other => Reader(other).deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        let (value, found) = match self.0 {
            Value::String(name) => return visitor.visit_enum(Name(name)),
            Value::Null => (None, "null"),
            Value::Array(_) => (None, "an array"),
            Value::Object(_) => (None, "an object"),
            flag @ Value::Bool(_) => (Some(flag), "true or false"),
            number @ Value::Number(_) => (Some(number), "a number"),
        };
        Err(ParamError::of(Fault::NoName { value, found, known }))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    n: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = ParamError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ParamError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let n = self.n;
        self.n += 1;
        seed.deserialize(Reader(item)).map(Some).map_err(|error| error.within(Step::Item(n)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members {
    members: <Map<String, Value> as IntoIterator>::IntoIter,
    next: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = ParamError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ParamError> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        let key: StringDeserializer<ParamError> = name.clone().into_deserializer();
        self.next = Some((name, value));
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ParamError> {
        let (name, value) = self.next.take().unwrap_or_default();
        seed.deserialize(Reader(value)).map_err(|error| error.within(Step::Member(name)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// The name of a variant; the enumerations of the protocol have no other content.
struct Name(String);

impl<'de> EnumAccess<'de> for Name {
    type Error = ParamError;
    type Variant = NoContent;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, NoContent), ParamError> {
        let name: StringDeserializer<ParamError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, NoContent))
    }
}

struct NoContent;

impl<'de> VariantAccess<'de> for NoContent {
    type Error = ParamError;

    fn unit_variant(self) -> Result<(), ParamError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ParamError> {
        Err(de::Error::custom("a name alone cannot stand here"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ParamError> {
        Err(de::Error::custom("a name alone cannot stand here"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ParamError> {
        Err(de::Error::custom("a name alone cannot stand here"))
    }
}
