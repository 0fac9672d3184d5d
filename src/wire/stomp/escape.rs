//! Escapes of header names and values, by version.

use super::{Command, Version};

/// Which characters are escaped in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// None: STOMP 1.0, and the frames that agree on a version.
    Off,
    /// Line feed, backslash and colon.
    On,
    /// Carriage return as well.
    WithCarriageReturn,
}

impl Escaping {
    pub(super) fn of(command: Command, version: Version) -> Self {
        if !command.escapes_headers() {
            return Self::Off;
        }
        match version {
            Version::V1_0 => Self::Off,
            Version::V1_1 => Self::On,
            Version::V1_2 => Self::WithCarriageReturn,
        }
    }

    /// Undoes the escapes; `None` when there is one that does not exist.
    pub(super) fn unescape(self, text: &str) -> Option<String> {
        if self == Self::Off || !text.contains('\\') {
            return Some(text.to_owned());
        }
        let mut plain = String::with_capacity(text.len());
        let mut pieces = text.split('\\');
        // Before each of the others there was a backslash.
        plain.push_str(pieces.next().unwrap_or_default());
        while let Some(piece) = pieces.next() {
            let mut characters = piece.chars();
            plain.push(match characters.next() {
                Some('n') => '\n',
                Some('c') => ':',
                Some('r') if self == Self::WithCarriageReturn => '\r',
                Some(_) => return None,
                // Nothing is between two backslashes; what follows them is plain.
                None => {
                    characters = pieces.next()?.chars();
                    '\\'
                }
            });
            plain.push_str(characters.as_str());
        }
        Some(plain)
    }

    /// Writes a header name, escaped; `false` when a character cannot be written.
    pub(super) fn write_name(self, name: &str, wire: &mut Vec<u8>) -> bool {
        !name.is_empty() && (self != Self::Off || !name.contains(':')) && self.write_value(name, wire)
    }

    /// Writes a header value, escaped; `false` when a character cannot be written. A carriage return that
    /// cannot be escaped is refused, because at the end of a line it would be taken for a part of CRLF.
    pub(super) fn write_value(self, value: &str, wire: &mut Vec<u8>) -> bool {
        let mut rest = value.as_bytes();
        let special = |byte: &u8| matches!(byte, 0 | b'\n' | b'\r' | b':' | b'\\');
        while let Some((plain, [byte, after @ ..])) =
            rest.iter().position(special).and_then(|at| rest.split_at_checked(at))
        {
            wire.extend_from_slice(plain);
            match (byte, self) {
                (0, _) | (b'\n', Self::Off) | (b'\r', Self::Off | Self::On) => return false,
                (b'\n', _) => wire.extend_from_slice(b"\\n"),
                (b'\r', _) => wire.extend_from_slice(b"\\r"),
                (b':', Self::On | Self::WithCarriageReturn) => wire.extend_from_slice(b"\\c"),
                (b'\\', Self::On | Self::WithCarriageReturn) => wire.extend_from_slice(b"\\\\"),
                _ => wire.push(*byte),
            }
            rest = after;
        }
        wire.extend_from_slice(rest);
        true
    }
}
