//! The program as people use it: the real server process, real CPython, real sockets, and clients as
//! anybody would write them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::large_futures, reason = "a test's future lives once")]

mod abort;
mod access;
mod activemq;
mod activemq_away;
mod activemq_examples;
mod activemq_redelivery;
mod activemq_restart;
mod activemq_trust;
mod activemq_two;
mod bad_input;
mod broker;
mod catalogue;
mod catalogue_mistakes;
mod catalogue_verdicts;
mod cli_connection;
mod cli_demo;
mod cli_queue;
mod cli_running;
mod cli_submitting;
mod client_library;
mod conversations;
mod crash;
mod crowd;
mod documents;
mod dry_run;
mod dry_run_policy;
mod engine_python;
mod forecast;
mod forecast_background;
mod harness;
mod http;
mod installed;
mod instrument_calls;
mod instrument_jobs;
mod instrument_python;
mod java;
mod limits;
mod nicos_commands;
mod nicos_connection;
mod nicos_daemon;
mod nicos_dry_run;
mod nicos_engine;
mod nicos_loads;
mod nicos_others;
mod nicos_sessions;
mod nicos_trouble;
mod output;
mod proxy;
mod queue;
mod raw;
mod reports;
mod script_agreement;
mod script_check;
mod script_mistakes;
mod startup;
mod steering;
mod support;
