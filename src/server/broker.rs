//! The transport for clients behind a broker, as the configuration wants it.

use prometheus_client::metrics::counter::Counter;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    config::Config,
    transport::{
        Clients,
        activemq::{self, ActivemqSettings, BrokerAccount},
    },
};

/// The transport at work.
pub(super) struct Broker {
    /// How things stand with the broker, in words.
    pub(super) state: watch::Receiver<String>,
    /// Ends when everything was sent after the server hung up.
    pub(super) task: JoinHandle<()>,
}

/// Starts the transport, if the configuration wants one. It connects by itself, now or later.
pub(super) fn start(
    config: &Config,
    doors: Clients,
    hung_up: watch::Receiver<bool>,
    connections: Counter,
) -> Option<Broker> {
    let wanted = config.transports.activemq.on()?;
    let settings = ActivemqSettings {
        account: BrokerAccount {
            address: wanted.url.0,
            user: wanted.user.clone(),
            password_file: wanted.password_file.clone(),
        },
        queue: wanted.queue.as_str().to_owned(),
        message_bytes: usize::try_from(config.limits.message.0).unwrap_or(usize::MAX),
        clients: config.limits.clients.get() as usize,
        grace: config.sessions.grace.0,
    };
    let (tell, state) = watch::channel(format!("connecting to {}", wanted.url));
    let task = tokio::spawn(activemq::run(settings, doors, tell, hung_up));
    tokio::spawn(count_connections(state.clone(), connections));
    Some(Broker { state, task })
}

/// Counts how often the transport says that it is connected. It tells so once for each connection.
async fn count_connections(mut state: watch::Receiver<String>, connections: Counter) {
    let mut before = false;
    loop {
        let now = state.borrow_and_update().starts_with("connected");
        if now && !before {
            connections.inc();
        }
        before = now;
        if state.changed().await.is_err() {
            return;
        }
    }
}
