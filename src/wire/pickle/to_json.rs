//! The values of a payload as JSON, with tagged forms for what JSON does not know.

use base64::{Engine as _, encoded_len, engine::general_purpose::STANDARD};
use num_bigint::BigInt;
use serde_json::{Map, Number, Value};

use super::{
    DecodeError, Limits,
    limits::DEEPEST,
    python_repr::python_repr,
    tag,
    text::{self, Unescaped},
    tree::{Object, Span, Tree, Val},
};

/// What a value costs wherever it stands.
const VALUE_BYTES: usize = size_of::<Value>();
/// What a member of an object costs besides its value and the bytes of its name.
const MEMBER_BYTES: usize = size_of::<String>();

/// Writes `value` with everything that it contains.
pub(super) fn to_json(tree: &Tree<'_>, value: Val<'_>, limits: &Limits) -> Result<Value, DecodeError> {
    let mut writer = Writer {
        tree,
        left: limits.output_bytes,
        limit: limits.output_bytes,
        deepest: limits.depth.min(DEEPEST),
        path: Vec::new(),
    };
    writer.value(value, 0)
}

/// A value that can contain itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Collection(u32),
    Object(u32),
}

struct Writer<'t, 'a> {
    tree: &'t Tree<'a>,
    /// How many bytes of output are left.
    left: usize,
    limit: usize,
    deepest: usize,
    /// The containers that are being written, from the outermost: as few as the depth allows.
    path: Vec<Container>,
}

type Written = Result<Value, DecodeError>;

impl<'t, 'a> Writer<'t, 'a> {
    fn value(&mut self, value: Val<'a>, depth: usize) -> Written {
        self.charge(VALUE_BYTES)?;
        match value {
            Val::None => Ok(Value::Null),
            Val::Bool(value) => Ok(Value::Bool(value)),
            Val::Int(number) => Ok(Value::Number(number.into())),
            Val::Float(number) => self.float(number),
            Val::Text(text) => self.text(text),
            Val::Bytes(bytes) => self.base64(tag::BYTES, bytes),
            Val::LongInt(bytes) => self.long_int(bytes),
            Val::DecimalInt(digits) => self.decimal_int(digits),
            Val::Wtf8(bytes) => self.base64(tag::WTF8, bytes),
            Val::Escaped(escaped) => self.escaped(escaped),
            Val::Latin1(call) => self.latin1(call, depth),
            Val::List(id) | Val::Tuple(id) => {
                self.inside(Container::Collection(id), |writer| writer.array(writer.tree.members(id), depth))
            }
            Val::Dict(id) => {
                self.inside(Container::Collection(id), |writer| writer.dict(writer.tree.members(id), depth))
            }
            Val::Set(id) => {
                self.inside(Container::Collection(id), |writer| writer.set(writer.tree.members(id), depth))
            }
            Val::Global(id) => {
                let name = self.global_name(id);
                self.tagged(tag::GLOBAL, name)
            }
            Val::Object(id) => self.inside(Container::Object(id), |writer| match writer.tree.object(id) {
                Some(object) => writer.object(object, depth),
                None => Ok(Value::Null),
            }),
        }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(DecodeError::TooLarge { what: "bytes of JSON", limit: self.limit }),
        }
    }

    /// The depth inside something at `depth`.
    fn deeper(&self, depth: usize) -> Result<usize, DecodeError> {
        if depth >= self.deepest {
            return Err(DecodeError::TooLarge { what: "nested levels", limit: self.deepest });
        }
        Ok(depth + 1)
    }

    fn inside(&mut self, container: Container, write: impl FnOnce(&mut Self) -> Written) -> Written {
        if self.path.contains(&container) {
            return self.tagged(tag::RECURSIVE, true);
        }
        self.path.push(container);
        let written = write(self);
        self.path.pop();
        written
    }

    fn tagged(&mut self, tag: &str, content: impl Into<Value>) -> Written {
        let content = content.into();
        let bytes = content.as_str().map_or(0, str::len);
        self.charge(VALUE_BYTES + MEMBER_BYTES + tag.len() + bytes)?;
        Ok(Value::Object(Map::from_iter([(tag.to_owned(), content)])))
    }

    fn base64(&mut self, tag: &str, bytes: &[u8]) -> Written {
        // The text is made only if there is room for it.
        self.check_room(encoded_len(bytes.len(), true).unwrap_or(usize::MAX), 1)?;
        self.tagged(tag, STANDARD.encode(bytes))
    }

    fn float(&mut self, number: f64) -> Written {
        match Number::from_f64(number) {
            Some(number) => Ok(Value::Number(number)),
            None if number.is_nan() => self.tagged(tag::FLOAT, "nan"),
            None => self.tagged(tag::FLOAT, if number > 0.0 { "inf" } else { "-inf" }),
        }
    }

    fn long_int(&mut self, bytes: &[u8]) -> Written {
        // The time for the decimal digits grows with the square of their number.
        self.charge(bytes.len().saturating_mul(bytes.len()) / 64)?;
        self.tagged(tag::INT, BigInt::from_signed_bytes_le(bytes).to_string())
    }

    fn decimal_int(&mut self, digits: &str) -> Written {
        let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
        let number = format!("{sign}{}", digits.trim_start_matches('0'));
        match number.parse::<i64>() {
            Ok(number) => Ok(Value::Number(number.into())),
            Err(_) => self.tagged(tag::INT, number),
        }
    }

    fn text(&mut self, text: &str) -> Written {
        self.charge(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn escaped(&mut self, escaped: &[u8]) -> Written {
        // The text is at most twice as long: a byte may become a character of two.
        self.charge(escaped.len().saturating_mul(2))?;
        match text::unescape(escaped) {
            Unescaped::Text(text) => Ok(Value::String(text)),
            Unescaped::Wtf8(bytes) => self.base64(tag::WTF8, &bytes),
        }
    }

    /// Bytes that are written as the call of an encoder; the call as it stands if it could not succeed.
    fn latin1(&mut self, call: u32, depth: usize) -> Written {
        let Some(object) = self.tree.object(call) else { return Ok(Value::Null) };
        let bytes = match self.tree.children(object.args).first() {
            Some(Val::Text(text)) => {
                self.charge(text.len())?;
                text::latin1(text)
            }
            Some(Val::Escaped(escaped)) => {
                self.charge(escaped.len())?;
                match text::unescape(escaped) {
                    Unescaped::Text(text) => text::latin1(&text),
                    Unescaped::Wtf8(_) => None,
                }
            }
            _ => None,
        };
        match bytes {
            Some(bytes) => self.base64(tag::BYTES, &bytes),
            None => self.object(object, depth),
        }
    }

    fn array(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let depth = self.deeper(depth)?;
        self.check_room(members.len(), VALUE_BYTES)?;
        let mut array = Vec::with_capacity(members.len());
        for &member in members {
            array.push(self.value(member, depth)?);
        }
        Ok(Value::Array(array))
    }

    /// Fails now if so much cannot be written any more, so that no memory is asked for in vain.
    fn check_room(&mut self, count: usize, bytes_each: usize) -> Result<(), DecodeError> {
        let needed = count.saturating_mul(bytes_each);
        if needed > self.left { self.charge(needed) } else { Ok(()) }
    }

    fn dict(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let inner = self.deeper(depth)?;
        let (pairs, _) = members.as_chunks::<2>();
        self.check_room(pairs.len(), VALUE_BYTES + MEMBER_BYTES)?;
        // All keys are looked at first: values that would be written again in the other form would double the work
        // with each level.
        for &[key, _] in pairs {
            if !self.is_plain_name(key)? {
                return self.pairs_tagged(members, depth);
            }
        }
        let mut map = Map::new();
        for &[key, value] in pairs {
            let name = match key {
                Val::Text(text) => text.to_owned(),
                Val::Escaped(escaped) => text::unescape(escaped).into_text(),
                _ => String::new(),
            };
            self.charge(MEMBER_BYTES + name.len())?;
            let value = self.value(value, inner)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }

    /// Whether a key can be the name of a member and is taken for nothing else.
    fn is_plain_name(&mut self, key: Val<'a>) -> Result<bool, DecodeError> {
        match key {
            Val::Text(text) => Ok(!text.starts_with('$')),
            Val::Escaped(escaped) => {
                self.charge(escaped.len())?;
                let name = text::unescape(escaped);
                Ok(matches!(name, Unescaped::Text(name) if !name.starts_with('$')))
            }
            _ => Ok(false),
        }
    }

    fn pairs_tagged(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let inner = self.deeper(depth)?;
        let pairs = self.pairs(members, inner)?;
        self.tagged(tag::MAP, pairs)
    }

    fn pairs(&mut self, members: &[Val<'a>], depth: usize) -> Result<Vec<Value>, DecodeError> {
        let depth = self.deeper(depth)?;
        let (pairs, _) = members.as_chunks::<2>();
        self.check_room(pairs.len(), 3 * VALUE_BYTES)?;
        let mut written = Vec::with_capacity(pairs.len());
        for pair in pairs {
            self.charge(VALUE_BYTES)?;
            written.push(self.array(pair, depth)?);
        }
        Ok(written)
    }

    fn set(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let inner = self.deeper(depth)?;
        let Value::Array(members) = self.array(members, inner)? else { return Ok(Value::Null) };
        let mut keyed = Vec::with_capacity(members.len());
        for member in members {
            let key = python_repr(&member);
            self.charge(key.len())?;
            keyed.push((key, member));
        }
        keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
        let sorted: Vec<_> = keyed.into_iter().map(|(_, member)| member).collect();
        self.tagged(tag::SET, sorted)
    }

    fn global_name(&self, id: u32) -> String {
        self.tree.global(id).map(|global| format!("{}.{}", global.module, global.name)).unwrap_or_default()
    }

    fn object(&mut self, object: &Object<'a>, depth: usize) -> Written {
        let inner = self.deeper(depth)?;
        let mut map = Map::new();
        let maker = match object.maker {
            Val::Global(id) => {
                let name = self.global_name(id);
                self.charge(name.len())?;
                Value::String(name)
            }
            maker => self.value(maker, inner)?,
        };
        self.member(&mut map, tag::OBJECT, maker)?;
        self.array_member(&mut map, tag::ARGS, object.args, inner)?;
        if let Some(named) = object.named_args {
            let named = self.value(named, inner)?;
            self.member(&mut map, tag::NAMED_ARGS, named)?;
        }
        if let Some(state) = object.state {
            let state = self.value(state, inner)?;
            self.member(&mut map, tag::STATE, state)?;
        }
        self.array_member(&mut map, tag::ITEMS, object.items, inner)?;
        if !object.pairs.is_empty() {
            let pairs = self.pairs(self.tree.children(object.pairs), inner)?;
            self.member(&mut map, tag::PAIRS, pairs.into())?;
        }
        Ok(Value::Object(map))
    }

    fn array_member(
        &mut self,
        map: &mut Map<String, Value>,
        name: &str,
        span: Span,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if span.is_empty() {
            return Ok(());
        }
        let array = self.array(self.tree.children(span), depth)?;
        self.member(map, name, array)
    }

    fn member(&mut self, map: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), DecodeError> {
        self.charge(VALUE_BYTES + MEMBER_BYTES + name.len())?;
        map.insert(name.to_owned(), value);
        Ok(())
    }
}
