//! Where a server or a broker listens, in the form in which people write it.

use std::{fmt, net::SocketAddr, str::FromStr};

/// The port of an endpoint that is written without one; STOMP's usual one.
const DEFAULT_PORT: u16 = 61613;

/// A user name and a passcode for the endpoint or the broker. `Debug` hides the passcode.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The `login` header.
    pub user: String,
    /// The `passcode` header.
    pub passcode: String,
}

impl Credentials {
    /// The credentials that an embedded endpoint asks for: the user `beamq` with the server's token.
    #[must_use]
    pub fn token(token: impl Into<String>) -> Self {
        Self { user: Self::TOKEN_USER.to_owned(), passcode: token.into() }
    }

    /// The user name that goes with the token.
    pub const TOKEN_USER: &'static str = "beamq";
}

/// What stands before the `@` of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserInfo {
    /// A user with a passcode.
    Both(Credentials),
    /// A user whose passcode is kept elsewhere, where nobody sees it in a list of processes.
    User(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("passcode", &"…").finish()
    }
}

/// A host and a port to connect to. `Display` gives `stomp://host:port`, never a passcode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// A host name or an IP address, without the brackets of an IPv6 address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is not the address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme than `stomp://`.
    #[error("the address must begin with `stomp://`")]
    Scheme,
    /// No host between the credentials and the port.
    #[error("the address has no host")]
    NoHost,
    /// The port is no number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// A password without a user.
    #[error("credentials are written as `user@` or `user:password@`")]
    Credentials,
    /// A `%` that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error("`%` in credentials must be followed by two hexadecimal digits")]
    Escape,
    /// A path, a query or a fragment after the port.
    #[error("nothing may follow the port")]
    Trailing,
}

impl ServerAddress {
    /// Takes apart `stomp://[user[:password]@]host[:port]`. `%xx` in user and password is decoded.
    ///
    /// # Errors
    ///
    /// [`AddressError`]; the text itself is not repeated in it, because it may hold a password.
    pub fn parse_url(url: &str) -> Result<(Self, Option<UserInfo>), AddressError> {
        let rest = url.strip_prefix("stomp://").ok_or(AddressError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((userinfo, place)) => (Some(parse_userinfo(userinfo)?), place),
            None => (None, rest),
        };
        if place.contains(['/', '?', '#']) {
            return Err(AddressError::Trailing);
        }
        Ok((parse_place(place)?, credentials))
    }
}

fn parse_userinfo(userinfo: &str) -> Result<UserInfo, AddressError> {
    let (user, passcode) = match userinfo.split_once(':') {
        Some((user, passcode)) => (user, Some(percent_decoded(passcode)?)),
        None => (userinfo, None),
    };
    if user.is_empty() {
        return Err(AddressError::Credentials);
    }
    let user = percent_decoded(user)?;
    Ok(match passcode {
        Some(passcode) => UserInfo::Both(Credentials { user, passcode }),
        None => UserInfo::User(user),
    })
}

fn parse_place(place: &str) -> Result<ServerAddress, AddressError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, after)) => (host, Some(after.strip_prefix(':').ok_or(AddressError::Trailing)?)),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err(AddressError::NoHost);
    }
    let port = match port {
        Some(text) => text.parse().ok().filter(|port| *port != 0).ok_or(AddressError::Port)?,
        None => DEFAULT_PORT,
    };
    Ok(ServerAddress { host: host.to_owned(), port })
}

fn percent_decoded(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = rest.next().and_then(|digit| char::from(digit).to_digit(16));
                digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(AddressError::Escape)
            };
            bytes.push((digit()? << 4) | digit()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| AddressError::Escape)
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    /// Reads `host:port`, as an endpoint file holds it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_place(text)
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl Default for ServerAddress {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "stomp://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "stomp://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> ServerAddress {
        ServerAddress { host: host.to_owned(), port }
    }

    #[test]
    fn a_url_gives_the_place_and_the_credentials_with_escapes_decoded() {
        let (place, credentials) =
            ServerAddress::parse_url("stomp://gui:p%40ss%3Aword@127.0.0.1:7000").unwrap();
        assert_eq!(place, address("127.0.0.1", 7000));
        let both = Credentials { user: "gui".into(), passcode: "p@ss:word".into() };
        assert_eq!(credentials, Some(UserInfo::Both(both)));
        let (place, user) = ServerAddress::parse_url("stomp://g%40i@127.0.0.1:7000").unwrap();
        assert_eq!((place, user), (address("127.0.0.1", 7000), Some(UserInfo::User("g@i".into()))));
    }

    #[test]
    fn the_port_may_be_left_out_and_ipv6_is_written_in_brackets() {
        assert_eq!(
            ServerAddress::parse_url("stomp://localhost").unwrap(),
            (address("localhost", 61613), None)
        );
        let (place, _) = ServerAddress::parse_url("stomp://[::1]:61614/").unwrap();
        assert_eq!(place, address("::1", 61614));
        assert_eq!(place.to_string(), "stomp://[::1]:61614");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (url, reason) in [
            ("127.0.0.1:61613", AddressError::Scheme),
            ("tcp://127.0.0.1:61616", AddressError::Scheme),
            ("stomp://", AddressError::NoHost),
            ("stomp://:61613", AddressError::NoHost),
            ("stomp://host:0", AddressError::Port),
            ("stomp://host:65536", AddressError::Port),
            ("stomp://host:one", AddressError::Port),
            ("stomp://@host", AddressError::Credentials),
            ("stomp://us%er@host", AddressError::Escape),
            ("stomp://:secret@host", AddressError::Credentials),
            ("stomp://user:%zz@host", AddressError::Escape),
            ("stomp://user:%f@host", AddressError::Escape),
            ("stomp://user:%ff@host", AddressError::Escape),
            ("stomp://host:1/path", AddressError::Trailing),
        ] {
            assert_eq!(ServerAddress::parse_url(url).unwrap_err(), reason, "{url}");
        }
    }

    #[test]
    fn a_passcode_is_never_shown() {
        let (place, credentials) = ServerAddress::parse_url("stomp://gui:secret@host:1").unwrap();
        assert!(!format!("{place} {place:?} {credentials:?}").contains("secret"));
    }
}
