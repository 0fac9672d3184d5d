//! Commands of NICOS.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::{Map, Value};

/// The arguments of a NICOS command, in its order or by name.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum NicosArguments {
    /// In NICOS's order.
    Listed(Vec<Value>),
    /// By NICOS's names.
    Named(Map<String, Value>),
}

impl Default for NicosArguments {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl<'de> Deserialize<'de> for NicosArguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NicosArgumentsVisitor)
    }
}

struct NicosArgumentsVisitor;

impl<'de> Visitor<'de> for NicosArgumentsVisitor {
    type Value = NicosArguments;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array, or an object with the arguments by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<NicosArguments, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(items)).map(NicosArguments::Listed)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<NicosArguments, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(members)).map(NicosArguments::Named)
    }
}

/// Parameters of `nicos.call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NicosCall {
    /// The NICOS command.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: NicosArguments,
}
