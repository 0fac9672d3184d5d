//! The values of a payload as JSON, with tagged forms for what JSON does not know.

use base64::{Engine as _, encoded_len, engine::general_purpose::STANDARD};
use num_bigint::BigInt;
use serde_json::{Map, Number, Value};

use super::{
    DecodeError, Limits,
    error::Read,
    limits::DEEPEST,
    python_repr::python_repr,
    tag,
    text::{self, Unescaped},
    tree::{Object, Span, Tree, Val},
};

/// What a value costs wherever it stands.
pub(super) const VALUE_BYTES: usize = size_of::<Value>();
/// What a member of an object costs besides its value and the bytes of its name.
pub(super) const MEMBER_BYTES: usize = size_of::<String>();

/// Writes `value` with everything that it contains.
pub(super) fn to_json(tree: &Tree<'_>, value: Val<'_>, limits: &Limits) -> Read<Value> {
    Writer::new(tree, limits).value(value, 0)
}

/// A value that can contain itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Collection(u32),
    Object(u32),
}

pub(super) struct Writer<'t, 'a> {
    pub(super) tree: &'t Tree<'a>,
    /// How many bytes of output are left.
    left: usize,
    limit: usize,
    deepest: usize,
    /// The containers that are being written, from the outermost: as few as the depth allows.
    path: Vec<Container>,
}

type Written = Read<Value>;

impl<'t, 'a> Writer<'t, 'a> {
    pub(super) fn new(tree: &'t Tree<'a>, limits: &Limits) -> Self {
        Self {
            tree,
            left: limits.output_bytes,
            limit: limits.output_bytes,
            deepest: limits.depth.min(DEEPEST),
            path: Vec::new(),
        }
    }

    pub(super) fn value(&mut self, value: Val<'a>, depth: usize) -> Written {
        let mut written = Value::Null;
        self.value_at(&mut written, value, depth)?;
        Ok(written)
    }

    /// Writes a value where it belongs, since handing it on would cost as much as making it.
    fn value_at(&mut self, place: &mut Value, value: Val<'a>, depth: usize) -> Read<()> {
        self.charge(VALUE_BYTES)?;
        match value {
            Val::None => *place = Value::Null,
            Val::Bool(value) => *place = Value::Bool(value),
            Val::Int(number) => *place = Value::Number(number.into()),
            Val::Float(number) => *place = self.float(number)?,
            Val::Text(text) => {
                self.charge(text.len())?;
                *place = Value::String(text.to_owned());
            }
            Val::List(id) | Val::Tuple(id) => {
                if self.enter(Container::Collection(id)) {
                    *place = Value::Array(self.array(self.tree.members(id), depth)?);
                    self.leave();
                } else {
                    *place = self.recursive()?;
                }
            }
            Val::Dict(id) => {
                let members = self.tree.members(id);
                *place = self.inside(Container::Collection(id), |writer| writer.dict(members, depth))?;
            }
            Val::Set(id) => {
                let members = self.tree.members(id);
                *place = self.inside(Container::Collection(id), |writer| writer.set(members, depth))?;
            }
            Val::Object(id) => {
                if let Some(object) = self.tree.object(id) {
                    *place = self.inside(Container::Object(id), |writer| writer.object(object, depth))?;
                }
            }
            Val::Global(id) => *place = self.tagged(tag::GLOBAL, self.global_name(id))?,
            Val::Bytes(bytes) => *place = self.base64(tag::BYTES, bytes)?,
            Val::Latin1(call) => *place = self.latin1(call, depth)?,
            Val::LongInt(bytes) => *place = self.long_int(bytes)?,
            Val::DecimalInt(digits) => *place = self.decimal_int(digits)?,
            Val::Wtf8(bytes) => *place = self.base64(tag::WTF8, bytes)?,
            Val::Escaped(escaped) => *place = self.escaped(escaped)?,
        }
        Ok(())
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Read<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Box::new(DecodeError::TooLarge { what: "bytes of JSON", limit: self.limit })),
        }
    }

    /// The depth inside something at `depth`.
    pub(super) fn deeper(&self, depth: usize) -> Read<usize> {
        if depth >= self.deepest {
            return Err(Box::new(DecodeError::TooLarge { what: "nested levels", limit: self.deepest }));
        }
        Ok(depth + 1)
    }

    fn inside(&mut self, container: Container, write: impl FnOnce(&mut Self) -> Written) -> Written {
        if !self.enter(container) {
            return self.recursive();
        }
        let written = write(self);
        self.leave();
        written
    }

    /// Notes that the members of `container` are written now; `false` if they are being written already.
    pub(super) fn enter(&mut self, container: Container) -> bool {
        let is_new = !self.path.contains(&container);
        if is_new {
            self.path.push(container);
        }
        is_new
    }

    pub(super) fn leave(&mut self) {
        self.path.pop();
    }

    /// What stands for something within itself.
    pub(super) fn recursive(&mut self) -> Written {
        self.tagged(tag::RECURSIVE, true)
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

    fn array(&mut self, members: &[Val<'a>], depth: usize) -> Read<Vec<Value>> {
        let depth = self.deeper(depth)?;
        self.check_room(members.len(), VALUE_BYTES)?;
        let mut array = Vec::new();
        array.resize_with(members.len(), Value::default);
        for (place, &member) in array.iter_mut().zip(members) {
            self.value_at(place, member, depth)?;
        }
        Ok(array)
    }

    /// Fails now if so much cannot be written any more, so that no memory is asked for in vain.
    fn check_room(&mut self, count: usize, bytes_each: usize) -> Read<()> {
        let needed = count.saturating_mul(bytes_each);
        if needed > self.left { self.charge(needed) } else { Ok(()) }
    }

    pub(super) fn dict(&mut self, members: &[Val<'a>], depth: usize) -> Written {
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
            self.value_at(map.entry(name).or_insert(Value::Null), value, inner)?;
        }
        Ok(Value::Object(map))
    }

    /// Whether a key can be the name of a member and is taken for nothing else.
    fn is_plain_name(&mut self, key: Val<'a>) -> Read<bool> {
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

    fn pairs(&mut self, members: &[Val<'a>], depth: usize) -> Read<Vec<Value>> {
        let depth = self.deeper(depth)?;
        let (pairs, _) = members.as_chunks::<2>();
        self.check_room(pairs.len(), 3 * VALUE_BYTES)?;
        let mut written = Vec::with_capacity(pairs.len());
        for pair in pairs {
            self.charge(VALUE_BYTES)?;
            written.push(Value::Array(self.array(pair, depth)?));
        }
        Ok(written)
    }

    fn set(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let inner = self.deeper(depth)?;
        let members = self.array(members, inner)?;
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
        self.tree.global(id).map(|global| [global.module, ".", global.name].concat()).unwrap_or_default()
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
    ) -> Read<()> {
        if span.is_empty() {
            return Ok(());
        }
        let array = self.array(self.tree.children(span), depth)?;
        self.member(map, name, array.into())
    }

    fn member(&mut self, map: &mut Map<String, Value>, name: &str, value: Value) -> Read<()> {
        self.charge(VALUE_BYTES + MEMBER_BYTES + name.len())?;
        map.insert(name.to_owned(), value);
        Ok(())
    }
}
