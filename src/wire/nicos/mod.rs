//! NICOS's classic daemon protocol, the client's side: frames, names and payloads of protocol versions 23
//! and 24.
//!
//! All integers are big endian. A payload is what the daemon's serializer makes of a Python value: a pickle,
//! or JSON in which whatever JSON cannot hold is a pickle again. Observed on a daemon of version 3.12.2:
//!
//! ```text
//! command          05 | u16 code | u32 length | payload            a tuple or list of arguments
//! reply, None      06
//! reply, data      03 | u32 length | payload
//! reply, refusal   15 | u32 length | payload                       a text
//! event            03 | u16 code | u8 n | u32 length | payload | n times (u32 length | bytes)
//! ```
//!
//! Replies come in the order of the commands, on the connection of the commands. Events come on a second
//! connection. Before the first command the daemon sends one reply, the banner.
//!
//! Everything that can grow has a limit. A payload beyond it is read past, not kept, so that one value that is
//! too large does not cost the connection.

mod frame;
mod json;
mod names;
mod payload;
#[cfg(test)]
mod tests;

pub use frame::{EventDecoder, EventFrame, FrameError, Limits, Payload, Reply, ReplyDecoder, encode_command};
pub use names::{Command, Event};
pub use payload::{PayloadError, Serializer};

/// The protocol versions that this module speaks.
pub const VERSIONS: std::ops::RangeInclusive<u64> = 23..=24;
