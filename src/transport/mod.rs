//! How messages reach us: sockets only. A transport turns bytes on a wire into deliveries on a
//! [`ClientLink`] and writes what comes out of it; it knows nothing of jobs, JSON or roles.

pub mod activemq;
mod committed;
pub mod embedded;
pub mod http;
mod link;
mod look;
mod loopback;
mod outbox;

pub use committed::{Committed, CommittedMessages};
pub(crate) use link::Delivery;
pub use link::{ClientLink, Clients, Fault, LinkClosed, Origin};
pub use look::Health;
pub(crate) use look::{LookInside, Report};
pub use loopback::BindError;
pub use outbox::{Outbox, Outgoing, OutgoingMessages, Overrun, Subject};
