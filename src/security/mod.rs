//! Who may come in: the token, the accounts of the configuration, and slowing down those who guess.
//!
//! What is secret is wrapped in [`Secret`] from the moment it is read, so that no log, error or panic can
//! show it. What a role may do is decided by the machines; what was done is kept by the journal.

mod accounts;
mod password_file;
mod private_file;
mod secret;
mod throttle;
mod token;

pub use accounts::{
    Account, Accounts, AccountsError, LoginOverload, PasswordHash, PasswordHashError, hash_password,
};
pub use password_file::{PasswordFile, PasswordFileError, read_password_file};
pub use private_file::write_private_file;
pub use secret::{Secret, same_secret};
pub use throttle::LoginThrottle;
pub use token::{Token, TokenError, TokenVerifier, read_token_file, write_token_file};
