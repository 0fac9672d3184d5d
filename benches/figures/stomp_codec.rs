//! The STOMP codec against copying the same bytes.

use std::{hint::black_box, time::Instant};

use beamq::wire::stomp::{Command, Frame, Limits, Received, StompCodec};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{
    Effort,
    statistics::median,
    table::{Quantity, Table},
};

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    for (name, body, frames) in [("200 B", 200, 20_000), ("20 KiB", 20 << 10, 1_000), ("1 MiB", 1 << 20, 20)]
    {
        let frames: usize = effort.choose(frames / 10, frames);
        let wire = encoded(body, frames);
        let mebibytes = wire.len() as f64 / f64::from(1 << 20);
        let decode = seconds(|| decode_all(&wire, frames));
        let encode = seconds(|| drop(black_box(encoded(body, frames))));
        let copy = seconds(|| drop(black_box(BytesMut::from(black_box(&wire[..])))));
        let memcpy = Quantity::MiBPerSecond(mebibytes / copy);
        let throughput = |seconds: f64| Quantity::MiBPerSecond(mebibytes / seconds);
        table.remark(
            format!("STOMP frames of {name} decoded: {:.0} frames/s", frames as f64 / decode),
            throughput(decode),
            Some(("memcpy of the same bytes", memcpy)),
        );
        table.remark(
            format!("STOMP frames of {name} encoded: {:.0} frames/s", frames as f64 / encode),
            throughput(encode),
            Some(("memcpy of the same bytes", memcpy)),
        );
    }
}

fn encoded(body: usize, frames: usize) -> BytesMut {
    let body = Bytes::from(vec![b'x'; body]);
    let mut codec = StompCodec::new(Limits::default());
    let mut wire = BytesMut::new();
    for number in 0..frames {
        let frame = Frame::new(Command::Message)
            .header("destination", "/temp-queue/replies")
            .header("subscription", "0")
            .header("message-id", format!("session-{number}"))
            .header("content-type", "application/json")
            .with_body(body.clone())
            .with_content_length();
        codec.encode(frame, &mut wire).unwrap();
    }
    wire
}

fn decode_all(wire: &BytesMut, frames: usize) {
    let mut codec = StompCodec::new(Limits::default());
    // The copy is part of the work: a socket's bytes are copied once, too.
    let mut bytes = wire.clone();
    let mut read = 0;
    while let Some(received) = codec.decode(&mut bytes).unwrap() {
        read += usize::from(matches!(black_box(received), Received::Frame(_)));
    }
    assert_eq!(read, frames);
}

fn seconds(work: impl Fn()) -> f64 {
    let samples: Vec<_> = (0..9)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    median(&samples)
}
