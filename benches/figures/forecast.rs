//! How soon a job has its estimate, and what a forecast of a long queue costs others.

use std::time::{Duration, Instant};

use beamq::client::Client;
use serde_json::{Value, json};

use crate::{
    Effort,
    server::{Server, block_on, listen, wait_for},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

/// The jobs of the forecast.
const JOBS: usize = 100;

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let server = Server::start();
    let estimates = block_on(estimates(&server, effort.choose(5, 60)));
    let interpreter = interpreter_starts(effort.choose(3, 20));
    table.figure(
        "job.submit → its estimate at a client (median)",
        Quantity::Milliseconds(median(&estimates)),
        Target::AtMost(500.0),
        ("python3 -c pass", Quantity::Milliseconds(median(&interpreter))),
    );
    let (seconds, alone, meanwhile) = block_on(forecast(&server, effort.choose(10, JOBS)));
    table.figure(
        "forecast of 100 waiting jobs that differ",
        Quantity::Milliseconds(seconds * 1e3),
        Target::AtMost(10_000.0),
        ("python3 -c pass, as often", Quantity::Milliseconds(median(&interpreter) * JOBS as f64)),
    );
    table.remark(
        "server.status of another client meanwhile (p99)",
        Quantity::Milliseconds(percentile(&meanwhile, 0.99)),
        Some(("without a forecast, p99", Quantity::Milliseconds(percentile(&alone, 0.99)))),
    );
}

/// A job like no other, so that nothing of it was simulated before.
fn job(number: usize) -> Value {
    let script = format!(
        "from beamq.commands import *\nchange_title('job {number}')\nbegin()\nwaitfor_uamps({})\nend()\n",
        1 + number % 7
    );
    json!({"name": format!("job {number}"), "script": script})
}

/// Milliseconds from sending a submission until a client has been told an estimate of the job.
async fn estimates(server: &Server, jobs: usize) -> Vec<f64> {
    let client = server.client().await;
    let _: Value = client.call("queue.hold", json!({})).await.unwrap();
    let mut events = listen(&client, &["job"]).await;
    let mut samples = Vec::new();
    for number in 0..jobs {
        let start = Instant::now();
        let reply: Value = client.call("job.submit", json!({"job": job(1_000 + number)})).await.unwrap();
        let id = reply["id"].clone();
        wait_for(&mut events, |event| {
            let job = &event["params"]["job"];
            job["id"] == id && job.get("estimate").is_some()
        })
        .await;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let _: Value = client.call("queue.clear", json!({})).await.unwrap();
    client.close().await;
    samples
}

/// Seconds of a forecast, and the milliseconds of another client's requests without it and during it.
async fn forecast(server: &Server, jobs: usize) -> (f64, Vec<f64>, Vec<f64>) {
    let (asker, other) = (server.client().await, server.client().await);
    let mut alone = Vec::new();
    for _ in 0..100 {
        alone.push(status(&other).await);
    }
    let batch: Vec<_> = (0..jobs).map(job).collect();
    let _: Value = asker.call("queue.hold", json!({})).await.unwrap();
    let _: Value = asker.call("job.submit_batch", json!({"jobs": batch})).await.unwrap();
    let start = Instant::now();
    let mut meanwhile = Vec::new();
    let mut forecast = Box::pin(asker.call::<Value>("dryrun.queue", json!({})));
    let seconds = loop {
        tokio::select! {
            answer = &mut forecast => {
                assert_eq!(answer.unwrap()["jobs"].as_array().unwrap().len(), jobs);
                break start.elapsed().as_secs_f64();
            }
            took = status(&other) => meanwhile.push(took),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    drop(forecast);
    let _: Value = asker.call("queue.clear", json!({})).await.unwrap();
    asker.close().await;
    other.close().await;
    (seconds, alone, meanwhile)
}

async fn status(client: &Client) -> f64 {
    let start = Instant::now();
    let _: Value = client.call("server.status", json!({})).await.unwrap();
    start.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds of an interpreter that does nothing.
fn interpreter_starts(rounds: usize) -> Vec<f64> {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            let ended = std::process::Command::new("python3").args(["-I", "-c", "pass"]).status().unwrap();
            assert!(ended.success());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}
