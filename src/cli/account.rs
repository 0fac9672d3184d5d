//! `beamq account`: passwords for the accounts of the configuration.

use std::io::{self, BufRead, IsTerminal, Read};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    exit::{Exit, Failure},
    terminal::Terminal,
};
use crate::security::hash_password;

/// The most bytes of a password.
const LONGEST: u64 = 1024;

#[derive(Args, Debug)]
pub(super) struct AccountArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Read a password from standard input and print what goes into `password_hash`
    Hash,
}

pub(super) fn run(args: &AccountArgs, terminal: &Terminal) -> Result<(), Failure> {
    match args.action {
        Action::Hash => {
            let password = read_password(terminal)?;
            let hash = hash_password(password.as_bytes());
            let hash = hash.map_err(|error| {
                Failure::new(Exit::Internal, format!("cannot hash the password: {error}"))
            })?;
            if terminal.json {
                terminal.document(&json!({"password_hash": hash}))
            } else {
                terminal.line(hash)
            }
        }
    }
}

/// Reads one line; the line end is no part of the password.
fn read_password(terminal: &Terminal) -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        terminal.remark("type the password and press Enter; to keep it off the screen, pipe it in");
    }
    let mut line = Vec::new();
    let read = io::stdin().lock().take(LONGEST + 2).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read the password: {error}")))?;
    password_of(line)
}

fn password_of(line: Vec<u8>) -> Result<String, Failure> {
    let text =
        String::from_utf8(line).map_err(|_| Failure::new(Exit::Failed, "the password is not UTF-8"))?;
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(
            Failure::new(Exit::Failed, "the password is empty").hint("pipe it into `beamq account hash`")
        );
    }
    if password.len() as u64 > LONGEST {
        return Err(Failure::new(Exit::Failed, format!("the password is longer than {LONGEST} bytes")));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_is_no_part_of_the_password_and_blanks_are() {
        assert_eq!(password_of(b" a b \r\n".to_vec()).unwrap(), " a b ");
        assert_eq!(password_of(b"x".to_vec()).unwrap(), "x");
        for bad in [&b"\n"[..], b"", b"\xff\n"] {
            assert_eq!(password_of(bad.to_vec()).unwrap_err().exit, Exit::Failed);
        }
    }
}
