//! The options that every subcommand shares, and the connection that follows from them.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    exit::{Exit, Failure},
    terminal::{ColorWhen, Terminal},
};
use crate::{
    client::{Client, ClientError, Credentials, DataDir, LoginWith, ServerAddress, UserInfo},
    security::read_password_file,
};

/// The account to log in with instead of the token. Arguments are visible to every user of the machine, and
/// the environment of a process only to its own, so a password is never an argument.
const USER_VARIABLE: &str = "BEAMQ_USER";
/// The password of that account.
const PASSWORD_VARIABLE: &str = "BEAMQ_PASSWORD";

/// The options of every subcommand.
#[derive(Args, Debug, Clone)]
pub struct Globals {
    /// Print JSON: one document, or one object a line where results stream
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// The server or broker, as stomp://[user[:password]@]host:port [default: the server of the data directory]
    #[arg(long, global = true, value_name = "URL", env = "BEAMQ_SERVER", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub server: Option<String>,

    /// The file with the password of the user in --server
    #[arg(long, global = true, value_name = "FILE", env = "BEAMQ_PASSWORD_FILE")]
    #[arg(help_heading = "Global options")]
    pub password_file: Option<PathBuf>,

    /// The server's data directory [default: $XDG_STATE_HOME/beamq or ~/.local/state/beamq]
    #[arg(long, global = true, value_name = "DIR", env = "BEAMQ_DATA", help_heading = "Global options")]
    pub data: Option<PathBuf>,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub color: ColorWhen,

    /// Leave out remarks; results and errors are still printed
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

impl Globals {
    /// The streams that these options ask for.
    #[must_use]
    pub fn terminal(&self) -> Terminal {
        Terminal::new(self.json, self.quiet, self.color)
    }

    /// The data directory that these options name.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when none is named and there is no default.
    pub fn data_dir(&self) -> Result<DataDir, Failure> {
        match &self.data {
            Some(path) => Ok(DataDir::at(path)),
            None => Ok(DataDir::by_default()?),
        }
    }

    /// Connects to the server and logs in.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that says where the server was looked for and how to start one.
    pub async fn connect(&self) -> Result<Session, Failure> {
        let target = Target::of(self)?;
        let credentials = target.credentials()?;
        let client = Client::connect(&target.address, credentials).await;
        let client = client.map_err(|error| target.explain(error))?;
        let with = target.login_for(&client)?;
        let greeting = format!("beamq {} (command line)", env!("CARGO_PKG_VERSION"));
        client.login(with, &greeting).await.map_err(|error| target.explain(error))?;
        Ok(Session { client, terminal: self.terminal() })
    }
}

/// A session of one subcommand.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub client: Client,
    /// Where results go.
    pub terminal: Terminal,
}

impl Session {
    /// Calls a method; an error becomes a [`Failure`] with its exit code.
    ///
    /// # Errors
    ///
    /// A [`Failure`] for whatever [`Client::call`] fails with.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, Failure> {
        Ok(self.client.call(method, params).await?)
    }
}

/// The password of a user who is named without one.
fn password_of(user: &str, file: Option<&Path>) -> Result<String, Failure> {
    let hint = "name the file that holds it with --password-file FILE or BEAMQ_PASSWORD_FILE";
    let Some(file) = file else {
        return Err(Failure::new(Exit::Usage, format!("--server has no password of {user}")).hint(hint));
    };
    let read = read_password_file(file);
    let read = read.map_err(|error| Failure::new(Exit::Usage, error.to_string()).hint(hint))?;
    Ok(read.password.expose().clone())
}

/// Where to connect and what to log in with.
struct Target {
    address: ServerAddress,
    from_url: Option<Credentials>,
    /// Whether the address was given, and not found through the data directory.
    given: bool,
    data: Option<DataDir>,
}

impl Target {
    fn of(globals: &Globals) -> Result<Self, Failure> {
        let Some(url) = &globals.server else {
            let data = globals.data_dir()?;
            let address = data.stomp_address()?;
            return Ok(Self { address, from_url: None, given: false, data: Some(data) });
        };
        let (address, user) = ServerAddress::parse_url(url)?;
        let from_url = match user {
            Some(UserInfo::Both(credentials)) => Some(credentials),
            Some(UserInfo::User(user)) => {
                Some(Credentials { passcode: password_of(&user, globals.password_file.as_deref())?, user })
            }
            None => None,
        };
        Ok(Self { address, from_url, given: true, data: globals.data_dir().ok() })
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        match &self.data {
            Some(data) => Ok(data.token()?),
            None => Ok(None),
        }
    }

    fn credentials(&self) -> Result<Credentials, Failure> {
        if let Some(credentials) = &self.from_url {
            return Ok(credentials.clone());
        }
        match self.token()? {
            Some(token) => Ok(Credentials::token(token)),
            None => Err(self.no_token()),
        }
    }

    /// An account in the environment comes first. An embedded endpoint's credentials are beamq's own. A
    /// broker's are not: there the session logs in with the token of the data directory.
    fn login_for(&self, client: &Client) -> Result<LoginWith, Failure> {
        if let (Ok(user), Ok(password)) = (env::var(USER_VARIABLE), env::var(PASSWORD_VARIABLE)) {
            return Ok(LoginWith::Account { user, password });
        }
        if let Some(credentials) = self.from_url.as_ref().filter(|_| client.peer_is_beamq()) {
            let Credentials { user, passcode } = credentials.clone();
            return Ok(if user == Credentials::TOKEN_USER {
                LoginWith::Token(passcode)
            } else {
                LoginWith::Account { user, password: passcode }
            });
        }
        self.token()?.map(LoginWith::Token).ok_or_else(|| self.no_token())
    }

    fn no_token(&self) -> Failure {
        let place = match &self.data {
            Some(data) => data.path().display().to_string(),
            None => "the data directory".to_owned(),
        };
        if self.given {
            return Failure::new(Exit::Refused, format!("there is no token in {place} to log in with")).hint(
                "name the server's data directory with --data DIR, or write stomp://beamq:TOKEN@host:port",
            );
        }
        Failure::new(Exit::Unreachable, format!("no server has been started in {place}")).hint(format!(
            "start one with `beamq serve --data {place}`, or name another directory with --data DIR"
        ))
    }

    /// Adds where the server was looked for and what to do.
    fn explain(&self, error: ClientError) -> Failure {
        let by_account = env::var_os(USER_VARIABLE).is_some() && error.rpc().is_some();
        let mut failure = Failure::from(error);
        if failure.hint.is_some() {
            return failure;
        }
        let place = self.data.as_ref().map(|data| data.path().display().to_string());
        failure.hint = match (failure.exit, place) {
            (Exit::Unreachable | Exit::TimedOut, Some(place)) if !self.given => Some(format!(
                "no server runs in {place}; start one with `beamq serve --data {place}`, \
                 or name another with --data DIR or --server URL"
            )),
            (Exit::Unreachable | Exit::TimedOut, _) => Some(
                "check the address, and that the server (`beamq serve`) or the broker runs there".to_owned(),
            ),
            (Exit::Refused, _) if by_account => {
                Some(format!("check the account in {USER_VARIABLE} and {PASSWORD_VARIABLE}"))
            }
            (Exit::Refused, Some(place)) if !self.given => Some(format!(
                "the token in {place}/token is made anew at every start of the server; \
                 is another server listening at {}?",
                self.address
            )),
            (Exit::Refused, _) => Some("check the user in --server, and its password".to_owned()),
            _ => None,
        };
        failure
    }
}
