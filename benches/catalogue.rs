//! The figures of the catalogue: loading 1 000 commands in 50 files (150 ms), judging one call (5 µs), and
//! 100 calls judged through the protocol of a real server (50 ms).
//!
//! `cargo bench --bench catalogue`. A figure that is missed is printed as such and is no failure, because a
//! busy machine misses any of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    fs,
    hint::black_box,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use beamq::{
    catalogue::Catalogue,
    client::{Client, Credentials, DataDir, LoginWith},
};
use beamq_machines::CommandCall;
use serde_json::{Value, json};

fn main() {
    let files: Vec<(PathBuf, String)> = (0..50).map(|n| (format!("f{n:02}.yaml").into(), file(n))).collect();
    let (catalogue, findings) = Catalogue::check(&files);
    assert_eq!((catalogue.len(), findings.len()), (1000, 0), "{:?}", findings.first());

    let load = median(20, || {
        black_box(Catalogue::check(black_box(&files)));
    });
    report("load 1 000 commands in 50 files", load, Duration::from_millis(150));

    let call: CommandCall = serde_json::from_value(call(7)).unwrap();
    assert_eq!(catalogue.check_call(&call), []);
    let thousand = median(50, || {
        for _ in 0..1000 {
            black_box(catalogue.check_call(black_box(&call)));
        }
    });
    report("judge a call", thousand / 1000, Duration::from_micros(5));

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("commands")).unwrap();
    for (name, text) in &files {
        fs::write(folder.path().join("commands").join(name), text).unwrap();
    }
    let server = Server::start(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let protocol = runtime.block_on(through_the_protocol(&folder.path().join("data")));
    drop(server);
    report("100 calls through the protocol", protocol, Duration::from_millis(50));
}

fn file(n: usize) -> String {
    let mut text = format!("catalogue: 1\ngroup: Group {n}\ncommands:\n");
    for m in 0..20 {
        text.push_str(&format!(
            r#"  command_{n}_{m}:
    summary: Sets a temperature and waits until it is stable.
    description: |
      Ramps to the set point and, if asked, waits until it is stable.
    parameters:
      value: {{type: number, unit: K, minimum: 0.1, maximum: 300, keywords: [keep], description: Set point.}}
      wait: {{type: boolean, default: false, description: Wait until it is stable.}}
      size: {{type: string, choices: [SMALL, MEDIUM, LARGE], default: SMALL}}
    implementation: demo.environment:set_temperature
    estimate: "wait ? abs(value - state.temperature) / 2.0 * 60 + 30 : 1"
    devices: [temperature]
    examples: [{{value: 5, wait: true}}]
"#
        ));
    }
    text
}

fn call(n: usize) -> Value {
    json!({"command": format!("command_{n}_3"), "parameters": {"value": 5.5, "wait": true, "size": "LARGE"}})
}

async fn through_the_protocol(data: &Path) -> Duration {
    let data = DataDir::at(data);
    let token = data.token().unwrap().unwrap();
    let client =
        Client::connect(&data.stomp_address().unwrap(), Credentials::token(token.clone())).await.unwrap();
    client.login(LoginWith::Token(token), "bench").await.unwrap();
    let _: Value = client.call("queue.hold", json!({})).await.unwrap();
    let calls: Vec<Value> = (0..100).map(|n| call(n % 50)).collect();
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let job = json!({"name": "hundred", "commands": calls});
        let _: Value = client.call("job.submit", json!({"job": job})).await.unwrap();
        times.push(start.elapsed());
    }
    client.close().await;
    times.sort();
    times[times.len() / 2]
}

fn median(times: usize, mut what: impl FnMut()) -> Duration {
    let mut all: Vec<Duration> = (0..times)
        .map(|_| {
            let start = Instant::now();
            what();
            start.elapsed()
        })
        .collect();
    all.sort();
    all[all.len() / 2]
}

fn report(what: &str, took: Duration, limit: Duration) {
    let verdict = if took <= limit { "met" } else { "NOT MET" };
    println!("{what:36} {took:>12.2?}  target ≤ {limit:>8.2?}  {verdict}");
}

/// A server that ends with the measurement.
struct Server(Child);

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_beamq"))
            .args(["serve", "--quiet", "--stomp", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"))
            .arg("--commands")
            .arg(folder.join("commands"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("ready"), "{ready}");
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
