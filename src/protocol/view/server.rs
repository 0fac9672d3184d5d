//! The server, its sessions and its audit, as clients see them.

use std::collections::BTreeMap;

use beamq_machines::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Finding, JobView, QueueStateName};
use crate::{engine::EngineState, protocol::Rfc3339};

/// Result of `session.login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedIn {
    /// The session's number, for logs and the audit.
    pub session: String,
    /// The name that jobs of this session are owned by.
    pub user: String,
    /// What this session may do.
    pub role: Role,
    /// With `bind`: what every later request must carry as its member `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Result of `server.info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerInfo {
    /// `beamq`.
    pub name: String,
    /// The server's version.
    pub version: String,
    /// The instrument.
    pub instrument: String,
    /// What runs the scripts: `python` or `nicos`.
    pub engine: String,
    /// The version of this interface; only a change that breaks clients raises it.
    pub protocol: u32,
    /// The server's clock.
    pub time: Rfc3339,
}

/// Result of `server.status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// The queue.
    pub queue: QueueStatus,
    /// The active job, or null.
    pub active: Option<JobView>,
    /// What runs the scripts.
    pub engine: EngineStatus,
    /// The commands of the instrument.
    pub catalogue: CatalogueStatus,
    /// How many sessions there are.
    pub clients: u64,
    /// The state of each transport by its name.
    pub transports: BTreeMap<String, String>,
    /// How long the server has been up, in seconds.
    pub uptime_s: f64,
}

/// The queue in `server.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueStatus {
    /// Its state.
    pub state: QueueStateName,
    /// Why it is held, blocked or draining, or that the server is being stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Counts its changes.
    pub revision: u64,
    /// How many jobs wait.
    pub length: u64,
    /// When the last waiting job is expected to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_finish: Option<Rfc3339>,
}

/// The engine in `server.status`, and the content of `event.engine`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineStatus {
    /// `python` or `nicos`.
    pub kind: String,
    /// Whether it can take jobs.
    pub state: EngineState,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The catalogue in `server.status`, and the content of `event.catalogue`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueStatus {
    /// Changes with every change of a command.
    pub version: String,
    /// How many commands there are.
    pub commands: u64,
    /// What is wrong with the catalogue's files.
    pub problems: Vec<Finding>,
}

/// Result of `events.subscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscribed {
    /// The number of the last event so far.
    pub seq: u64,
}

/// One entry of the audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// When.
    pub time: Rfc3339,
    /// Who.
    pub user: String,
    /// With which role; absent before a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What the client called itself, and where it came from.
    pub client: String,
    /// `embedded`, `activemq` or `http`.
    pub transport: String,
    /// What was asked.
    pub method: String,
    /// `ok`, or the kind of the error.
    pub outcome: String,
    /// What was changed, as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What was changed, as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Result of `audit.list`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditView {
    /// The entries, newest first.
    pub entries: Vec<AuditEntry>,
}
