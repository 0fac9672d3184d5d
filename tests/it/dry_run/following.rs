//! Simulations that follow on each other.

use std::{fs, time::Duration};

use tokio::time::{Instant, sleep};

use super::fixture::{Fixture, expected};
use crate::harness::{DEADLINE, children, eventually};

/// A script that takes as many seconds as its process began hundredths of a second after the machine, of the last
/// million.
const BEGAN: &str = "\
import time
with open('/proc/self/stat') as stat:
    began = stat.read().rpartition(')')[2].split()[19]
time.sleep(int(began) % 1_000_000)
";

/// The same of now.
fn now() -> f64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    (seconds * 100.0) % 1e6
}

#[tokio::test]
async fn the_interpreter_of_the_next_script_is_started_beside_the_present_one_and_ended_if_none_comes() {
    let fixture = Fixture::new();
    let give_up = Instant::now() + DEADLINE;
    loop {
        let asked = now();
        let began = expected(&fixture.good(BEGAN).await);
        // The first and the second begin when they are asked for.
        let ahead = (asked - began).rem_euclid(1e6);
        if (5.0..1e5).contains(&ahead) {
            break;
        }
        assert!(Instant::now() < give_up, "each interpreter is started when its script is there");
        sleep(Duration::from_millis(100)).await;
    }
    eventually("no interpreter waits any more", || children(std::process::id()) == 0).await;
}

#[tokio::test]
async fn an_interpreter_that_was_started_for_another_catalogue_is_not_taken() {
    let settle = |seconds: u32| {
        format!(
            "catalogue: 1\ncommands:\n  settle:\n    summary: Settles.\n    implementation: lab:settle\n    estimate: {seconds}\n"
        )
    };
    let (one, other) = (Fixture::with(&settle(7), &[]), Fixture::with(&settle(11), &[]));
    let source = "from beamq.commands import *\nsettle()\n";
    for _ in 0..3 {
        assert_eq!(expected(&one.good(source).await), 7.0);
    }
    let mut wish = one.wish(source);
    wish.catalogue = other.catalogue;
    assert_eq!(expected(&one.simulator.simulate(wish).await.report), 11.0);
}

#[test]
fn an_interpreter_does_not_outlive_the_runtime_that_talks_to_it() {
    let fixture = Fixture::new();
    for _ in 0..4 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(fixture.good("import time\ntime.sleep(3)\n"));
        assert_eq!(expected(&report), 3.0);
    }
}
