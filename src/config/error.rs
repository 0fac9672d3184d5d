//! What is wrong with a configuration file, where, and what to write instead.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde_saphyr::Error as YamlError;

use super::values::without_credentials;
use crate::security::PasswordFileError;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub length: usize,
    /// The text of the line; what looks like a secret is left out.
    pub text: String,
}

/// Why a configuration cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is too large or not text.
    NotAConfiguration {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// Something in the file is wrong.
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it; absent when it concerns more than one place.
        place: Option<Box<Place>>,
        /// What is wrong.
        reason: String,
        /// What is possible instead, if it can be listed.
        allowed: Vec<String>,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A file with a password cannot be used.
    PasswordFile(PasswordFileError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(
                    f,
                    "the configuration {} cannot be read ({source}); name another one with --config",
                    path.display()
                )
            }
            Self::NotAConfiguration { path, reason } => {
                write!(f, "{} is not a configuration: {reason}", path.display())
            }
            Self::PasswordFile(error) => error.fmt(f),
            Self::Invalid { path, place, reason, allowed, nearest } => {
                write!(f, "{}:", path.display())?;
                if let Some(place) = place {
                    write!(f, "{}:{}:", place.line, place.column)?;
                }
                write!(f, " {reason}")?;
                if let Some(nearest) = nearest {
                    write!(f, "; did you mean `{nearest}`?")?;
                }
                if let Some(place) = place {
                    write!(f, "{place}")?;
                }
                if !allowed.is_empty() {
                    let margin = place.as_ref().map_or(1, |place| place.margin());
                    write!(f, "\n{:margin$} = allowed: {}", "", allowed.join(", "))?;
                }
                Ok(())
            }
        }
    }
}

impl From<PasswordFileError> for ConfigError {
    fn from(error: PasswordFileError) -> Self {
        Self::PasswordFile(error)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The system's error is part of the message already.
        None
    }
}

impl ConfigError {
    /// A stable word for this kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "config_unreadable",
            Self::NotAConfiguration { .. } => "config_not_text",
            Self::Invalid { .. } => "config_invalid",
            Self::PasswordFile(_) => "config_password_file",
        }
    }

    pub(super) fn from_yaml(path: &Path, text: &str, error: &YamlError) -> Self {
        let explained = explain(error.without_snippet());
        let (place, reason) = match (tab_in_indentation(text), error.without_snippet()) {
            (Some(place), YamlError::ExternalMessage { .. }) => {
                (Some(place), "a tab in the indentation; YAML takes only spaces there".to_owned())
            }
            _ => (error.location().map(|location| place(text, location)), explained.reason),
        };
        Self::Invalid {
            path: path.to_owned(),
            place: place.map(Box::new),
            reason,
            nearest: nearest(&explained.given, &explained.allowed),
            allowed: explained.allowed,
        }
    }

    pub(super) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            place: None,
            reason: reason.into(),
            allowed: Vec::new(),
            nearest: None,
        }
    }
}

impl Place {
    fn margin(&self) -> usize {
        self.line.to_string().len()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let margin = self.margin();
        // A tab is as wide as the terminal likes; a space in its stead keeps the marks in place.
        let text = self.text.replace('\t', " ");
        write!(f, "\n{:margin$} |\n{} | {text}\n{:margin$} | ", "", self.line, "")?;
        write!(f, "{:indent$}{}", "", "^".repeat(self.length), indent = self.column.saturating_sub(1))
    }
}

#[derive(Default)]
struct Explained {
    reason: String,
    given: String,
    allowed: Vec<String>,
}

/// Our own words for what the parser found.
fn explain(error: &YamlError) -> Explained {
    let only = |reason: String| Explained { reason, ..Explained::default() };
    let owned = |names: &[&'static str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    match error {
        YamlError::SerdeUnknownField { field, expected, .. } => Explained {
            reason: format!("there is no key `{field}` here"),
            given: field.clone(),
            allowed: owned(expected),
        },
        YamlError::SerdeUnknownVariant { variant, expected, .. } => Explained {
            reason: if variant == "~" {
                "a value is missing".into()
            } else {
                format!("`{variant}` is not possible here")
            },
            given: variant.clone(),
            allowed: owned(expected),
        },
        YamlError::SerdeMissingField { field, .. } => {
            only(format!("the key `{field}` is missing in this section"))
        }
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            only(format!("the key `{key}` is there twice"))
        }
        YamlError::InvalidBooleanStrict { .. } => Explained {
            allowed: owned(&["true", "false"]),
            ..only("this is neither `true` nor `false`".into())
        },
        YamlError::NullIntoString { .. } => only("a value is missing".into()),
        YamlError::Unexpected { expected, .. } => only(match *expected {
            "mapping start" => "settings are expected here, as `key: value`".into(),
            "sequence start" => "a list is expected here, as `[one, two]`".into(),
            "string scalar" => "a single value is expected here".into(),
            other => format!("expected {other}"),
        }),
        YamlError::SerdeInvalidType { unexpected, expected, .. }
        | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
            only(format!("{expected} is expected here, and this is {unexpected}"))
        }
        YamlError::ExternalMessage { msg, .. } if msg.contains("quoted scalar") => {
            only("a quoted text does not end; close the quote on the line where it begins".into())
        }
        YamlError::Message { msg, .. } | YamlError::ExternalMessage { msg, .. } => only(msg.clone()),
        YamlError::MultipleDocuments { .. } => {
            only("a second document (`---`) begins here; there can be one".into())
        }
        YamlError::UnknownAnchor { .. } => only("there is no anchor of this name before".into()),
        YamlError::Budget { .. } => only("this is larger or deeper than any configuration".into()),
        other => only(without_place(&other.to_string())),
    }
}

/// The parser appends its own idea of the place to its messages.
fn without_place(message: &str) -> String {
    let end = message.find(" at line ").unwrap_or(message.len());
    message.chars().take(message.get(..end).map_or(0, |kept| kept.chars().count())).collect()
}

fn place(text: &str, location: serde_saphyr::Location) -> Place {
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let line_text = text.lines().nth(line - 1).unwrap_or_default();
    let to_the_end = line_text.chars().count().saturating_sub(column - 1).max(1);
    let length = usize::try_from(location.span().len()).unwrap_or(1).clamp(1, to_the_end);
    Place { line, column, length, text: without_secrets(line_text) }
}

fn tab_in_indentation(text: &str) -> Option<Place> {
    text.lines().enumerate().find_map(|(index, line)| {
        let indentation = line.split(|c: char| c != ' ' && c != '\t').next()?;
        let column = indentation.find('\t')? + 1;
        let blank = line.trim().is_empty();
        (!blank).then(|| Place { line: index + 1, column, length: 1, text: without_secrets(line) })
    })
}

/// People write passwords where only the name of a file belongs; the error must not spread them.
fn without_secrets(line: &str) -> String {
    let line = without_credentials(line);
    let lower = line.to_ascii_lowercase();
    let suspicious = ["passw", "secret", "token", "hash"].iter().filter_map(|word| lower.find(word)).min();
    let colon = suspicious.and_then(|start| Some(start + line.get(start..)?.find(':')?));
    match colon.and_then(|colon| line.get(..=colon)) {
        Some(kept) => format!("{kept} …"),
        None => line.chars().take(200).collect(),
    }
}

fn nearest(given: &str, allowed: &[String]) -> Option<String> {
    let similarity = |name: &String| strsim::jaro_winkler(given, name);
    let best = allowed.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(best) >= 0.8).then(|| best.clone())
}
