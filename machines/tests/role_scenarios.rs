//! R36: who may do what, as conversations.

mod common;

use common::conversation;

#[test]
fn r36_a_viewer_only_reads() {
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
        > eve/viewer: submit 3
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: edit 2 name=mine
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: hold 2
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: release 2
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: remove 2
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: remove 2 lenient
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: move 2 place=front
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: move
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: reorder 2 rev=2
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: clear
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: queue hold
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: queue release
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: queue stop
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: queue cancel_stop
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: pause
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: cancel_pause
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: resume
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: skip
            refused forbidden: a viewer only reads; needs user
        > eve/viewer: abort
            refused forbidden: a viewer only reads; needs user
    "#,
    );
}

#[test]
fn r36_a_user_controls_their_own_jobs() {
    conversation(
        r#"
        > bob/user: submit 1 2 3
            fact job 1 submitted "job 1" by bob
            fact job 2 submitted "job 2" by bob
            fact job 3 submitted "job 3" by bob
            fact queue inserted 1 2 3 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell job 2 is queued
            tell job 3 is queued
            tell queue is busy with 1, waiting 2 3, revision 2
            engine 1 start
            answer submitted 1 2 3 at 0, revision 2
        > engine 1 started
            fact job 1 started
            tell job 1 is running
        > bob/user: pause
            fact job 1 pause_asked line
            engine 1 pause line
            tell job 1 is pausing
            answer run pausing, acts at the next line of the script
        > bob/user: cancel_pause
            fact job 1 pause_cancelled
            engine 1 cancel pause
            tell job 1 is running
            answer run running
        > bob/user: edit 2 name=mine
            fact job 2 edited "mine"
            fact queue amended
            tell job 2 is queued
            tell queue is busy with 1, waiting 2 3, revision 3
            answer edited 2, revision 3
        > bob/user: hold 2
            fact job 2 hold_asked
            fact queue amended
            tell job 2 is held
            tell queue is busy with 1, waiting 2 3, revision 4
            answer edited 2, revision 4
        > bob/user: release 2
            fact job 2 release_asked
            fact queue amended
            tell job 2 is queued
            tell queue is busy with 1, waiting 2 3, revision 5
            answer edited 2, revision 5
        > bob/user: move 3 place=front
            fact queue reordered 3 2
            tell queue is busy with 1, waiting 3 2, revision 6
            answer order 3 2, revision 6
        > bob/user: remove 3
            fact job 3 removed
            fact queue withdrawn 3
            tell job 3 is cancelled
            tell queue is busy with 1, waiting 2, revision 7
            answer removed 3, revision 7
        > bob/user: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
        > bob/user: reorder 2 rev=99
            refused forbidden: a user controls only jobs of their own, not the queue; needs scientist
        > bob/user: clear
            refused forbidden: a user controls only jobs of their own, not the queue; needs scientist
        > bob/user: queue hold
            refused forbidden: a user controls only jobs of their own, not the queue; needs scientist
    "#,
    );
}

#[test]
fn r36_a_user_does_not_control_somebody_else_s() {
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
        > bob/user: submit 3
            fact job 3 submitted "job 3" by bob
            fact queue inserted 3 at 1
            tell job 3 is queued
            tell queue is busy with 1, waiting 2 3, revision 3
            answer submitted 3 at 1, revision 3
        > bob/user: pause
            refused forbidden: job 1 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: cancel_pause
            refused forbidden: job 1 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: resume
            refused forbidden: job 1 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: skip
            refused forbidden: job 1 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: abort
            refused forbidden: job 1 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: edit 2 name=mine
            refused forbidden: job 2 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: hold 2 3
            refused forbidden: job 2 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: remove 2 3
            refused forbidden: job 2 belongs to ann, and a user controls only their own jobs; needs scientist
        > bob/user: remove 2 3 lenient
            fact job 3 removed
            fact queue withdrawn 3
            tell job 3 is cancelled
            tell queue is busy with 1, waiting 2, revision 4
            answer removed 3, revision 4
    "#,
    );
}

#[test]
fn r36_a_scientist_controls_everything() {
    conversation(
        r#"
        > bob/user: submit 1 2
            fact job 1 submitted "job 1" by bob
            fact job 2 submitted "job 2" by bob
            fact queue inserted 1 2 at 0
            fact queue taken 1
            fact job 1 start_ordered
            tell job 1 is starting
            tell job 2 is queued
            tell queue is busy with 1, waiting 2, revision 2
            engine 1 start
            answer submitted 1 2 at 0, revision 2
        > ann: edit 2 name=ours
            fact job 2 edited "ours"
            fact queue amended
            tell job 2 is queued
            tell queue is busy with 1, waiting 2, revision 3
            answer edited 2, revision 3
        > ann/admin: move 2 place=front
            answer order 2, revision 3
        > ann: abort
            fact job 1 abort_asked
            engine 1 abort ask
            set grace 1 in 2 s
            tell job 1 is aborting
            answer run aborting
    "#,
    );
}
