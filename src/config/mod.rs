//! The configuration file: types, loading, checking.
//!
//! Everything that can be wrong is found here, with its place in the file; the rest of the server gets
//! typed values whose paths are resolved. What may not enter here: sockets, the journal, the engine.

mod error;
mod load;
mod sections;
mod units;
mod values;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::{ConfigError, Place};
pub use sections::{
    AbortConfig, AccountConfig, ActivemqConfig, AfterEnd, AtShutdown, CatalogueConfig, CommandErrors,
    DryRunConfig, DryRunPolicy, EmbeddedConfig, EngineConfig, EngineKind, EstimatesConfig, HistoryConfig,
    HttpConfig, JobsConfig, LimitsConfig, LogConfig, LogFormat, LogLevel, NicosConfig, NicosRoles,
    NicosSessions, OutputConfig, PythonConfig, QueueConfig, SessionsConfig, ShutdownConfig, SimulationConfig,
    TransportsConfig,
};
pub use units::{
    DurationText, OptionalDuration, OptionalSize, SizeText, UnitError, format_duration, format_size,
    parse_duration, parse_size,
};
pub use values::{
    AddressError, Bounded, BrokerUrl, HostPort, LoopbackAddress, ModuleName, NotAModuleName, NotAPlainName,
    PlainName, Switch,
};

/// The configuration of a server. Every key is optional; unknown keys are refused; durations and sizes
/// carry their units.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "beamq configuration")]
pub struct Config {
    /// The instrument's name, which is part of the name of the topic with events: letters, digits, `_`
    /// and `-`. Default: `DEMO`.
    pub instrument: PlainName,
    /// Where the commands of the instrument come from.
    pub catalogue: CatalogueConfig,
    /// What executes scripts.
    pub engine: EngineConfig,
    /// What happens to the queue after a failure, an abort, a restart.
    pub queue: QueueConfig,
    /// What holds for every job.
    pub jobs: JobsConfig,
    /// What is done with the scripts of submissions.
    pub dry_run: DryRunConfig,
    /// How long jobs are expected to take.
    pub estimates: EstimatesConfig,
    /// How scripts are run on virtual time.
    pub simulation: SimulationConfig,
    /// How long each stage of an abort has.
    pub abort: AbortConfig,
    /// What a stopping server does.
    pub shutdown: ShutdownConfig,
    /// How clients reach the server.
    pub transports: TransportsConfig,
    /// Who may log in with a password, besides those who have the token. Default: `[]`.
    pub accounts: Vec<AccountConfig>,
    /// How long sessions live.
    pub sessions: SessionsConfig,
    /// What is kept of the output of jobs.
    pub output: OutputConfig,
    /// What is kept of jobs that have ended.
    pub history: HistoryConfig,
    /// Bounds on what clients can ask of the server.
    pub limits: LimitsConfig,
    /// What the server writes on standard error.
    pub log: LogConfig,
    /// What is allowed and yet worth a word in the log, found while loading.
    #[serde(skip)]
    #[schemars(skip)]
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instrument: PlainName::known_good("DEMO"),
            catalogue: CatalogueConfig::default(),
            engine: EngineConfig::default(),
            queue: QueueConfig::default(),
            jobs: JobsConfig::default(),
            dry_run: DryRunConfig::default(),
            estimates: EstimatesConfig::default(),
            simulation: SimulationConfig::default(),
            abort: AbortConfig::default(),
            shutdown: ShutdownConfig::default(),
            transports: TransportsConfig::default(),
            accounts: Vec::new(),
            sessions: SessionsConfig::default(),
            output: OutputConfig::default(),
            history: HistoryConfig::default(),
            limits: LimitsConfig::default(),
            log: LogConfig::default(),
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
