//! Decoding what NICOS sends, against serde-pickle and against CPython's `json.dumps(pickle.loads(payload))`, all in
//! the same run: the captured payloads of a real daemon, and a nested value of a megabyte. Against serde-pickle, a value
//! is made and dropped on both sides; against CPython, the text of the JSON is.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    env, fs,
    hint::black_box,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use beamq::wire::pickle::{Limits, decode, decode_to_text};

/// How much faster than serde-pickle, and than CPython, the decoder has to be.
const TIMES_SERDE_PICKLE: f64 = 2.0;
const TIMES_PYTHON: f64 = 3.0;

/// A timing is the least of so many, each of so many repetitions that it takes a while.
const ROUNDS: usize = 15;

/// Prints the time of each payload, in seconds, by the same rule. What has no JSON in Python is left out there.
const PYTHON: &str = r#"
import base64, json, pickle, sys, time

def seconds(data, repeat):
    best = None
    for _ in range(15):
        begun = time.perf_counter()
        for _ in range(repeat):
            json.dumps(pickle.loads(data))
        took = (time.perf_counter() - begun) / repeat
        best = took if best is None else min(best, took)
    return best

for line in sys.stdin:
    data, repeat = line.split()
    data = base64.b64decode(data)
    try:
        print(seconds(data, int(repeat)))
    except Exception:
        print("none")
"#;

/// Makes a nested value of about a megabyte, as one daemon would: with protocol 2.
const LARGE: &str = r#"
import pickle, sys
rows = []
for number in range(7300):
    rows.append({
        "name": "device_%d" % number, "value": number * 0.37, "unit": "mm", "status": (200, "idle at %d" % number),
        "history": [number, number + 1, float(number) / 3, None, True], "limits": {"low": -10, "high": [1, 2, 3]},
    })
sys.stdout.buffer.write(pickle.dumps(rows, 2))
"#;

fn python() -> Command {
    Command::new(env::var("BEAMQ_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned()))
}

fn payloads() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/nicos/payloads");
    let mut payloads: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "bin"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    payloads.sort();
    let large = python().args(["-c", LARGE]).output().unwrap();
    assert!(large.status.success());
    payloads.push(("a nested value".to_owned(), large.stdout));
    payloads
}

fn repetitions(payload: &[u8]) -> usize {
    (200_000 / payload.len()).clamp(1, 2_000)
}

fn seconds(repeat: usize, mut once: impl FnMut()) -> f64 {
    let round = || {
        let begun = Instant::now();
        for _ in 0..repeat {
            once();
        }
        begun.elapsed() / u32::try_from(repeat).unwrap()
    };
    std::iter::repeat_with(round).take(ROUNDS).min().unwrap_or(Duration::MAX).as_secs_f64()
}

fn python_seconds(payloads: &[(String, Vec<u8>)]) -> Vec<Option<f64>> {
    let mut child =
        python().args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input: String = payloads
        .iter()
        .map(|(_, payload)| format!("{} {}\n", STANDARD.encode(payload), repetitions(payload)))
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().ok()).collect()
}

fn main() {
    let limits = Limits::default();
    let payloads = payloads();
    let python = python_seconds(&payloads);
    assert_eq!(python.len(), payloads.len());
    // Each is compared over the payloads that both can read.
    let (mut against_serde, mut against_python) = ((0.0, 0.0), (0.0, 0.0));
    let mut large = None;
    for ((name, payload), python) in payloads.iter().zip(python) {
        let repeat = repetitions(payload);
        let value_alone = seconds(repeat, || drop(black_box(decode(black_box(payload), &limits).unwrap())));
        let with_text = seconds(repeat, || {
            drop(black_box(decode_to_text(black_box(payload), &limits, |value| value).unwrap()));
        });
        let read = || serde_pickle::value_from_slice(black_box(payload), serde_pickle::DeOptions::new());
        let serde = read().is_ok().then(|| seconds(repeat, || drop(black_box(read()))));
        if name == "a nested value" {
            large = Some((payload.len(), value_alone, with_text, serde, python));
            continue;
        }
        if let Some(serde) = serde {
            against_serde.0 += value_alone;
            against_serde.1 += serde;
        }
        if let Some(python) = python {
            against_python.0 += with_text;
            against_python.1 += python;
        }
    }
    let mut missed = Vec::new();
    let mut compare = |what: &str, ours: f64, theirs: f64, times: f64| {
        let factor = theirs / ours;
        println!(
            "{what}: {:.3} ms, theirs {:.3} ms: {factor:.1} times (at least {times})",
            ours * 1e3,
            theirs * 1e3
        );
        if factor < times {
            missed.push(what.to_owned());
        }
    };
    compare("captured payloads, against serde-pickle", against_serde.0, against_serde.1, TIMES_SERDE_PICKLE);
    compare("captured payloads to text, against CPython", against_python.0, against_python.1, TIMES_PYTHON);
    let (length, alone, with_text, serde, python) = large.unwrap();
    println!("a nested value of {length} bytes");
    compare("a nested value, against serde-pickle", alone, serde.unwrap(), TIMES_SERDE_PICKLE);
    compare("a nested value to text, against CPython", with_text, python.unwrap(), TIMES_PYTHON);
    assert!(missed.is_empty(), "too slow: {missed:?}");
}
