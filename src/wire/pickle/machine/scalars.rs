//! Numbers, texts and bytes.

use super::{Machine, op};
use crate::wire::pickle::{DecodeError, error::Read, tree::Val};

impl<'a> Machine<'a, '_> {
    /// The value of an operation that pushes one without taking any.
    pub(super) fn scalar(&mut self, opcode: u8) -> Read<Val<'a>> {
        match opcode {
            op::NONE => Ok(Val::None),
            op::NEWTRUE => Ok(Val::Bool(true)),
            op::NEWFALSE => Ok(Val::Bool(false)),
            op::BININT1 => self.input.u8().map(|number| Val::Int(number.into())),
            op::BININT2 => self.input.u16().map(|number| Val::Int(number.into())),
            op::BININT => self.input.i32().map(|number| Val::Int(number.into())),
            op::BINFLOAT => self.input.float().map(Val::Float),
            op::LONG1 => self.input.counted1().and_then(|bytes| self.long_int(bytes)),
            op::LONG4 => self.input.counted4().and_then(|bytes| self.long_int(bytes)),
            op::INT => self.int_line(),
            op::LONG => self.long_line(),
            op::FLOAT => self.float_line(),

            op::BINUNICODE => self.input.counted4().and_then(|bytes| self.text(bytes)),
            op::SHORT_BINUNICODE => self.input.counted1().and_then(|bytes| self.text(bytes)),
            op::BINUNICODE8 => self.input.counted8().and_then(|bytes| self.text(bytes)),
            op::UNICODE => self.input.line().map(Val::Escaped),
            op::BINBYTES => self.input.counted4().map(Val::Bytes),
            op::SHORT_BINBYTES => self.input.counted1().map(Val::Bytes),
            op::BINBYTES8 | op::BYTEARRAY8 => self.input.counted8().map(Val::Bytes),
            op::BINSTRING => self.input.counted4().map(byte_string),
            op::SHORT_BINSTRING => self.input.counted1().map(byte_string),
            op::STRING => self.quoted_line(),

            op::PERSID | op::BINPERSID => self.unsupported("a persistent id"),
            op::EXT1 | op::EXT2 | op::EXT4 => self.unsupported("an entry of the extension registry"),
            op::NEXT_BUFFER | op::READONLY_BUFFER => self.unsupported("a buffer beside the pickle"),
            _ => Err(Box::new(DecodeError::UnknownOperation { at: self.at, opcode })),
        }
    }

    fn unsupported(&self, what: &'static str) -> Read<Val<'a>> {
        Err(Box::new(DecodeError::Unsupported { at: self.at, what }))
    }

    fn too_long(&self) -> Box<DecodeError> {
        Box::new(DecodeError::TooLarge { what: "bytes in an integer", limit: self.limits.integer_bytes })
    }

    /// Little-endian, in two's complement; no bytes are 0.
    fn long_int(&self, bytes: &'a [u8]) -> Read<Val<'a>> {
        if bytes.len() > self.limits.integer_bytes {
            return Err(self.too_long());
        }
        let is_negative = bytes.last().is_some_and(|&last| last >= 0x80);
        let filler = if is_negative { 0xff } else { 0 };
        let needed = bytes.iter().rposition(|&byte| byte != filler).map_or(0, |last| last + 1);
        let mut number = [filler; 8];
        match (number.get_mut(..needed), bytes.get(..needed)) {
            (Some(low), Some(needed)) => low.copy_from_slice(needed),
            _ => return Ok(Val::LongInt(bytes)),
        }
        let number = i64::from_le_bytes(number);
        // Eight bytes whose sign is in the ninth.
        if (number < 0) != is_negative {
            return Ok(Val::LongInt(bytes));
        }
        Ok(Val::Int(number))
    }

    fn int_line(&mut self) -> Read<Val<'a>> {
        match self.input.line()? {
            b"00" => Ok(Val::Bool(false)),
            b"01" => Ok(Val::Bool(true)),
            line => self.decimal(line),
        }
    }

    fn long_line(&mut self) -> Read<Val<'a>> {
        let line = self.input.line()?;
        self.decimal(line.strip_suffix(b"L").unwrap_or(line))
    }

    fn decimal(&self, line: &'a [u8]) -> Read<Val<'a>> {
        let line = line.trim_ascii();
        // A byte holds two digits and a bit.
        if line.len() / 2 > self.limits.integer_bytes {
            return Err(self.too_long());
        }
        let digits = line.strip_prefix(b"-").unwrap_or(line);
        let text = std::str::from_utf8(line).ok();
        match text {
            Some(text) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                Ok(text.parse().map_or(Val::DecimalInt(text), Val::Int))
            }
            _ => self.malformed("an integer is not in decimal"),
        }
    }

    fn float_line(&mut self) -> Read<Val<'a>> {
        let line = self.input.line()?;
        let number = std::str::from_utf8(line).ok().and_then(|text| text.trim_ascii().parse().ok());
        number.map_or_else(
            || self.malformed("a floating-point number is not in decimal"),
            |it| Ok(Val::Float(it)),
        )
    }

    #[inline]
    pub(super) fn text(&self, bytes: &'a [u8]) -> Read<Val<'a>> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Val::Text(text)),
            Err(_) if is_wtf8(bytes) => Ok(Val::Wtf8(bytes)),
            Err(_) => self.malformed("a text is not UTF-8"),
        }
    }

    /// A byte string of Python 2 as it would stand in source text. Only what needs no escape is read: Python 3 writes
    /// none at all.
    fn quoted_line(&mut self) -> Read<Val<'a>> {
        let line = self.input.line()?.trim_ascii();
        match line {
            [first @ (b'\'' | b'"'), inner @ .., last] if first == last && !inner.contains(&b'\\') => {
                Ok(byte_string(inner))
            }
            _ => self.malformed("a quoted byte string is not quoted, or has an escape"),
        }
    }
}

/// Python 2 has one type for text and bytes: text, if it can be.
fn byte_string(bytes: &[u8]) -> Val<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Val::Text(text),
        _ => Val::Bytes(bytes),
    }
}

/// Whether the bytes are UTF-8 but for encoded surrogates.
fn is_wtf8(mut bytes: &[u8]) -> bool {
    while let Err(error) = std::str::from_utf8(bytes) {
        match bytes.get(error.valid_up_to()..) {
            Some([0xed, 0xa0..=0xbf, 0x80..=0xbf, rest @ ..]) => bytes = rest,
            _ => return false,
        }
    }
    true
}
