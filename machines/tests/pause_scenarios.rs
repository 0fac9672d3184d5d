//! How a job is paused and goes on, as conversations.

mod common;

use common::conversation;

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
fn r4_somebody_elses_pause_and_going_on_are_followed_and_nothing_is_ordered() {
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
        > engine 1 paused-elsewhere 15
            fact job 1 paused_elsewhere at line 15
            set reminder 1 in 600 s
            tell job 1 is paused
        > +1m engine 1 resumed-elsewhere
            fact job 1 resumed_elsewhere
            cancel reminder 1
            tell job 1 is running
        > engine 1 paused-elsewhere
            fact job 1 paused_elsewhere
            set reminder 1 in 600 s
            tell job 1 is paused
        > ann: resume
            fact job 1 resume_asked
            engine 1 resume
            cancel reminder 1
            tell job 1 is running
            answer run running
        > ann: pause line
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script; now at line 15
        > engine 1 paused-elsewhere 3
            fact job 1 paused_elsewhere at line 3
            set reminder 1 in 600 s
            tell job 1 is paused
        > engine 1 resumed-elsewhere
            fact job 1 resumed_elsewhere
            cancel reminder 1
            tell job 1 is running
        > engine 1 resumed-elsewhere
            turned down resumed_elsewhere in state running: this does not fit the state of the job
    "#,
    );
}
