//! The accounts of the configuration, whose passwords are kept as argon2id hashes.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use beamq_machines::Role;
use serde::{Deserialize, Deserializer};
use tokio::sync::Semaphore;

use super::secret::Secret;

/// So many passwords are checked side by side: each check takes tens of MiB and a core.
const CHECKS_AT_ONCE: usize = 2;
/// So many more may wait; beyond that a login is refused at once.
const CHECKS_WAITING: usize = 32;
/// A password that is longer is wrong without being hashed.
const LONGEST_PASSWORD: usize = 1024;
/// Bounds on what a hash in the configuration may ask of this machine: 1 GiB of memory in KiB …
const MOST_MEMORY_KIB: u32 = 1 << 20;
/// … and so many rounds and lanes.
const MOST_ROUNDS: u32 = 64;
const MOST_LANES: u32 = 16;

/// Why a text is no password hash. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// It is not in the PHC form.
    #[error("this is not a password hash ($argon2id$v=19$…); make one with `beamq account hash`")]
    Malformed,
    /// It is of another algorithm.
    #[error("only argon2id hashes are taken; make one with `beamq account hash`")]
    OtherAlgorithm,
    /// It would need too much memory or time at every login.
    #[error(
        "this hash needs more memory or rounds than a login may cost; make one with `beamq account hash`"
    )]
    TooCostly,
}

/// A checked argon2id hash in the PHC form.
#[derive(Clone)]
pub struct PasswordHash(Secret<phc::PasswordHash>);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl FromStr for PasswordHash {
    type Err = PasswordHashError;

    fn from_str(text: &str) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::Malformed)?;
        if hash.algorithm != Algorithm::Argon2id.ident() {
            return Err(PasswordHashError::OtherAlgorithm);
        }
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(PasswordHashError::Malformed);
        }
        let params = Params::try_from(&hash).map_err(|_| PasswordHashError::Malformed)?;
        if params.m_cost() > MOST_MEMORY_KIB || params.t_cost() > MOST_ROUNDS || params.p_cost() > MOST_LANES
        {
            return Err(PasswordHashError::TooCostly);
        }
        Ok(Self(Secret::new(hash)))
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PasswordHash {
    fn matches(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, self.0.expose()).is_ok()
    }
}

/// An account of the configuration.
#[derive(Clone, Debug)]
pub struct Account {
    /// The name to log in with.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// The hash of its password.
    pub password_hash: PasswordHash,
}

/// Why accounts cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// Two accounts have one name.
    #[error("the account {user:?} is there twice; remove one of the two")]
    Twice {
        /// The name.
        user: String,
    },
    /// An account has no name.
    #[error("an account has an empty name; give it one")]
    NoName,
}

/// So many logins wait already that this one is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at once; try again in a few seconds")]
pub struct LoginOverload;

/// All accounts. Clones share them.
#[derive(Clone, Debug)]
pub struct Accounts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    accounts: BTreeMap<String, Account>,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Accounts {
    /// Takes the accounts of the configuration.
    ///
    /// # Errors
    ///
    /// When a name is empty or there twice.
    pub fn from_config(list: impl IntoIterator<Item = Account>) -> Result<Self, AccountsError> {
        let mut accounts = BTreeMap::new();
        for account in list {
            if account.user.trim().is_empty() {
                return Err(AccountsError::NoName);
            }
            if let Some(first) = accounts.insert(account.user.clone(), account) {
                return Err(AccountsError::Twice { user: first.user });
            }
        }
        let inner = Inner {
            accounts,
            running: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(CHECKS_AT_ONCE + CHECKS_WAITING)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether there is no account at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.accounts.is_empty()
    }

    /// Checks a login: the account's role, or `None` when name or password is wrong. Takes tens of
    /// milliseconds of a core and tens of MiB **on the calling thread**: never call it from async code,
    /// use [`Accounts::verify`] there.
    ///
    /// An unknown user costs the same time as a wrong password, so that names cannot be found out.
    #[must_use]
    pub fn verify_blocking(&self, user: &str, password: &[u8]) -> Option<Role> {
        if password.len() > LONGEST_PASSWORD {
            return None;
        }
        match self.inner.accounts.get(user) {
            Some(account) => account.password_hash.matches(password).then_some(account.role),
            None => {
                let any_account = self.inner.accounts.values().next()?;
                // The outcome is of no interest, the time it takes is.
                std::hint::black_box(any_account.password_hash.matches(password));
                None
            }
        }
    }

    /// Checks a login on a thread that may block, two at a time.
    ///
    /// # Errors
    ///
    /// [`LoginOverload`] when more than 32 logins wait already.
    pub async fn verify(
        &self,
        user: String,
        password: Secret<String>,
    ) -> Result<Option<Role>, LoginOverload> {
        let waiting = Arc::clone(&self.inner.waiting);
        let place = waiting.try_acquire_owned().map_err(|_| LoginOverload)?;
        let running = Arc::clone(&self.inner.running);
        let turn = running.acquire_owned().await.map_err(|_| LoginOverload)?;
        let accounts = self.clone();
        let check = move || {
            // A client that goes away does not end the check, so the permits stay until it is done.
            let _permits = (place, turn);
            accounts.verify_blocking(&user, password.expose().as_bytes())
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| LoginOverload)
    }
}

/// Hashes a password for the configuration: argon2id with a random salt, in the PHC form.
///
/// # Errors
///
/// When the system gives no random salt.
pub fn hash_password(password: &[u8]) -> Result<String, argon2::password_hash::Error> {
    let hash: phc::PasswordHash = Argon2::default().hash_password(password)?;
    Ok(hash.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn account(user: &str, role: Role, password: &str) -> Account {
        let password_hash = hash_password(password.as_bytes()).unwrap().parse().unwrap();
        Account { user: user.into(), role, password_hash }
    }

    #[test]
    fn a_login_gives_the_role_of_the_account_and_nothing_to_anyone_else() {
        let accounts = Accounts::from_config([
            account("ibex", Role::Scientist, "correct horse"),
            account("guest", Role::Viewer, "battery staple"),
        ])
        .unwrap();
        assert_eq!(accounts.verify_blocking("ibex", b"correct horse"), Some(Role::Scientist));
        assert_eq!(accounts.verify_blocking("guest", b"battery staple"), Some(Role::Viewer));
        assert_eq!(accounts.verify_blocking("guest", b"correct horse"), None);
        assert_eq!(accounts.verify_blocking("IBEX", b"correct horse"), None);
        assert_eq!(accounts.verify_blocking("nobody", b"correct horse"), None);
        assert_eq!(accounts.verify_blocking("ibex", b""), None);
        assert_eq!(accounts.verify_blocking("ibex", &vec![b'x'; 10_000_000]), None);
    }

    #[tokio::test]
    async fn more_logins_than_can_wait_are_refused_at_once_and_the_others_are_answered() {
        let accounts = Accounts::from_config([account("ibex", Role::User, "correct horse")]).unwrap();
        let logins = (0..CHECKS_AT_ONCE + CHECKS_WAITING + 5)
            .map(|_| accounts.verify("ibex".into(), Secret::new("correct horse".to_owned())));
        let outcomes = futures_util::future::join_all(logins).await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(LoginOverload)).count(), 5);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Some(Role::User)) | Err(LoginOverload))));
    }

    #[test]
    fn hashes_are_salted_and_never_shown() {
        let (one, other) = (hash_password(b"same").unwrap(), hash_password(b"same").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m="), "{one}");
        assert_ne!(one, other);
        let shown = format!("{:?}", account("ibex", Role::Admin, "same"));
        assert_eq!(shown, r#"Account { user: "ibex", role: Admin, password_hash: PasswordHash }"#);
    }

    #[test]
    fn only_argon2id_hashes_of_bearable_cost_are_taken() {
        let refusal = |text: &str| text.parse::<PasswordHash>().unwrap_err();
        let good = hash_password(b"x").unwrap();
        assert_eq!(refusal("hunter2"), PasswordHashError::Malformed);
        assert_eq!(refusal(""), PasswordHashError::Malformed);
        assert_eq!(refusal(&good.replace("argon2id", "argon2i")), PasswordHashError::OtherAlgorithm);
        assert_eq!(refusal("$argon2id$v=19$m=19456,t=2,p=1"), PasswordHashError::Malformed);
        assert_eq!(refusal(&good.replace("m=19456", "m=4000000000")), PasswordHashError::TooCostly);
    }

    #[test]
    fn accounts_have_names_and_each_name_once() {
        let twice =
            Accounts::from_config([account("ibex", Role::User, "a"), account("ibex", Role::Admin, "b")]);
        assert_eq!(twice.unwrap_err(), AccountsError::Twice { user: "ibex".into() });
        let nameless = Accounts::from_config([account(" ", Role::User, "a")]);
        assert_eq!(nameless.unwrap_err(), AccountsError::NoName);
    }
}
