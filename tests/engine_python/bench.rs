//! Figures, printed; run with `--ignored --nocapture figures`.

use std::time::{Duration, Instant};

use beamq::engine::{EngineCall, EngineState};
use beamq_machines::PauseLevel;

use crate::fixture::Engine;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and asserts nothing"]
async fn figures() {
    let mut engine = Engine::start();
    engine.until_state(EngineState::Ready).await;
    let mut first_lines = Vec::new();
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let asked = Instant::now();
        engine.submit("print('up')\n");
        engine.until_printed("up").await;
        first_lines.push(asked.elapsed());
        engine.until_ended().await;
    }
    println!("start to first line seen, warm spare: median {:?}", median(first_lines));

    engine.submit("print('up')\nx = 0\nwhile True:\n    x += 1\n");
    engine.until_printed("up").await;
    let (mut pauses, mut resumes) = (Vec::new(), Vec::new());
    for round in 1..=50 {
        let asked = Instant::now();
        engine.call(EngineCall::Pause(engine.job(), PauseLevel::Line));
        engine.until(|told| told.paused.len() == round).await;
        pauses.push(asked.elapsed());
        let asked = Instant::now();
        engine.call(EngineCall::Resume(engine.job()));
        engine.call(EngineCall::Skip(engine.job()));
        engine.until(|told| told.skipped.len() == round).await;
        resumes.push(asked.elapsed());
    }
    println!("pause asked to paused in a tight loop: median {:?}", median(pauses));
    println!("resume asked to running: median {:?}", median(resumes));
    let asked = Instant::now();
    engine.call(EngineCall::Abort(engine.job(), beamq_machines::AbortStage::Ask));
    engine.until_ended().await;
    println!("abort asked to ended in a tight loop: {:?}", asked.elapsed());

    let began = Instant::now();
    for _ in 0..50 {
        engine.run("pass").await;
    }
    println!("trivial jobs: {:.1} a second", 50.0 / began.elapsed().as_secs_f64());

    let work = "import time\nbegan = time.process_time()\nx = 0\nfor i in range(20_000_000): x += i\nprint(time.process_time() - began)\n";
    for _ in 0..3 {
        let observed: f64 = engine.run(work).await.stdout()[0].parse().unwrap();
        let plain =
            std::process::Command::new(crate::fixture::interpreter()).args(["-c", work]).output().unwrap();
        let plain: f64 = String::from_utf8(plain.stdout).unwrap().trim().parse().unwrap();
        println!("tight loop: observed {observed:.3} s, plain {plain:.3} s, ratio {:.3}", observed / plain);
    }

    let began = Instant::now();
    engine.run("for i in range(100_000): print(i)\n").await;
    println!("output: {:.0} lines a second", 100_000.0 / began.elapsed().as_secs_f64());
}
