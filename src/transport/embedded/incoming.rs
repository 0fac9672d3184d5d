//! The reading half of a connection.

use std::time::Duration;

use bytes::BytesMut;
use tokio::{
    io::AsyncReadExt,
    net::tcp::OwnedReadHalf,
    time::{self, Instant},
};
use tokio_util::codec::Decoder;

use crate::wire::stomp::{Frame, Limits, Received, StompCodec, StompError, Version};

/// Reads frames and remembers when anything came, be it a part of a frame.
pub(super) struct Incoming {
    socket: OwnedReadHalf,
    codec: StompCodec,
    buffer: BytesMut,
    last_heard: Instant,
}

/// How much is asked of the socket at a time.
const PIECE: usize = 16 * 1024;

impl Incoming {
    pub(super) fn new(socket: OwnedReadHalf, limits: Limits) -> Self {
        Self { socket, codec: StompCodec::new(limits), buffer: BytesMut::new(), last_heard: Instant::now() }
    }

    /// Changes version and limits between two frames. What was read ahead stays.
    pub(super) fn go_on_with(&mut self, version: Version, limits: Limits) {
        self.codec = StompCodec::new(limits);
        self.codec.set_version(version);
    }

    /// When the last bytes came.
    pub(super) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// The next frame; `None` when the peer has closed the connection between two frames. Nothing is lost
    /// when the future is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, StompError> {
        loop {
            match self.codec.decode(&mut self.buffer)? {
                Some(Received::Frame(frame)) => return Ok(Some(frame)),
                Some(Received::HeartBeat) => continue,
                None => {}
            }
            self.buffer.reserve(PIECE);
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return match self.codec.decode_eof(&mut self.buffer)? {
                    Some(Received::Frame(frame)) => Ok(Some(frame)),
                    Some(Received::HeartBeat) | None => Ok(None),
                };
            }
            self.last_heard = Instant::now();
        }
    }

    /// Reads and forgets until the peer has closed its side. A socket that is closed while there is
    /// something to read sends a reset, and the peer might lose the ERROR that tells it why.
    pub(super) async fn linger(mut self, at_most: Duration) {
        let drain = async {
            loop {
                self.buffer.clear();
                self.buffer.reserve(PIECE);
                if !matches!(self.socket.read_buf(&mut self.buffer).await, Ok(read) if read > 0) {
                    return;
                }
            }
        };
        // Whoever has not closed by then does not listen anyway.
        let _ = time::timeout(at_most, drain).await;
    }
}
