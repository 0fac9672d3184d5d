//! The vocabulary and the builders of `stomp-rs`, turned into our frames.
//!
//! `stomp-rs` keeps headers in a hash map; they are sorted by name here, so that what is written does not
//! differ from run to run.

use std::collections::HashMap;

use bytes::Bytes;
use stomp_rs::protocol::{ClientCommand, Frame as Built, ServerCommand, frame};

use super::{Command, Frame, Headers};

impl From<ClientCommand> for Command {
    fn from(command: ClientCommand) -> Self {
        match command {
            ClientCommand::Connect => Self::Connect,
            ClientCommand::Send => Self::Send,
            ClientCommand::Subscribe => Self::Subscribe,
            ClientCommand::Unsubscribe => Self::Unsubscribe,
            ClientCommand::Ack => Self::Ack,
            ClientCommand::Nack => Self::Nack,
            ClientCommand::Begin => Self::Begin,
            ClientCommand::Commit => Self::Commit,
            ClientCommand::Abort => Self::Abort,
            ClientCommand::Disconnect => Self::Disconnect,
        }
    }
}

impl From<ServerCommand> for Command {
    fn from(command: ServerCommand) -> Self {
        match command {
            ServerCommand::Connected => Self::Connected,
            ServerCommand::Message => Self::Message,
            ServerCommand::Receipt => Self::Receipt,
            ServerCommand::Error => Self::Error,
        }
    }
}

impl From<Built<ClientCommand>> for Frame {
    fn from(built: Built<ClientCommand>) -> Self {
        assemble(built.command.into(), built.headers, built.body)
    }
}

impl From<Built<ServerCommand>> for Frame {
    fn from(built: Built<ServerCommand>) -> Self {
        assemble(built.command.into(), built.headers, built.body)
    }
}

fn assemble(command: Command, headers: HashMap<String, String>, body: String) -> Frame {
    let mut sorted: Vec<_> = headers.into_iter().collect();
    sorted.sort();
    let mut headers = Headers::default();
    for (name, value) in sorted {
        headers.append(name, value);
    }
    Frame { command, headers, body: Bytes::from(body) }
}

/// A builder of `stomp-rs` converts only into that crate's frame; this spares its users the detour.
macro_rules! from_builders {
    ($($builder:ident),*) => {$(
        impl From<frame::$builder> for Frame {
            fn from(builder: frame::$builder) -> Self {
                let built: Built<ClientCommand> = builder.into();
                built.into()
            }
        }
    )*};
}

from_builders!(Connect, Send, Subscribe, Unsubscribe, Ack, Nack, Begin, Commit, Abort, Disconnect);
