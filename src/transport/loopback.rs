//! Endpoints that only this machine reaches.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// Why an endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address can be reached from other machines.
    #[error("{address} is not a loopback address; beamq listens on 127.0.0.1 or ::1 only")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Somebody else listens there.
    #[error(
        "port {} of {} is in use; is another beamq or a broker running? Choose another port, or 0 for a free one",
        address.port(), address.ip()
    )]
    PortInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("the system does not let beamq listen on {address}")]
    Refused {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Listens on a loopback address; port 0 takes a free one. Tells also which one it is.
///
/// # Errors
///
/// [`BindError`] when the address is not loopback, in use or refused by the system.
pub(super) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    if !address.ip().is_loopback() {
        return Err(BindError::NotLoopback { address });
    }
    let bound = TcpListener::bind(address).await.and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::PortInUse { address },
        _ => BindError::Refused { address, source },
    })
}
