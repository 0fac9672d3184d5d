//! The life of one job, as conversations: everything that follows from each input is compared.

mod common;

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
