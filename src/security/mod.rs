//! Who may come in and what they may do: the token, accounts, the audit.
