//! Bytes to replies and events, and commands to bytes.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

use super::{Command, Event};

const COMMAND: u8 = 0x05;
const NONE: u8 = 0x06;
const DATA: u8 = 0x03;
const REFUSAL: u8 = 0x15;

/// What one frame may cost its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The greatest payload that is kept, in bytes.
    pub payload_bytes: usize,
    /// The most bytes of blobs of one event that are kept.
    pub blob_bytes: usize,
}

impl Default for Limits {
    /// 64 MiB of each.
    fn default() -> Self {
        Self { payload_bytes: 64 << 20, blob_bytes: 64 << 20 }
    }
}

/// A payload, unless it was beyond the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The bytes that the serializer made.
    Kept(Bytes),
    /// It was read past.
    TooLarge {
        /// How many bytes it had.
        length: usize,
    },
}

impl Payload {
    /// The bytes that are held.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Kept(bytes) => bytes.len(),
            Self::TooLarge { .. } => 0,
        }
    }

    /// Whether no bytes are held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A reply, in the order of the commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done, and there is no data: Python's `None`.
    None,
    /// It was done, and this is the data.
    Data(Payload),
    /// It was not done; the payload is a text.
    Refusal(Payload),
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFrame {
    /// Its number; later daemons may have more events than [`Event`].
    pub code: u16,
    /// Its data.
    pub payload: Payload,
    /// Arrays that belong to it, as their bytes.
    pub blobs: Vec<Payload>,
}

impl EventFrame {
    /// Which event it is, if this version knows it.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        Event::from_code(self.code)
    }
}

/// Why a stream cannot be read any further: where the next frame begins is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// A frame begins with something else than its kind allows.
    #[error("a frame of NICOS begins with the byte {found:#04x}")]
    UnknownKind {
        /// The byte.
        found: u8,
    },
    /// The connection ended in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    CutShort,
    /// A frame to be written would not fit its length.
    #[error("a command of {length} bytes is longer than a frame can say")]
    CommandTooLarge {
        /// Its length in bytes.
        length: usize,
    },
}

/// Appends the frame of a command to `wire`; `arguments` is the payload that the serializer made.
///
/// ```
/// use beamq::wire::nicos::{Command, encode_command};
///
/// let mut wire = bytes::BytesMut::new();
/// encode_command(Command::GetVersion, b"\x80\x02).", &mut wire).unwrap();
/// assert_eq!(&wire[..], b"\x05\0\x41\0\0\0\x04\x80\x02).");
/// ```
///
/// # Errors
///
/// [`FrameError::CommandTooLarge`] above 4 GiB.
pub fn encode_command(command: Command, arguments: &[u8], wire: &mut BytesMut) -> Result<(), FrameError> {
    let length = u32::try_from(arguments.len())
        .map_err(|_| FrameError::CommandTooLarge { length: arguments.len() })?;
    wire.reserve(arguments.len() + 7);
    wire.put_u8(COMMAND);
    wire.put_u16(command.code());
    wire.put_u32(length);
    wire.put_slice(arguments);
    Ok(())
}

/// A length-prefixed part whose length is known.
#[derive(Debug)]
struct Part {
    length: usize,
    /// How much of a part that is not kept is still to come.
    unread: usize,
    kept: bool,
}

impl Part {
    fn new(length: u32, most: usize) -> Self {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Self { length, unread: length, kept: length <= most }
    }

    /// Takes the part out of the buffer when it is whole.
    fn take(&mut self, bytes: &mut BytesMut) -> Option<Payload> {
        if self.kept {
            return (bytes.len() >= self.length).then(|| Payload::Kept(bytes.split_to(self.length).freeze()));
        }
        let there = self.unread.min(bytes.len());
        bytes.advance(there);
        self.unread -= there;
        (self.unread == 0).then_some(Payload::TooLarge { length: self.length })
    }
}

/// Reads the replies of the connection that carries the commands.
#[derive(Debug)]
pub struct ReplyDecoder {
    limits: Limits,
    /// Whether the reply that is being read is a refusal, and its payload.
    reading: Option<(bool, Part)>,
}

impl ReplyDecoder {
    /// A decoder that keeps no more than these limits allow.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, reading: None }
    }
}

impl Decoder for ReplyDecoder {
    type Item = Reply;
    type Error = FrameError;

    /// Reads the next reply.
    ///
    /// # Errors
    ///
    /// [`FrameError::UnknownKind`]; nothing may be read after it.
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, FrameError> {
        loop {
            if let Some((refused, part)) = &mut self.reading {
                let refused = *refused;
                let Some(payload) = part.take(bytes) else { return Ok(None) };
                self.reading = None;
                return Ok(Some(if refused { Reply::Refusal(payload) } else { Reply::Data(payload) }));
            }
            let refused = match bytes.first() {
                None => return Ok(None),
                Some(&NONE) => {
                    bytes.advance(1);
                    return Ok(Some(Reply::None));
                }
                Some(&DATA) => false,
                Some(&REFUSAL) => true,
                Some(&found) => return Err(FrameError::UnknownKind { found }),
            };
            if bytes.len() < 5 {
                return Ok(None);
            }
            bytes.advance(1);
            self.reading = Some((refused, Part::new(bytes.get_u32(), self.limits.payload_bytes)));
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, FrameError> {
        match self.decode(bytes)? {
            None if !bytes.is_empty() || self.reading.is_some() => Err(FrameError::CutShort),
            reply => Ok(reply),
        }
    }
}

/// Reads the events of the second connection.
#[derive(Debug)]
pub struct EventDecoder {
    limits: Limits,
    reading: Option<Reading>,
}

/// An event that has begun.
#[derive(Debug)]
struct Reading {
    code: u16,
    part: Option<Part>,
    payload: Option<Payload>,
    blobs: Vec<Payload>,
    blobs_to_come: u8,
    blob_bytes_left: usize,
}

impl EventDecoder {
    /// A decoder that keeps no more than these limits allow.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, reading: None }
    }
}

impl Reading {
    /// Goes on with the event; `true` when it is whole.
    fn go_on(&mut self, bytes: &mut BytesMut) -> bool {
        loop {
            if let Some(part) = &mut self.part {
                let Some(read) = part.take(bytes) else { return false };
                self.part = None;
                if self.payload.is_none() {
                    self.payload = Some(read);
                } else {
                    self.blob_bytes_left -= read.len();
                    self.blobs.push(read);
                }
            } else if self.blobs_to_come == 0 {
                return true;
            } else if bytes.len() < 4 {
                return false;
            } else {
                self.blobs_to_come -= 1;
                self.part = Some(Part::new(bytes.get_u32(), self.blob_bytes_left));
            }
        }
    }
}

impl Decoder for EventDecoder {
    type Item = EventFrame;
    type Error = FrameError;

    /// Reads the next event.
    ///
    /// # Errors
    ///
    /// [`FrameError::UnknownKind`]; nothing may be read after it.
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<EventFrame>, FrameError> {
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => match bytes.first() {
                Some(&DATA) if bytes.len() >= 8 => {
                    bytes.advance(1);
                    let (code, blobs_to_come) = (bytes.get_u16(), bytes.get_u8());
                    Reading {
                        code,
                        part: Some(Part::new(bytes.get_u32(), self.limits.payload_bytes)),
                        payload: None,
                        blobs: Vec::new(),
                        blobs_to_come,
                        blob_bytes_left: self.limits.blob_bytes,
                    }
                }
                None | Some(&DATA) => return Ok(None),
                Some(&found) => return Err(FrameError::UnknownKind { found }),
            },
        };
        if !reading.go_on(bytes) {
            self.reading = Some(reading);
            return Ok(None);
        }
        let Reading { code, payload, blobs, .. } = reading;
        let payload = payload.unwrap_or(Payload::TooLarge { length: 0 });
        Ok(Some(EventFrame { code, payload, blobs }))
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<EventFrame>, FrameError> {
        match self.decode(bytes)? {
            None if !bytes.is_empty() || self.reading.is_some() => Err(FrameError::CutShort),
            event => Ok(event),
        }
    }
}
