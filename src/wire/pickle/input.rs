//! The payload as it is read: every read is checked against the end.

use super::{DecodeError, error::Read};

pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next byte is, counted from the beginning.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(length);
        let Some(taken) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(Box::new(DecodeError::Truncated { at: self.at }));
        };
        self.at += length;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let Some((taken, _)) = self.bytes.get(self.at..).and_then(|rest| rest.split_first_chunk::<N>())
        else {
            return Err(Box::new(DecodeError::Truncated { at: self.at }));
        };
        self.at += N;
        Ok(*taken)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_le_bytes)
    }

    #[inline]
    pub(super) fn float(&mut self) -> Read<f64> {
        self.array().map(f64::from_be_bytes)
    }

    /// As many bytes as the byte before them says.
    pub(super) fn counted1(&mut self) -> Read<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// As many bytes as the four bytes before them say.
    #[inline]
    pub(super) fn counted4(&mut self) -> Read<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// As many bytes as the eight bytes before them say.
    pub(super) fn counted8(&mut self) -> Read<&'a [u8]> {
        let length = self.u64()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// What comes before the next line feed.
    pub(super) fn line(&mut self) -> Read<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(Box::new(DecodeError::Truncated { at: self.at }));
        };
        self.at += length + 1;
        Ok(rest.get(..length).unwrap_or_default())
    }
}
