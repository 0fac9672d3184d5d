//! Many short jobs, each in a process of its own, and many lines.

use std::{process::Command, process::Stdio, time::Instant};

use beamq::client::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    Effort,
    processes::interpreter,
    server::{ENDED, Server, block_on, job_is, listen, wait_for},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

const LINES: usize = 20_000;

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let server = Server::start();
    let jobs = effort.choose(10, 200);
    let plain_before = plain_rate(jobs / 4);
    let ours = block_on(trivial_jobs(&server, jobs));
    let plain = f64::midpoint(plain_before, plain_rate(jobs / 4));
    table.figure(
        format!("{jobs} trivial jobs, each in its own process"),
        Quantity::PerSecond(ours),
        Target::AtLeast(25.0),
        ("python3 -c pass, one after the other", Quantity::PerSecond(plain)),
    );
    let gaps = block_on(gaps(&server, effort.choose(4, 30)));
    let start = 1e3 / plain;
    table.figure(
        "end of a job → first line of the next (median)",
        Quantity::Milliseconds(median(&gaps)),
        Target::AtMost(15.0),
        ("start and end of python3 -c pass", Quantity::Milliseconds(start)),
    );
    table.remark(
        "end of a job → first line of the next (p95)",
        Quantity::Milliseconds(percentile(&gaps, 0.95)),
        None,
    );
    let rates: Vec<_> = (0..effort.choose(1, 7)).map(|_| block_on(lines(&server))).collect();
    table.figure(
        format!("{LINES} printed lines, none lost, until a client has them (median)"),
        Quantity::PerSecond(median(&rates)),
        Target::AtLeast(50_000.0),
        ("python3 -u into a pipe that is read", Quantity::PerSecond(plain_lines())),
    );
}

/// Jobs a second from the release of the queue to the end of the last.
async fn trivial_jobs(server: &Server, count: usize) -> f64 {
    let client = server.client().await;
    let mut events = listen(&client, &["job"]).await;
    server.spare_is_warm().await;
    let jobs: Vec<_> =
        (0..count).map(|number| json!({"name": format!("job {number}"), "script": "pass"})).collect();
    let _: Value = client.call("queue.hold", json!({})).await.unwrap();
    let _: Value = client.call("job.submit_batch", json!({"jobs": jobs})).await.unwrap();
    let start = Instant::now();
    let _: Value = client.call("queue.release", json!({})).await.unwrap();
    for _ in 0..count {
        let end = wait_for(&mut events, |event| {
            ENDED.iter().any(|state| event["params"]["job"]["state"] == *state)
        })
        .await;
        assert_eq!(end["params"]["job"]["state"], "succeeded", "{end}");
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    client.close().await;
    rate
}

/// Milliseconds between the end of a job and the first line of the next, when a spare worker is ready.
async fn gaps(server: &Server, count: usize) -> Vec<f64> {
    let client = server.client().await;
    let mut events = listen(&client, &["job"]).await;
    server.spare_is_warm().await;
    // Long enough that the next worker is ready when the job ends.
    let script = "import time\nprint(time.time_ns() / 1e6)\ntime.sleep(0.4)\n";
    let jobs: Vec<_> =
        (0..count).map(|number| json!({"name": format!("job {number}"), "script": script})).collect();
    let reply: Value = client.call("job.submit_batch", json!({"jobs": jobs})).await.unwrap();
    let mut began_and_ended = Vec::new();
    for verdict in reply["verdicts"].as_array().unwrap() {
        let id = verdict["id"].as_str().unwrap();
        let end = wait_for(&mut events, |event| job_is(event, id, &ENDED)).await;
        let finished: jiff::Timestamp =
            end["params"]["job"]["finished_at"].as_str().unwrap().parse().unwrap();
        let output: Value = client.call("output.get", json!({"job": id})).await.unwrap();
        let began: f64 = output["lines"][0]["text"].as_str().unwrap().parse().unwrap();
        began_and_ended.push((began, finished.as_nanosecond() as f64 / 1e6));
    }
    client.close().await;
    began_and_ended.windows(2).map(|pair| pair[1].0 - pair[0].1).collect()
}

/// Lines a second, from the first to the last that a client is told; then another client asks for all.
async fn lines(server: &Server) -> f64 {
    let client = server.client().await;
    let mut events = listen(&client, &["job", "output"]).await;
    server.spare_is_warm().await;
    let script = format!("for i in range({LINES}): print('line', i)\n");
    let job = json!({"name": "lines", "script": script});
    let reply: Value = client.call("job.submit", json!({"job": job})).await.unwrap();
    let id = reply["id"].as_str().unwrap().to_owned();
    wait_for(&mut events, |event| job_is(event, &id, &["running"])).await;
    let start = Instant::now();
    all_lines(&mut events, &id).await;
    let rate = LINES as f64 / start.elapsed().as_secs_f64();
    wait_for(&mut events, |event| job_is(event, &id, &ENDED)).await;
    let late = server.client().await;
    assert_eq!(stored_lines(&late, &id).await, LINES);
    late.close().await;
    client.close().await;
    rate
}

async fn all_lines(events: &mut mpsc::Receiver<Value>, id: &str) {
    let mut next = 0;
    while next < LINES {
        let event = wait_for(events, |event| event["params"]["lines"].is_array()).await;
        assert_eq!(event["params"]["job"], *id);
        for line in event["params"]["lines"].as_array().unwrap() {
            assert_eq!(line["text"], format!("line {next}"));
            next += 1;
        }
    }
}

async fn stored_lines(client: &Client, id: &str) -> usize {
    let (mut from, mut count) = (json!(1), 0);
    loop {
        let page: Value = client.call("output.get", json!({"job": id, "from": from})).await.unwrap();
        match page["lines"].as_array().unwrap().len() {
            0 => return count,
            some => count += some,
        }
        from = page["next"].clone();
    }
}

/// Starts and ends a second of an interpreter that does nothing.
fn plain_rate(count: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..count.max(1) {
        assert!(Command::new(interpreter()).args(["-c", "pass"]).status().unwrap().success());
    }
    count.max(1) as f64 / start.elapsed().as_secs_f64()
}

/// Lines a second of an interpreter whose output is only read.
fn plain_lines() -> f64 {
    let script = format!("print('up')\nfor i in range({LINES}): print('line', i)\n");
    let samples: Vec<_> = (0..5)
        .map(|_| {
            let mut python = Command::new(interpreter())
                .args(["-u", "-c", &script])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = python.stdout.take().unwrap();
            std::io::Read::read_exact(&mut output, &mut [0; 3]).unwrap();
            let start = Instant::now();
            let rest = std::io::read_to_string(output).unwrap();
            let rate = LINES as f64 / start.elapsed().as_secs_f64();
            assert_eq!(rest.lines().count(), LINES);
            python.wait().unwrap();
            rate
        })
        .collect();
    median(&samples)
}
