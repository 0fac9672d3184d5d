//! From a message to a command, or to the text that says what is wrong with it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    command::{CommandInfo, Form, Kind, Parameter, Password, ProxyCommand},
    shape::EVENTS,
};
use crate::protocol::text::{abbreviated, nearest};

/// What is wrong with a message. Its text is the payload of the reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The message names no command.
    #[error("not a command: send {{\"command\": name, …}}, or [name, [arguments]]")]
    NoCommand,
    /// There is no such command.
    #[error("unknown command {given:?}{}", did_you_mean(*nearest))]
    UnknownCommand {
        /// What was given, abbreviated.
        given: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// An argument is missing.
    #[error("{command}: missing argument {name} ({expected})")]
    Missing {
        /// The command.
        command: &'static str,
        /// The argument.
        name: &'static str,
        /// What it looks like.
        expected: &'static str,
    },
    /// The command has no such argument.
    #[error("{command}: unknown argument {given:?}{}", did_you_mean(*nearest))]
    UnknownArgument {
        /// The command.
        command: &'static str,
        /// What was given, abbreviated.
        given: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// There are more arguments than the command has.
    #[error("{command}: invalid number of arguments: {given} were given, at most {most} are taken")]
    TooMany {
        /// The command.
        command: &'static str,
        /// How many were given.
        given: usize,
        /// How many there can be.
        most: usize,
    },
    /// `args` is not a list, or stands beside named arguments.
    #[error("{command}: arguments go either by name or as a list in \"args\"")]
    BothForms {
        /// The command.
        command: &'static str,
    },
    /// An argument looks wrong.
    #[error("{command}: {name} must be {expected}")]
    Mistyped {
        /// The command.
        command: &'static str,
        /// The argument.
        name: &'static str,
        /// What it should look like.
        expected: &'static str,
    },
    /// There is no such event.
    #[error("{command}: unknown event {given:?}{}", did_you_mean(*nearest))]
    UnknownEvent {
        /// The command.
        command: &'static str,
        /// What was given, abbreviated.
        given: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn shown(text: &str) -> String {
    abbreviated(text.into()).as_str().unwrap_or_default().to_owned()
}

/// The arguments of a command, in their order; what was not given is absent.
struct Arguments {
    command: &'static CommandInfo,
    values: Vec<Option<Value>>,
}

impl ProxyCommand {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`ProxyError`], whose text says what is wrong and, where it can, what was meant.
    pub fn read(message: Value) -> Result<Self, ProxyError> {
        let (name, given) = match message {
            Value::Object(mut members) => match members.remove("command") {
                Some(Value::String(name)) => (name, Value::Object(members)),
                _ => return Err(ProxyError::NoCommand),
            },
            Value::Array(items) => {
                let mut items = items.into_iter();
                match (items.next(), items.next(), items.next()) {
                    (Some(Value::String(name)), None, _) => (name, Value::Array(Vec::new())),
                    (Some(Value::String(name)), Some(args), None) => (name, args),
                    _ => return Err(ProxyError::NoCommand),
                }
            }
            _ => return Err(ProxyError::NoCommand),
        };
        let Some(command) = CommandInfo::named(&name) else {
            let nearest = nearest(&name, CommandInfo::ALL.iter().map(|command| command.name));
            return Err(ProxyError::UnknownCommand { given: shown(&name), nearest });
        };
        Arguments::read(command, given)?.into_command()
    }
}

impl CommandInfo {
    /// The arguments of a command in its order, from a list or from an object with their names. What was left out at
    /// the end is absent.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] when there are too many, one has no such name, or one is missing.
    pub fn arguments(&'static self, given: Value) -> Result<Vec<Value>, ProxyError> {
        Arguments::read(self, given)?.into_list()
    }
}

impl Arguments {
    fn into_list(self) -> Result<Vec<Value>, ProxyError> {
        let last_given = self.values.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut list = Vec::new();
        for (index, (parameter, value)) in self.command.parameters.iter().zip(self.values).enumerate() {
            match value {
                Some(value) => list.push(value),
                None if !parameter.optional => {
                    return Err(ProxyError::Missing {
                        command: self.command.name,
                        name: parameter.name,
                        expected: parameter.form.expected(),
                    });
                }
                None if index < last_given => list.push(Value::Null),
                None => {}
            }
        }
        Ok(list)
    }

    fn read(command: &'static CommandInfo, given: Value) -> Result<Self, ProxyError> {
        match given {
            Value::Object(members) => Self::by_name(command, members),
            Value::Array(items) => Self::by_position(command, items),
            _ => Err(ProxyError::BothForms { command: command.name }),
        }
    }

    fn by_name(command: &'static CommandInfo, mut members: Map<String, Value>) -> Result<Self, ProxyError> {
        if let Some(args) = members.remove("args") {
            return match args {
                Value::Array(items) if members.is_empty() => Self::by_position(command, items),
                Value::Null => Self::by_name(command, members),
                _ => Err(ProxyError::BothForms { command: command.name }),
            };
        }
        let values = command.parameters.iter().map(|parameter| members.remove(parameter.name)).collect();
        match members.keys().next() {
            None => Ok(Self { command, values }),
            Some(unknown) => Err(ProxyError::UnknownArgument {
                command: command.name,
                given: shown(unknown),
                nearest: nearest(unknown, command.parameters.iter().map(|parameter| parameter.name)),
            }),
        }
    }

    fn by_position(command: &'static CommandInfo, items: Vec<Value>) -> Result<Self, ProxyError> {
        // NICOS's own clients log in with all they say in one dictionary.
        if command.name == "authenticate"
            && let [Value::Object(members)] = items.as_slice()
        {
            return Self::by_name(command, members.clone());
        }
        let most = command.parameters.len();
        if items.len() > most {
            return Err(ProxyError::TooMany { command: command.name, given: items.len(), most });
        }
        let mut values: Vec<_> = items.into_iter().map(Some).collect();
        values.resize(most, None);
        Ok(Self { command, values })
    }

    fn into_command(mut self) -> Result<ProxyCommand, ProxyError> {
        if self.command.kind == Kind::Nicos {
            let command = self.command;
            return Ok(ProxyCommand::Nicos { command, args: self.into_list()? });
        }
        Ok(match self.command.name {
            "authenticate" => ProxyCommand::Authenticate {
                login: self.text("login")?.unwrap_or_default(),
                passwd: Password(self.text("passwd")?.unwrap_or_default()),
                display: self.label("display"),
            },
            "queue" => ProxyCommand::Queue { name: self.text("name")?, code: self.code("code")? },
            "start" => ProxyCommand::Start { name: self.text("name")?, code: self.code("code")? },
            "simulate" => ProxyCommand::Simulate {
                name: self.text("name")?,
                code: self.code("code")?,
                uuid: self.label("uuid"),
            },
            "unqueue" => ProxyCommand::Unqueue { reqid: self.text("reqid")?.unwrap_or_default() },
            "update" => ProxyCommand::Update {
                newcode: self.code("newcode")?,
                reason: self.label("reason"),
                reqid: self.text("reqid")?,
            },
            "rearrange" => ProxyCommand::Rearrange { ids: self.list("ids")? },
            "break" => ProxyCommand::Break { level: self.level()? },
            "stop" => ProxyCommand::Stop { level: self.level()? },
            "continue" => ProxyCommand::Continue,
            "emergency" => ProxyCommand::Emergency,
            "finish" => ProxyCommand::Finish,
            "getstatus" => ProxyCommand::GetStatus,
            "getmessages" => ProxyCommand::GetMessages { n: self.count()? },
            "getscript" => ProxyCommand::GetScript,
            "gettrace" => ProxyCommand::GetTrace,
            "getversion" => ProxyCommand::GetVersion,
            "eventmask" => ProxyCommand::EventMask { events: self.events()? },
            "eventunmask" => ProxyCommand::EventUnmask { events: self.events()? },
            "keepalive" => ProxyCommand::KeepAlive,
            "unlock" => ProxyCommand::Unlock,
            "quit" => ProxyCommand::Quit,
            _ => return Err(ProxyError::NoCommand),
        })
    }

    /// Takes an argument out. `None` when it may be left out and was, or is `null` where that is the same.
    fn take(&mut self, name: &str) -> Result<Option<(&'static Parameter, Value)>, ProxyError> {
        let at = self.command.parameters.iter().position(|parameter| parameter.name == name);
        let Some((at, parameter)) = at.and_then(|at| Some((at, self.command.parameters.get(at)?))) else {
            return Ok(None);
        };
        match self.values.get_mut(at).and_then(Option::take) {
            Some(Value::Null) if parameter.optional || parameter.form == Form::Name => Ok(None),
            Some(value) => Ok(Some((parameter, value))),
            None if parameter.optional => Ok(None),
            None => Err(ProxyError::Missing {
                command: self.command.name,
                name: parameter.name,
                expected: parameter.form.expected(),
            }),
        }
    }

    fn mistyped(&self, parameter: &'static Parameter) -> ProxyError {
        ProxyError::Mistyped {
            command: self.command.name,
            name: parameter.name,
            expected: parameter.form.expected(),
        }
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, ProxyError> {
        match self.take(name)? {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((Parameter { form: Form::Name | Form::Id, .. }, Value::Number(number))) => {
                Ok(Some(number.to_string()))
            }
            Some((parameter, _)) => Err(self.mistyped(parameter)),
        }
    }

    fn code(&mut self, name: &str) -> Result<Arc<str>, ProxyError> {
        Ok(self.text(name)?.unwrap_or_default().into())
    }

    /// A text that is only shown: whatever else it is counts as absent.
    fn label(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Ok(Some((_, Value::String(text)))) => Some(shown(&text)),
            _ => None,
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<String>, ProxyError> {
        let Some((parameter, value)) = self.take(name)? else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.mistyped(parameter)) };
        items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                Value::Number(number) if parameter.form == Form::Ids => Ok(number.to_string()),
                _ => Err(self.mistyped(parameter)),
            })
            .collect()
    }

    fn events(&mut self) -> Result<Vec<String>, ProxyError> {
        let names = self.list("events")?;
        match names.iter().find(|name| !EVENTS.contains(&name.as_str())) {
            None => Ok(names),
            Some(unknown) => Err(ProxyError::UnknownEvent {
                command: self.command.name,
                given: shown(unknown),
                nearest: nearest(unknown, EVENTS.iter().copied()),
            }),
        }
    }

    fn level(&mut self) -> Result<u64, ProxyError> {
        match self.take("level")? {
            None => Ok(1),
            Some((parameter, value)) => {
                value.as_u64().filter(|level| *level > 0).ok_or_else(|| self.mistyped(parameter))
            }
        }
    }

    fn count(&mut self) -> Result<Option<usize>, ProxyError> {
        match self.take("n")? {
            None => Ok(None),
            Some((_, Value::String(all))) if all == "*" => Ok(None),
            Some((parameter, value)) => match value.as_u64() {
                Some(0) => Ok(None),
                Some(n) => Ok(Some(usize::try_from(n).unwrap_or(usize::MAX))),
                None => Err(self.mistyped(parameter)),
            },
        }
    }
}
