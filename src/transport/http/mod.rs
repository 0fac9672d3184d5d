//! HTTP on loopback, for those who watch over the server: `GET /healthz` and `GET /metrics`.
//!
//! Nobody logs in here, so nothing is told that a log would not tell: numbers and states, no scripts, names
//! of jobs or people. A browser that was lured to this address by another site is turned away by the `Host`
//! that it asks for. Requests have no body, few headers and little time.
//!
//! This room knows HTTP. What is healthy, and what the numbers are, it asks the server.

mod answer;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use self::answer::Asked;
use super::{BindError, Clients, loopback};

/// How many connections may be open at once. Others wait until one is done.
const CONNECTIONS: usize = 32;
/// How long a request's head may take, and how long a connection may stay open altogether.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
const CONNECTION_AT_MOST: Duration = Duration::from_secs(60);
/// The most headers, and the most bytes of a request that are kept. hyper wants at least 8 KiB.
const HEADERS: usize = 64;
const REQUEST_BYTES: usize = 16 * 1024;
/// After a failure to accept, for example for want of file descriptors.
const BEFORE_ACCEPTING_AGAIN: Duration = Duration::from_millis(100);

/// The endpoint, listening but not yet answering.
#[derive(Debug)]
pub struct HttpEndpoint {
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens the endpoint on a loopback address; port 0 takes a free one.
///
/// # Errors
///
/// [`BindError`] when the address is not loopback, in use or refused by the system.
pub async fn bind(address: SocketAddr) -> Result<HttpEndpoint, BindError> {
    let (listener, address) = loopback::listen(address).await?;
    Ok(HttpEndpoint { listener, address })
}

impl HttpEndpoint {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` becomes true or its sender is gone.
    pub async fn serve(self, server: Clients, mut shutdown: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = asked_to_stop(&mut shutdown) => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let server = server.clone();
                    connections.spawn(async move {
                        let _place = place;
                        attend_to(stream, server).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(BEFORE_ACCEPTING_AGAIN).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Returns when the endpoint has to stop.
async fn asked_to_stop(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone can never ask any more.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn attend_to(stream: TcpStream, server: Clients) {
    let service = service_fn(move |request| {
        let (asked, server) = (Asked::by(&request), server.clone());
        async move { Ok::<_, std::convert::Infallible>(answer::to(asked, &server).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS)
        .max_buf_size(REQUEST_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_AT_MOST, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection ended badly"),
    }
}
