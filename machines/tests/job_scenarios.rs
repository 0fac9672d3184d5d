//! The life of one job, as conversations: everything that follows from each input is compared.

mod common;

use std::time::Duration;

use beamq_machines::{CommandErrorPolicy, Policy};
use common::{conversation, conversation_with};

#[test]
fn a_job_runs_to_its_end() {
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
        > +90s engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting -, revision 2
    "#,
    );
}

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
            fact job 1 ended Failed (Aborted: aborted: wrong sample, phase Run)
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
fn r4_a_pause_at_a_line_and_going_on() {
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
        > engine 1 progress line=14 command=waitfor_uamps
        > ann: pause line
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script; now in waitfor_uamps, line 14
        > engine 1 paused 15
            fact job 1 paused at line 15
            set reminder 1 in 600 s
            tell job 1 is paused
        > +5m ann: resume
            fact job 1 resume_asked
            engine 1 resume
            cancel reminder 1
            tell job 1 is running
            answer run running
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting -, revision 2
    "#,
    );
}

#[test]
fn r4_the_level_of_a_pending_pause_can_be_changed_the_same_level_not_asked_twice() {
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
        > ann: pause point
            fact job 1 pause_asked point
            engine 1 pause point
            tell job 1 is pausing
            answer run pausing, acts at the next wait or pause point
        > ann: pause point
            refused wrong state: pause_asked when pausing: this pause is already pending (cancel it, ask for another level, or abort)
        > ann: pause now
            fact job 1 pause_asked now
            engine 1 pause now
            tell job 1 is pausing
            answer run pausing, acts at once, also inside a wait that polls
        > ann: skip
            refused wrong state: skip_asked when pausing: a pause is pending (cancel the pause first, or wait until the job is paused)
        > ann: resume
            refused wrong state: resume_asked when pausing: the job is not paused yet (cancel the pending pause instead (run.cancel_pause))
        > engine 1 paused
            fact job 1 paused
            set reminder 1 in 600 s
            tell job 1 is paused
    "#,
    );
}

#[test]
fn r4_a_pending_pause_is_cancelled() {
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
        > ann: pause point
            fact job 1 pause_asked point
            engine 1 pause point
            tell job 1 is pausing
            answer run pausing, acts at the next wait or pause point
        > ann: cancel_pause
            fact job 1 pause_cancelled
            engine 1 cancel pause
            tell job 1 is running
            answer run running
        > ann: cancel_pause
            refused wrong state: pause_cancelled when running: no pause is pending
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting -, revision 2
    "#,
    );
}

#[test]
fn r4_a_pause_that_took_effect_although_it_was_cancelled_is_undone() {
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
        > ann: cancel_pause
            fact job 1 pause_cancelled
            engine 1 cancel pause
            tell job 1 is running
            answer run running
        > engine 1 paused 7
            fact job 1 paused at line 7
            engine 1 resume
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting -, revision 2
    "#,
    );
}

#[test]
fn r4_the_same_while_a_skip_is_under_way() {
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
        > ann: cancel_pause
            fact job 1 pause_cancelled
            engine 1 cancel pause
            tell job 1 is running
            answer run running
        > ann: skip
            fact job 1 skip_asked
            engine 1 skip
            tell job 1 is skipping
            answer run skipping
        > engine 1 paused 7
            fact job 1 paused at line 7
            engine 1 resume
        > engine 1 skipped waitfor
            fact job 1 skipped waitfor
            tell job 1 is running
    "#,
    );
}

#[test]
fn r4_a_pause_asked_after_the_last_point_lets_the_job_finish_and_holds_the_queue() {
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
        > ann: pause point
            fact job 1 pause_asked point
            engine 1 pause point
            tell job 1 is pausing
            answer run pausing, acts at the next wait or pause point
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended, hold by beamq: job 1 (job 1) came to its end before the pause that was asked took effect
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is held (held by beamq: job 1 (job 1) came to its end before the pause that was asked took effect), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r4_a_pause_asked_before_the_first_line() {
    conversation(
        r#"
        > ann: submit 1 timeout=1h
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > engine 1 started
            fact job 1 started
            tell job 1 is pausing
            set timeout 1 in 3600 s
        > engine 1 paused 1
            fact job 1 paused at line 1
            set reminder 1 in 600 s
            tell job 1 is paused
        > ann: resume
            fact job 1 resume_asked
            engine 1 resume
            cancel reminder 1
            tell job 1 is running
            answer run running
    "#,
    );
}

#[test]
fn r4_a_pause_asked_and_cancelled_before_the_first_line_leaves_the_job_starting() {
    conversation(
        r#"
        > ann: submit 1 timeout=1h
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > ann: cancel_pause
            fact job 1 pause_cancelled
            engine 1 cancel pause
            tell job 1 is starting
            answer run starting
        > engine 1 started
            fact job 1 started
            tell job 1 is running
            set timeout 1 in 3600 s
        > +1h timer timeout 1
            fact job 1 timed_out
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
    "#,
    );
}

#[test]
fn a_pause_of_a_black_box_job_is_refused_in_each_state_an_abort_is_not() {
    conversation(
        r#"
        > ann: submit 1 black_box
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > ann: pause
            refused not pausable when starting: a black-box job is not pausable
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: pause now
            refused not pausable when running: a black-box job is not pausable
        > ann: skip
            refused wrong state: skip_asked when running: a black-box job has no waits that can be skipped (abort it, or let it finish)
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > ann: pause
            refused wrong state: pause_asked when aborting: the job is being aborted (a second abort presses harder)
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
fn r5_a_paused_job_can_be_resumed_skipped_or_aborted_and_nothing_else_and_no_other_job_starts() {
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
        > engine 1 paused 3
            fact job 1 paused at line 3
            set reminder 1 in 600 s
            tell job 1 is paused
        > ann: pause now
            refused wrong state: pause_asked when paused: the job is already paused (resume, skip or abort it)
        > ann: cancel_pause
            refused wrong state: pause_cancelled when paused: the pause has already taken effect (resume the job instead (run.resume))
        > ann: edit 1 name=other
            refused not waiting: [(JobId(1), "paused")]
        > ann: submit 2
            fact job 2 submitted "job 2" by ann
            fact queue inserted 2 at 0
            tell job 2 is queued
            tell queue is busy with 1, waiting 2, revision 3
            answer submitted 2 at 0, revision 3
        > ann: resume
            fact job 1 resume_asked
            engine 1 resume
            cancel reminder 1
            tell job 1 is running
            answer run running
        > ann: resume
            refused wrong state: resume_asked when running: the job is not paused
    "#,
    );
}

#[test]
fn r5_reminders_go_out_after_10_minutes_then_every_30() {
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
        > engine 1 paused 3
            fact job 1 paused at line 3
            set reminder 1 in 600 s
            tell job 1 is paused
        > +10m timer reminder 1
            fact job 1 reminder_due
            tell notice: job 1 has been paused for 10 min
            set reminder 1 in 1800 s
        > +30m timer reminder 1
            fact job 1 reminder_due
            tell notice: job 1 has been paused for 40 min
            set reminder 1 in 1800 s
        > +30m timer reminder 1
            fact job 1 reminder_due
            tell notice: job 1 has been paused for 70 min
            set reminder 1 in 1800 s
        > ann: resume
            fact job 1 resume_asked
            engine 1 resume
            cancel reminder 1
            tell job 1 is running
            answer run running
        > stale timer reminder 1
            turned down reminder_due in state running: this does not fit the state of the job
    "#,
    );
}

#[test]
fn r6_a_wait_is_skipped() {
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
        > ann: skip
            refused wrong state: skip_asked when starting: the script has not started (wait a moment, or abort it)
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > ann: skip
            fact job 1 skip_asked
            engine 1 skip
            tell job 1 is skipping
            answer run skipping
        > ann: skip
            refused wrong state: skip_asked when skipping: a skip is already under way
        > ann: resume
            refused wrong state: resume_asked when skipping: the job is not paused and no pause is pending
        > engine 1 skipped waitfor_uamps
            fact job 1 skipped waitfor_uamps
            tell job 1 is running
    "#,
    );
}

#[test]
fn r6_a_skip_finds_nothing_to_skip() {
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
        > engine 1 skipped
            fact job 1 skipped
            tell notice: job 1 was in no wait
            tell job 1 is running
    "#,
    );
}

#[test]
fn r6_a_paused_job_goes_on_by_a_skip() {
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
        > ann: pause now
            fact job 1 pause_asked now
            engine 1 pause now
            tell job 1 is pausing
            answer run pausing, acts at once, also inside a wait that polls
        > engine 1 paused
            fact job 1 paused
            set reminder 1 in 600 s
            tell job 1 is paused
        > +1m ann: skip
            fact job 1 skip_asked
            cancel reminder 1
            engine 1 skip
            tell job 1 is skipping
            answer run skipping
        > engine 1 skipped waitfor
            fact job 1 skipped waitfor
            tell job 1 is running
    "#,
    );
}

#[test]
fn r6_a_pause_asked_during_a_skip_waits_for_it() {
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
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > engine 1 skipped
            fact job 1 skipped
            tell notice: job 1 was in no wait
        > engine 1 paused 9
            fact job 1 paused at line 9
            set reminder 1 in 600 s
            tell job 1 is paused
    "#,
    );
}

#[test]
fn r6_a_skip_whose_pause_was_taken_back() {
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
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > ann: cancel_pause
            fact job 1 pause_cancelled
            engine 1 cancel pause
            tell job 1 is running
            answer run running
        > engine 1 skipped waitfor
            fact job 1 skipped waitfor
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting -, revision 2
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

#[test]
fn a_job_waits_for_its_time() {
    conversation(
        r#"
        > ann: submit 1 not_before=60s
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            set not_before 1 at 60 s
            tell job 1 is queued
            tell queue is idle, waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > ann: submit 2
            fact job 2 submitted "job 2" by ann
            fact queue inserted 2 at 1
            fact queue taken 2
            fact job 2 start_ordered
            tell job 2 is starting
            tell queue is busy with 2, waiting 1, revision 3
            engine 2 start
            answer submitted 2 at 1, revision 3
        > engine 2 started
            fact job 2 started
            tell job 2 is running
        > +60s timer not_before 1
        > engine 2 ended ok
            fact job 2 ended Succeeded
            fact queue active_ended
            fact queue taken 1
            fact job 1 start_ordered
            cancel timeout 2
            cancel grace 2
            tell job 2 is succeeded
            tell queue is busy with 1, waiting -, revision 4
            engine 1 start
            cancel not_before 1
            tell job 1 is starting
    "#,
    );
}

#[test]
fn a_timer_that_fires_too_early_is_set_again() {
    conversation(
        r#"
        > ann: submit 1 not_before=60s deadline=120s
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            set not_before 1 at 60 s
            set deadline 1 at 120 s
            tell job 1 is queued
            tell queue is idle, waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > +59s stale timer not_before 1
            set not_before 1 at 60 s
        > stale timer deadline 1
            set deadline 1 at 120 s
        > +1s timer not_before 1
            fact queue taken 1
            fact job 1 start_ordered
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            cancel not_before 1
            cancel deadline 1
            tell job 1 is starting
    "#,
    );
}

#[test]
fn an_edit_takes_the_start_time_away_and_the_job_starts() {
    conversation(
        r#"
        > ann: submit 1 not_before=60s
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            set not_before 1 at 60 s
            tell job 1 is queued
            tell queue is idle, waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > ann: edit 1 at_any_time
            fact job 1 edited "job 1"
            fact queue amended
            fact queue taken 1
            fact job 1 start_ordered
            cancel not_before 1
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 3
            engine 1 start
            answer edited 1, revision 3
    "#,
    );
}

#[test]
fn a_job_expires_at_its_deadline() {
    conversation(
        r#"
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held (held by ann: asked to hold), waiting -, revision 0
            answer queue held
        > ann: submit 1 2 deadline=60s
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact queue inserted 1 2 at 0
            set deadline 1 at 60 s
            tell job 1 is queued
            set deadline 2 at 60 s
            tell job 2 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2, revision 1
            answer submitted 1 2 at 0, revision 1
        > ann: hold 2
            fact job 2 hold_asked
            fact queue amended
            tell job 2 is held
            tell queue is held (held by ann: asked to hold), waiting 1 2, revision 2
            answer edited 2, revision 2
        > +60s timer deadline 1
            fact job 1 deadline_passed
            fact queue withdrawn 1
            cancel deadline 1
            tell job 1 is expired
            tell queue is held (held by ann: asked to hold), waiting 2, revision 3
        > timer deadline 2
            fact job 2 deadline_passed
            fact queue withdrawn 2
            cancel deadline 2
            tell job 2 is expired
            tell queue is held (held by ann: asked to hold), waiting -, revision 4
        > stale timer deadline 2
            turned down deadline_passed in state ended: job 2 is not on the queue
    "#,
    );
}

#[test]
fn a_deadline_does_not_touch_a_job_that_has_started() {
    conversation(
        r#"
        > ann: submit 1 deadline=60s
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            set deadline 1 at 60 s
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            cancel deadline 1
            answer submitted 1 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > +60s stale timer deadline 1
            turned down deadline_passed in state running: this does not fit the state of the job
    "#,
    );
}

#[test]
fn a_job_whose_deadline_has_passed_does_not_start() {
    conversation(
        r#"
        > +60s ann: submit 1 deadline=30s
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact job 1 deadline_passed
            fact queue withdrawn 1
            set deadline 1 at 30 s
            tell job 1 is expired
            tell queue is idle, waiting -, revision 2
            cancel deadline 1
            answer submitted 1 at 0, revision 2
        > ann: submit 2
            fact job 2 submitted "job 2" by ann
            fact queue inserted 2 at 0
            fact queue taken 2
            fact job 2 start_ordered
            tell job 2 is starting
            tell queue is busy with 2, waiting -, revision 4
            engine 2 start
            answer submitted 2 at 0, revision 4
        > engine 2 started
            fact job 2 started
            tell job 2 is running
    "#,
    );
}

#[test]
fn a_failed_start() {
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
        > engine 1 ended failed
            fact job 1 ended Failed (ValueError: no beam, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by beamq: job 1 (job 1) failed), waiting -, revision 2
    "#,
    );
}

#[test]
fn what_an_engine_says_of_a_job_that_has_ended_changes_nothing() {
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
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue taken 2
            fact job 2 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
        > engine 1 started
            turned down started in state ended: job 1 is not on the queue
        > engine 1 paused 99
            turned down paused in state ended: job 1 is not on the queue
        > engine 1 skipped
            turned down skipped in state ended: job 1 is not on the queue
        > engine 1 asks 3
        > engine 1 progress percent=50
        > engine 1 ended failed
            turned down ended in state ended: job 1 is not on the queue
        > engine 1 lost the worker is gone
            turned down interrupted in state ended: job 1 is not on the queue
        > stale timer grace 1
            turned down grace_expired in state ended: job 1 is not on the queue
        > stale timer timeout 1
            turned down timed_out in state ended: job 1 is not on the queue
    "#,
    );
}

#[test]
fn what_an_engine_says_too_early_or_twice_is_turned_down() {
    conversation(
        r#"
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held (held by ann: asked to hold), waiting -, revision 0
            answer queue held
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            tell job 1 is queued
            tell queue is held (held by ann: asked to hold), waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > engine 1 started
            turned down started in state queued: the job has not started
        > engine 1 ended ok
            turned down ended in state queued: the job has not started
        > ann: queue release
            fact queue release_asked
            fact queue taken 1
            fact job 1 start_ordered
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            tell job 1 is starting
            answer queue busy
        > engine 1 skipped
            turned down skipped in state starting: this does not fit the state of the job
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > engine 1 started
            turned down started in state running: this does not fit the state of the job
        > engine 1 skipped
            fact job 1 skipped
            tell notice: job 1 was in no wait
        > stale timer grace 1
            turned down grace_expired in state running: this does not fit the state of the job
        > stale timer reminder 1
            turned down reminder_due in state running: this does not fit the state of the job
    "#,
    );
}

#[test]
fn r14_errors_that_a_library_swallowed_mark_the_job() {
    let policy = Policy { command_errors: CommandErrorPolicy::Mark, ..Policy::default() };
    conversation_with(
        policy,
        r#"
        # command_errors: CommandErrorPolicy::Mark
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
        > engine 1 ended with_errors
            fact job 1 ended SucceededWithErrors (: , phase Run)
            fact queue active_ended
            fact queue taken 2
            fact job 2 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded_with_errors
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
    "#,
    );
}

#[test]
fn r14_errors_that_a_library_swallowed_fail_the_job() {
    let policy = Policy { command_errors: CommandErrorPolicy::Fail, ..Policy::default() };
    conversation_with(
        policy,
        r#"
        # command_errors: CommandErrorPolicy::Fail
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
        > engine 1 ended with_errors
            fact job 1 ended Failed (CommandErrors: commands failed and the script went on: cset, phase Run; the errors are listed with the commands that failed)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by beamq: job 1 (job 1) failed), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r14_errors_that_a_library_swallowed_are_ignored() {
    let policy = Policy { command_errors: CommandErrorPolicy::Ignore, ..Policy::default() };
    conversation_with(
        policy,
        r#"
        # command_errors: CommandErrorPolicy::Ignore
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
        > engine 1 ended with_errors
            fact job 1 ended Succeeded (: , phase Run)
            fact queue active_ended
            fact queue taken 2
            fact job 2 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
    "#,
    );
}

#[test]
fn a_question_is_answered() {
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
        > engine 1 asks 5 choices=["A","B"] default="A"
            set prompt 5 in 600 s
            tell prompt 5 is open until 600 s
        > ann: answer 4 "A"
            refused no prompt 4, open is Some(PromptId(5))
        > ann: answer 5 "C"
            refused not a choice of [String("A"), String("B")]
        > bob/user: answer 5 "A"
            refused forbidden: job 1 belongs to ann, and a user controls only their own jobs; needs scientist
        > ann: answer 5 "B"
            cancel prompt 5
            tell prompt 5 is settled: answered
            engine 1 answer 5 "B"
            answer done
        > ann: answer 5 "B"
            refused no prompt 5, open is None
        > stale timer prompt 5
    "#,
    );
}

#[test]
fn a_question_times_out_and_has_a_default() {
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
        > engine 1 asks 5 default="A"
            set prompt 5 in 600 s
            tell prompt 5 is open until 600 s
        > +10m timer prompt 5
            cancel prompt 5
            tell prompt 5 is settled: timed out
            engine 1 answer 5 "A"
    "#,
    );
}

#[test]
fn a_question_times_out_without_a_default() {
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
        > engine 1 asks 5 timeout=30s
            set prompt 5 in 30 s
            tell prompt 5 is open until 30 s
        > +30s timer prompt 5
            cancel prompt 5
            tell prompt 5 is settled: timed out
            engine 1 no answer 5
        > engine 1 ended failed
            fact job 1 ended Failed (ValueError: no beam, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by beamq: job 1 (job 1) failed), waiting -, revision 2
    "#,
    );
}

#[test]
fn a_question_ends_with_its_job() {
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
        > engine 1 asks 5
            set prompt 5 in 600 s
            tell prompt 5 is open until 600 s
        > ann: abort
            fact job 1 abort_asked
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
            cancel prompt 5
            tell prompt 5 is settled: withdrawn
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
        > ann: answer 5 "A"
            refused no prompt 5, open is None
    "#,
    );
}

#[test]
fn a_second_question_takes_the_place_of_the_first_which_gets_its_default() {
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
        > engine 1 asks 5 default="A"
            set prompt 5 in 600 s
            tell prompt 5 is open until 600 s
        > engine 1 asks 6
            cancel prompt 5
            tell prompt 5 is settled: withdrawn
            engine 1 answer 5 "A"
            set prompt 6 in 600 s
            tell prompt 6 is open until 600 s
        > ann: answer 6 "B"
            cancel prompt 6
            tell prompt 6 is settled: answered
            engine 1 answer 6 "B"
            answer done
    "#,
    );
}
