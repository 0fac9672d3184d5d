//! The values of a payload as the text of their JSON, without the JSON in between.
//!
//! What is plain is written as it is read from the tables. Everything with a tagged form is made as JSON first, which
//! can then take another form. Both have one budget and one notion of depth, so that the text is refused exactly where
//! the JSON would be, or earlier because of what escapes add to it.

use serde::Serialize;
use serde_json::Value;

use super::{
    Limits,
    error::Read,
    tag,
    to_json::{Container, MEMBER_BYTES, VALUE_BYTES, Writer},
    tree::{Tree, Val},
};

/// The most bytes that a character takes beyond its own: `\u0000`.
const ESCAPE_BYTES: usize = 5;

/// Writes `value` with everything that it contains; `form` is applied to what has a tagged form.
pub(super) fn to_text(
    tree: &Tree<'_>,
    value: Val<'_>,
    limits: &Limits,
    form: &dyn Fn(Value) -> Value,
) -> Read<String> {
    let mut texts = TextWriter {
        values: Writer::new(tree, limits),
        form,
        text: Vec::with_capacity(tree.size().saturating_mul(8).min(limits.output_bytes)),
        members: Vec::new(),
    };
    texts.value(value, 0)?;
    // Only whole texts were written.
    Ok(String::from_utf8(texts.text).unwrap_or_default())
}

struct TextWriter<'t, 'a, 'f> {
    values: Writer<'t, 'a>,
    form: &'f dyn Fn(Value) -> Value,
    text: Vec<u8>,
    /// The members of the dictionaries that are being written, those of the outermost first.
    members: Vec<(&'a str, Val<'a>)>,
}

type Written = Read<()>;

impl<'a> TextWriter<'_, 'a, '_> {
    fn value(&mut self, value: Val<'a>, depth: usize) -> Written {
        match value {
            Val::None => self.plain(b"null"),
            Val::Bool(true) => self.plain(b"true"),
            Val::Bool(false) => self.plain(b"false"),
            Val::Int(number) => self.scalar(&number),
            Val::Float(number) if number.is_finite() => self.scalar(&number),
            Val::Text(text) => {
                self.values.charge(VALUE_BYTES)?;
                self.string(text)
            }
            Val::List(id) | Val::Tuple(id) => {
                let members = self.values.tree.members(id);
                self.inside(Container::Collection(id), |texts| texts.array(members, depth))
            }
            Val::Dict(id) => {
                let members = self.values.tree.members(id);
                self.inside(Container::Collection(id), |texts| texts.dict(members, depth))
            }
            Val::Float(_)
            | Val::LongInt(_)
            | Val::DecimalInt(_)
            | Val::Wtf8(_)
            | Val::Escaped(_)
            | Val::Bytes(_)
            | Val::Latin1(_)
            | Val::Set(_)
            | Val::Global(_)
            | Val::Object(_) => self.formed(value, depth),
        }
    }

    /// By way of the JSON.
    fn formed(&mut self, value: Val<'a>, depth: usize) -> Written {
        let value = self.values.value(value, depth)?;
        self.push(&(self.form)(value));
        Ok(())
    }

    fn push(&mut self, value: &(impl Serialize + ?Sized)) {
        // Into memory, numbers, texts and JSON can always be written.
        let _ = serde_json::to_writer(&mut self.text, value);
    }

    fn plain(&mut self, text: &[u8]) -> Written {
        self.values.charge(VALUE_BYTES)?;
        self.text.extend_from_slice(text);
        Ok(())
    }

    fn scalar(&mut self, value: &impl Serialize) -> Written {
        self.values.charge(VALUE_BYTES)?;
        self.push(value);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Written {
        let escaped = text.bytes().filter(|byte| matches!(byte, ..0x20 | b'"' | b'\\')).count();
        self.values.charge(text.len().saturating_add(escaped.saturating_mul(ESCAPE_BYTES)))?;
        if escaped > 0 {
            self.push(text);
            return Ok(());
        }
        self.text.push(b'"');
        self.text.extend_from_slice(text.as_bytes());
        self.text.push(b'"');
        Ok(())
    }

    fn inside(&mut self, container: Container, write: impl FnOnce(&mut Self) -> Written) -> Written {
        self.values.charge(VALUE_BYTES)?;
        if !self.values.enter(container) {
            let recursive = self.values.recursive()?;
            self.push(&recursive);
            return Ok(());
        }
        let written = write(self);
        self.values.leave();
        written
    }

    fn array(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let depth = self.values.deeper(depth)?;
        self.text.push(b'[');
        for (index, &member) in members.iter().enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            self.value(member, depth)?;
        }
        self.text.push(b']');
        Ok(())
    }

    fn dict(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let inner = self.values.deeper(depth)?;
        let (pairs, _) = members.as_chunks::<2>();
        let start = self.members.len();
        for &[key, value] in pairs {
            match key {
                Val::Text(name) if !name.starts_with('$') => self.members.push((name, value)),
                // With the escapes of protocol 0, a text may be a name.
                Val::Escaped(_) => {
                    self.members.truncate(start);
                    return self.escaped_dict(members, depth);
                }
                _ => {
                    self.members.truncate(start);
                    return self.pairs(pairs, inner);
                }
            }
        }
        self.sorted(start, inner)
    }

    /// Writes the members from `start` on, which it removes, by their names.
    fn sorted(&mut self, start: usize, depth: usize) -> Written {
        if let Some(members) = self.members.get_mut(start..) {
            members.sort_by_key(|(name, _)| *name);
        }
        self.text.push(b'{');
        let mut first = true;
        let mut index = start;
        while let Some(&(name, value)) = self.members.get(index) {
            index += 1;
            // The last of those with the same name counts.
            if self.members.get(index).is_some_and(|(next, _)| *next == name) {
                continue;
            }
            if !first {
                self.text.push(b',');
            }
            first = false;
            self.values.charge(MEMBER_BYTES)?;
            self.string(name)?;
            self.text.push(b':');
            self.value(value, depth)?;
        }
        self.members.truncate(start);
        self.text.push(b'}');
        Ok(())
    }

    fn escaped_dict(&mut self, members: &[Val<'a>], depth: usize) -> Written {
        let value = self.values.dict(members, depth)?;
        self.push(&(self.form)(value));
        Ok(())
    }

    fn pairs(&mut self, pairs: &[[Val<'a>; 2]], depth: usize) -> Written {
        self.text.extend_from_slice(b"{\"");
        self.text.extend_from_slice(tag::MAP.as_bytes());
        self.text.extend_from_slice(b"\":[");
        let depth = self.values.deeper(depth)?;
        self.values.charge(VALUE_BYTES + MEMBER_BYTES + tag::MAP.len())?;
        for (index, pair) in pairs.iter().enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            self.values.charge(VALUE_BYTES)?;
            self.array(pair, depth)?;
        }
        self.text.extend_from_slice(b"]}");
        Ok(())
    }
}
