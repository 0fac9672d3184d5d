//! What somebody is allowed to do, from the least to the most.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody is allowed to do. A greater role may do everything that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything, changes nothing.
    Viewer,
    /// Submits jobs and controls their own.
    User,
    /// Controls everything on the queue.
    Scientist,
    /// Also configures the server.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::User => "user",
            Self::Scientist => "scientist",
            Self::Admin => "admin",
        })
    }
}
