//! Values that know what they may be: bounded numbers, addresses, names, switches.

use std::{
    borrow::Cow,
    fmt,
    marker::PhantomData,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::catalogue::is_identifier;

/// A whole number between two bounds, both allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// The number, brought within the bounds.
    #[must_use]
    pub const fn clamped(number: u32) -> Self {
        Self(if number < MIN {
            MIN
        } else if number > MAX {
            MAX
        } else {
            number
        })
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Read as text: YAML takes `017` and `1_000` for numbers, and not for those that people mean.
        let text = String::deserialize(deserializer)?;
        let plain = text == "0"
            || (text.starts_with(|c: char| ('1'..='9').contains(&c))
                && text.bytes().all(|b| b.is_ascii_digit()));
        match text.parse::<u32>() {
            Ok(number) if plain && (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => {
                Err(de::Error::custom(format_args!("`{text}` is not a whole number between {MIN} and {MAX}")))
            }
        }
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Bounded<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Between{MIN}And{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// Something that is off, or on with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch<T> {
    /// Off: written `off`.
    Off,
    /// On, with these settings.
    On(T),
}

impl<T> Switch<T> {
    /// The settings, when it is on.
    #[must_use]
    pub fn on(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(settings) => Some(settings),
        }
    }

    pub(super) fn on_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Off => None,
            Self::On(settings) => Some(settings),
        }
    }
}

impl<T: Serialize> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::On(settings) => settings.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for SwitchVisitor<T> {
            type Value = Switch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off` or a mapping with settings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "off" {
                    return Ok(Switch::Off);
                }
                Err(E::custom(format_args!("`{text}` is neither `off` nor a mapping with settings")))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Switch::On)
            }
        }

        deserializer.deserialize_any(SwitchVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OffOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"const": "off"}, generator.subschema_for::<T>()]})
    }
}

/// An address on this machine: `127.0.0.1:61613`, `[::1]:61613` or `localhost:61613`. Port 0 takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopbackAddress(pub SocketAddr);

/// Why a text is no address that may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No port.
    #[error("`{0}` is not an address with a port; write for example \"127.0.0.1:61613\"")]
    Malformed(String),
    /// Reachable from other machines.
    #[error(
        "`{0}` is reachable from other machines, which needs TLS and credentials that this version does not have; \
         use 127.0.0.1 or [::1], and a tunnel (ssh -L) from elsewhere"
    )]
    NotLoopback(String),
    /// A broker on another machine.
    #[error(
        "`{0}` is not on this machine, which needs TLS that this version does not have; use a broker on 127.0.0.1 or a tunnel to it (ssh -L)"
    )]
    BrokerElsewhere(String),
    /// Not the form of a broker's address.
    #[error("`{0}` is not a broker's address; write for example \"stomp://127.0.0.1:61613\"")]
    NotStomp(String),
}

impl FromStr for LoopbackAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(without_credentials(text));
        let address = match text.strip_prefix("localhost:") {
            Some(port) => {
                let port = port.parse().map_err(|_| malformed())?;
                SocketAddr::from((Ipv4Addr::LOCALHOST, port))
            }
            None => match text.parse::<SocketAddr>() {
                Ok(address) => address,
                // A name with a port is an address, and it is not this machine's.
                Err(_) => {
                    return Err(text
                        .parse::<HostPort>()
                        .map_or_else(|_| malformed(), |_| AddressError::NotLoopback(text.to_owned())));
                }
            },
        };
        if address.ip().is_loopback() {
            Ok(Self(address))
        } else {
            Err(AddressError::NotLoopback(text.to_owned()))
        }
    }
}

impl fmt::Display for LoopbackAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// People put `user:password@` into addresses; the error must not spread it.
pub(super) fn without_credentials(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else { return text.to_owned() };
    let start = before.find("//").map_or(0, |slashes| slashes + 2);
    format!("{}…@{after}", before.get(..start).unwrap_or_default())
}

/// A broker on this machine: `stomp://127.0.0.1:61613`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerUrl(pub SocketAddr);

impl FromStr for BrokerUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let not_stomp = || AddressError::NotStomp(without_credentials(text));
        match text.strip_prefix("stomp://").ok_or_else(not_stomp)?.parse::<LoopbackAddress>() {
            Ok(address) => Ok(Self(address.0)),
            Err(AddressError::NotLoopback(_)) => {
                Err(AddressError::BrokerElsewhere(without_credentials(text)))
            }
            Err(_) => Err(not_stomp()),
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stomp://{}", self.0)
    }
}

/// A host and a port: `nicos.example.org:1301`, `127.0.0.1:1301`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, from 1.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(without_credentials(text));
        let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let host_is_good = !host.is_empty()
            && !host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@')
            && (bracketed.is_some() || !host.contains(':'));
        match port.parse() {
            Ok(port) if port > 0 && host_is_good => Ok(Self { host: host.to_owned(), port }),
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A short name that can be part of a queue's or topic's name: letters, digits, `_` and `-`, up to 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainName(String);

/// Why a text is no plain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a plain name; use 1 to 64 letters, digits, `_` or `-`")]
pub struct NotAPlainName(String);

impl PlainName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn known_good(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl FromStr for PlainName {
    type Err = NotAPlainName;

    fn from_str(text: &str) -> Result<Self, NotAPlainName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAPlainName(text.chars().take(64).collect()))
    }
}

impl fmt::Display for PlainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Python module as `import` names it: `epics`, `lab.devices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleName(String);

/// Why a text names no module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` does not name a Python module; write it as `import` does, for example `epics` or `lab.devices`"
)]
pub struct NotAModuleName(String);

impl ModuleName {
    pub(super) fn known_good(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl FromStr for ModuleName {
    type Err = NotAModuleName;

    fn from_str(text: &str) -> Result<Self, NotAModuleName> {
        if text.len() <= 200 && text.split('.').all(is_identifier) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAModuleName(text.chars().take(64).collect()))
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! as_text {
    ($($name:ident: $schema:tt;)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

as_text! {
    LoopbackAddress: {"type": "string", "pattern": "^(127\\.[0-9.]+|\\[::1\\]|localhost):[0-9]+$"};
    BrokerUrl: {"type": "string", "pattern": "^stomp://(127\\.[0-9.]+|\\[::1\\]|localhost):[0-9]+$"};
    HostPort: {"type": "string", "pattern": "^[^\\s/]+:[0-9]+$"};
    ModuleName: {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$"};
    PlainName: {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"};
}
