//! How messages reach us: sockets only. A transport turns bytes on a wire into deliveries on a
//! [`ClientLink`] and writes what comes out of it; it knows nothing of jobs, JSON or roles.

pub mod activemq;
pub mod embedded;
mod link;

pub(crate) use link::Delivery;
pub use link::{
    ClientLink, Clients, Committed, Fault, LinkClosed, Origin, Outbox, Outgoing, OutgoingMessages,
};
