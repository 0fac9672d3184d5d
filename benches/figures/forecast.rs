//! How soon a job has its estimate, and what a forecast of a long queue costs others.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use beamq::client::{Client, ClientError};
use serde_json::{Value, json};

use crate::{
    Effort,
    clock::monotonic,
    processes::interpreter,
    server::{ENDED, Server, block_on, job_is, listen, wait_for},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

/// The jobs of the forecast.
const JOBS: usize = 100;
/// How long the running job and another client are watched without a forecast, before it and after it.
const ALONE: Duration = Duration::from_secs(4);

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let server = Server::start();
    let estimates = block_on(estimates(&server, effort.choose(5, 60)));
    let plain = interpreter_starts(effort.choose(3, 20));
    let start = Quantity::Milliseconds(median(&plain));
    table.figure(
        "job.submit → its estimate at a client (median)",
        Quantity::Milliseconds(median(&estimates)),
        Target::AtMost(500.0),
        ("python3 -c pass", start),
    );
    table.remark(
        "job.submit → its estimate at a client (p95)",
        Quantity::Milliseconds(percentile(&estimates, 0.95)),
        None,
    );
    let jobs = effort.choose(10, JOBS);
    let Competition { took, alone, meanwhile } = block_on(forecast(&server, jobs));
    table.figure(
        format!("forecast of {jobs} waiting jobs that differ, beside a running job"),
        Quantity::Milliseconds(took.as_secs_f64() * 1e3),
        Target::AtMost(10_000.0),
        ("python3 -c pass, as often", Quantity::Milliseconds(median(&plain) * jobs as f64)),
    );
    table.comparison(
        "the running job's tight loop meanwhile, as a share of its pace without (rounds a second)",
        meanwhile.pace / alone.pace,
        Target::AtLeast(0.97),
    );
    table.remark(
        "one round of that loop meanwhile (median)",
        Quantity::Milliseconds(median(&meanwhile.rounds)),
        Some(("without a forecast", Quantity::Milliseconds(median(&alone.rounds)))),
    );
    table.remark(
        "server.status of another client meanwhile (median)",
        Quantity::Milliseconds(median(&meanwhile.statuses)),
        Some(("without a forecast", Quantity::Milliseconds(median(&alone.statuses)))),
    );
    table.remark(
        "server.status of another client meanwhile (p99)",
        Quantity::Milliseconds(percentile(&meanwhile.statuses, 0.99)),
        Some(("without a forecast, p99", Quantity::Milliseconds(percentile(&alone.statuses, 0.99)))),
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

/// What others noticed of a forecast.
struct Competition {
    /// How long the forecast took.
    took: Duration,
    /// What was measured without it, before and after.
    alone: Watched,
    /// What was measured while it was made.
    meanwhile: Watched,
}

/// What a running job and another client did in some time.
struct Watched {
    /// Rounds of the job's loop, a second.
    pace: f64,
    /// The milliseconds of each round.
    rounds: Vec<f64>,
    /// The milliseconds of each request of the client.
    statuses: Vec<f64>,
}

/// A span on the monotonic clock that scripts read, too.
type Span = (Duration, Duration);

/// Forecasts a queue behind a job that never rests, while another client asks for the status.
async fn forecast(server: &Server, jobs: usize) -> Competition {
    let (asker, other) = (server.client().await, server.client().await);
    let mark = server.file("rounds");
    let running = start(&asker, &mark).await;
    let (before, mut alone) = watch(&other, tokio::time::sleep(ALONE)).await;
    let batch: Vec<_> = (0..jobs).map(job).collect();
    let asked = async {
        let _: Value = asker.call("job.submit_batch", json!({"jobs": batch})).await.unwrap();
        // On a machine that never rests it takes longer than a client waits for an answer.
        let answer: Value = loop {
            match asker.call("dryrun.queue", json!({})).await {
                Ok(answer) => break answer,
                Err(ClientError::TimedOut { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        let forecast = answer["jobs"].as_array().unwrap();
        assert_eq!(forecast.len(), jobs);
        assert!(forecast.iter().all(|job| job["estimate"]["source"] == "simulated"), "{answer}");
    };
    let (during, statuses) = watch(&other, asked).await;
    let _: Value = asker.call("queue.clear", json!({})).await.unwrap();
    let (after, more) = watch(&other, tokio::time::sleep(ALONE)).await;
    alone.extend(more);
    let mut events = listen(&asker, &["job"]).await;
    let _: Value = asker.call("run.abort", json!({})).await.unwrap();
    wait_for(&mut events, |event| job_is(event, &running, &ENDED)).await;
    asker.close().await;
    other.close().await;
    let (alone_ms, alone_pace) = rounds(&mark, &[before, after]);
    let (rounds, pace) = rounds(&mark, &[during]);
    Competition {
        took: during.1 - during.0,
        alone: Watched { pace: alone_pace, rounds: alone_ms, statuses: alone },
        meanwhile: Watched { pace, rounds, statuses },
    }
}

/// Starts a job that notes every round of a tight loop, and lets nothing start behind it. Nothing of it can
/// be foreseen, and it says so, because the forecast of the others is what is measured.
async fn start(client: &Client, mark: &Path) -> String {
    let script = format!(
        "import beamq, time\nif beamq.in_dry_run:\n    raise SystemExit\nout = open({:?}, 'a', buffering=1)\nprint('up')\nwhile True:\n    began = time.monotonic_ns()\n    x = 0\n    for i in range(100_000):\n        x += i & 7\n    out.write(f'{{began}} {{time.monotonic_ns()}}\\n')\n",
        mark.display().to_string()
    );
    let mut events = listen(client, &["output"]).await;
    let job = json!({"name": "running", "script": script});
    let reply: Value = client.call("job.submit", json!({"job": job})).await.unwrap();
    let _: Value = client.call("queue.release", json!({})).await.unwrap();
    let id = reply["id"].as_str().unwrap().to_owned();
    wait_for(&mut events, |event| {
        event["params"]["job"] == id && event["params"]["lines"][0]["text"] == "up"
    })
    .await;
    let _: Value = client.call("queue.hold", json!({})).await.unwrap();
    id
}

/// Asks for the status until something is over: when that was, and how long each answer took.
async fn watch(client: &Client, something: impl Future<Output = ()>) -> (Span, Vec<f64>) {
    let mut something = std::pin::pin!(something);
    let (began, mut statuses) = (monotonic(), Vec::new());
    loop {
        tokio::select! {
            () = &mut something => return ((began, monotonic()), statuses),
            took = status(client) => statuses.push(took),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn status(client: &Client) -> f64 {
    let start = Instant::now();
    let _: Value = client.call("server.status", json!({})).await.unwrap();
    start.elapsed().as_secs_f64() * 1e3
}

/// The milliseconds of each round of the loop that lies in the spans, and how many there were a second.
fn rounds(mark: &Path, spans: &[Span]) -> (Vec<f64>, f64) {
    let noted = fs::read_to_string(mark).unwrap();
    let times = noted.lines().filter_map(|line| {
        let (began, ended) = line.split_once(' ')?;
        Some((Duration::from_nanos(began.parse().ok()?), Duration::from_nanos(ended.parse().ok()?)))
    });
    let within = times.filter(|(began, ended)| spans.iter().any(|span| span.0 <= *began && *ended <= span.1));
    let rounds: Vec<_> = within.map(|(began, ended)| (ended - began).as_secs_f64() * 1e3).collect();
    let seconds: f64 = spans.iter().map(|span| (span.1 - span.0).as_secs_f64()).sum();
    let pace = rounds.len() as f64 / seconds;
    (rounds, pace)
}

/// Milliseconds of an interpreter that does nothing.
fn interpreter_starts(rounds: usize) -> Vec<f64> {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            let ended =
                std::process::Command::new(interpreter()).args(["-I", "-c", "pass"]).status().unwrap();
            assert!(ended.success());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}
