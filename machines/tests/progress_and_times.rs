//! What clients see of the running job: how far it is, how long it ran, how long it stood still.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use beamq_machines::{
    Basis, JobId, Policy, Progress, Timestamp,
    core::{EngineNotice, Input, LastSeen},
    job::Job,
};
use common::{Conversation, parse};

const ONE: JobId = JobId(1);

fn talk(lines: &[&str]) -> Conversation {
    let mut talk = Conversation::new(Policy::default());
    for line in lines {
        parse::step(&mut talk, line);
    }
    talk
}

fn report(talk: &mut Conversation, job: JobId, percent: Option<f64>, basis: Basis) -> (Option<f64>, Basis) {
    let progress = Progress { percent, basis, ..Progress::default() };
    talk.input(Input::Engine(job, EngineNotice::Progress(progress)));
    (talk.core.progress().percent, talk.core.progress().basis)
}

fn seconds(job: &Job, talk: &Conversation) -> (u64, u64) {
    (job.wall_time(talk.now).unwrap().as_secs(), job.active_time(talk.now).unwrap().as_secs())
}

#[test]
fn the_percentage_never_falls_and_is_below_100_while_the_job_runs() {
    let mut talk = talk(&["ann: submit 1", "engine 1 started"]);
    assert_eq!(report(&mut talk, ONE, Some(-3.0), Basis::Tags), (Some(0.0), Basis::Tags));
    assert_eq!(report(&mut talk, ONE, Some(40.0), Basis::Tags), (Some(40.0), Basis::Tags));
    assert_eq!(report(&mut talk, ONE, Some(30.0), Basis::Tags), (Some(40.0), Basis::Tags));
    assert_eq!(report(&mut talk, ONE, Some(100.0), Basis::Tags), (Some(99.9), Basis::Tags));
}

#[test]
fn an_unknown_percentage_is_never_shown_as_0_and_a_known_one_keeps_its_basis() {
    let mut talk = talk(&["ann: submit 1", "engine 1 started"]);
    assert_eq!(report(&mut talk, ONE, None, Basis::Unknown), (None, Basis::Unknown));
    assert_eq!(report(&mut talk, ONE, Some(f64::NAN), Basis::Loop).0, None);
    assert_eq!(report(&mut talk, ONE, Some(40.0), Basis::Loop), (Some(40.0), Basis::Loop));
    assert_eq!(report(&mut talk, ONE, None, Basis::Unknown), (Some(40.0), Basis::Loop));
    assert_eq!(report(&mut talk, ONE, Some(f64::NAN), Basis::Loop), (Some(40.0), Basis::Loop));
}

#[test]
fn the_next_job_begins_with_nothing_known_and_hears_nothing_of_another() {
    let mut talk = talk(&["ann: submit 1 2", "engine 1 started", "engine 1 progress percent=50 line=9"]);
    parse::step(&mut talk, "engine 1 ended ok");
    assert_eq!(talk.core.progress(), &Progress::default());
    parse::step(&mut talk, "engine 1 paused 12");
    assert_eq!(report(&mut talk, ONE, Some(60.0), Basis::Tags), (None, Basis::Unknown));
    assert_eq!(talk.core.progress().line, None);
}

#[test]
fn a_pause_counts_as_wall_time_and_not_as_active_time() {
    let mut talk = talk(&["ann: submit 1", "+5s engine 1 started", "+10s ann: pause", "engine 1 paused 2"]);
    talk.now = talk.now.after(Duration::from_secs(100));
    assert_eq!(seconds(talk.core.job(ONE).unwrap(), &talk), (110, 10), "while it stands still");
    for line in ["ann: resume", "+10s ann: pause", "engine 1 paused 3", "+50s ann: skip", "engine 1 skipped"]
    {
        parse::step(&mut talk, line);
    }
    assert_eq!(seconds(talk.core.job(ONE).unwrap(), &talk), (170, 20), "after two pauses");
    parse::step(&mut talk, "+7s engine 1 ended ok");
    talk.now = talk.now.after(Duration::from_secs(1000));
    assert_eq!(seconds(&talk.ended[&ONE], &talk), (177, 27), "after its end");
}

#[test]
fn an_abort_ends_the_standing_still() {
    let mut talk = talk(&["ann: submit 1", "engine 1 started", "ann: pause", "engine 1 paused 2"]);
    for line in ["+60s ann: abort", "+2s engine 1 ended failed"] {
        parse::step(&mut talk, line);
    }
    assert_eq!(seconds(&talk.ended[&ONE], &talk), (62, 2), "what `finally` blocks took is active time");
}

/// A job that ran from the first second on, and a server that is back after two hours.
fn interrupted(before: &[&str], last_seen: Option<Duration>) -> Conversation {
    let mut talk = talk(&["ann: submit 1", "engine 1 started"]);
    for line in before {
        parse::step(&mut talk, line);
    }
    let at = last_seen.map(|after| common::BEGIN.after(after));
    talk.crash();
    talk.now = common::BEGIN.after(Duration::from_secs(7200));
    talk.input(Input::Restarted(LastSeen { at, output_tail: vec!["point 7".into()] }));
    talk
}

#[test]
fn r9_the_time_in_which_no_server_ran_is_not_part_of_an_interrupted_job() {
    let ended = |talk: &Conversation| -> Timestamp { talk.ended[&ONE].finished_at.unwrap() };
    let talk = interrupted(&[], Some(Duration::from_secs(90)));
    assert_eq!(ended(&talk), common::BEGIN.after(Duration::from_secs(90)));
    assert_eq!(seconds(&talk.ended[&ONE], &talk), (90, 90));
    let report = talk.ended[&ONE].report.as_ref().unwrap();
    assert_eq!((report.elapsed_s, &report.output_tail[..]), (90.0, &["point 7".to_owned()][..]));
    // A pause that was committed later than the last sign of life is the last sign of life.
    let paused = ["+100s ann: pause", "engine 1 paused 3"];
    let talk = interrupted(&paused, Some(Duration::from_secs(90)));
    assert_eq!(seconds(&talk.ended[&ONE], &talk), (100, 100));
    let talk = interrupted(&paused, Some(Duration::from_secs(110)));
    assert_eq!(seconds(&talk.ended[&ONE], &talk), (110, 100));
    // Clocks can be wrong: nothing ends before it began or in the future.
    let talk = interrupted(&[], Some(Duration::from_secs(9000)));
    assert_eq!(ended(&talk), talk.now);
    let talk = interrupted(&[], None);
    assert_eq!(ended(&talk), talk.now, "nobody knows better");
}
