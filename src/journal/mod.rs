//! The SQLite file in which every fact is committed before anyone acts on it.
