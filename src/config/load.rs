//! From a file to a configuration that can be used: parsing, paths, passwords, what belongs together.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Config, ConfigError, EngineKind, NicosSessions};
use crate::{
    engine::{PythonSettings, nicos::NicosSettings},
    nicos::Login,
    security::{Account, Accounts, AccountsError, PasswordFile, Secret, read_password_file},
};

/// No configuration is larger; what is larger is something else.
const FILE_LIMIT: u64 = 1 << 20;
/// Asked more often, NICOS would do little else.
const SHORTEST_ASKING: Duration = Duration::from_millis(100);
/// Smaller messages would refuse ordinary scripts; larger ones would let one client take all memory.
const MESSAGE_SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;

impl Config {
    /// Loads a file: reads and checks it, resolves its paths against its folder and reads the password
    /// files that it names.
    ///
    /// # Errors
    ///
    /// When the file or a password file cannot be read, or says something that is not possible.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::load_without_secrets(path)?;
        config.read_passwords()?;
        Ok(config)
    }

    /// Loads a file as [`Config::load`] does, and leaves the password files alone: for who may not read them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or says something that is not possible.
    pub fn load_without_secrets(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let not_ours =
            |reason: &str| ConfigError::NotAConfiguration { path: path.to_owned(), reason: reason.into() };
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(not_ours("it is larger than 1 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| not_ours("it is not UTF-8 text"))?;
        let mut config = Self::parse(&text, path)?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        config.resolve_paths(absolute.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// Checks a text as the content of `path`, without looking at any other file.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        let config: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| ConfigError::from_yaml(path, text, &error))?;
        config.check_what_belongs_together(path)?;
        Ok(config)
    }

    /// The JSON Schema of the file.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// The accounts, ready to check logins.
    ///
    /// # Errors
    ///
    /// When a name is empty or there twice, which a loaded configuration never has.
    pub fn build_accounts(&self) -> Result<Accounts, AccountsError> {
        Accounts::from_config(self.accounts.iter().map(|account| Account {
            user: account.user.clone(),
            role: account.role,
            password_hash: account.password_hash.clone(),
        }))
    }

    /// What the python engine needs to know. Jobs get their working directories below `work_dir`.
    #[must_use]
    pub fn python_settings(&self, work_dir: PathBuf) -> PythonSettings {
        let python = &self.engine.python;
        PythonSettings {
            interpreter: python.interpreter.clone(),
            path: python.path.clone(),
            preload: python.preload.clone(),
            startup: python.startup.clone(),
            spare_workers: usize::try_from(python.spare_workers.get()).unwrap_or(0),
            work_dir,
            output_limit: self.output.keep_per_job.0,
            memory: python.memory.0,
            niceness: u8::try_from(python.niceness.get()).unwrap_or(0),
        }
    }

    /// The modules whose import a dry run denies.
    #[must_use]
    pub fn hardware(&self) -> Vec<String> {
        self.simulation.hardware.iter().map(ToString::to_string).collect()
    }

    /// The settings of the nicos engine, if there are any; their password was read with the file.
    #[must_use]
    pub fn nicos_settings(&self) -> Option<NicosSettings> {
        let nicos = self.engine.nicos.as_ref()?;
        let login =
            Login { user: nicos.user.clone(), password: nicos.password.clone()?, display: String::new() };
        Some(NicosSettings {
            host: nicos.address.host.clone(),
            port: nicos.address.port,
            login,
            answer_within: nicos.answer_within.0,
            output_limit: self.output.keep_per_job.0,
            local_variables: nicos.local_variables,
        })
    }

    fn check_what_belongs_together(&self, path: &Path) -> Result<(), ConfigError> {
        if self.engine.kind == EngineKind::Nicos && self.engine.nicos.is_none() {
            let reason =
                "`engine.kind` is `nicos`, and there is no `engine.nicos` with `user` and `password_file`";
            return Err(ConfigError::content(path, reason));
        }
        if let Some(nicos) = &self.engine.nicos {
            let NicosSessions { ask_every, answer_within } = &nicos.sessions;
            for (name, duration) in [("ask_every", ask_every), ("answer_within", answer_within)] {
                if duration.0 < SHORTEST_ASKING {
                    let reason =
                        format!("`engine.nicos.sessions.{name}` is {duration}; it can be 100 ms or more");
                    return Err(ConfigError::content(path, reason));
                }
            }
        }
        if !MESSAGE_SIZES.contains(&self.limits.message.0) {
            let reason = format!("`limits.message` is {}; it can be 64 KiB to 1 GiB", self.limits.message);
            return Err(ConfigError::content(path, reason));
        }
        self.build_accounts().map_err(|error| ConfigError::content(path, format!("`accounts`: {error}")))?;
        Ok(())
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&path);
        let python = &mut self.engine.python;
        // A bare name is looked up in PATH; anything with a slash is a file.
        if python.interpreter.components().count() > 1 {
            resolve(&mut python.interpreter);
        }
        python.path.iter_mut().for_each(resolve);
        python.startup.iter_mut().for_each(resolve);
        self.catalogue.folders.iter_mut().flatten().for_each(resolve);
        self.engine.nicos.iter_mut().for_each(|nicos| resolve(&mut nicos.password_file));
        self.transports.activemq.on_mut().into_iter().for_each(|broker| resolve(&mut broker.password_file));
    }

    fn read_passwords(&mut self) -> Result<(), ConfigError> {
        if let Some(nicos) = &mut self.engine.nicos {
            nicos.password = Some(read_password(&nicos.password_file, &mut self.warnings)?);
        }
        // The broker's is read whenever the transport connects, so that a new one needs no restart. That it can be
        // read is known before anything is started all the same.
        if let Some(broker) = self.transports.activemq.on_mut() {
            read_password(&broker.password_file, &mut self.warnings)?;
        }
        Ok(())
    }
}

fn read_password(path: &Path, warnings: &mut Vec<String>) -> Result<Secret<String>, ConfigError> {
    let PasswordFile { password, open_to_others } = read_password_file(path)?;
    if open_to_others {
        warnings.push(format!("{0} can be read by others; run: chmod 600 {0}", path.display()));
    }
    Ok(password)
}
