//! The loop that owns the machines.
