//! Texts that a payload does not hold as UTF-8.

/// A text whose escapes are resolved.
pub(super) enum Unescaped {
    Text(String),
    /// UTF-8 but for lone surrogates.
    Wtf8(Vec<u8>),
}

impl Unescaped {
    /// The text, with a replacement for each lone surrogate.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Wtf8(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// Protocol 0 writes a text in Latin-1, and with escapes of four or eight hexadecimal digits what is outside of it. A
/// backslash that begins neither stands for itself.
pub(super) fn unescape(mut escaped: &[u8]) -> Unescaped {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut has_surrogates = false;
    while let Some((&first, rest)) = escaped.split_first() {
        let code = match rest.first() {
            Some(b'u') if first == b'\\' => hexadecimal(rest.get(1..5)).map(|code| (code, 5)),
            Some(b'U') if first == b'\\' => hexadecimal(rest.get(1..9)).map(|code| (code, 9)),
            _ => None,
        };
        let (code, length) = match code {
            Some((code, length)) if code <= u32::from(char::MAX) => (code, length),
            _ => (u32::from(first), 0),
        };
        match char::from_u32(code) {
            Some(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {
                has_surrogates = true;
                bytes.extend(surrogate(code));
            }
        }
        escaped = rest.get(length..).unwrap_or_default();
    }
    if has_surrogates {
        return Unescaped::Wtf8(bytes);
    }
    String::from_utf8(bytes).map_or_else(|error| Unescaped::Wtf8(error.into_bytes()), Unescaped::Text)
}

fn hexadecimal(digits: Option<&[u8]>) -> Option<u32> {
    let digits = std::str::from_utf8(digits?).ok()?;
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// A surrogate as UTF-8 would write it if it were a character: three bytes with 4, 6 and 6 bits.
fn surrogate(code: u32) -> [u8; 3] {
    let low_six = |code: u32| 0x80 | u8::try_from(code & 0x3f).unwrap_or_default();
    [0xed, low_six(code >> 6), low_six(code)]
}

/// The bytes that the characters stand for, if each stands for one.
pub(super) fn latin1(text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return Some(text.as_bytes().to_vec());
    }
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
