//! Edits of the queue and who may make them, as conversations.

mod common;

use common::conversation;

#[test]
fn r8_jobs_are_added_at_every_place() {
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
        > ann: submit 2 place=front
            fact job 2 submitted "job 2" by ann
            fact queue inserted 2 at 0
            tell job 2 is queued
            tell queue is held (held by ann: asked to hold), waiting 2 1, revision 2
            answer submitted 2 at 0, revision 2
        > ann: submit 3 place=index:1
            fact job 3 submitted "job 3" by ann
            fact queue inserted 3 at 1
            tell job 3 is queued
            tell queue is held (held by ann: asked to hold), waiting 2 3 1, revision 3
            answer submitted 3 at 1, revision 3
        > ann: submit 4 place=before:1
            fact job 4 submitted "job 4" by ann
            fact queue inserted 4 at 2
            tell job 4 is queued
            tell queue is held (held by ann: asked to hold), waiting 2 3 4 1, revision 4
            answer submitted 4 at 2, revision 4
        > ann: submit 5 place=after:2
            fact job 5 submitted "job 5" by ann
            fact queue inserted 5 at 1
            tell job 5 is queued
            tell queue is held (held by ann: asked to hold), waiting 2 5 3 4 1, revision 5
            answer submitted 5 at 1, revision 5
        > ann: submit 6 place=index:99
            fact job 6 submitted "job 6" by ann
            fact queue inserted 6 at 5
            tell job 6 is queued
            tell queue is held (held by ann: asked to hold), waiting 2 5 3 4 1 6, revision 6
            answer submitted 6 at 5, revision 6
        > ann: submit 7 8 place=index:0
            fact job 7 submitted "job 7" by ann
            fact job 8 submitted "job 8" by ann
            fact queue inserted 7 8 at 0
            tell job 7 is queued
            tell job 8 is queued
            tell queue is held (held by ann: asked to hold), waiting 7 8 2 5 3 4 1 6, revision 7
            answer submitted 7 8 at 0, revision 7
    "#,
    );
}

#[test]
fn r8_places_next_to_the_active_job() {
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
        > ann: submit 3 place=after:1
            fact job 3 submitted "job 3" by ann
            fact queue inserted 3 at 0
            tell job 3 is queued
            tell queue is busy with 1, waiting 3 2, revision 3
            answer submitted 3 at 0, revision 3
        > ann: submit 4 place=before:1
            refused bad place: job 1 is active: nothing can go before it
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue taken 3
            fact job 3 start_ordered
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is busy with 3, waiting 2, revision 4
            engine 3 start
            tell job 3 is starting
        > ann: submit 4 place=after:1
            refused bad place: job 1 is not waiting any more
        > ann: submit 4 place=before:77
            refused not found: 77
        > ann: move 2 place=after:2
            refused bad place: job 2 is one of those that are to move
    "#,
    );
}

#[test]
fn r8_an_empty_batch_succeeds_and_changes_nothing() {
    conversation(
        r#"
        > ann: submit
            answer submitted  at 0, revision 0
    "#,
    );
}

#[test]
fn r8_a_job_is_added_held_keeps_its_place_and_is_passed_over() {
    conversation(
        r#"
        > ann: submit 1 held
            fact job 1 submitted "job 1" by ann
            fact job 1 hold_asked
            fact queue inserted 1 at 0
            tell job 1 is held
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
        > ann: release 1
            fact job 1 release_asked
            fact queue amended
            tell job 1 is queued
            tell queue is busy with 2, waiting 1, revision 4
            answer edited 1, revision 4
        > engine 2 ended ok
            fact job 2 ended Succeeded
            fact queue active_ended
            fact queue taken 1
            fact job 1 start_ordered
            cancel timeout 2
            cancel grace 2
            tell job 2 is succeeded
            tell queue is busy with 1, waiting -, revision 5
            engine 1 start
            tell job 1 is starting
    "#,
    );
}

#[test]
fn r7_an_aborted_job_is_run_again_as_a_new_job() {
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
        > engine 1 ended failed
            fact job 1 ended Failed (Aborted: aborted on request, phase Run)
            fact queue active_ended, hold by beamq: job 1 (job 1) was aborted
            cancel timeout 1
            cancel grace 1
            tell job 1 is aborted
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting -, revision 2
        > ann: submit 2 rerun_of=1
            fact job 2 submitted "job 2" by ann rerun of 1
            fact queue inserted 2 at 0
            tell job 2 is queued
            tell queue is held (held by beamq: job 1 (job 1) was aborted), waiting 2, revision 3
            answer submitted 2 at 0, revision 3
    "#,
    );
}

#[test]
fn r8_a_waiting_job_is_edited() {
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
        > ann: edit 1 name=colder
            fact job 1 edited "colder"
            fact queue amended
            tell job 1 is queued
            tell queue is held (held by ann: asked to hold), waiting 1, revision 2
            answer edited 1, revision 2
        > ann: edit 1 held
            fact job 1 hold_asked
            fact queue amended
            tell job 1 is held
            tell queue is held (held by ann: asked to hold), waiting 1, revision 3
            answer edited 1, revision 3
        > ann: edit 1 released name=warmer
            fact job 1 edited "warmer"
            fact job 1 release_asked
            fact queue amended
            tell job 1 is queued
            tell queue is held (held by ann: asked to hold), waiting 1, revision 4
            answer edited 1, revision 4
        > ann: edit 1 not_before=60s deadline=90s
            fact job 1 edited "warmer"
            fact queue amended
            set not_before 1 at 60 s
            set deadline 1 at 90 s
            tell job 1 is queued
            tell queue is held (held by ann: asked to hold), waiting 1, revision 5
            answer edited 1, revision 5
        > ann: edit 1 at_any_time
            fact job 1 edited "warmer"
            fact queue amended
            cancel not_before 1
            cancel deadline 1
            tell job 1 is queued
            tell queue is held (held by ann: asked to hold), waiting 1, revision 6
            answer edited 1, revision 6
    "#,
    );
}

#[test]
fn r8_edits_that_change_nothing_do_not_bump_the_revision() {
    conversation(
        r#"
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held (held by ann: asked to hold), waiting -, revision 0
            answer queue held
        > ann: submit 1 2
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact queue inserted 1 2 at 0
            tell job 1 is queued
            tell job 2 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2, revision 1
            answer submitted 1 2 at 0, revision 1
        > ann: edit 1
            answer edited 1, revision 1
        > ann: release 1
            answer edited 1, revision 1
        > ann: move 1 place=front
            answer order 1 2, revision 1
        > ann: move 1 place=before:2
            answer order 1 2, revision 1
        > ann: reorder 1 2 rev=1
            answer order 1 2, revision 1
        > ann: remove 9 lenient
            answer removed , revision 1
        > ann: hold 1
            fact job 1 hold_asked
            fact queue amended
            tell job 1 is held
            tell queue is held (held by ann: asked to hold), waiting 1 2, revision 2
            answer edited 1, revision 2
        > ann: hold 1
            answer edited 1, revision 2
        > ann: edit 1 held
            answer edited 1, revision 2
    "#,
    );
}

#[test]
fn r8_clearing_an_empty_queue_does_not_bump_the_revision() {
    conversation(
        r#"
        # r8 clearing an empty queue does not bump the revision
        > ann: clear
            answer removed , revision 0
    "#,
    );
}

#[test]
fn r8_a_stale_edit_is_refused_with_the_present_order() {
    conversation(
        r#"
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held (held by ann: asked to hold), waiting -, revision 0
            answer queue held
        > ann: submit 1 2
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact queue inserted 1 2 at 0
            tell job 1 is queued
            tell job 2 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2, revision 1
            answer submitted 1 2 at 0, revision 1
        > ann: submit 3 rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: edit 1 name=other rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: hold 1 rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: release 1 rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: remove 1 rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: move 1 place=back rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: reorder 2 1 rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: clear rev=0
            refused stale: given 0, now 1, order 1 2
        > ann: move 1 place=back rev=1
            fact queue reordered 2 1
            tell queue is held (held by ann: asked to hold), waiting 2 1, revision 2
            answer order 2 1, revision 2
    "#,
    );
}

#[test]
fn r8_the_answer_s_revision_is_the_one_after_everything_that_followed() {
    conversation(
        r#"
        > ann: submit 1 rev=0
            fact job 1 submitted "job 1" by ann
            fact queue inserted 1 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell queue is busy with 1, waiting -, revision 2
            engine 1 start
            answer submitted 1 at 0, revision 2
        > ann: submit 2 rev=2
            fact job 2 submitted "job 2" by ann
            fact queue inserted 2 at 0
            tell job 2 is queued
            tell queue is busy with 1, waiting 2, revision 3
            answer submitted 2 at 0, revision 3
        > ann: hold 2
            fact job 2 hold_asked
            fact queue amended
            tell job 2 is held
            tell queue is busy with 1, waiting 2, revision 4
            answer edited 2, revision 4
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting 2, revision 4
        > ann: release 2
            fact job 2 release_asked
            fact queue amended
            fact queue taken 2
            fact job 2 start_ordered
            tell job 2 is starting
            tell queue is busy with 2, waiting -, revision 6
            engine 2 start
            answer edited 2, revision 6
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held with 2 (held by ann: asked to hold), waiting -, revision 6
            answer queue held
        > ann: submit 3
            fact job 3 submitted "job 3" by ann
            fact queue inserted 3 at 0
            tell job 3 is queued
            tell queue is held with 2 (held by ann: asked to hold), waiting 3, revision 7
            answer submitted 3 at 0, revision 7
        > ann: queue release
            fact queue release_asked
            tell queue is busy with 2, waiting 3, revision 7
            answer queue busy
    "#,
    );
}

#[test]
fn r8_jobs_are_moved_one_many_in_the_order_given() {
    conversation(
        r#"
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held (held by ann: asked to hold), waiting -, revision 0
            answer queue held
        > ann: submit 1 2 3 4 5
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact job 3 submitted "job 3" by ann
            fact job 4 submitted "job 4" by ann
            fact job 5 submitted "job 5" by ann
            fact queue inserted 1 2 3 4 5 at 0
            tell job 1 is queued
            tell job 2 is queued
            tell job 3 is queued
            tell job 4 is queued
            tell job 5 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2 3 4 5, revision 1
            answer submitted 1 2 3 4 5 at 0, revision 1
        > ann: move 5 place=front
            fact queue reordered 5 1 2 3 4
            tell queue is held (held by ann: asked to hold), waiting 5 1 2 3 4, revision 2
            answer order 5 1 2 3 4, revision 2
        > ann: move 4 2 place=after:5
            fact queue reordered 5 4 2 1 3
            tell queue is held (held by ann: asked to hold), waiting 5 4 2 1 3, revision 3
            answer order 5 4 2 1 3, revision 3
        > ann: move 1 1 place=back
            fact queue reordered 5 4 2 3 1
            tell queue is held (held by ann: asked to hold), waiting 5 4 2 3 1, revision 4
            answer order 5 4 2 3 1, revision 4
        > ann: move 5 4 place=before:3
            fact queue reordered 2 5 4 3 1
            tell queue is held (held by ann: asked to hold), waiting 2 5 4 3 1, revision 5
            answer order 2 5 4 3 1, revision 5
        > ann: move 5 3 place=index:1
            fact queue reordered 2 5 3 4 1
            tell queue is held (held by ann: asked to hold), waiting 2 5 3 4 1, revision 6
            answer order 2 5 3 4 1, revision 6
        > ann: move 5 place=before:5
            refused bad place: job 5 is one of those that are to move
        > ann: move 9 place=front
            refused not found: 9
        > ann: move
            answer order 2 5 3 4 1, revision 6
    "#,
    );
}

#[test]
fn r8_the_whole_new_order() {
    conversation(
        r#"
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held (held by ann: asked to hold), waiting -, revision 0
            answer queue held
        > ann: submit 1 2 3
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact job 3 submitted "job 3" by ann
            fact queue inserted 1 2 3 at 0
            tell job 1 is queued
            tell job 2 is queued
            tell job 3 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2 3, revision 1
            answer submitted 1 2 3 at 0, revision 1
        > ann: reorder 3 2 1 rev=1
            fact queue reordered 3 2 1
            tell queue is held (held by ann: asked to hold), waiting 3 2 1, revision 2
            answer order 3 2 1, revision 2
        > ann: reorder 3 2 2 9 rev=2
            refused bad order: missing [1], unknown [9], twice [2]
    "#,
    );
}

#[test]
fn r8_jobs_are_removed_all_or_none_or_as_many_as_wait() {
    conversation(
        r#"
        > ann: submit 1 2 3 4
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact job 3 submitted "job 3" by ann
            fact job 4 submitted "job 4" by ann
            fact queue inserted 1 2 3 4 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell job 2 is queued
            tell job 3 is queued
            tell job 4 is queued
            tell queue is busy with 1, waiting 2 3 4, revision 2
            engine 1 start
            answer submitted 1 2 3 4 at 0, revision 2
        > ann: remove 2 1
            refused not waiting: [(JobId(1), "starting")]
        > ann: remove 2 9
            refused not found: 9
        > ann: remove 2 1 9 lenient
            fact job 2 removed
            fact queue withdrawn 2
            tell job 2 is cancelled
            tell queue is busy with 1, waiting 3 4, revision 3
            answer removed 2, revision 3
        > ann: remove 2
            refused not waiting: [(JobId(2), "ended")]
        > ann: remove 3 3
            fact job 3 removed
            fact queue withdrawn 3
            tell job 3 is cancelled
            tell queue is busy with 1, waiting 4, revision 4
            answer removed 3, revision 4
        > ann: clear
            fact job 4 removed
            fact queue withdrawn 4
            tell job 4 is cancelled
            tell queue is busy with 1, waiting -, revision 5
            answer removed 4, revision 5
    "#,
    );
}

#[test]
fn r8_a_job_that_has_started_or_ended_is_not_edited() {
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
        > ann: edit 1 name=other
            refused not waiting: [(JobId(1), "starting")]
        > ann: hold 1
            refused not waiting: [(JobId(1), "starting")]
        > engine 1 ended ok
            fact job 1 ended Succeeded
            fact queue active_ended
            fact queue settled
            cancel timeout 1
            cancel grace 1
            tell job 1 is succeeded
            tell queue is idle, waiting -, revision 2
        > ann: edit 1 name=other
            refused not waiting: [(JobId(1), "ended")]
        > ann: edit 2 name=other
            refused not found: 2
    "#,
    );
}

#[test]
fn r8a_a_group_is_held_released_moved_and_removed_as_one() {
    conversation(
        r#"
        > ann: queue hold
            fact queue hold_asked, hold by ann: asked to hold
            tell queue is held (held by ann: asked to hold), waiting -, revision 0
            answer queue held
        > ann: submit 1 2 group=scan
            fact job 1 submitted "job 1" by ann
            fact job 2 submitted "job 2" by ann
            fact queue inserted 1 2 at 0
            tell job 1 is queued
            tell job 2 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2, revision 1
            answer submitted 1 2 at 0, revision 1
        > ann: submit 3
            fact job 3 submitted "job 3" by ann
            fact queue inserted 3 at 2
            tell job 3 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2 3, revision 2
            answer submitted 3 at 2, revision 2
        > ann: submit 4 group=scan
            fact job 4 submitted "job 4" by ann
            fact queue inserted 4 at 3
            tell job 4 is queued
            tell queue is held (held by ann: asked to hold), waiting 1 2 3 4, revision 3
            answer submitted 4 at 3, revision 3
        > ann: hold group=scan
            fact job 1 hold_asked
            fact job 2 hold_asked
            fact job 4 hold_asked
            fact queue amended
            tell job 1 is held
            tell job 2 is held
            tell job 4 is held
            tell queue is held (held by ann: asked to hold), waiting 1 2 3 4, revision 4
            answer edited 1 2 4, revision 4
        > ann: move group=scan place=back
            fact queue reordered 3 1 2 4
            tell queue is held (held by ann: asked to hold), waiting 3 1 2 4, revision 5
            answer order 3 1 2 4, revision 5
        > ann: release group=scan
            fact job 1 release_asked
            fact job 2 release_asked
            fact job 4 release_asked
            fact queue amended
            tell job 1 is queued
            tell job 2 is queued
            tell job 4 is queued
            tell queue is held (held by ann: asked to hold), waiting 3 1 2 4, revision 6
            answer edited 1 2 4, revision 6
        > ann: remove group=scan
            fact job 1 removed
            fact job 2 removed
            fact job 4 removed
            fact queue withdrawn 1 2 4
            tell job 1 is cancelled
            tell job 2 is cancelled
            tell job 4 is cancelled
            tell queue is held (held by ann: asked to hold), waiting 3, revision 7
            answer removed 1 2 4, revision 7
        > ann: hold group=scan
            refused not found: group scan
        > ann: remove group=scan lenient
            answer removed , revision 7
    "#,
    );
}

#[test]
fn nothing_can_be_asked_of_an_active_job_when_there_is_none() {
    conversation(
        r#"
        > ann: pause
            refused nothing active: pause_asked
        > ann: cancel_pause
            refused nothing active: pause_cancelled
        > ann: resume
            refused nothing active: resume_asked
        > ann: skip
            refused nothing active: skip_asked
        > ann: abort
            refused nothing active: abort_asked
        > ann: answer 1 "A"
            refused no prompt 1, open is None
    "#,
    );
}
