//! `beamq broker-config`: a guarded ActiveMQ, from the template that beamq ships.
//!
//! The folder that it writes holds one file per account with its password. They are the one place where
//! passwords are kept: the broker's configuration is made from them, beamq and its clients read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{
    connect::Globals,
    exit::{Exit, Failure},
};
use crate::security::{Token, read_password_file, write_private_file};

/// What is filled in.
const TEMPLATE: &str = include_str!("../../deploy/activemq/activemq.xml");

/// The account of the broker's operator.
const ADMIN: &str = "admin";

#[derive(Args, Debug)]
pub(super) struct BrokerConfigArgs {
    /// The folder for activemq.xml and the passwords; what passwords are there already stay
    #[arg(value_name = "DIR", default_value = "broker")]
    folder: PathBuf,
    /// The port of the STOMP connector, on loopback
    #[arg(long = "stomp-port", value_name = "PORT", default_value_t = 61613, value_parser = clap::value_parser!(u16).range(1..))]
    stomp: u16,
    /// The port of the OpenWire connector, for JMS clients, on loopback
    #[arg(long = "openwire-port", value_name = "PORT", default_value_t = 61616, value_parser = clap::value_parser!(u16).range(1..))]
    openwire: u16,
    /// The account of beamq itself
    #[arg(long, value_name = "USER", default_value = "beamq")]
    server_user: String,
    /// An account for clients; give each client one of its own, if you can
    #[arg(long = "client", value_name = "USER", default_value = "ss_client")]
    clients: Vec<String>,
    /// The queue on which requests arrive
    #[arg(long, value_name = "NAME", default_value = "ss_admin")]
    queue: String,
    /// How much may wait for one client that does not read, in MB
    #[arg(long, value_name = "MB", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    client_memory: u16,
    /// Keep nothing on disk: requests that wait are lost when the broker stops
    #[arg(long)]
    not_persistent: bool,
    /// Make new passwords for all accounts
    #[arg(long)]
    new_passwords: bool,
}

/// An account with its password.
struct Account {
    user: String,
    file: PathBuf,
    password: String,
}

pub(super) fn run(args: &BrokerConfigArgs, globals: &Globals) -> Result<(), Failure> {
    let mut users = vec![ADMIN.to_owned(), args.server_user.clone()];
    users.extend(args.clients.iter().cloned());
    check_names(&users, &args.queue)?;
    let folder = &args.folder;
    let passwords = folder.join("passwords");
    fs::create_dir_all(&passwords).map_err(|error| cannot("make", &passwords, &error))?;
    let accounts: Vec<Account> = users
        .into_iter()
        .map(|user| account(&passwords, user, args.new_passwords))
        .collect::<Result<_, _>>()?;
    let file = folder.join("activemq.xml");
    let text = filled_in(args, &accounts);
    write_private_file(&file, text.as_bytes()).map_err(|error| cannot("write", &file, &error))?;
    report(args, globals, &file, &accounts)
}

/// Names stand in XML, in paths and in access rules: they are plain.
fn check_names(users: &[String], queue: &str) -> Result<(), Failure> {
    let plain = |name: &str| {
        (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    let wrong = |text: String| Err(Failure::new(Exit::Usage, text));
    for name in users.iter().map(String::as_str).chain([queue]) {
        if !plain(name) {
            return wrong(format!("{name:?} is not a plain name: 1 to 64 letters, digits, `_` or `-`"));
        }
    }
    for (at, user) in users.iter().enumerate() {
        if users.iter().skip(at + 1).any(|other| other == user) {
            return wrong(format!("there would be two accounts {user:?}"));
        }
    }
    Ok(())
}

/// The account's password from its file; a new one where there is none.
fn account(folder: &Path, user: String, anew: bool) -> Result<Account, Failure> {
    let file = folder.join(&user);
    if !anew {
        match read_password_file(&file) {
            Ok(read) => {
                let password = read.password.expose().clone();
                if let Some(reason) = unusable(&password) {
                    let text = format!("the password of {user} {reason}");
                    let hint =
                        format!("write another one into {}, or delete it, and one is made", file.display());
                    return Err(Failure::new(Exit::Failed, text).hint(hint));
                }
                return Ok(Account { user, file, password });
            }
            Err(error) if error.missing => {}
            Err(error) => {
                let failure = Failure::new(Exit::Failed, error.to_string());
                return Err(failure.hint("delete it, and a password is made"));
            }
        }
    }
    let password = Token::generate()
        .map_err(|error| Failure::new(Exit::Internal, format!("cannot make a password: {error}")))?;
    let password = password.expose().to_owned();
    write_private_file(&file, format!("{password}\n").as_bytes())
        .map_err(|error| cannot("write", &file, &error))?;
    Ok(Account { user, file, password })
}

/// What the broker would make something else of.
fn unusable(password: &str) -> Option<&'static str> {
    // It resolves these after it has read the XML, where they cannot be escaped. `$` and `#` alone are harmless.
    if ["${", "#{"].iter().any(|placeholder| password.contains(placeholder)) {
        return Some("has `${` or `#{` in it, which the broker reads as something of its own");
    }
    (password.trim() != password).then_some("has a blank at its begin or end, which the broker leaves out")
}

fn filled_in(args: &BrokerConfigArgs, accounts: &[Account]) -> String {
    let password = |user: &str| {
        let found = accounts.iter().find(|account| account.user == user);
        found.map(|account| escaped(&account.password)).unwrap_or_default()
    };
    let clients: Vec<String> = args
        .clients
        .iter()
        .map(|user| {
            let password = password(user);
            format!(
                r#"          <authenticationUser username="{user}" password="{password}" groups="clients"/>"#
            )
        })
        .collect();
    TEMPLATE
        .replace("{{persistent}}", if args.not_persistent { "false" } else { "true" })
        .replace("{{queue}}", &args.queue)
        .replace("{{client_memory}}", &format!("{}mb", args.client_memory))
        .replace("{{stomp_port}}", &args.stomp.to_string())
        .replace("{{openwire_port}}", &args.openwire.to_string())
        .replace("{{admin}}", ADMIN)
        .replace("{{admin_password}}", &password(ADMIN))
        .replace("{{server}}", &args.server_user)
        .replace("{{server_password}}", &password(&args.server_user))
        .replace("{{clients}}", &clients.join("\n"))
}

/// A value for an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn report(
    args: &BrokerConfigArgs,
    globals: &Globals,
    file: &Path,
    accounts: &[Account],
) -> Result<(), Failure> {
    let terminal = globals.terminal();
    let stomp = format!("stomp://127.0.0.1:{}", args.stomp);
    let openwire = format!("tcp://127.0.0.1:{}", args.openwire);
    if terminal.json {
        let accounts: Vec<_> = accounts
            .iter()
            .map(|account| json!({"user": account.user, "password_file": account.file}))
            .collect();
        return terminal.document(
            &json!({"configuration": file, "stomp": stomp, "openwire": openwire, "accounts": accounts}),
        );
    }
    // Paths in beamq's configuration are relative to that file, wherever it is.
    let server = args.folder.join("passwords").join(&args.server_user);
    let server = std::path::absolute(&server).unwrap_or(server);
    terminal.line(format!("wrote {}", file.display()))?;
    for account in accounts {
        terminal.line(format!("account {}: password in {}", account.user, account.file.display()))?;
    }
    terminal.line("give the broker its configuration, and this to beamq's own:")?;
    terminal.line("transports:")?;
    terminal.line(format!(
        "  activemq: {{url: \"{stomp}\", user: {}, password_file: {:?}, queue: {}}}",
        args.server_user, server, args.queue
    ))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: BrokerConfigArgs,
    }

    fn args(line: &str) -> BrokerConfigArgs {
        Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap().args
    }

    #[test]
    fn nothing_of_the_template_is_left_to_fill_in() {
        let accounts: Vec<_> = ["admin", "beamq", "gui", "console"]
            .map(|user| Account {
                user: user.into(),
                file: user.into(),
                password: format!("{user}-\"<secret>&"),
            })
            .into();
        let text = filled_in(&args("d --client gui --client console --stomp-port 7000"), &accounts);
        assert!(!text.contains("{{") && !text.contains("}}"), "{text}");
        assert!(text.contains("stomp://127.0.0.1:7000?"));
        assert!(text.contains(r#"username="console" password="console-&quot;&lt;secret&gt;&amp;""#));
        assert!(text.contains(r#"persistent="true""#));
    }

    #[test]
    fn a_password_that_is_there_stays_until_a_new_one_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let password = |anew| account(folder.path(), "gui".into(), anew).unwrap().password;
        let first = password(false);
        assert!(first.len() >= 32);
        assert_eq!(password(false), first);
        let second = password(true);
        assert_ne!(second, first);
        assert_eq!(password(false), second);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(folder.path().join("gui")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_password_that_the_broker_would_not_understand_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let account = |password: &str| {
            fs::write(folder.path().join("gui"), password).unwrap();
            account(folder.path(), "gui".into(), false)
        };
        for good in ["a \"b\" <c> & 'd' \\ : ü $ # {x}", "$x", "#"] {
            assert_eq!(account(good).ok().unwrap().password, good);
        }
        for bad in ["", "a\nb", "a\tb", " a", "a ", "a${b}", "a#{b}"] {
            assert!(account(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        let names = |users: &[&str], queue| {
            let users: Vec<String> = users.iter().map(|user| (*user).to_owned()).collect();
            check_names(&users, queue).is_ok()
        };
        assert!(names(&["admin", "beamq", "ss_client"], "ss_admin"));
        assert!(!names(&["admin", "admin"], "q"));
        assert!(
            !names(&["../x"], "q") && !names(&["a\"b"], "q") && !names(&[""], "q") && !names(&["a"], "q>")
        );
    }
}
