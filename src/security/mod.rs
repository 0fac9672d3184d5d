//! Who may come in and what they may do: the token, accounts, the audit.

mod private_file;

pub use private_file::write_private_file;
