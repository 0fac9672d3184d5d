//! How long things take: from what formulas and simulations say, and from how long the like took before.
//!
//! This room is pure: durations and predictions in, intervals out; the present time is an argument. It
//! knows no clock, no journal, no process and no client. What is unknown stays unknown: there is no
//! interval for it, and never a 0.

mod author;
mod interval;
mod memory;
mod plan;
mod robust;
mod similarity;

pub use author::{CellMarker, author_estimate, cell_estimates, cell_markers};
pub use interval::{Guess, Interval, Total};
pub use memory::{CallSample, JobSample, Memory};
pub use plan::{Entry, Plan, Position, plan_of_calls};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::float_cmp)]
mod tests;
