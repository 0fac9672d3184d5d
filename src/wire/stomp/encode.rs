//! Frames to bytes.

use bytes::{BufMut, BytesMut};
use tokio_util::codec::Encoder;

use super::{Frame, HeartBeat, StompCodec, StompError, escape::Escaping, frame::CONTENT_LENGTH};

impl Encoder<Frame> for StompCodec {
    type Error = StompError;

    /// Writes a frame, and a line end after it, as brokers do.
    ///
    /// A `content-length` is written only where the frame has that header, and always with the true length;
    /// a body that holds a NUL gets one unasked, since it could not be read otherwise.
    ///
    /// # Errors
    ///
    /// [`StompError::Unwritable`] when a header has a character that the version cannot express; nothing is
    /// written then, and the connection stays usable.
    fn encode(&mut self, frame: Frame, wire: &mut BytesMut) -> Result<(), StompError> {
        let escaping = Escaping::of(frame.command, self.version);
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(frame.command.as_str().as_bytes());
        head.push(b'\n');
        let mut has_length = false;
        for (name, value) in frame.headers.iter() {
            if name == CONTENT_LENGTH {
                // A second, different length would be a way to smuggle frames past a reader that differs.
                if !has_length {
                    write_length(frame.body.len(), &mut head);
                }
                has_length = true;
                continue;
            }
            let written = escaping.write_name(name, &mut head) && {
                head.push(b':');
                escaping.write_value(value, &mut head)
            };
            if !written {
                return Err(StompError::Unwritable { header: name.to_owned(), version: self.version });
            }
            head.push(b'\n');
        }
        if !has_length && frame.body.contains(&0) {
            write_length(frame.body.len(), &mut head);
        }
        head.push(b'\n');
        wire.reserve(head.len() + frame.body.len() + 2);
        wire.put_slice(&head);
        wire.put_slice(&frame.body);
        wire.put_slice(b"\0\n");
        Ok(())
    }
}

fn write_length(length: usize, head: &mut Vec<u8>) {
    head.extend_from_slice(format!("{CONTENT_LENGTH}:{length}\n").as_bytes());
}

impl Encoder<HeartBeat> for StompCodec {
    type Error = StompError;

    fn encode(&mut self, _: HeartBeat, wire: &mut BytesMut) -> Result<(), StompError> {
        wire.put_u8(b'\n');
        Ok(())
    }
}
