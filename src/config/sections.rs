//! What can be configured. The comments are the documentation of the keys, also in the JSON Schema.

use std::path::PathBuf;

use beamq_machines::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    units::{DurationText, OptionalDuration, OptionalSize, SizeText},
    values::{Bounded, BrokerUrl, HostPort, LoopbackAddress, ModuleName, PlainName, Switch},
};
use crate::{
    dryrun::simulation::DEFAULT_HARDWARE,
    security::{PasswordHash, Secret},
};

/// Where the commands of the instrument come from.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogueConfig {
    /// Folders with YAML files that describe commands, relative to this file. Default: the shipped
    /// catalogue of a simulated instrument. Example: `[commands]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folders: Option<Vec<PathBuf>>,
}

/// What executes scripts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// `python`: a fresh CPython process per job. `nicos`: a NICOS daemon. Default: `python`.
    pub kind: EngineKind,
    /// The settings of the python engine.
    pub python: PythonConfig,
    /// The settings of the nicos engine; needed with `kind: nicos`. Default: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nicos: Option<NicosConfig>,
}

/// What executes scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// A fresh CPython process per job.
    #[default]
    Python,
    /// A NICOS daemon.
    Nicos,
}

/// The settings of the python engine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PythonConfig {
    /// The interpreter, CPython 3.9 or newer: a name that is looked up in PATH, or a path relative to this
    /// file (one with a `/`). Default: `python3`. Example: `venv/bin/python`.
    pub interpreter: PathBuf,
    /// Folders put at the front of `sys.path`, relative to this file. Default: `[]`. Example: `[lib]`.
    pub path: Vec<PathBuf>,
    /// Modules that are imported before a job arrives, so that it starts faster. Default: `[]`.
    /// Example: `[numpy, genie_python.genie]`.
    pub preload: Vec<String>,
    /// Scripts that run before a job arrives, relative to this file. Default: `[]`.
    /// Example: `[init_instrument.py]`.
    pub startup: Vec<PathBuf>,
    /// How many processes are kept warm, so that a job starts in milliseconds: 0 to 8. Default: 1.
    pub spare_workers: Bounded<0, 8>,
    /// The most address space of a job's process and of each process that it starts, or `none`.
    /// Default: `none`. Example: `"8 GiB"`.
    pub memory: OptionalSize,
    /// By how much a job's processes give way to others on this machine: 0 (not at all) to 19.
    /// Default: 0.
    pub niceness: Bounded<0, 19>,
}

impl Default for PythonConfig {
    fn default() -> Self {
        Self {
            interpreter: "python3".into(),
            path: Vec::new(),
            preload: Vec::new(),
            startup: Vec::new(),
            spare_workers: Bounded::clamped(1),
            memory: OptionalSize(None),
            niceness: Bounded::clamped(0),
        }
    }
}

/// The settings of the nicos engine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NicosConfig {
    /// Where the NICOS daemon listens. Default: `"127.0.0.1:1301"`.
    #[serde(default = "NicosConfig::default_address")]
    pub address: HostPort,
    /// The account that runs jobs. Example: `service`.
    pub user: String,
    /// The file with its password, relative to this file; a newline at its end does not count.
    /// Example: `nicos.password`.
    pub password_file: PathBuf,
    /// How long NICOS may take to answer until the queue waits for it; a call into C in a script holds up every
    /// answer. Default: `5s`.
    #[serde(default = "NicosConfig::default_answer_within")]
    pub answer_within: DurationText,
    /// Whether the report of a script that failed in a command of NICOS has NICOS's own frames, with the values of
    /// their variables. Reports are kept, and everybody who may log in can read them. Default: `false`.
    #[serde(default)]
    pub local_variables: bool,
    /// Which role each level of NICOS has.
    #[serde(default)]
    pub roles: NicosRoles,
    /// The connections of sessions that log in with accounts of NICOS.
    #[serde(default)]
    pub sessions: NicosSessions,
    /// What `password_file` holds.
    #[serde(skip)]
    #[schemars(skip)]
    pub password: Option<Secret<String>>,
}

impl NicosConfig {
    fn default_address() -> HostPort {
        HostPort { host: "127.0.0.1".into(), port: 1301 }
    }

    fn default_answer_within() -> DurationText {
        DurationText(seconds(5))
    }
}

/// The connections of sessions that log in with accounts of NICOS.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NicosSessions {
    /// How often NICOS is asked whether it is still there: 100 ms or more. Default: `30s`.
    pub ask_every: DurationText,
    /// How long it may take to answer until the connection is made again: 100 ms or more. A long `eval` of the
    /// client holds up every answer. Default: `2m`.
    pub answer_within: DurationText,
}

impl Default for NicosSessions {
    fn default() -> Self {
        Self { ask_every: DurationText(seconds(30)), answer_within: DurationText(seconds(120)) }
    }
}

/// Which role each level of NICOS has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NicosRoles {
    /// The role of NICOS's guests. Default: `viewer`.
    pub guest: Role,
    /// The role of NICOS's users. Default: `scientist`.
    pub user: Role,
    /// The role of NICOS's administrators. Default: `admin`.
    pub admin: Role,
}

impl Default for NicosRoles {
    fn default() -> Self {
        Self { guest: Role::Viewer, user: Role::Scientist, admin: Role::Admin }
    }
}

/// What happens to the queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// After a job failed: `hold` the queue until somebody releases it, or `continue`. Default: `hold`.
    pub after_failure: AfterEnd,
    /// After a job was aborted: `hold` or `continue`. Default: `hold`.
    pub after_abort: AfterEnd,
    /// After the server started again: `hold` or `continue`. A job that was running is never run again by
    /// itself. Default: `hold`.
    pub after_restart: AfterEnd,
    /// Whether `stop` in the proxy dialect also empties the queue, as NICOS does. Default: `false`.
    pub proxy_stop_empties_queue: bool,
}

/// What the queue does after something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterEnd {
    /// Hold until somebody releases it.
    #[default]
    Hold,
    /// Go on with the next job.
    Continue,
}

/// What holds for every job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// A script that goes on after an error of a command: `mark` ends it as `succeeded_with_errors`,
    /// `fail` as `failed`, `ignore` as `succeeded`. Default: `mark`.
    pub command_errors: CommandErrors,
    /// The longest run of a job that names none itself, or `none`. Default: `none`. Example: `"12h"`.
    pub timeout: OptionalDuration,
    /// How long a question of a script waits for an answer, or `none`; then its default is given, or the
    /// job fails. Default: `"10m"`.
    pub prompt_timeout: OptionalDuration,
    /// How long a job is paused before everybody is reminded of it, or `none`. Default: `"10m"`.
    pub pause_reminder: OptionalDuration,
    /// How long after a reminder the next one goes out, or `none`. Default: `"30m"`.
    pub pause_reminder_again: OptionalDuration,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            command_errors: CommandErrors::Mark,
            timeout: OptionalDuration(None),
            prompt_timeout: OptionalDuration(Some(minutes(10))),
            pause_reminder: OptionalDuration(Some(minutes(10))),
            pause_reminder_again: OptionalDuration(Some(minutes(30))),
        }
    }
}

/// What errors of commands that a script goes on after make of its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandErrors {
    /// The job ends as `succeeded_with_errors`.
    #[default]
    Mark,
    /// The job ends as `failed`.
    Fail,
    /// The job ends as `succeeded`.
    Ignore,
}

/// What is done with the script of a submission, by the role of who submits it. The calls of a job of
/// commands are always checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DryRunConfig {
    /// For users: `never` reads no script, `warn` queues it and answers with what was found, `block`
    /// refuses a script with errors. Default: `warn`.
    pub user: DryRunPolicy,
    /// For scientists. Default: `warn`.
    pub scientist: DryRunPolicy,
    /// For administrators, and for whoever has the token. Default: `warn`.
    pub admin: DryRunPolicy,
}

impl DryRunConfig {
    /// The policy for a role. Viewers submit nothing.
    #[must_use]
    pub fn of(self, role: Role) -> DryRunPolicy {
        match role {
            Role::Viewer | Role::User => self.user,
            Role::Scientist => self.scientist,
            Role::Admin => self.admin,
        }
    }
}

/// What is done with the script of a submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DryRunPolicy {
    /// It is queued unread.
    Never,
    /// It is queued, and the answer has what was found in it.
    #[default]
    Warn,
    /// It is read first, and refused when it has errors.
    Block,
}

/// How long jobs are expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EstimatesConfig {
    /// Whether waiting jobs are estimated and simulated without anybody asking, one at a time and giving
    /// way to everything else. Default: `true`.
    pub background: bool,
}

impl Default for EstimatesConfig {
    fn default() -> Self {
        Self { background: true }
    }
}

/// How scripts are run on virtual time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulationConfig {
    /// Python modules that reach the instrument by themselves: a dry run denies their import, with all that
    /// is below them, and tells so. The list stands in place of the default. What carries out commands of
    /// the catalogue is denied in any case. Default: `[epics, p4p, caproto, pvaccess, genie_python, tango,
    /// PyTango, pyvisa, serial, usb, nidaqmx, labjack, pymodbus, paramiko]`.
    pub hardware: Vec<ModuleName>,
}

impl Default for SimulationConfig {
    fn default() -> Self {
        Self { hardware: DEFAULT_HARDWARE.iter().map(|name| ModuleName::known_good(name)).collect() }
    }
}

/// How long each stage of an abort has before the next, stronger one. After the last the process group is
/// killed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AbortConfig {
    /// The time for the exception in the script, so that its `finally` blocks run. Default: `"2s"`.
    pub cooperative: DurationText,
    /// The time after the process group was told to terminate. Default: `"3s"`.
    pub terminate: DurationText,
}

impl Default for AbortConfig {
    fn default() -> Self {
        Self { cooperative: DurationText(seconds(2)), terminate: DurationText(seconds(3)) }
    }
}

/// What a stopping server does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// `wait` for the active job, or `abort` it. Default: `wait`.
    pub active: AtShutdown,
    /// The longest wait; then the job is aborted. Default: `"30s"`.
    pub at_most: DurationText,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { active: AtShutdown::Wait, at_most: DurationText(seconds(30)) }
    }
}

/// What a stopping server does with the active job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtShutdown {
    /// It may come to its end.
    #[default]
    Wait,
    /// It is aborted.
    Abort,
}

/// How clients reach the server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransportsConfig {
    /// The STOMP endpoint of the server itself, or `off`. Default: `{stomp: "127.0.0.1:61613"}`.
    pub embedded: Switch<EmbeddedConfig>,
    /// An ActiveMQ broker on this machine, or `off`. Default: `off`.
    pub activemq: Switch<ActivemqConfig>,
    /// HTTP for monitoring, or `off`. Default: `off`. Example: `{address: "127.0.0.1:8910"}`.
    pub http: Switch<HttpConfig>,
}

impl Default for TransportsConfig {
    fn default() -> Self {
        let stomp = LoopbackAddress(([127, 0, 0, 1], 61613).into());
        Self { embedded: Switch::On(EmbeddedConfig { stomp }), activemq: Switch::Off, http: Switch::Off }
    }
}

/// The STOMP endpoint of the server itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// The address to listen on; only addresses of this machine. Port 0 takes a free one.
    /// Example: `"127.0.0.1:61613"`.
    pub stomp: LoopbackAddress,
}

/// An ActiveMQ broker on this machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivemqConfig {
    /// The broker's STOMP connector; only addresses of this machine. Example: `"stomp://127.0.0.1:61613"`.
    pub url: BrokerUrl,
    /// The account at the broker. Example: `beamq`.
    pub user: String,
    /// The file with its password, relative to this file; a newline at its end does not count. It is read again
    /// for every connection to the broker. Example: `broker.password`.
    pub password_file: PathBuf,
    /// The queue on which requests arrive. Default: `ss_admin`.
    #[serde(default = "ActivemqConfig::default_queue")]
    pub queue: PlainName,
}

impl ActivemqConfig {
    fn default_queue() -> PlainName {
        PlainName::known_good("ss_admin")
    }
}

/// HTTP for monitoring: health and metrics.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on; only addresses of this machine. Port 0 takes a free one.
    /// Example: `"127.0.0.1:8910"`.
    pub address: LoopbackAddress,
}

/// Who may log in with a password, besides those who have the token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// The name to log in with. Example: `ibex`.
    pub user: String,
    /// `viewer` reads; `user` submits and controls own jobs; `scientist` controls everything on the queue;
    /// `admin` also configures.
    pub role: Role,
    /// The argon2id hash of the password, made by `beamq account hash`. Example: `"$argon2id$v=19$…"`.
    #[serde(skip_serializing)]
    #[schemars(with = "String")]
    pub password_hash: PasswordHash,
}

/// How long sessions live.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// How long a session outlives a lost connection to the broker. Default: `"60s"`.
    pub grace: DurationText,
    /// How long a client may take to log in. Default: `"30s"`.
    pub login: DurationText,
    /// How long a client may be silent, or `none`. Default: `"1d"`.
    pub idle: OptionalDuration,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            grace: DurationText(seconds(60)),
            login: DurationText(seconds(30)),
            idle: OptionalDuration(Some(days(1))),
        }
    }
}

/// What is kept of the output of jobs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    /// The most that is kept per job; what is beyond is counted and dropped. Default: `"64 MiB"`.
    pub keep_per_job: SizeText,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { keep_per_job: SizeText(64 << 20) }
    }
}

/// What is kept of jobs that have ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// How long jobs, their output and the audit are kept, or `none` for ever. Default: `"365d"`.
    pub keep: OptionalDuration,
    /// The most that jobs and their output may take together, or `none`; the oldest go first. Default: `none`.
    pub keep_size: OptionalSize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { keep: OptionalDuration(Some(days(365))), keep_size: OptionalSize(None) }
    }
}

/// Bounds on what clients can ask of the server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// The largest message that is taken. Default: `"16 MiB"`.
    pub message: SizeText,
    /// How many clients may be connected at once: 1 to 65535. Default: 512.
    pub clients: Bounded<1, 65535>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { message: SizeText(16 << 20), clients: Bounded::clamped(512) }
    }
}

/// What the server writes on standard error.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` for people, or `json` (one object a line) for programs. Default: `text`.
    pub format: LogFormat,
    /// The least important messages that are written: `error`, `warn`, `info`, `debug` or `trace`.
    /// Default: `info`.
    pub level: LogLevel,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line, for programs.
    Json,
}

/// How important a message must be to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Somebody should look.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// For those who look for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level as a log filter spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

const fn seconds(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n)
}

const fn minutes(n: u64) -> std::time::Duration {
    seconds(n * 60)
}

const fn days(n: u64) -> std::time::Duration {
    seconds(n * 86_400)
}
