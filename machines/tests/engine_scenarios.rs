//! What the queue does when the engine is away, as conversations.

mod common;

use common::conversation;

#[test]
fn the_engine_is_away_while_the_queue_is_idle() {
    conversation(
        r#"
        > engine unavailable no python
            fact queue engine_lost: no python
            tell queue is blocked (no python), waiting -, revision 0
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            tell job 1 is queued
            tell queue is blocked (no python), waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > engine unavailable no python
        > engine unavailable no disk
            fact queue engine_lost: no disk
            tell queue is blocked (no disk), waiting 1, revision 1
        > ann: queue stop
            refused wrong state: stop_asked when blocked: the queue is blocked: no disk (hold it instead (queue.hold))
        > ann: queue release
            refused wrong state: release_asked when blocked: the queue is blocked, not held: no disk (it goes on by itself when the engine is back)
        > engine available
            fact queue engine_back
            fact queue taken 1
            fact job 1 start_ordered
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            tell job 1 is starting
        > engine available
    "#,
    );
}

#[test]
fn the_engine_is_away_while_a_job_runs_and_takes_it_along() {
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
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked with 1 (connection lost), waiting 2, revision 2
        > engine 1 lost the connection to the engine was lost
            fact job 1 interrupted: the connection to the engine was lost
            fact queue active_ended, hold by beamq: job 1 (job 1) was interrupted
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is blocked (connection lost), waiting 2, revision 2
        > engine available
            fact queue engine_back
            tell queue is held (held by beamq: job 1 (job 1) was interrupted), waiting 2, revision 2
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
fn the_engine_is_away_while_a_job_runs_and_comes_back_with_it() {
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
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked with 1 (connection lost), waiting 2, revision 2
        > engine available
            fact queue engine_back
            tell queue is busy with 1, waiting 2, revision 2
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
fn a_job_that_ends_well_while_the_engine_is_away_does_not_hold_the_queue() {
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
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked with 1 (connection lost), waiting 2, revision 2
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is blocked (connection lost), waiting 2, revision 2
        > engine available
            fact queue engine_back
            fact queue taken 2
            fact job 2 start_ordered
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
    "#,
    );
}

#[test]
fn the_engine_is_away_while_the_queue_drains() {
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
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked with 1 (connection lost), waiting 2, revision 2
        > engine available
            fact queue engine_back
            tell queue is held with 1 (held by ann: stopped after the job that was active), waiting 2, revision 2
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
fn the_engine_is_away_while_the_queue_is_held() {
    conversation(
        r#"
        > ann: queue hold lunch
            fact queue hold_asked, hold by ann: lunch
            tell queue is held (held by ann: lunch), waiting -, revision 0
            answer queue held
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked (connection lost), waiting -, revision 0
        > ann: queue hold
            refused wrong state: hold_asked when blocked: the queue is already held by ann: lunch
        > engine available
            fact queue engine_back
            tell queue is held (held by ann: lunch), waiting -, revision 0
    "#,
    );
}

#[test]
fn the_queue_is_held_and_released_while_the_engine_is_away() {
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
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked with 1 (connection lost), waiting -, revision 2
        > ann: queue hold lunch
            fact queue hold_asked, hold by ann: lunch
            tell queue is blocked with 1 (connection lost), waiting -, revision 2
            answer queue blocked
        > ann: queue release
            fact queue release_asked
            tell queue is blocked with 1 (connection lost), waiting -, revision 2
            answer queue blocked
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is blocked (connection lost), waiting -, revision 2
        > ann: submit 2
            fact job 2 submitted "job 2" by ann
            fact queue inserted 2 at 0
            tell job 2 is queued
            tell queue is blocked (connection lost), waiting 2, revision 3
            answer submitted 2 at 0, revision 3
        > engine available
            fact queue engine_back
            fact queue taken 2
            fact job 2 start_ordered
            tell queue is busy with 2, waiting -, revision 4
            engine 2 start
            tell job 2 is starting
    "#,
    );
}

#[test]
fn a_pause_that_is_pending_when_the_engine_loses_the_job() {
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
        > ann: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > engine 1 lost the worker was killed
            fact job 1 interrupted: the worker was killed
            fact queue active_ended, hold by beamq: job 1 (job 1) was interrupted
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: job 1 (job 1) was interrupted), waiting 2, revision 2
    "#,
    );
}
