//! The JSON of NICOS: what Python's `json` writes, which is more than JSON is.
//!
//! `NaN`, `Infinity` and lone surrogates (`"\ud800"`) appear, integers have any length, and an object with
//! `__pickle__` stands for a value that JSON cannot hold: its text has one character for each byte of a
//! pickle. Values come out in the mapping of [`pickle`].

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value, json};

use crate::wire::pickle;

/// The member that stands for a pickled value.
const PICKLED: &str = "__pickle__";

/// Why a payload is no JSON that we read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It breaks the rules.
    #[error("byte {at} of the JSON: {what}")]
    Malformed {
        /// Where, from the payload's beginning.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It would cost more than is allowed.
    #[error("the JSON has more {what} than the limit of {limit}")]
    TooLarge {
        /// What there is too much of, in the plural.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A pickle in it cannot be read.
    #[error("a pickled value in the JSON: {0}")]
    Pickle(#[from] pickle::DecodeError),
}

/// Whether a value has to be sent as a pickle: it has a tagged form, or would itself be taken for one.
pub(super) fn needs_pickle(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(needs_pickle),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.starts_with('$') || key == PICKLED || needs_pickle(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A pickle as a payload of this serializer.
pub(super) fn wrap_pickle(pickle: &[u8]) -> Vec<u8> {
    let text: String = pickle.iter().copied().map(char::from).collect();
    json!({ PICKLED: text }).to_string().into_bytes()
}

/// Reads one value.
///
/// # Errors
///
/// When the payload is anything else, or beyond the limits.
pub(super) fn decode(payload: &[u8], limits: &pickle::Limits) -> Result<Value, JsonError> {
    if payload.len() > limits.payload_bytes {
        return Err(JsonError::TooLarge { what: "bytes", limit: limits.payload_bytes });
    }
    let mut reader =
        Reader { payload, at: 0, limits, values_left: limits.operations, output_left: limits.output_bytes };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < payload.len() {
        return Err(reader.malformed("something follows the value"));
    }
    Ok(value)
}

/// How many bytes a value holds, about.
fn memory_of(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(memory_of).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| size_of::<String>() + name.len() + memory_of(value)).sum()
        }
    };
    size_of::<Value>() + inside
}

/// Text that may have lone surrogates: UTF-8 but for them.
enum Text {
    Whole(String),
    Broken(Vec<u8>),
}

impl Text {
    fn into_value(self) -> Value {
        match self {
            Self::Whole(text) => Value::String(text),
            Self::Broken(bytes) => json!({ "$wtf8": STANDARD.encode(&bytes) }),
        }
    }
}

struct Reader<'a> {
    payload: &'a [u8],
    at: usize,
    limits: &'a pickle::Limits,
    values_left: usize,
    /// What pickles may still become: they are the only values that are larger than what stands for them.
    output_left: usize,
}

impl Reader<'_> {
    fn malformed(&self, what: &'static str) -> JsonError {
        JsonError::Malformed { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.payload.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, word: &[u8]) -> bool {
        let found = self.payload.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(JsonError::TooLarge { what: "values", limit: self.limits.operations })?;
        // What brackets and tags add is one level each.
        if depth >= self.limits.depth {
            return Err(JsonError::TooLarge { what: "levels", limit: self.limits.depth });
        }
        match self.peek() {
            Some(b'"') => Ok(self.text()?.into_value()),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        let words: [(&[u8], Value); 5] = [
            (b"null", Value::Null),
            (b"true", Value::Bool(true)),
            (b"false", Value::Bool(false)),
            (b"NaN", json!({"$float": "nan"})),
            (b"Infinity", json!({"$float": "inf"})),
        ];
        for (word, value) in words {
            if self.take(word) {
                return Ok(value);
            }
        }
        Err(self.malformed("there is no value"))
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        if self.take(b"-Infinity") {
            return Ok(json!({"$float": "-inf"}));
        }
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let text = rest.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let number = if text.contains(['.', 'e', 'E']) { self.float(text) } else { self.integer(text) }?;
        self.at += length;
        Ok(number)
    }

    fn float(&self, text: &str) -> Result<Value, JsonError> {
        let number: f64 = text.parse().map_err(|_| self.malformed("this is no number"))?;
        Ok(match Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None if number > 0.0 => json!({"$float": "inf"}),
            None => json!({"$float": "-inf"}),
        })
    }

    fn integer(&self, text: &str) -> Result<Value, JsonError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let zeros_first = digits.len() > 1 && digits.starts_with('0');
        if digits.is_empty() || zeros_first || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.malformed("this is no number"));
        }
        if let Ok(number) = text.parse::<i64>() {
            return Ok(number.into());
        }
        // A byte is worth 2.4 decimal digits.
        if digits.len() > self.limits.integer_bytes.saturating_mul(12) / 5 {
            let limit = self.limits.integer_bytes;
            return Err(JsonError::TooLarge { what: "bytes in an integer", limit });
        }
        Ok(json!({ "$int": text }))
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some(b']') if items.is_empty() => break,
                _ => items.push(self.value(depth + 1)?),
            }
            if self.ends(b']')? {
                return Ok(Value::Array(items));
            }
        }
        self.at += 1;
        Ok(Value::Array(items))
    }

    /// After an item: whether the list or object ends here, or goes on after a comma.
    fn ends(&mut self, end: u8) -> Result<bool, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.malformed("neither a comma nor the end of the list or object")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members: Vec<(Text, Value)> = Vec::new();
        loop {
            self.skip_space();
            if members.is_empty() && self.peek() == Some(b'}') {
                self.at += 1;
                break;
            }
            if self.peek() != Some(b'"') {
                return Err(self.malformed("a member needs a name"));
            }
            let name = self.text()?;
            self.skip_space();
            if !self.take(b":") {
                return Err(self.malformed("a member's name is followed by a colon"));
            }
            self.skip_space();
            if matches!(&name, Text::Whole(name) if name == PICKLED) {
                let value = self.pickled(depth)?;
                // Nothing of NICOS has more members than this one.
                return if self.ends(b'}')? {
                    Ok(value)
                } else {
                    Err(self.malformed("more members beside a pickle"))
                };
            }
            members.push((name, self.value(depth + 1)?));
            if self.ends(b'}')? {
                break;
            }
        }
        Ok(mapped(members))
    }

    /// The value of a pickle in a text of one character a byte.
    fn pickled(&mut self, depth: usize) -> Result<Value, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed("a pickle is a text"));
        }
        let Text::Whole(text) = self.text()? else { return Err(self.malformed("a pickle has only bytes")) };
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let Some(bytes) = bytes else { return Err(self.malformed("a pickle has only bytes")) };
        // The pickles of one payload share its limits.
        let limits = pickle::Limits {
            depth: self.limits.depth.saturating_sub(depth),
            operations: self.values_left.max(1),
            output_bytes: self.output_left,
            ..*self.limits
        };
        self.values_left = self.values_left.saturating_sub(bytes.len());
        let value = pickle::decode(&bytes, &limits)?;
        self.output_left = self.output_left.saturating_sub(memory_of(&value));
        Ok(value)
    }

    fn text(&mut self) -> Result<Text, JsonError> {
        self.at += 1;
        let mut text = TextBuilder::default();
        loop {
            let rest = self.payload.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            let Some(plain) = plain else { return Err(self.malformed("the text does not end")) };
            let piece = std::str::from_utf8(rest.get(..plain).unwrap_or_default())
                .map_err(|_| self.malformed("the text is not UTF-8"))?;
            text.push_str(piece);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text.finish());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut text)?;
                }
                _ => return Err(self.malformed("a control character in a text")),
            }
        }
    }

    fn escape(&mut self, text: &mut TextBuilder) -> Result<(), JsonError> {
        let escaped = match self.peek() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex()?;
                text.push_unit(unit);
                return Ok(());
            }
            _ => return Err(self.malformed("no escape begins so")),
        };
        self.at += 1;
        text.push_char(escaped);
        Ok(())
    }

    fn hex(&mut self) -> Result<u16, JsonError> {
        let digits =
            self.payload.get(self.at..self.at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let unit = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u16::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.malformed("an escape needs four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }
}

/// Puts a text together from pieces and UTF-16 units.
#[derive(Default)]
struct TextBuilder {
    bytes: Vec<u8>,
    /// A high surrogate whose other half may follow.
    high: Option<u16>,
    broken: bool,
}

impl TextBuilder {
    fn push_str(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.settle();
            self.bytes.extend_from_slice(piece.as_bytes());
        }
    }

    fn push_char(&mut self, c: char) {
        self.settle();
        self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn push_unit(&mut self, unit: u16) {
        if let Some(high) = self.high
            && let Some(Ok(c)) = char::decode_utf16([high, unit]).next()
        {
            self.high = None;
            self.push_char(c);
            return;
        }
        self.settle();
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            0xdc00..=0xdfff => self.push_lone(unit),
            _ => self.push_char(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    /// Whatever follows, a high surrogate that is still open stays alone.
    fn settle(&mut self) {
        if let Some(high) = self.high.take() {
            self.push_lone(high);
        }
    }

    /// UTF-8's scheme, applied to what UTF-8 leaves out.
    fn push_lone(&mut self, unit: u16) {
        self.broken = true;
        let [top, low] = unit.to_be_bytes();
        self.bytes.push(0xe0 | (top >> 4));
        self.bytes.push(0x80 | ((top & 0x0f) << 2) | (low >> 6));
        self.bytes.push(0x80 | (low & 0x3f));
    }

    fn finish(mut self) -> Text {
        self.settle();
        match String::from_utf8(self.bytes) {
            Ok(text) if !self.broken => Text::Whole(text),
            Ok(text) => Text::Broken(text.into_bytes()),
            Err(error) => Text::Broken(error.into_bytes()),
        }
    }
}

/// An object, or the form for one whose keys JSON or the mapping cannot have.
fn mapped(members: Vec<(Text, Value)>) -> Value {
    let plain = |(name, _): &(Text, Value)| matches!(name, Text::Whole(name) if !name.starts_with('$'));
    if members.iter().all(plain) {
        let mut object = Map::new();
        for (name, value) in members {
            if let Text::Whole(name) = name {
                object.insert(name, value);
            }
        }
        return Value::Object(object);
    }
    let pairs: Vec<Value> =
        members.into_iter().map(|(name, value)| json!([name.into_value(), value])).collect();
    json!({ "$map": pairs })
}
