//! Ending a connection that never came to be, in a way that the peer learns why.

use std::time::Duration;

use bytes::BytesMut;
use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf};
use tokio_util::codec::Encoder;

use super::{connection::LINGER, incoming::Incoming, writer};
use crate::wire::stomp::{Frame, Limits, StompCodec, Version};

/// Writes an ERROR to a peer that has not agreed on a version, and closes.
pub(super) async fn refuse(
    incoming: Incoming,
    mut writing: OwnedWriteHalf,
    error: Frame,
    patience: Duration,
) {
    // Version 1.0, which every client can read: it escapes nothing.
    let mut codec = StompCodec::new(Limits::default());
    codec.set_version(Version::V1_0);
    let mut buffer = BytesMut::new();
    if codec.encode(error, &mut buffer).is_ok()
        && writer::write_out(&mut writing, &mut buffer, patience).await.is_ok()
        && writing.shutdown().await.is_ok()
    {
        incoming.linger(LINGER).await;
    }
}
