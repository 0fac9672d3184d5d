//! A client of the server, over STOMP, as the command line, the benchmarks and the tests use it.
//!
//! It knows how to reach a server, how to speak JSON-RPC over a temporary queue, and how to tell the
//! errors apart that a caller acts on differently. What the methods mean, and how results look on a
//! terminal, has no place here: this room knows no job.

mod address;
mod connection;
mod discovery;
mod error;

pub use address::{AddressError, Credentials, ServerAddress, UserInfo};
pub use connection::{Client, ClientOptions, Login, LoginWith};
pub use discovery::{DataDir, DiscoveryError, Endpoint};
pub use error::{ClientError, RpcError};
