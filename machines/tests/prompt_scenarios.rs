//! How a question of the running script is settled, as conversations.

mod common;

use common::conversation;

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

#[test]
fn a_question_that_somebody_else_has_settled_is_withdrawn() {
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
        > engine 1 asks-no-more
            cancel prompt 5
            tell prompt 5 is settled: withdrawn
        > ann: answer 5 "B"
            refused no prompt 5, open is None
        > engine 1 asks-no-more
    "#,
    );
}
