//! A command, in the form of the catalogue's files.

use std::fmt;

use beamq_machines::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Number, Value};

/// The format that this version reads: the value of the key `catalogue`.
pub const FORMAT: i64 = 1;

/// A catalogue file.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "beamq catalogue file")]
pub struct CatalogueFile {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub catalogue: i64,
    /// The heading under which people find the commands of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The commands by name. A name is a Python identifier that does not begin with `_`.
    #[schemars(with = "std::collections::BTreeMap<String, CommandSpec>")]
    pub commands: Ordered<CommandSpec>,
}

/// A command, as its file describes it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// One sentence: what the command does.
    pub summary: String,
    /// More about it, in Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The heading under which people find it; the file's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The parameters by name, in the order of the Python function.
    #[serde(default, skip_serializing_if = "Ordered::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, ParameterSpec>")]
    pub parameters: Ordered<ParameterSpec>,
    /// The Python function: `module:function`.
    pub implementation: PythonName,
    /// How many seconds a call takes: a number, or an expression over the parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<NumberOrText>")]
    pub estimate: Option<String>,
    /// What the instrument shows after a call: by the name that estimates use as `state.NAME`, a number or
    /// an expression over the parameters. `{}` when a call changes nothing that estimates look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, NumberOrText>>")]
    pub effect: Option<Ordered<String>>,
    /// A Python function that stands in for the command in a dry run: `module:function`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulate: Option<PythonName>,
    /// Whether a pause can take effect inside the command. Default: true.
    #[serde(default = "yes")]
    pub pausable: bool,
    /// The devices that the command moves or waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// The least role that may submit the command. Default: `user`.
    #[serde(default = "user")]
    pub role: Role,
    /// What a client asks before it submits the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// The command is still there for old scripts; what to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// Calls to start from: the parameters of each by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Map<String, Value>>,
}

fn yes() -> bool {
    true
}

fn user() -> Role {
    Role::User
}

/// In a file, an estimate or an effect is an expression or a plain number.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum NumberOrText {
    Number(f64),
    Text(String),
}

/// A parameter of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParameterSpec {
    /// What values it takes.
    #[serde(flatten)]
    pub value: ValueSpec,
    /// The value when the call gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The call may leave it out, although there is no default. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Words that may be given instead of a value: `keep`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl ParameterSpec {
    /// Whether a call must give it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        !self.optional && self.default.is_none()
    }
}

/// What values a parameter takes, or an item of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValueSpec {
    /// The type.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// The unit of a number: one of the known ones, or `other:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The least number; of a text the least length, of an array or object the least number of items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Number>,
    /// The greatest number; of a text the greatest length, of an array or object the greatest number of items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Number>,
    /// Numbers are a whole number of steps above `minimum`, or above 0 when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Number>,
    /// The only values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// A regular expression that the whole of a text matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What the items of an array, or the values of an object, are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<ValueSpec>>,
}

impl ValueSpec {
    /// Any value of a type.
    #[must_use]
    pub fn of(kind: ParameterType) -> Self {
        Self {
            kind,
            unit: None,
            minimum: None,
            maximum: None,
            step: None,
            choices: Vec::new(),
            pattern: None,
            items: None,
        }
    }

    /// The unit as people write it behind a number, with a space before it; empty when there is none.
    #[must_use]
    pub fn unit_suffix(&self) -> String {
        match self.unit.as_deref() {
            None | Some("none") => String::new(),
            Some(unit) => format!(" {}", unit.strip_prefix("other:").unwrap_or(unit)),
        }
    }
}

/// The types of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// A text.
    String,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// Values by name.
    Object,
}

impl ParameterType {
    /// Every type.
    pub const ALL: [Self; 6] =
        [Self::Number, Self::Integer, Self::String, Self::Boolean, Self::Array, Self::Object];

    /// The type as files write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Integer => "integer",
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// The type in words, with its article.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::String => "text",
            Self::Boolean => "true or false",
            Self::Array => "a list",
            Self::Object => "a mapping",
        }
    }

    /// Whether values are numbers.
    #[must_use]
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Number | Self::Integer)
    }
}

/// A Python function by its module: `demo.environment:set_temperature`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonName {
    /// The module, as `import` names it.
    pub module: String,
    /// The function in the module.
    pub function: String,
}

impl PythonName {
    /// Reads `module:function`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (module, function) = text.split_once(':')?;
        let good = module.split('.').all(is_identifier) && function.split('.').all(is_identifier);
        good.then(|| Self { module: module.to_owned(), function: function.to_owned() })
    }
}

impl fmt::Display for PythonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.module, self.function)
    }
}

impl Serialize for PythonName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for PythonName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PythonName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"})
    }
}

/// Whether Python takes the text for a name.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !PYTHON_KEYWORDS.contains(&text)
}

/// What Python keeps for itself.
pub(super) const PYTHON_KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Values by name, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
