//! The commands of the instrument, and judging scripts without touching it.

use std::{collections::BTreeMap, sync::Arc};

use beamq_machines::CommandCall;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::{JobRef, Rfc3339};

/// Parameters of `catalogue.list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCatalogue {
    /// Commands of this group only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Parameters of `catalogue.get` and `catalogue.schema`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneCommand {
    /// The name of the command.
    pub name: String,
}

/// Parameters of `catalogue.check`: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckCatalogue {
    /// One catalogue file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
    /// Several catalogue files: the text of each by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, String>>,
}

/// How far a dry run goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DryRunMode {
    /// The script is read.
    Static,
    /// The script runs on virtual time against a simulated instrument.
    #[default]
    Simulate,
}

/// Parameters of `dryrun.script`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunScript {
    /// Python source.
    pub script: Arc<str>,
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
}

/// Parameters of `dryrun.commands`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunCommands {
    /// Calls of catalogue commands.
    pub commands: Vec<CommandCall>,
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
}

/// Parameters of `dryrun.job`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunJob {
    /// The job.
    pub id: JobRef,
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
}

/// Parameters of `dryrun.queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunQueue {
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
    /// Forecast as if the first waiting job began at this time, or later when the active one is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Rfc3339>,
    /// Say whether the queue is finished by this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Rfc3339>,
}
