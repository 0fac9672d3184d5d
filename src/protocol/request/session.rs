//! Logging in and listening.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::{EventKind, RpcError};

/// A text that must not appear in a log. It is readable only by asking for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A method without parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// Parameters of `session.login`: a token, or a user with a password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The token of the server's data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// An account of the configuration, or of NICOS. Beside a token: the name that jobs are owned by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The account's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// What the client is, for people who read the audit: `"IBEX GUI 14.1"`. At most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Ask for a key that every later request of this session must carry.
    #[serde(default)]
    pub bind: bool,
}

/// The most characters of a user's or a client's name.
const LOGIN_CHARACTERS: usize = 200;

/// What a login shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// The token of the data directory.
    Token(&'a str),
    /// A name and a password.
    Password {
        /// The name.
        user: &'a str,
        /// The password.
        password: &'a str,
    },
}

impl Login {
    /// What the login shows.
    ///
    /// # Errors
    ///
    /// `invalid_params` when neither a token nor a user with a password is there, or both are.
    pub fn credentials(&self) -> Result<Credentials<'_>, RpcError> {
        for (field, text) in [("user", &self.user), ("client", &self.client)] {
            let text = text.as_deref().unwrap_or_default();
            if text.chars().count() > LOGIN_CHARACTERS || text.chars().any(char::is_control) {
                return Err(RpcError::invalid_params(format!("{field} is too long or not one line"))
                    .with_field(field)
                    .with_value(text)
                    .with_allowed(format!("at most {LOGIN_CHARACTERS} characters in one line")));
            }
        }
        let missing =
            |field: &str| RpcError::invalid_params(format!("missing member {field}")).with_field(field);
        match (&self.token, &self.user, &self.password) {
            (Some(token), _, None) => Ok(Credentials::Token(token.reveal())),
            (None, Some(user), Some(password)) => {
                Ok(Credentials::Password { user, password: password.reveal() })
            }
            (None, Some(_), None) => Err(missing("password")),
            (None, None, Some(_)) => Err(missing("user")),
            (None, None, None) => {
                Err(missing("token").with_hint("log in with the token, or with user and password"))
            }
            (Some(_), _, Some(_)) => Err(RpcError::invalid_params("token and password cannot both be given")
                .with_field("password")
                .with_hint("log in with the token, or with user and password")),
        }
    }
}

/// Parameters of `events.subscribe`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The kinds of events to send; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<EventKind>>,
    /// The `seq` of the last event seen: what is kept with a greater one is sent first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}
