//! Text on its way in and out: the two UTF-8s of brokers, the escaping of replies, names that are near.

use std::{borrow::Cow, io};

use serde::Serialize;
use serde_json::{Value, ser::Formatter};

/// The most characters of a given value that an error shows again.
const SHOWN_CHARACTERS: usize = 200;

/// Cuts a value to what an error may show again, so that a small reply answers a large mistake.
pub(super) fn abbreviated(value: Value) -> Value {
    match value {
        Value::String(text) => match text.char_indices().nth(SHOWN_CHARACTERS) {
            Some((end, _)) => Value::String(format!("{}…", text.get(..end).unwrap_or_default())),
            None => Value::String(text),
        },
        Value::Array(items) if !items.is_empty() => Value::String(format!("an array of {}", items.len())),
        Value::Object(members) if !members.is_empty() => {
            Value::String(format!("an object of {} members", members.len()))
        }
        other => other,
    }
}

/// The known name that somebody probably meant.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The cost grows with the length, and nobody mistypes so long a name.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase();
    known
        .map(|name| (name, strsim::jaro_winkler(&given, name)))
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}

/// Reads UTF-8, also in the modified form of Java's text messages, in which characters beyond the BMP are
/// two surrogates of three bytes each and NUL is `C0 80`. A byte order mark at the start is dropped.
///
/// # Errors
///
/// The offset of the first byte that is neither.
pub(super) fn utf8(body: &[u8]) -> Result<Cow<'_, str>, usize> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => modified_utf8(body).map(Cow::Owned),
    }
}

fn modified_utf8(body: &[u8]) -> Result<String, usize> {
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    loop {
        let error = match std::str::from_utf8(rest) {
            Ok(tail) => {
                text.push_str(tail);
                return Ok(text);
            }
            Err(error) => error,
        };
        let (good, bad) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
        text.push_str(std::str::from_utf8(good).unwrap_or_default());
        let (character, length) = match bad {
            [0xC0, 0x80, ..] => ('\0', 2),
            [0xED, a @ 0xA0..=0xAF, b @ 0x80..=0xBF, 0xED, c @ 0xB0..=0xBF, d @ 0x80..=0xBF, ..] => {
                let bits = |byte: u8, mask: u8| u32::from(byte & mask);
                let high = bits(*a, 0x0F) << 6 | bits(*b, 0x3F);
                let low = bits(*c, 0x0F) << 6 | bits(*d, 0x3F);
                let code = 0x1_0000 + (high << 10) + low;
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
            }
            _ => return Err(body.len() - bad.len()),
        };
        text.push(character);
        rest = bad.get(length..).unwrap_or_default();
    }
}

/// Writes JSON in which characters beyond the BMP are escapes, so that Java clients can read them.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(256);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, EscapeAstral))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

struct EscapeAstral;

impl Formatter for EscapeAstral {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        let mut plain_from = 0;
        for (at, character) in text.char_indices().filter(|(_, character)| *character > '\u{FFFF}') {
            writer.write_all(text.get(plain_from..at).unwrap_or_default().as_bytes())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain_from = at + character.len_utf8();
        }
        writer.write_all(text.get(plain_from..).unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn java_text_is_read_like_any_other() {
        let java = b"a\xED\xA0\xBD\xED\xB8\x80b\xC0\x80\xC3\xA9";
        assert_eq!(utf8(java).unwrap(), "a😀b\0é");
    }

    #[test]
    fn bytes_that_are_no_text_are_located() {
        assert_eq!(utf8(b"ab\xFF"), Err(2));
        assert_eq!(utf8(b"a\xED\xA0\xBDx"), Err(1), "a lone surrogate");
    }

    #[test]
    fn characters_beyond_the_bmp_are_written_as_escapes() {
        assert_eq!(to_json(&"a😀é\u{0}").unwrap(), r#""a\ud83d\ude00é\u0000""#);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_stays_in_the_bmp(text in any::<String>()) {
            let json = to_json(&text).unwrap();
            let in_the_bmp = json.chars().all(|character| character <= '\u{FFFF}');
            prop_assert!(in_the_bmp);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_text_or_located(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Err(at) = utf8(&bytes) {
                prop_assert!(at < bytes.len());
            }
        }
    }
}
