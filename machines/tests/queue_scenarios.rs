//! What the queue lets start, as conversations: everything that follows from each input is compared.

mod common;

use beamq_machines::{Policy, QueuePolicy};
use common::{conversation, conversation_with};

#[test]
fn jobs_run_one_after_the_other() {
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
        > engine 2 started
            fact job 2 started
            tell job 2 is running
        > engine 2 ended ok
            fact job 2 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 2
            cancel grace 2
            tell job 2 is succeeded
            tell queue is idle, waiting -, revision 3
    "#,
    );
}

#[test]
fn r3_a_failure_holds_the_queue() {
    let policy = Policy { after_failure: QueuePolicy::Hold, ..Policy::default() };
    conversation_with(
        policy,
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
        > engine 1 ended failed
            fact job 1 ended Failed (ValueError: no beam, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by beamq: job 1 (job 1) failed), waiting 2, revision 2
        > ann: queue release
            fact queue release_asked
            fact queue taken 2
            fact job 2 start_ordered
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
            answer queue busy
    "#,
    );
}

#[test]
fn r3_a_failure_lets_the_queue_go_on() {
    let policy = Policy { after_failure: QueuePolicy::Continue, ..Policy::default() };
    conversation_with(
        policy,
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
        > engine 1 ended failed
            fact job 1 ended Failed (ValueError: no beam, phase Run)
            fact queue active_ended
            fact queue taken 2
            fact job 2 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
    "#,
    );
}

#[test]
fn r3_an_abort_holds_the_queue() {
    let policy = Policy { after_abort: QueuePolicy::Hold, ..Policy::default() };
    conversation_with(
        policy,
        r#"
        # after_abort: QueuePolicy::Hold
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
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r3_an_abort_lets_the_queue_go_on() {
    let policy = Policy { after_abort: QueuePolicy::Continue, ..Policy::default() };
    conversation_with(
        policy,
        r#"
        # after_abort: QueuePolicy::Continue
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
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended
            fact queue taken 2
            fact job 2 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
    "#,
    );
}

#[test]
fn r3_the_queue_is_held_and_released_while_it_is_idle() {
    conversation(
        r#"
        > ann: queue hold lunch
            fact queue hold_asked, hold by ann: lunch
            tell queue is held (held by ann: lunch), waiting -, revision 0
            answer queue held
        > ann: queue hold
            refused wrong state: hold_asked when held: the queue is already held by ann: lunch (release it with queue.release)
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            tell job 1 is queued
            tell queue is held (held by ann: lunch), waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > ann: queue stop
            refused wrong state: stop_asked when held: the queue is already held: no job starts after the active one
        > ann: queue cancel_stop
            refused wrong state: stop_cancelled when held: no stop after the active job was asked for
        > ann: queue release
            fact queue release_asked
            fact queue taken 1
            fact job 1 start_ordered
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            tell job 1 is starting
            answer queue busy
        > ann: queue release
            refused wrong state: release_asked when busy: the queue is not held
    "#,
    );
}

#[test]
fn r3_the_queue_is_held_while_a_job_runs() {
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
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held with 1 (held by ann: asked to hold), waiting 2, revision 2
            answer queue held
        > ann: queue stop
            refused wrong state: stop_asked when held: the queue is already held: no job starts after the active one
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is held (held by ann: asked to hold), waiting 2, revision 2
        > ann: queue release
            fact queue release_asked
            fact queue taken 2
            fact job 2 start_ordered
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
            answer queue busy
    "#,
    );
}

#[test]
fn r3_the_queue_is_held_and_released_while_a_job_runs() {
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
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held with 1 (held by ann: asked to hold), waiting 2, revision 2
            answer queue held
        > ann: queue release
            fact queue release_asked
            tell queue is busy with 1, waiting 2, revision 2
            answer queue busy
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
    "#,
    );
}

#[test]
fn r3_the_queue_stops_after_the_active_job() {
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
        > ann: queue stop
            fact queue stop_asked by ann
            tell queue is draining with 1 (ann asked to stop after the active job), waiting 2, revision 2
            answer queue draining
        > ben: queue stop
            refused wrong state: stop_asked when draining: ann has already asked for that (take it back with queue.cancel_stop)
        > ann: queue release
            refused wrong state: release_asked when draining: the queue is not held yet: it will be when the active job ends (take that back with queue.cancel_stop)
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is held (held by ann: stopped after the job that was active), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r3_a_stop_is_cancelled() {
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
        > ann: queue stop
            fact queue stop_asked by ann
            tell queue is draining with 1 (ann asked to stop after the active job), waiting 2, revision 2
            answer queue draining
        > ann: queue cancel_stop
            fact queue stop_cancelled
            tell queue is busy with 1, waiting 2, revision 2
            answer queue busy
        > ann: queue cancel_stop
            refused wrong state: stop_cancelled when busy: no stop after the active job was asked for
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
    "#,
    );
}

#[test]
fn r3_a_stop_with_nothing_active_is_refused() {
    conversation(
        r#"
        > ann: queue stop
            refused wrong state: stop_asked when idle: no job is active (hold the queue instead (queue.hold))
        > ann: queue cancel_stop
            refused wrong state: stop_cancelled when idle: no stop after the active job was asked for
    "#,
    );
}

#[test]
fn r3_a_draining_queue_is_held_at_once_and_its_own_reason_outlasts_that_of_a_failure() {
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
        > ann: queue stop
            fact queue stop_asked by ann
            tell queue is draining with 1 (ann asked to stop after the active job), waiting 2, revision 2
            answer queue draining
        > ann: queue hold lunch
            fact queue hold_asked, hold by ann: lunch
            tell queue is held with 1 (held by ann: lunch), waiting 2, revision 2
            answer queue held
        > engine 1 ended failed
            fact job 1 ended Failed (ValueError: no beam, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by ann: lunch), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r3_the_reason_of_a_failure_while_the_queue_drains() {
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
        > ann: queue stop
            fact queue stop_asked by ann
            tell queue is draining with 1 (ann asked to stop after the active job), waiting 2, revision 2
            answer queue draining
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > engine 1 ended failed
            fact job 1 ended Failed (ValueError: no beam, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) failed
            cancel timeout 1
            cancel grace 1
            tell job 1 is failed
            tell queue is held (held by beamq: job 1 (job 1) failed), waiting 2, revision 2
    "#,
    );
}
