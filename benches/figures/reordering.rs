//! Reversing a long queue in one request, and what another client notices of it.

use std::{
    fs::File,
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{
    Effort,
    server::{Door, Server, block_on, held_job},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

/// The waiting jobs.
const JOBS: usize = 10_000;
/// A status is asked for this often, whether or not the one before has been answered.
const ASK_EVERY: Duration = Duration::from_millis(2);

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let server = Server::start();
    let seconds = Duration::from_secs(effort.choose(1, 5));
    let idle = watched(&server, || thread::sleep(seconds)).1;
    block_on(fill(&server));
    let waiting = watched(&server, || thread::sleep(seconds)).1;
    let (reversals, busy) = watched(&server, || block_on(reverse(&server, effort.choose(5, 60))));
    table.figure(
        format!("queue.reorder that reverses {JOBS} jobs (median)"),
        Quantity::Milliseconds(median(&reversals)),
        Target::AtMost(100.0),
        ("reversing the ids and turning them to JSON and back", Quantity::Milliseconds(plain_reversal())),
    );
    table.figure(
        "server.status of another client meanwhile (p99)",
        Quantity::Milliseconds(percentile(&busy, 0.99)),
        Target::LessThan(20.0),
        ("p99 with an empty, idle queue", Quantity::Milliseconds(percentile(&idle, 0.99))),
    );
    let disk = flushes(&server, effort.choose(5, 60));
    table.remark(
        "server.status meanwhile (p99), against the disk",
        Quantity::Milliseconds(percentile(&busy, 0.99)),
        Some(("write of 100 KB and fdatasync, p99", Quantity::Milliseconds(percentile(&disk, 0.99)))),
    );
    table.remark("queue.reorder, slowest", Quantity::Milliseconds(percentile(&reversals, 1.0)), None);
    table.remark(
        "server.status meanwhile, slowest",
        Quantity::Milliseconds(percentile(&busy, 1.0)),
        Some(("with an empty, idle queue", Quantity::Milliseconds(percentile(&idle, 1.0)))),
    );
    table.remark(
        format!("server.status with {JOBS} waiting jobs and nothing to do (p99)"),
        Quantity::Milliseconds(percentile(&waiting, 0.99)),
        Some(("p99 with an empty, idle queue", Quantity::Milliseconds(percentile(&idle, 0.99)))),
    );
}

async fn fill(server: &Server) {
    let client = server.client().await;
    for part in 0..JOBS / 1_000 {
        let jobs: Vec<_> = (0..1_000).map(|number| held_job(part * 1_000 + number)).collect();
        let _: Value = client.call("job.submit_batch", json!({"jobs": jobs})).await.unwrap();
    }
    client.close().await;
}

/// Milliseconds of each of so many reversals, one right after the other.
async fn reverse(server: &Server, times: usize) -> Vec<f64> {
    let client = server.client().await;
    let queue: Value = client.call("queue.get", json!({})).await.unwrap();
    let mut revision = queue["revision"].clone();
    let mut ids: Vec<String> = queue["waiting"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), JOBS);
    let mut samples = Vec::new();
    for _ in 0..times {
        ids.reverse();
        let params = json!({"ids": ids, "revision": revision});
        let start = Instant::now();
        let reply: Value = client.call("queue.reorder", params).await.unwrap();
        samples.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(reply["order"], json!(ids));
        revision = reply["revision"].clone();
    }
    client.close().await;
    samples
}

/// Does something while a client on a thread of its own asks for the status all the time. Gives back the
/// milliseconds that the status took.
fn watched<T>(server: &Server, work: impl FnOnce() -> T) -> (T, Vec<f64>) {
    let (door, done) = (server.door(), Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&done);
    let watcher = thread::spawn(move || block_on(ask_until(door, until)));
    let result = work();
    done.store(true, Ordering::Relaxed);
    (result, watcher.join().unwrap())
}

async fn ask_until(door: Door, done: Arc<AtomicBool>) -> Vec<f64> {
    let client = Arc::new(door.client().await);
    let samples = Arc::new(Mutex::new(Vec::new()));
    let mut asked = JoinSet::new();
    let mut clock = tokio::time::interval(ASK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !done.load(Ordering::Relaxed) {
        clock.tick().await;
        let (client, samples) = (Arc::clone(&client), Arc::clone(&samples));
        // A slow answer does not keep the next question from being asked, or slow ones would count less.
        asked.spawn(async move {
            let start = Instant::now();
            let _: Value = client.call("server.status", json!({})).await.unwrap();
            samples.lock().unwrap().push(start.elapsed().as_secs_f64() * 1e3);
        });
    }
    asked.join_all().await;
    std::mem::take(&mut samples.lock().unwrap())
}

/// Milliseconds to append about as much as a new order takes to a file, and to have it on the disk.
fn flushes(server: &Server, times: usize) -> Vec<f64> {
    let mut file = File::create(server.file("raw")).unwrap();
    (0..times)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[b'x'; 100_000]).unwrap();
            file.sync_data().unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

/// What nobody can do without: milliseconds to write the ids as JSON, to read them, to reverse them, and to
/// write and read the answer.
fn plain_reversal() -> f64 {
    let ids: Vec<_> = (1..=JOBS).map(|id| id.to_string()).collect();
    let samples: Vec<_> = (0..20)
        .map(|_| {
            let start = Instant::now();
            let sent = serde_json::to_vec(&ids).unwrap();
            let mut read: Vec<String> = serde_json::from_slice(&sent).unwrap();
            read.reverse();
            let answer: Value = serde_json::from_slice(&serde_json::to_vec(&read).unwrap()).unwrap();
            assert_eq!(answer[0], ids[JOBS - 1]);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    median(&samples)
}
