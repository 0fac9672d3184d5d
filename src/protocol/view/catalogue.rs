//! The commands of the instrument, as clients see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Finding;

/// A command: `name`, `group`, `summary`, `description`, `parameters` and what else its file says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandView {
    /// The name by which scripts call it.
    pub name: String,
    /// The heading under which people find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Everything else that the catalogue says, in the form of its files.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Result of `catalogue.list`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueView {
    /// Changes with every change of a command.
    pub version: String,
    /// The commands, by name.
    pub commands: Vec<CommandView>,
    /// What is wrong with the catalogue's files.
    pub problems: Vec<Finding>,
}

/// Result of `catalogue.check`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingsView {
    /// What is wrong.
    pub findings: Vec<Finding>,
}
