//! Questions of scripts.

use std::time::Duration;

use beamq::engine::EngineCall;
use beamq_machines::{Ending, PauseLevel, PromptId};
use serde_json::{Value, json};

use super::fixture::Engine;

fn answer(engine: &Engine, value: Option<Value>) {
    engine.call(EngineCall::Answer(engine.job(), PromptId(7), value));
}

#[tokio::test]
async fn input_is_a_question_and_gets_its_answer_as_text() {
    let mut engine = Engine::start();
    engine.submit(
        "name = input('Sample? ')\nprint(repr(name))\nimport sys\nprint(repr(sys.stdin.readline()))\n",
    );
    engine.until(|told| told.asked.len() == 1).await;
    let question = engine.told.asked[0].clone();
    assert_eq!((question.text.as_str(), question.default, question.timeout), ("Sample? ", None, None));
    answer(&engine, Some(json!("gold")));
    engine.until(|told| told.asked.len() == 2).await;
    assert!(engine.told.asked[1].number > question.number);
    answer(&engine, Some(json!(42)));
    assert_eq!(engine.until_ended().await.stdout(), ["'gold'", "'42\\n'"]);
}

#[tokio::test]
async fn ask_carries_choices_default_and_timeout() {
    let mut engine = Engine::start();
    engine.submit(
        "import beamq\nprint(repr(beamq.ask('Go on?', default=False, choices=[True, False], timeout=90)))\n",
    );
    engine.until(|told| told.asked.len() == 1).await;
    let question = engine.told.asked[0].clone();
    assert_eq!(question.choices, Some(vec![json!(true), json!(false)]));
    assert_eq!(question.default, Some(json!(false)));
    assert_eq!(question.timeout, Some(Duration::from_secs(90)));
    answer(&engine, Some(json!(true)));
    assert_eq!(engine.until_ended().await.stdout(), ["True"]);
}

#[tokio::test]
async fn nobody_answering_raises_and_a_default_can_be_skipped_to() {
    let mut engine = Engine::start();
    engine.submit("input('Anybody?')\n");
    engine.until(|told| told.asked.len() == 1).await;
    answer(&engine, None);
    let report = engine.until_ended().await.end().report.clone();
    assert_eq!((report.error_type.as_str(), report.line), ("TimeoutError", Some(1)));
    assert!(report.message.contains("Anybody?"), "{}", report.message);

    engine.submit("import beamq\nprint(beamq.ask('Angle?', default=0.5))\n");
    engine.until(|told| told.asked.len() == 1).await;
    engine.call(EngineCall::Skip(engine.job()));
    let told = engine.until_ended().await;
    assert_eq!(told.skipped, [Some("question: Angle?".to_owned())]);
    assert_eq!(told.stdout(), ["0.5"]);
    assert_eq!(told.end().ending, Ending::Completed);
}

#[tokio::test]
async fn a_pause_now_acts_while_a_question_is_open() {
    let mut engine = Engine::start();
    engine.submit("x = input('?')\nprint(x)\n");
    engine.until(|told| told.asked.len() == 1).await;
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Now));
    engine.until(|told| told.paused == [Some(1)]).await;
    answer(&engine, Some(json!("late")));
    engine.call(EngineCall::Resume(engine.job()));
    assert_eq!(engine.until_ended().await.stdout(), ["late"]);
}

#[tokio::test]
async fn a_black_box_can_ask_too() {
    let mut engine = Engine::start();
    engine.submit_as("print(input('?'))\n", true);
    engine.until(|told| told.asked.len() == 1).await;
    answer(&engine, Some(json!("yes")));
    assert_eq!(engine.until_ended().await.stdout(), ["yes"]);
}
