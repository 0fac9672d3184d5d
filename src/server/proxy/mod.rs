//! The proxy dialect: NICOS's commands answered from the machines of this server, and its events told to
//! those who logged in with it.
//!
//! [`commands`] goes from a command to an order of the core and back; [`desk`] keeps what only this dialect
//! needs (the last script, recent messages); [`events`] tells what happened. What may not enter here:
//! state of jobs or the queue, which is the core's.

mod commands;
mod desk;
mod events;
mod reading;

pub(super) use desk::ProxyDesk;
