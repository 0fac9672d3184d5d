//! STOMP 1.0 to 1.2, both directions: a codec for [`tokio_util::codec`] and the frames it speaks of.
//!
//! The rules are those of <https://stomp.github.io/stomp-specification-1.2.html>, with what real brokers
//! add: CRLF is accepted in every version, a repeated header counts by its first value, nothing is trimmed,
//! and any number of line ends may stand between frames. Everything that can grow has a limit, and every
//! byte that breaks the rules is an error that says which rule: after one, the position in the stream is
//! lost and the connection has to end.
//!
//! The vocabulary and the builders of `stomp-rs` convert into [`Frame`]; its parser and writer are not used.

mod builders;
mod decode;
mod encode;
mod error;
mod escape;
mod frame;
mod heart_beat;
#[cfg(test)]
mod tests;

pub use error::StompError;
pub use frame::{Command, Frame, Headers, HeartBeat, Received, Version};
pub use heart_beat::{Beats, read_heart_beat};

/// How much one frame may cost its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The greatest number of header lines of one frame.
    pub header_lines: usize,
    /// The greatest length of the command's and of each header's line, in bytes, without its line end.
    pub header_line_bytes: usize,
    /// The greatest length of a body, in bytes.
    pub body_bytes: usize,
}

impl Default for Limits {
    /// 100 header lines of 10 KiB each, and 16 MiB of body.
    fn default() -> Self {
        Self { header_lines: 100, header_line_bytes: 10 * 1024, body_bytes: 16 * 1024 * 1024 }
    }
}

/// Turns bytes into frames and frames into bytes, for one connection.
///
/// A new codec speaks STOMP 1.2; both ends of a connection call [`set_version`](Self::set_version) once the
/// version is agreed on. CONNECT, STOMP and CONNECTED look the same in every version.
///
/// ```
/// use beamq::wire::stomp::{Command, Frame, Limits, Received, StompCodec};
/// use bytes::BytesMut;
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let frame = Frame::new(Command::Send).header("destination", "/queue/a:b").with_body("{}");
/// let mut wire = BytesMut::new();
/// let mut codec = StompCodec::new(Limits::default());
/// codec.encode(frame.clone(), &mut wire).unwrap();
/// assert_eq!(&wire[..], b"SEND\ndestination:/queue/a\\cb\n\n{}\0\n");
/// assert_eq!(codec.decode(&mut wire).unwrap(), Some(Received::Frame(frame)));
/// ```
#[derive(Debug)]
pub struct StompCodec {
    limits: Limits,
    version: Version,
    progress: decode::Progress,
}

impl StompCodec {
    /// Makes a codec that refuses frames beyond these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, version: Version::V1_2, progress: decode::Progress::default() }
    }

    /// Sets the version that both ends agreed on; it decides how header values are escaped from the next
    /// frame on.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Whether a frame has begun of which not all has come.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        !matches!(self.progress, decode::Progress::Between)
    }

    /// The headers of a frame whose body has not come to its end.
    #[must_use]
    pub fn unfinished(&self) -> Option<&Headers> {
        match &self.progress {
            decode::Progress::InBody { headers, .. } => Some(headers),
            _ => None,
        }
    }

    /// The version in use.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }
}
