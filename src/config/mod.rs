//! The configuration file: types, loading, checking.
