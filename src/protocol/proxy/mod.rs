//! The proxy dialect: the commands, replies and events of NICOS's daemon, as JSON.
//!
//! What it means is not known here: this room reads a message into a [`ProxyCommand`], and writes replies
//! and events in NICOS's shapes. Names, order and meaning of the arguments are those of NICOS's commands.

mod answer;
mod command;
mod read;
mod schema;
mod shape;

pub use answer::prompt_answer;
pub use command::{CommandInfo, Form, Kind, Parameter, Password, ProxyCommand, pause_level};
pub use read::ProxyError;
pub use schema::schema;
pub use shape::{
    Banner, EVENTS, LEVEL_ERROR, LEVEL_INFO, LEVEL_WARNING, LogMessage, PAUSE_ANSWER, PROTOCOL_VERSION,
    Prompt, ScriptRequest, StatusCode, StatusHead, error, eta, event, event_of, is_mere_pause, reply,
    reply_of, written,
};

#[cfg(test)]
mod tests;
