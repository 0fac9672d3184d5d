//! Whatever a daemon sends, the decoders end in frames or one error, hold back a bounded amount, and do not
//! depend on how the stream is cut; and every payload, of either serializer, is a value or an error.
//!
//! The first byte of the input chooses the size of the pieces. Run it with
//! `cargo fuzz run -s none nicos_frames fuzz/corpus/nicos_frames/generated fuzz/corpus/nicos_frames`.

#![no_main]

use beamq::wire::{
    nicos::{EventDecoder, FrameError, Limits, Payload, Reply, ReplyDecoder, Serializer},
    pickle,
};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::Decoder;

const LIMITS: Limits = Limits { payload_bytes: 4096, blob_bytes: 4096 };

fuzz_target!(|input: &[u8]| {
    let Some((&choice, wire)) = input.split_first() else { return };
    let piece = usize::from(choice) + 1;
    let replies = read(ReplyDecoder::new(LIMITS), wire, wire.len().max(1));
    assert_eq!(replies, read(ReplyDecoder::new(LIMITS), wire, piece));
    let events = read(EventDecoder::new(LIMITS), wire, wire.len().max(1));
    assert_eq!(events, read(EventDecoder::new(LIMITS), wire, piece));
    for reply in &replies.0 {
        match reply {
            Reply::None => {}
            Reply::Data(payload) | Reply::Refusal(payload) => look_into(payload),
        }
    }
    for event in &events.0 {
        look_into(&event.payload);
    }
});

fn look_into(payload: &Payload) {
    let limits = pickle::Limits { output_bytes: 1 << 20, operations: 10_000, ..pickle::Limits::default() };
    for serializer in [Serializer::Pickle, Serializer::Json] {
        let text = serializer.decode_to_text(payload, &limits, |value| value);
        if let Ok(value) = serializer.decode(payload, &limits) {
            assert!(value.to_string().len() < 64 << 20);
            assert!(text.is_err() || text.is_ok_and(|text| text == value.to_string()));
        }
    }
}

fn read<D: Decoder<Error = FrameError>>(
    mut decoder: D,
    wire: &[u8],
    piece: usize,
) -> (Vec<D::Item>, Option<String>) {
    let mut bytes = BytesMut::new();
    let mut items = Vec::new();
    for part in wire.chunks(piece) {
        bytes.extend_from_slice(part);
        loop {
            match decoder.decode(&mut bytes) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error.to_string())),
            }
        }
        assert!(bytes.len() <= LIMITS.payload_bytes + 8);
    }
    let error = decoder.decode_eof(&mut bytes).err().map(|error| error.to_string());
    (items, error)
}
