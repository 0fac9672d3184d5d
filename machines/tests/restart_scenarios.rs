//! What a restart and a stop of the server mean in every state, as conversations.

mod common;

use beamq_machines::{Policy, QueuePolicy};
use common::{conversation, conversation_with};

#[test]
fn r9_a_restart_while_nothing_waits() {
    conversation(
        r#"
        # r9 a restart while nothing waits
        > restarted
    "#,
    );
}

#[test]
fn r9_a_restart_while_jobs_wait() {
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
        > ann: queue release
            fact queue release_asked
            fact queue taken 1
            fact job 1 start_ordered
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            tell job 1 is starting
            answer queue busy
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting -, revision 2
        > ann: submit 2 3 not_before=60s
            fact job 2 submitted "job 2" by ann
            fact job 3 submitted "job 3" by ann
            fact queue inserted 2 3 at 0
            set not_before 2 at 60 s
            tell job 2 is queued
            set not_before 3 at 60 s
            tell job 3 is queued
            tell queue is idle, waiting 2 3, revision 3
            answer submitted 2 3 at 0, revision 3
        > crash
        > restarted
            fact queue hold_asked, hold by beamq: the server was restarted
            tell queue is held (held by beamq: the server was restarted), waiting 2 3, revision 3
            set not_before 2 at 60 s
            set not_before 3 at 60 s
        > ann: queue release
            fact queue release_asked
            tell queue is idle, waiting 2 3, revision 3
            answer queue idle
        > +60s timer not_before 2
            fact queue taken 2
            fact job 2 start_ordered
            tell queue is busy with 2, waiting 3, revision 4
            engine 2 start
            cancel not_before 2
            tell job 2 is starting
    "#,
    );
}

#[test]
fn r9_a_restart_while_a_job_starts() {
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
        > crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r9_a_restart_while_a_job_runs() {
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
        > +60s crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
        > engine 1 ended ok
            turned down ended in state ended: job 1 is not on the queue
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
fn r9_a_restart_while_a_job_is_pausing() {
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
        > crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r9_a_restart_while_a_job_is_paused() {
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
        > engine 1 paused 3
            fact job 1 paused at line 3
            set reminder 1 in 600 s
            tell job 1 is paused
        > crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            cancel reminder 1
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r9_a_restart_while_a_job_is_skipping() {
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
        > ann: skip
            fact job 1 skip_asked
            engine 1 skip
            tell job 1 is skipping
            answer run skipping
        > crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r9_a_restart_while_a_job_is_aborting() {
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
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r9_a_restart_while_the_queue_drains() {
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
        > crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r9_a_restart_while_the_queue_is_held() {
    conversation(
        r#"
        > ann: queue hold lunch
            fact queue hold_asked, hold by ann: lunch
            tell queue is held (held by ann: lunch), waiting -, revision 0
            answer queue held
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            tell job 1 is queued
            tell queue is held (held by ann: lunch), waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > crash
        > restarted
    "#,
    );
}

#[test]
fn r9_a_restart_while_the_queue_is_blocked() {
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
        > crash
        > restarted
            fact queue engine_back
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended, hold by beamq: the server was restarted while job 1 was running
            tell queue is held (held by beamq: the server was restarted while job 1 was running), waiting 2, revision 2
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked (connection lost), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r9_a_restart_while_the_queue_is_blocked_and_nothing_is_active() {
    conversation(
        r#"
        > engine unavailable connection lost
            fact queue engine_lost: connection lost
            tell queue is blocked (connection lost), waiting -, revision 0
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            tell job 1 is queued
            tell queue is blocked (connection lost), waiting 1, revision 1
            answer submitted 1 at 0, revision 1
        > crash
        > restarted
            fact queue engine_back
            fact queue hold_asked, hold by beamq: the server was restarted
            tell queue is held (held by beamq: the server was restarted), waiting 1, revision 1
    "#,
    );
}

#[test]
fn r9_a_restart_lets_the_queue_go_on_if_the_configuration_says_so() {
    let policy = Policy { after_restart: QueuePolicy::Continue, ..Policy::default() };
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
        > crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended
            fact queue taken 2
            fact job 2 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is busy with 2, waiting -, revision 3
            engine 2 start
            tell job 2 is starting
    "#,
    );
}

#[test]
fn r9_a_restart_after_which_a_deadline_has_passed() {
    let policy = Policy { after_restart: QueuePolicy::Continue, ..Policy::default() };
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
        > ann: submit 2 3 deadline=60s
            fact job 2 submitted "job 2" by ann
            fact job 3 submitted "job 3" by ann
            fact queue inserted 2 3 at 0
            set deadline 2 at 60 s
            tell job 2 is queued
            set deadline 3 at 60 s
            tell job 3 is queued
            tell queue is busy with 1, waiting 2 3, revision 3
            answer submitted 2 3 at 0, revision 3
        > ann: submit 4
            fact job 4 submitted "job 4" by ann
            fact queue inserted 4 at 2
            tell job 4 is queued
            tell queue is busy with 1, waiting 2 3 4, revision 4
            answer submitted 4 at 2, revision 4
        > ann: hold 3
            fact job 3 hold_asked
            fact queue amended
            tell job 3 is held
            tell queue is busy with 1, waiting 2 3 4, revision 5
            answer edited 3, revision 5
        > +60s crash
        > restarted
            fact job 1 interrupted: the server stopped while the job was running
            fact queue active_ended
            fact job 2 deadline_passed
            fact queue withdrawn 2
            fact job 3 deadline_passed
            fact queue withdrawn 3
            fact queue taken 4
            fact job 4 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is interrupted
            tell queue is busy with 4, waiting -, revision 8
            set deadline 2 at 60 s
            set deadline 3 at 60 s
            cancel deadline 2
            tell job 2 is expired
            cancel deadline 3
            tell job 3 is expired
            engine 4 start
            tell job 4 is starting
    "#,
    );
}

#[test]
fn r9_a_snapshot_is_as_good_as_the_facts() {
    conversation(
        r#"
        > ann: submit 1 2 group=scan
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
        > engine 1 paused 3
            fact job 1 paused at line 3
            set reminder 1 in 600 s
            tell job 1 is paused
        > snapshot
        > ann: resume
            fact job 1 resume_asked
            engine 1 resume
            cancel reminder 1
            tell job 1 is running
            answer run running
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
fn r39_a_server_that_stops_lets_the_active_job_end_and_starts_no_other() {
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
        > closing
        > ann: submit 3
            fact job 3 submitted "job 3" by ann
            fact queue inserted 3 at 1
            tell job 3 is queued
            tell queue is busy with 1, waiting 2 3, revision 3
            answer submitted 3 at 1, revision 3
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting 2 3, revision 3
        > crash
        > restarted
            fact queue hold_asked, hold by beamq: the server was restarted
            tell queue is held (held by beamq: the server was restarted), waiting 2 3, revision 3
    "#,
    );
}

#[test]
fn r39_a_server_that_stops_aborts_the_active_job() {
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
        > closing abort
            fact job 1 abort_asked: the server was stopped
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: the server was stopped, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting 2, revision 2
    "#,
    );
}

#[test]
fn r39_a_server_that_stops_with_nothing_active_starts_nothing() {
    conversation(
        r#"
        > closing abort
        > ann: submit 1
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            tell job 1 is queued
            tell queue is idle, waiting 1, revision 1
            answer submitted 1 at 0, revision 1
    "#,
    );
}
