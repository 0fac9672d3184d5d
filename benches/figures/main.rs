//! The figures that the server has to reach, each measured against something real in the same run.
//!
//! `cargo bench` measures all of them; `cargo bench -- durability reordering` only those named. With
//! `BEAMQ_BENCH_QUICK=1` there are few repetitions: enough to see that everything works, too few to trust
//! the numbers. A figure that is missed is printed as such and is no failure, because a busy machine misses
//! any of them.

// A benchmark that cannot go on has nothing better to do than to say where it stopped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod broker;
mod clock;
mod dryrun;
mod durability;
mod forecast;
mod getstatus;
mod idle_memory;
mod machines;
mod nicos;
mod observation;
mod processes;
mod reordering;
mod script_start;
mod server;
mod statistics;
mod steering;
mod stomp_codec;
mod table;
mod throughput;
mod visibility;

use table::Table;

/// A group of figures that are measured together.
type Measure = fn(Effort, &mut Table);

const ALL: [(&str, Measure); 15] = [
    ("script_start", script_start::measure),
    ("throughput", throughput::measure),
    ("steering", steering::measure),
    ("observation", observation::measure),
    ("durability", durability::measure),
    ("visibility", visibility::measure),
    ("reordering", reordering::measure),
    ("getstatus", getstatus::measure),
    ("broker", broker::measure),
    ("forecast", forecast::measure),
    ("idle_memory", idle_memory::measure),
    ("stomp_codec", stomp_codec::measure),
    ("machines", machines::measure),
    ("dryrun", dryrun::measure),
    ("nicos", nicos::measure),
];

/// How often things are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    Quick,
    Full,
}

impl Effort {
    fn choose<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

fn main() {
    let quick = std::env::var_os("BEAMQ_BENCH_QUICK").is_some_and(|value| value != "0");
    let effort = if quick { Effort::Quick } else { Effort::Full };
    // What begins with a dash is meant for the harness that this program does without.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| !ALL.iter().any(|(known, _)| known == name)) {
        let known: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("no figures are called {unknown}; there are {}", known.join(", "));
        std::process::exit(2);
    }
    let mut table = Table::default();
    for (name, measure) in ALL {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            eprintln!("measuring {name} …");
            measure(effort, &mut table);
        }
    }
    table.print(effort == Effort::Quick);
}
