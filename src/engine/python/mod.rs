//! The engine that runs every job in a fresh CPython process.
