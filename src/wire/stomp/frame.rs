//! What is on the wire, once it is no longer bytes.

use std::fmt;

use bytes::Bytes;

/// The commands of clients and servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The names are those of the specification.
pub enum Command {
    Connect,
    Stomp,
    Connected,
    Send,
    Subscribe,
    Unsubscribe,
    Ack,
    Nack,
    Begin,
    Commit,
    Abort,
    Disconnect,
    Message,
    Receipt,
    Error,
}

impl Command {
    /// Every command, in the order of the declaration.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::Stomp,
        Self::Connected,
        Self::Send,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Ack,
        Self::Nack,
        Self::Begin,
        Self::Commit,
        Self::Abort,
        Self::Disconnect,
        Self::Message,
        Self::Receipt,
        Self::Error,
    ];

    /// The command as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Stomp => "STOMP",
            Self::Connected => "CONNECTED",
            Self::Send => "SEND",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
            Self::Disconnect => "DISCONNECT",
            Self::Message => "MESSAGE",
            Self::Receipt => "RECEIPT",
            Self::Error => "ERROR",
        }
    }

    /// Finds a command by its exact spelling.
    #[must_use]
    pub fn from_wire(line: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.as_str().as_bytes() == line)
    }

    /// Whether the headers of this frame are escaped in versions that escape at all. The frames that agree
    /// on a version never are, so that every version can read them.
    pub(super) fn escapes_headers(self) -> bool {
        !matches!(self, Self::Connect | Self::Stomp | Self::Connected)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The headers of a frame, in their order on the wire, with repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of a header; the first one when it is repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Adds a header at the end. When the name is there already, the earlier value goes on counting.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Every header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many headers there are, repetitions included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One frame. Header names and values are unescaped text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the frame asks for or tells.
    pub command: Command,
    /// Its headers.
    pub headers: Headers,
    /// Its body, without the NUL that ends the frame.
    pub body: Bytes,
}

impl Frame {
    /// Makes a frame without headers and body.
    #[must_use]
    pub fn new(command: Command) -> Self {
        Self { command, headers: Headers::default(), body: Bytes::new() }
    }

    /// Adds a header at the end.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Announces the length of the body. The encoder always writes the true length, so this may come before
    /// the body is set.
    ///
    /// A JMS client behind a broker sees a body with a length as bytes and one without as text.
    #[must_use]
    pub fn with_content_length(self) -> Self {
        if self.get(CONTENT_LENGTH).is_some() {
            return self;
        }
        let length = self.body.len().to_string();
        self.header(CONTENT_LENGTH, length)
    }

    /// The value of a header; the first one when it is repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

pub(super) const CONTENT_LENGTH: &str = "content-length";

/// A lone line end, which tells the other side that the connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartBeat;

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole frame.
    Frame(Frame),
    /// One or more line ends between frames.
    HeartBeat,
}

/// The versions of the protocol, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 1.0, without any escaping.
    V1_0,
    /// 1.1, which escapes line feed, backslash and colon.
    V1_1,
    /// 1.2, which escapes carriage return as well.
    V1_2,
}

impl Version {
    /// Every version, the oldest first.
    pub const ALL: [Self; 3] = [Self::V1_0, Self::V1_1, Self::V1_2];

    /// The version as it stands in headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// Finds a version by its exact spelling.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// Picks the newest version of a client's `accept-version`; a client without that header speaks 1.0.
    /// `None` when there is no version in common.
    #[must_use]
    pub fn negotiate(accept_version: Option<&str>) -> Option<Self> {
        match accept_version {
            None => Some(Self::V1_0),
            Some(offers) => offers.split(',').filter_map(|offer| Self::from_wire(offer.trim())).max(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
