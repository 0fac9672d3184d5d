//! One connection to a server: a session with a temporary queue of its own, and calls over it.

mod exchange;
mod handshake;

use std::{sync::OnceLock, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use self::exchange::{Exchange, Order, Request};
use super::{ClientError, Credentials, ServerAddress};

/// How many notifications may wait for a caller who does not read them. It bounds the memory of a stalled
/// caller; a second of the busiest output fits many times over.
const UNREAD_EVENTS: usize = 65_536;

/// The longest wait for the goodbye of a server that is asked to end the session.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// The longest wait for the connection to stand, name lookup and login to the endpoint included.
    pub connect_timeout: Duration,
    /// The longest wait for a reply; [`Client::call_within`] takes another one for a single call.
    pub reply_timeout: Duration,
}

impl Default for ClientOptions {
    /// 5 s for the connection, 30 s for a reply.
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), reply_timeout: Duration::from_secs(30) }
    }
}

/// What a session logs in with.
#[derive(Clone, PartialEq, Eq)]
pub enum LoginWith {
    /// The server's token, as its data directory holds it.
    Token(String),
    /// An account of the configuration.
    Account {
        /// Its name.
        user: String,
        /// Its password.
        password: String,
    },
}

impl std::fmt::Debug for LoginWith {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Account { user, .. } => write!(f, "Account({user:?}, …)"),
        }
    }
}

/// What the server says of a new session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The number of the session.
    pub session: String,
    /// The name under which it acts.
    pub user: String,
    /// Its role: `viewer`, `user`, `scientist` or `admin`.
    pub role: String,
}

/// A connected client. Calls may run concurrently; dropping it ends the connection at once.
#[derive(Debug)]
pub struct Client {
    orders: mpsc::UnboundedSender<Order>,
    exchange: JoinHandle<()>,
    peer: String,
    reply_timeout: Duration,
    key: OnceLock<String>,
}

impl Client {
    /// Connects to an endpoint or a broker and subscribes to a temporary queue of its own.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`], [`ClientError::NotStomp`], [`ClientError::Refused`] when the
    /// credentials are wrong, [`ClientError::TimedOut`] or [`ClientError::Lost`].
    pub async fn connect(address: &ServerAddress, credentials: Credentials) -> Result<Self, ClientError> {
        Self::connect_with(address, credentials, ClientOptions::default()).await
    }

    /// Connects as [`Client::connect`] does, with time-outs of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn connect_with(
        address: &ServerAddress,
        credentials: Credentials,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let connected = timeout(options.connect_timeout, handshake::open(address, &credentials)).await;
        let link = connected.map_err(|_| ClientError::TimedOut {
            method: "connect".to_owned(),
            after: options.connect_timeout,
        })??;
        let (orders, incoming_orders) = mpsc::unbounded_channel();
        let peer = link.peer.clone();
        let exchange = tokio::spawn(Exchange::new(link).run(incoming_orders));
        Ok(Self { orders, exchange, peer, reply_timeout: options.reply_timeout, key: OnceLock::new() })
    }

    /// What the other side calls itself: `beamq/…` for an embedded endpoint, else the broker's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Logs the session in. `client` is free text for the server's log and audit.
    ///
    /// Behind a broker the session is bound to a key, because headers can be forged there by anybody who
    /// may use the broker.
    ///
    /// # Errors
    ///
    /// [`ClientError::Rpc`] with code −32002 when the login is refused, or as [`Client::call`].
    pub async fn login(&self, with: LoginWith, client: &str) -> Result<Login, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(flatten)]
            login: Login,
            key: Option<String>,
        }
        let mut params = match with {
            LoginWith::Token(token) => json!({"token": token}),
            LoginWith::Account { user, password } => json!({"user": user, "password": password}),
        };
        if let Value::Object(members) = &mut params {
            members.insert("client".to_owned(), client.into());
            if !self.peer_is_beamq() {
                members.insert("bind".to_owned(), true.into());
            }
        }
        let answer: Answer = self.call("session.login", params).await?;
        if let Some(key) = answer.key {
            // A second login keeps the first key, as the server does for a session.
            let _ = self.key.set(key);
        }
        Ok(answer.login)
    }

    /// Whether the other side is an embedded endpoint, whose credentials are beamq's own, and not a broker.
    #[must_use]
    pub fn peer_is_beamq(&self) -> bool {
        self.peer.starts_with("beamq")
    }

    /// Calls a method and waits for its reply.
    ///
    /// # Errors
    ///
    /// [`ClientError::Rpc`] when the server answers with an error, [`ClientError::TimedOut`] after the
    /// client's reply time-out, [`ClientError::Lost`] when the connection ends first,
    /// [`ClientError::BadParameters`] and [`ClientError::BadReply`] when JSON and types do not fit.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, ClientError> {
        self.call_within(self.reply_timeout, method, params).await
    }

    /// Calls a method as [`Client::call`] does, with a time-out of its own.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn call_within<T: DeserializeOwned>(
        &self,
        longest: Duration,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, ClientError> {
        let params = serde_json::to_value(params)
            .map_err(|source| ClientError::BadParameters { method: method.to_owned(), source })?;
        let (answer, answered) = oneshot::channel();
        let request = Request { method: method.to_owned(), params, key: self.key.get().cloned(), answer };
        let lost = || ClientError::Lost { detail: "it has ended already".to_owned() };
        self.orders.send(Order::Call(request)).map_err(|_| lost())?;
        let result = match timeout(longest, answered).await {
            Ok(Ok(result)) => result?,
            Ok(Err(_)) => return Err(lost()),
            Err(_) => return Err(ClientError::TimedOut { method: method.to_owned(), after: longest }),
        };
        serde_json::from_value(result)
            .map_err(|source| ClientError::BadReply { method: method.to_owned(), source })
    }

    /// The notifications that arrive from now on, each a whole JSON-RPC message. `events.subscribe` makes
    /// the server send them.
    ///
    /// The receiver ends with the connection, or when 65 536 notifications wait unread.
    #[must_use]
    pub fn events(&self) -> mpsc::Receiver<Value> {
        let (sender, receiver) = mpsc::channel(UNREAD_EVENTS);
        // When the connection is gone the sender is dropped here, and the receiver ends at once.
        let _ = self.orders.send(Order::Listen(sender));
        receiver
    }

    /// Ends the session and the connection, and waits until the server has confirmed it, at most 2 s.
    pub async fn close(self) {
        let _: Result<Value, _> = self.call_within(GOODBYE, "session.logout", json!({})).await;
        if self.orders.send(Order::Disconnect).is_ok() {
            let Self { exchange, orders, .. } = self;
            drop(orders);
            let _ = timeout(GOODBYE, exchange).await;
        }
    }
}
