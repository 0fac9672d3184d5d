//! Output: nothing lost, everything bounded.

use beamq::engine::OutputStream;
use beamq_machines::Ending;

use super::fixture::Engine;

#[tokio::test]
async fn twenty_thousand_lines_arrive_in_order_and_numbered() {
    let mut engine = Engine::start();
    let told = engine.run("for i in range(20_000): print('line', i)\n").await;
    assert_eq!(told.lines.len(), 20_000);
    assert_eq!(told.dropped, 0);
    for (index, line) in told.lines.iter().enumerate() {
        assert_eq!(line.n, index as u64 + 1);
        assert_eq!(line.text, format!("line {index}"));
    }
    assert_eq!(told.end().report.output_tail.len(), 50);
    assert_eq!(told.end().report.output_tail[49], "line 19999");
}

#[tokio::test]
async fn a_flood_without_line_ends_is_split_bounded_and_counted() {
    let mut engine = Engine::with(|settings| settings.output_limit = 1 << 20);
    let told = engine
        .run("import sys\nfor _ in range(100): sys.stdout.write('x' * 1_000_000)\nprint()\nprint('end')\n")
        .await;
    assert_eq!(told.end().ending, Ending::Completed);
    assert!(told.lines.iter().all(|line| line.text.len() <= 65_536));
    let kept: usize = told.lines.iter().map(|line| line.text.len() + 1).sum();
    assert!(kept <= (1 << 20) + 200, "kept {kept}");
    // 100 MB in pieces of 64 KiB: about 1526 of them and the last line, less what is kept.
    assert!((1500..1530).contains(&told.dropped), "{}", told.dropped);
    assert_eq!(told.end().report.output_tail.last().unwrap(), "end");
    assert_eq!(told.texts(OutputStream::Note).len(), 1, "a remark says so");
}

#[tokio::test]
async fn odd_bytes_are_replaced_and_both_streams_are_told_apart() {
    let mut engine = Engine::start();
    let told = engine
        .run("import sys\nsys.stdout.buffer.write(b'\\xff\\xfeab\\n')\nsys.stdout.flush()\nsys.stderr.buffer.write(b'caf\\xc3\\xa9\\r\\n')\nsys.stderr.flush()\n")
        .await;
    assert_eq!(told.stdout(), ["\u{fffd}\u{fffd}ab"]);
    assert_eq!(told.texts(OutputStream::Stderr), ["café"]);
}

#[tokio::test]
async fn what_is_printed_before_an_error_is_numbered_before_it() {
    let mut engine = Engine::start();
    let told = engine.run("for i in range(20_000): print('line', i)\n1/0\n").await;
    let first_error = told.lines.iter().find(|line| line.stream == OutputStream::Stderr).unwrap();
    assert_eq!(first_error.n, 20_001, "{first_error:?}");
    assert_eq!(told.lines.last().unwrap().text, "ZeroDivisionError: division by zero");

    let told =
        engine.run("import sys\nfor i in range(2_000):\n    print(i)\n    print(i, file=sys.stderr)\n").await;
    let mut printed = 0;
    for line in &told.lines {
        match line.stream {
            OutputStream::Stdout => printed += 1,
            _ => assert!(line.text.parse::<usize>().unwrap() < printed, "{line:?} after {printed} lines"),
        }
    }
    assert_eq!((printed, told.lines.len()), (2_000, 4_000));
}

#[tokio::test]
async fn a_line_without_its_end_is_shown_after_a_while() {
    let mut engine = Engine::start();
    engine.submit("import time\nprint('moving…', end='', flush=True)\ntime.sleep(1000)\n");
    engine.until_printed("moving…").await;
}

#[tokio::test]
async fn a_server_that_takes_no_events_slows_the_script_and_can_still_abort_it() {
    let mut engine = Engine::start();
    engine.submit("print('up')\nwhile True: print('x')\n");
    engine.until_printed("up").await;
    // Nothing is taken until the channel is full and the script waits in its pipe.
    let deadline = std::time::Instant::now() + super::fixture::PATIENCE;
    while engine.link.events.len() < engine.link.events.max_capacity() {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    engine.abort_with_grace(std::time::Duration::from_secs(5)).await;
    assert_eq!(engine.told.end().ending, Ending::Failed);
}

#[tokio::test]
async fn many_notes_are_numbered_with_the_lines() {
    let mut engine = Engine::start();
    let told = engine.run("import beamq\nfor i in range(2000): beamq.note('n%d' % i)\nprint('end')\n").await;
    assert_eq!(told.texts(OutputStream::Note).len(), 2000);
    assert!(told.lines.windows(2).all(|pair| pair[0].n + 1 == pair[1].n));
}
