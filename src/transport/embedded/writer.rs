//! The writing half of a connection: a task of its own, so that reading goes on while a peer reads slowly.

use std::{io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::tcp::OwnedWriteHalf,
    sync::mpsc,
    time,
};
use tokio_util::codec::Encoder;

use crate::wire::stomp::{Frame, HeartBeat, Limits, StompCodec, StompError, Version};

/// How many frames may wait to be written; whoever has more waits.
pub(super) const FRAMES_WAITING: usize = 64;

/// Frames are gathered up to this many bytes before they are written.
const GATHERED: usize = 64 * 1024;

/// A buffer that a big frame has made greater than this is given back.
const KEPT_BUFFER: usize = 1024 * 1024;

/// Writes frames until there are no more senders, and then ends the stream. Between frames it writes
/// heart-beats, twice as often as promised, since a late one costs the connection.
///
/// # Errors
///
/// When the peer is gone or takes nothing for `stalled`.
pub(super) async fn run(
    mut socket: OwnedWriteHalf,
    version: Version,
    mut frames: mpsc::Receiver<Frame>,
    beat: Option<Duration>,
    stalled: Duration,
) -> io::Result<()> {
    let mut codec = StompCodec::new(Limits::default());
    codec.set_version(version);
    let mut buffer = BytesMut::new();
    loop {
        let next = match beat {
            None => Ok(frames.recv().await),
            Some(beat) => time::timeout(beat / 2, frames.recv()).await,
        };
        match next {
            Ok(Some(frame)) => put(&mut codec, frame, &mut buffer)?,
            Ok(None) => return socket.shutdown().await,
            Err(_silence) => codec.encode(HeartBeat, &mut buffer).map_err(io::Error::other)?,
        }
        while buffer.len() < GATHERED {
            let Ok(frame) = frames.try_recv() else { break };
            put(&mut codec, frame, &mut buffer)?;
        }
        write_out(&mut socket, &mut buffer, stalled).await?;
        if buffer.capacity() > KEPT_BUFFER {
            buffer = BytesMut::new();
        }
    }
}

fn put(codec: &mut StompCodec, frame: Frame, buffer: &mut BytesMut) -> io::Result<()> {
    match codec.encode(frame, buffer) {
        Ok(()) => Ok(()),
        Err(error @ StompError::Unwritable { .. }) => {
            // What a client wants echoed is checked when it comes in, so this is a fault of ours. The other
            // frames are not affected by it.
            tracing::error!(%error, "a frame could not be written");
            Ok(())
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Writes all of the buffer. Each part that the peer takes starts the time anew: a slow reader may be slow,
/// but it may not stand still.
pub(super) async fn write_out(
    socket: &mut (impl AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    stalled: Duration,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match time::timeout(stalled, socket.write_buf(buffer)).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written?,
            Err(_stalled) => {
                let text = format!("the client has read nothing for {} s", stalled.as_secs_f64());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        };
    }
    Ok(())
}
