//! How a job is ended, by somebody or by its time limit, as conversations.

mod common;

use std::time::Duration;

use beamq_machines::Policy;
use common::{conversation, conversation_with};

#[test]
fn r2_an_abort_of_a_running_job_asks_then_terminates_then_kills() {
    conversation(
        r#"
        > ann: submit 1 2
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact queue inserted 1 2 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell job 2 is queued
            tell queue is busy with 1, waiting 2, revision 2
            engine 1 start
            answer submitted 1 2 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: abort wrong sample
            fact job 1 abort_asked: wrong sample
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > +2s timer grace 1
            fact job 1 grace_expired
            engine 1 abort terminate
            set grace 1 in 3 s
            tell job 1 is aborting
        > +3s timer grace 1
            fact job 1 grace_expired
            engine 1 abort kill
            cancel grace 1
            tell job 1 is aborting
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: wrong sample, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r2_a_second_abort_is_stronger_a_third_one_stronger_still_a_fourth_says_that_all_is_done() {
    conversation(
        r#"
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort terminate
            set grace 1 in 3 s
            tell job 1 is aborting
            answer run aborting
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort kill
            cancel grace 1
            tell job 1 is aborting
            answer run aborting
        > ann: abort
            refused wrong state: abort_asked when aborting: the job's processes have already been killed (it ends as soon as the system has taken them down)
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
    "#,
    );
}

#[test]
fn r2_an_abort_before_the_first_line() {
    conversation(
        r#"
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        # The start may be reported afterwards; the job goes on ending.
        > engine 1 started
            fact job 1 started
            tell job 1 is aborting
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
    "#,
    );
}

#[test]
fn r2_an_abort_of_a_pausing_job() {
    conversation(
        r#"
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        # The script stopped just before it heard of the abort.
        > engine 1 paused 4
            fact job 1 paused at line 4
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
    "#,
    );
}

#[test]
fn r2_an_abort_of_a_paused_job() {
    conversation(
        r#"
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > engine 1 paused 4
            fact job 1 paused at line 4
            set reminder 1 in 600 s
            tell job 1 is paused
        > +60s ann: abort
            fact job 1 abort_asked
            cancel reminder 1
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
    "#,
    );
}

#[test]
fn r2_an_abort_of_a_skipping_job() {
    conversation(
        r#"
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: skip
            fact job 1 skip_asked
            engine 1 skip
            tell job 1 is skipping
            answer run skipping
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > engine 1 skipped waitfor
            fact job 1 skipped waitfor
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
    "#,
    );
}

#[test]
fn nothing_else_can_be_asked_of_a_job_that_is_being_aborted() {
    conversation(
        r#"
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > ann: pause
            refused wrong state: pause_asked when aborting: the job is being aborted (a second abort presses harder)
        > ann: cancel_pause
            refused wrong state: pause_cancelled when aborting: the job is being aborted (a second abort presses harder)
        > ann: resume
            refused wrong state: resume_asked when aborting: the job is being aborted (a second abort presses harder)
        > ann: skip
            refused wrong state: skip_asked when aborting: the job is being aborted (a second abort presses harder)
        > ann: edit 1 name=other
            refused not waiting: [(JobId(1), "aborting")]
        > ann: hold 1
            refused not waiting: [(JobId(1), "aborting")]
        > ann: remove 1
            refused not waiting: [(JobId(1), "aborting")]
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort terminate
            set grace 1 in 3 s
            tell job 1 is aborting
            answer run aborting
    "#,
    );
}

#[test]
fn a_time_limit_ends_the_job_as_failed_and_killed_with_its_own_report() {
    conversation(
        r#"
        > ann: submit 1 timeout=2h
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
            set timeout 1 in 7200 s
        > +2h timer timeout 1
            fact job 1 timed_out
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
        > +2s timer grace 1
            fact job 1 grace_expired
            engine 1 abort terminate
            set grace 1 in 3 s
            tell job 1 is aborting
        > +3s timer grace 1
            fact job 1 grace_expired
            engine 1 abort kill
            cancel grace 1
            tell job 1 is aborting
        > engine 1 ended failed
            fact job 1 ended Failed (TimeoutError: the job ran longer than its time limit of 7200 s, phase Killed; give the job a longer timeout, or make it shorter)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by beamq: job 1 (job 1) failed), waiting -, revision 2
    "#,
    );
}

#[test]
fn a_time_limit_counts_pauses_and_a_script_that_ends_by_itself_meanwhile_has_still_failed() {
    conversation(
        r#"
        > ann: submit 1 timeout=2h
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
            set timeout 1 in 7200 s
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > engine 1 paused 3
            fact job 1 paused at line 3
            set reminder 1 in 600 s
            tell job 1 is paused
        > +2h timer timeout 1
            fact job 1 timed_out
            cancel reminder 1
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
        > engine 1 ended ok
            fact job 1 ended Succeeded (TimeoutError: the job ran longer than its time limit of 7200 s, phase Killed; give the job a longer timeout, or make it shorter)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by beamq: job 1 (job 1) failed), waiting -, revision 2
    "#,
    );
}

#[test]
fn the_time_limit_of_the_configuration() {
    let policy = Policy { job_timeout: Some(Duration::from_secs(60)), ..Policy::default() };
    conversation_with(
        policy,
        r#"
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
            set timeout 1 in 60 s
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > +60s timer timeout 1
            fact job 1 timed_out
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
    "#,
    );
}
