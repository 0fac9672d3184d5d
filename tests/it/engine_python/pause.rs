//! Pause, resume and skip.

use std::time::Instant;

use beamq::engine::EngineCall;
use beamq_machines::{Ending, PauseLevel};

use super::fixture::Engine;

const LOOP: &str = "\
print('up')
count = 0
while count >= 0:
    count += 1
    if count % 1000 == 0:
        pass
";

#[tokio::test]
async fn a_tight_loop_pauses_at_a_line_and_goes_on() {
    let mut engine = Engine::start();
    engine.submit(
        "import os\nprint('up')\nwhile not os.path.exists('go'):\n    x = 1\n    y = 2\nprint('done')\n",
    );
    engine.until_printed("up").await;
    for round in 1..4 {
        engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
        engine.until(|told| told.paused.len() == round).await;
        let line = engine.told.paused[round - 1].unwrap();
        assert!((3..=5).contains(&line), "paused at line {line}");
        if round == 3 {
            let go = engine.folder.path().join("jobs").join(engine.job().to_string()).join("go");
            std::fs::write(go, "").unwrap();
        }
        engine.call(EngineCall::Resume(engine.job()));
    }
    let told = engine.until_ended().await;
    assert_eq!(told.end().ending, Ending::Completed);
    assert!(told.printed("done"));
    assert_eq!(told.resumed, 0, "every pause took effect");
}

#[tokio::test]
async fn a_loop_on_one_line_and_a_function_pause_too() {
    let mut engine = Engine::start();
    for (source, lines) in [
        ("print('up')\nwhile True: pass\n", 2..=2),
        ("def f():\n    x = 0\n    while True:\n        x += 1\n\nprint('up')\nf()\n", 2..=4),
        ("print('up')\nwhile True:\n    sum(range(10))\n    [x for x in range(10)]\n", 2..=4),
        (
            "import json\nprint('up')\nwhile True:\n    json.dumps(list(range(1000)), indent=1)\n    a = 1\n",
            3..=5,
        ),
    ] {
        engine.submit(source);
        engine
            .until(|told| told.progress.iter().any(|p| p.line.is_some_and(|line| lines.contains(&line))))
            .await;
        engine.until_printed("up").await;
        engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
        engine.until(|told| !told.paused.is_empty()).await;
        let line = engine.told.paused[0].unwrap();
        assert!(lines.contains(&line), "paused at line {line} of {source}");
        // A paused job can be aborted.
        engine.call(EngineCall::Abort(engine.job(), beamq_machines::AbortStage::Ask));
        assert_eq!(engine.until_ended().await.end().report.error_type, "Abort");
    }
}

#[tokio::test]
async fn now_acts_within_a_sleep_and_the_rest_of_the_sleep_remains() {
    for sleep in ["time.sleep(1000)", "beamq.sleep(1000)"] {
        let mut engine = Engine::start();
        engine.submit(&format!("import time, beamq\nprint('up')\n{sleep}\nprint('done')\n"));
        engine.until_in(sleep).await;
        engine.call(EngineCall::Pause(engine.job(), PauseLevel::Now));
        engine.until(|told| !told.paused.is_empty()).await;
        assert_eq!(engine.told.paused, [Some(3)]);
        engine.call(EngineCall::Resume(engine.job()));
        engine.call(EngineCall::Pause(engine.job(), PauseLevel::Now));
        engine.until(|told| told.paused.len() == 2).await;
        assert_eq!(engine.told.paused, [Some(3), Some(3)], "it went on sleeping");
        engine.call(EngineCall::Resume(engine.job()));
        engine.call(EngineCall::Skip(engine.job()));
        let told = engine.until_ended().await;
        let name = sleep.split('(').next().unwrap();
        assert_eq!(told.skipped, [Some(format!("{name}(1000)"))]);
        assert!(told.printed("done"));
        assert_eq!(told.end().ending, Ending::Completed);
    }
}

#[tokio::test]
async fn a_short_sleep_lasts_as_long_as_it_should_with_a_pause_in_it() {
    let mut engine = Engine::start();
    engine.submit(
        "import time\nprint('up')\nbegan = time.monotonic()\ntime.sleep(0.3)\nprint(time.monotonic() - began)\n",
    );
    engine.until_printed("up").await;
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Now));
    engine.until(|told| !told.paused.is_empty()).await;
    let paused = Instant::now();
    engine.call(EngineCall::Resume(engine.job()));
    let paused = paused.elapsed().as_secs_f64();
    let told = engine.until_ended().await;
    let slept: f64 = told.stdout()[1].parse().unwrap();
    assert!(slept >= 0.3, "slept {slept}, paused {paused}");
}

#[tokio::test]
async fn a_pause_at_a_point_waits_for_the_point() {
    let mut engine = Engine::start();
    engine.submit(
        "import beamq, os\nprint('up')\nwhile not os.path.exists('go'):\n    pass\nprint('went')\nbeamq.pause_point()\nprint('done')\n",
    );
    engine.until_printed("up").await;
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Point));
    // Calls are taken in order, so once the skip is answered the pause is known.
    engine.call(EngineCall::Skip(engine.job()));
    engine.until(|told| told.skipped == [None]).await;
    let go = engine.folder.path().join("jobs").join(engine.job().to_string()).join("go");
    std::fs::write(go, "").unwrap();
    engine.until(|told| !told.paused.is_empty()).await;
    assert_eq!(engine.told.paused, [Some(6)]);
    engine.until_printed("went").await;
    assert!(!engine.told.printed("done"));
    engine.call(EngineCall::Resume(engine.job()));
    assert!(engine.until_ended().await.printed("done"));
}

#[tokio::test]
async fn a_pause_at_a_point_acts_at_the_next_sleep_of_the_script() {
    for wait in ["time.sleep(0.05)", "beamq.sleep(0.05)"] {
        let mut engine = Engine::start();
        engine.submit(&format!("import beamq, time\nprint('up')\nwhile True:\n    {wait}\n"));
        engine.until_printed("up").await;
        engine.call(EngineCall::Pause(engine.job(), PauseLevel::Point));
        engine.until(|told| !told.paused.is_empty()).await;
        assert_eq!(engine.told.paused, [Some(4)], "{wait}");
        engine.call(EngineCall::Abort(engine.job(), beamq_machines::AbortStage::Ask));
        assert_eq!(engine.until_ended().await.end().report.error_type, "Abort");
    }
}

#[tokio::test]
async fn a_pending_pause_can_be_cancelled_and_replaced() {
    let mut engine = Engine::start();
    engine.submit("import time\nprint('up')\ntime.sleep(1000)\nprint('done')\n");
    engine.until_printed("up").await;
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
    engine.call(EngineCall::CancelPause(engine.job()));
    engine.until(|told| told.resumed == 1).await;
    engine.until_in("time.sleep(1000)").await;
    engine.call(EngineCall::Skip(engine.job()));
    let told = engine.until_ended().await;
    assert!(told.printed("done") && told.paused.is_empty());

    engine.submit(LOOP);
    engine.until_printed("up").await;
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Point));
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
    engine.until(|told| !told.paused.is_empty()).await;
}

#[tokio::test]
async fn a_skip_outside_a_wait_says_that_there_was_none() {
    let mut engine = Engine::start();
    engine.submit(LOOP);
    engine.until_printed("up").await;
    engine.call(EngineCall::Skip(engine.job()));
    engine.until(|told| told.skipped == [None]).await;
}

#[tokio::test]
async fn waits_of_a_library_that_poll_nicos_can_be_paused_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let library = "import time\nfrom nicos import session\n\ndef waitfor_move():\n    print('polling')\n    while True:\n        session.breakpoint(3)\n        time.sleep(0.1)\n";
    std::fs::write(folder.path().join("genie.py"), library).unwrap();
    let path = folder.path().to_owned();
    let mut engine = Engine::with(|settings| settings.path = vec![path]);
    engine.submit(
        "import genie, beamq\n\ntry:\n    genie.waitfor_move()\nexcept beamq.WaitSkipped:\n    print('went on')\n",
    );
    engine.until_printed("polling").await;
    engine.until_in("waitfor_move").await;
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Now));
    engine.until(|told| !told.paused.is_empty()).await;
    assert_eq!(engine.told.paused, [Some(4)]);
    engine.call(EngineCall::Resume(engine.job()));
    // A skip may come before the library polls again; it is not lost.
    engine.call(EngineCall::Skip(engine.job()));
    let told = engine.until_ended().await;
    assert_eq!(told.skipped, [Some("waitfor_move".to_owned())]);
    assert!(told.printed("went on"));
}

#[tokio::test]
async fn a_pause_asked_before_the_first_line_stops_at_it() {
    let mut engine = Engine::start();
    engine.submit("x = 1\nprint('done')\n");
    engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
    engine.until(|told| !told.paused.is_empty() || told.ended()).await;
    if !engine.told.ended() {
        engine.call(EngineCall::Resume(engine.job()));
    }
    assert!(engine.until_ended().await.printed("done"));
}
