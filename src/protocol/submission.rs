//! What a client submits, and how it becomes a job.

use std::{sync::Arc, time::Duration};

use beamq_machines::{CommandCall, JobBody, JobSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Unexpected};
use serde_json::Value;

use super::{
    error::{FieldError, RpcError},
    params,
    text::abbreviated,
    time::{DurationText, Rfc3339},
};

/// The most characters of a job's name or group.
pub const NAME_CHARACTERS: usize = 200;
/// The largest script in bytes.
pub const SCRIPT_BYTES: usize = 16 << 20;
/// The most command calls in one job.
pub const COMMANDS: usize = 10_000;
/// The most tags of a job.
pub const TAGS: usize = 100;
/// The most characters of a tag.
pub const TAG_CHARACTERS: usize = 100;
/// The most jobs that `repeat` makes at once.
pub const REPEATS: u32 = 10_000;
/// The longest `timeout`.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 86_400);

/// A job to be queued.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The name that people see, 1 to 200 characters in one line.
    pub name: String,
    /// Python source, at most 16 MiB. Either this or `commands`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Arc<str>>,
    /// Calls of catalogue commands, at most 10 000. Either this or `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<CommandCall>>,
    /// Run the script untouched: no cells, no pause points.
    #[serde(default, skip_serializing_if = "is_false")]
    pub black_box: bool,
    /// Free labels, at most 100 of at most 100 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The series that this job belongs to, 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The job keeps its place and is passed over until it is released.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held: bool,
    /// How many jobs to make in a row, 1 to 10 000; they share a group.
    #[serde(default, deserialize_with = "repeats", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub repeat: Option<u32>,
    /// The job is passed over until this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Rfc3339>,
    /// The job expires when it has not started by this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Rfc3339>,
    /// The longest run in wall time, pauses included: `"2h"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Reads `repeat`, of which any whole number has the right type.
pub(super) fn repeats<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<i64>::deserialize(deserializer)? else { return Ok(None) };
    match u32::try_from(number) {
        Ok(repeat @ 1..=REPEATS) => Ok(Some(repeat)),
        _ => {
            let allowed = format!("from 1 to {REPEATS}");
            Err(serde::de::Error::invalid_value(Unexpected::Signed(number), &allowed.as_str()))
        }
    }
}

/// A submission that was found acceptable.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// What to run.
    pub spec: JobSpec,
    /// Whether the job starts held.
    pub held: bool,
    /// How many jobs to make, at least 1.
    pub repeat: u32,
}

impl Submission {
    /// Checks everything that can be checked without knowing the queue or the catalogue.
    ///
    /// # Errors
    ///
    /// `invalid_params` when `script` and `commands` are both missing or both given; `invalid_job` naming
    /// every member whose content cannot be accepted.
    pub fn into_new_job(self) -> Result<NewJob, RpcError> {
        let mut errors = FieldErrors::default();
        self.check_labels(&mut errors);
        self.check_times(&mut errors);
        let repeat = self.repeat.unwrap_or(1);
        if !(1..=REPEATS).contains(&repeat) {
            errors.add("repeat", "out of limits", repeat, &format!("1 to {REPEATS}"));
        }
        let body = match (self.script, self.commands) {
            (Some(source), None) => {
                check_script(&source, &mut errors);
                JobBody::Script { source, black_box: self.black_box }
            }
            (None, Some(calls)) => {
                check_commands(&calls, self.black_box, &mut errors);
                JobBody::Commands(calls)
            }
            (script, _) => return Err(one_body_needed(script.is_some())),
        };
        errors.none()?;
        let spec = JobSpec {
            name: self.name,
            body,
            tags: self.tags,
            group: self.group,
            not_before: self.not_before.map(|time| time.0),
            deadline: self.deadline.map(|time| time.0),
            timeout_ms: self.timeout.map(DurationText::as_millis),
        };
        Ok(NewJob { spec, held: self.held, repeat })
    }

    fn check_labels(&self, errors: &mut FieldErrors) {
        errors.check_line("name", &self.name, NAME_CHARACTERS);
        if let Some(group) = &self.group {
            errors.check_line("group", group, NAME_CHARACTERS);
        }
        if self.tags.len() > TAGS {
            errors.add("tags", "too many", self.tags.len(), &format!("at most {TAGS}"));
        } else {
            for (n, tag) in self.tags.iter().enumerate() {
                errors.check_line(&format!("tags[{n}]"), tag, TAG_CHARACTERS);
            }
        }
    }

    fn check_times(&self, errors: &mut FieldErrors) {
        if let (Some(start), Some(end)) = (self.not_before, self.deadline)
            && end <= start
        {
            errors.add("deadline", "is not after not_before", end.to_string(), &format!("after {start}"));
        }
        if let Some(timeout) = self.timeout
            && (timeout.as_millis() == 0 || timeout.0 > LONGEST_TIMEOUT)
        {
            let allowed = format!("1ms to {}", DurationText(LONGEST_TIMEOUT));
            errors.add("timeout", "out of limits", timeout.to_string(), &allowed);
        }
    }
}

fn check_script(source: &str, errors: &mut FieldErrors) {
    let allowed = format!("1 to {SCRIPT_BYTES} bytes of Python source");
    if source.trim().is_empty() {
        errors.add("script", "is empty", abbreviated(source.into()), &allowed);
    } else if source.len() > SCRIPT_BYTES {
        errors.add("script", "is too long", format!("{} bytes", source.len()), &allowed);
    } else if source.contains('\0') {
        errors.add("script", "holds a NUL character, which is not Python", Value::Null, &allowed);
    }
}

fn check_commands(calls: &[CommandCall], black_box: bool, errors: &mut FieldErrors) {
    if calls.is_empty() || calls.len() > COMMANDS {
        errors.add("commands", "out of limits", calls.len(), &format!("1 to {COMMANDS} calls"));
        return;
    }
    for (n, call) in calls.iter().enumerate() {
        errors.check_line(&format!("commands[{n}].command"), &call.command, NAME_CHARACTERS);
    }
    if black_box {
        errors.add("black_box", "only a script can be a black box", true, "false");
    }
}

fn one_body_needed(both: bool) -> RpcError {
    let message = if both { "script and commands cannot both be given" } else { "missing member script" };
    RpcError::invalid_params(message)
        .with_field("script")
        .with_allowed("one of script (text) or commands (a list)")
}

/// The members that are wrong, in order.
#[derive(Default)]
struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// More than these are not listed: they would say nothing new, and the reply stays small.
    const LISTED: usize = 20;

    fn add(&mut self, field: &str, message: &str, value: impl Into<Value>, allowed: &str) {
        if self.0.len() < Self::LISTED {
            self.0.push(FieldError {
                field: field.to_owned(),
                message: message.to_owned(),
                value: Some(value.into()),
                allowed: Some(allowed.into()),
                hint: None,
            });
        }
    }

    /// A line of text that people see.
    fn check_line(&mut self, field: &str, text: &str, limit: usize) {
        let allowed = || format!("1 to {limit} characters in one line");
        if text.trim().is_empty() {
            self.add(field, "is empty", text.chars().take(limit).collect::<String>(), &allowed());
        } else if text.chars().count() > limit {
            self.add(field, "is too long", abbreviated(text.into()), &allowed());
        } else if text.chars().any(char::is_control) {
            self.add(field, "holds a line break or another control character", text, &allowed());
        }
    }

    fn none(self) -> Result<(), RpcError> {
        if self.0.is_empty() { Ok(()) } else { Err(RpcError::invalid_job_fields(self.0)) }
    }
}

/// Reads a submission back from a job, to edit or repeat it.
impl From<&JobSpec> for Submission {
    fn from(spec: &JobSpec) -> Self {
        let (script, commands, black_box) = match &spec.body {
            JobBody::Script { source, black_box } => (Some(Arc::clone(source)), None, *black_box),
            JobBody::Commands(calls) => (None, Some(calls.clone()), false),
        };
        Self {
            name: spec.name.clone(),
            script,
            commands,
            black_box,
            tags: spec.tags.clone(),
            group: spec.group.clone(),
            held: false,
            repeat: None,
            not_before: spec.not_before.map(Rfc3339),
            deadline: spec.deadline.map(Rfc3339),
            timeout: spec.timeout_ms.map(|ms| DurationText(Duration::from_millis(ms))),
        }
    }
}

/// What `job.edit` and `job.rerun` change of a job; what is absent stays. Where the inner option is
/// `None`, the client sent `null` and the member is cleared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubmissionChanges {
    /// A new name.
    pub name: Option<String>,
    /// A new script; takes the place of commands, too.
    pub script: Option<Arc<str>>,
    /// New commands; take the place of a script, too.
    pub commands: Option<Vec<CommandCall>>,
    /// Whether the script runs untouched.
    pub black_box: Option<bool>,
    /// New tags, all of them.
    pub tags: Option<Vec<String>>,
    /// A new group, or none.
    pub group: Option<Option<String>>,
    /// Whether the job is held.
    pub held: Option<bool>,
    /// Must be 1 when given: the job was already made.
    pub repeat: Option<u32>,
    /// A new earliest start, or none.
    pub not_before: Option<Option<Rfc3339>>,
    /// A new deadline, or none.
    pub deadline: Option<Option<Rfc3339>>,
    /// A new time-out, or the default of the configuration.
    pub timeout: Option<Option<DurationText>>,
}

impl SubmissionChanges {
    /// The job with the changes made and checked. `held` is left to the caller, since it is not part of a
    /// [`JobSpec`].
    ///
    /// # Errors
    ///
    /// As for [`Submission::into_new_job`].
    pub fn apply(self, spec: &JobSpec) -> Result<JobSpec, RpcError> {
        if let Some(repeat) = self.repeat.filter(|repeat| *repeat != 1) {
            return Err(RpcError::invalid_job("repeat: a job that exists cannot be multiplied")
                .with_field("repeat")
                .with_value(repeat)
                .with_allowed("1")
                .with_hint("job.duplicate makes one more"));
        }
        let mut job = Submission::from(spec);
        match (self.script, self.commands) {
            (Some(_), Some(_)) => return Err(one_body_needed(true)),
            (Some(script), None) => (job.script, job.commands) = (Some(script), None),
            (None, Some(commands)) => {
                (job.script, job.commands, job.black_box) = (None, Some(commands), false);
            }
            (None, None) => {}
        }
        set(&mut job.name, self.name);
        set(&mut job.black_box, self.black_box);
        set(&mut job.tags, self.tags);
        set(&mut job.group, self.group);
        set(&mut job.not_before, self.not_before);
        set(&mut job.deadline, self.deadline);
        set(&mut job.timeout, self.timeout);
        job.into_new_job().map(|accepted| accepted.spec)
    }
}

fn set<T>(member: &mut T, change: Option<T>) {
    if let Some(value) = change {
        *member = value;
    }
}

/// A job of a batch: a bad one is a verdict of its own and does not hide the others.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchJob(pub Result<Submission, RpcError>);

impl From<Submission> for BatchJob {
    fn from(job: Submission) -> Self {
        Self(Ok(job))
    }
}

impl<'de> Deserialize<'de> for BatchJob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(params::read(value).map_err(|error| error.into_rpc_error(params::Part::Submission))))
    }
}

impl Serialize for BatchJob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for BatchJob {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Submission::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Submission::json_schema(generator)
    }
}
