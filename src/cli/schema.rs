//! `beamq schema`: what the formats are, and what a catalogue looks like to editors and readers.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    connect::Globals,
    exit::{Exit, Failure},
};
use crate::{
    catalogue::{self, Catalogue, folder, python, shipped},
    config::Config,
    protocol::openrpc,
};

#[derive(Args, Debug)]
pub(super) struct SchemaArgs {
    /// Which schema
    #[arg(value_enum, default_value_t = Which::Catalogue)]
    which: Which,
    /// Print a Python stub of the commands (commands.pyi) instead, for editors
    #[arg(long, conflicts_with = "docs")]
    stubs: bool,
    /// Print a Markdown page of all commands instead
    #[arg(long)]
    docs: bool,
    /// The folder of the catalogue that --stubs and --docs are about [default: `commands`, else the shipped one]
    #[arg(long, value_name = "DIR")]
    commands: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Catalogue files
    Catalogue,
    /// The configuration file
    Config,
    /// Requests and replies
    Native,
    /// Events
    Events,
    /// The OpenRPC document of all methods
    Openrpc,
}

pub(super) fn run(args: &SchemaArgs, globals: &Globals) -> Result<(), Failure> {
    let terminal = globals.terminal();
    if args.stubs || args.docs {
        let catalogue = load(args.commands.as_deref())?;
        let text = if args.stubs { python::stubs(&catalogue) } else { python::markdown(&catalogue) };
        return terminal.line(text.trim_end());
    }
    let schema: Value = match args.which {
        Which::Catalogue => catalogue::json_schema(),
        Which::Config => Config::json_schema(),
        Which::Native => openrpc::native_schema(),
        Which::Events => openrpc::events_schema(),
        Which::Openrpc => openrpc::document().clone(),
    };
    terminal.line(serde_json::to_string_pretty(&schema)?)
}

fn load(folder: Option<&Path>) -> Result<Catalogue, Failure> {
    let beside = Path::new("commands");
    let folder = folder.or_else(|| beside.is_dir().then_some(beside));
    let files = match folder {
        Some(folder) if !folder.exists() => {
            return Err(Failure::new(Exit::Usage, format!("there is no folder {}", folder.display())));
        }
        Some(folder) => {
            let read = |path: PathBuf| {
                let text = folder::read(&path).map_err(|unreadable| {
                    Failure::new(Exit::Failed, format!("{}: {}", path.display(), unreadable.message))
                })?;
                Ok((path, text))
            };
            folder::files_below(folder).into_iter().map(read).collect::<Result<Vec<_>, Failure>>()?
        }
        None => shipped::texts(),
    };
    let (catalogue, findings) = Catalogue::check(&files);
    let errors = findings.iter().filter(|finding| finding.severity == crate::protocol::view::Severity::Error);
    match errors.count() {
        0 => Ok(catalogue),
        errors => Err(Failure::new(Exit::Failed, format!("the catalogue has {errors} errors"))
            .hint("`beamq check` shows them")),
    }
}
