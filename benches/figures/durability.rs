//! How fast submissions are acknowledged, each of which is on the disk by then.

use std::{fs::File, io::Write, os::unix::fs::FileExt, time::Instant};

use beamq::client::Client;
use futures_util::{StreamExt, future::join_all, stream};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    Effort,
    server::{Server, block_on, held_job},
    statistics::median,
    table::{Quantity, Table, Target},
};

/// How many calls of the pipelining client are under way.
const PIPELINED: usize = 64;
/// The jobs of a batch.
const BATCH: usize = 1_000;

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let count = effort.choose(200, 4_000);
    let server = Server::start();
    let fsyncs = raw_fsyncs(&server, effort.choose(100, 1_000));
    let mut database = Database::open(&server);
    let inserts = database.single_inserts(effort.choose(100, 1_000));
    let sqlite = ("fsynced SQLite inserts one by one", Quantity::PerSecond(inserts));
    block_on(async {
        let client = server.client().await;
        let one_by_one = submissions(&[&client], count / 4, 1).await;
        let pipelined = submissions(&[&client], count, PIPELINED).await;
        let eight = join_all((0..8).map(|_| server.client())).await;
        let together = submissions(&eight.iter().collect::<Vec<_>>(), count, 1).await;
        table.figure(
            format!("job.submit, one client, {PIPELINED} under way"),
            Quantity::PerSecond(pipelined),
            Target::AtLeast(500.0),
            sqlite,
        );
        table.figure(
            "job.submit, 8 clients, each one at a time",
            Quantity::PerSecond(together),
            Target::AtLeast(500.0),
            sqlite,
        );
        table.figure(
            "job.submit, one client, one at a time",
            Quantity::PerSecond(one_by_one),
            Target::AtLeast(500.0),
            ("write of 4 KiB and fdatasync", Quantity::PerSecond(fsyncs)),
        );
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..effort.choose(2, 15) {
            ours.push(batch(&client).await);
            theirs.push(database.batch());
        }
        table.figure(
            format!("job.submit_batch of {BATCH} (median)"),
            Quantity::Milliseconds(median(&ours)),
            Target::AtMost(300.0),
            ("the same rows in one SQLite transaction", Quantity::Milliseconds(median(&theirs))),
        );
        client.close().await;
    });
}

/// Acknowledged submissions a second of these clients, each with so many calls under way.
async fn submissions(clients: &[&Client], count: usize, under_way: usize) -> f64 {
    clear(clients[0]).await;
    let start = Instant::now();
    join_all(clients.iter().map(|client| {
        let calls = (0..count / clients.len()).map(move |number| async move {
            let params = json!({"job": held_job(number)});
            let reply: Value = client.call("job.submit", params).await.unwrap();
            assert!(reply["id"].is_string());
        });
        stream::iter(calls).buffer_unordered(under_way).count()
    }))
    .await;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let status: Value = clients[0].call("server.status", json!({})).await.unwrap();
    assert_eq!(status["queue"]["length"], count / clients.len() * clients.len());
    rate
}

async fn batch(client: &Client) -> f64 {
    clear(client).await;
    let jobs: Vec<_> = (0..BATCH).map(held_job).collect();
    let params = json!({"jobs": jobs});
    let start = Instant::now();
    let reply: Value = client.call("job.submit_batch", params).await.unwrap();
    let taken = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(reply["verdicts"].as_array().map(Vec::len), Some(BATCH));
    taken
}

async fn clear(client: &Client) {
    let _: Value = client.call("queue.clear", json!({})).await.unwrap();
}

/// What the disk can do: writes of a page, each followed by `fdatasync`, a second.
fn raw_fsyncs(server: &Server, count: usize) -> f64 {
    let mut file = File::create(server.file("raw")).unwrap();
    file.write_all(&vec![0; 1 << 20]).unwrap();
    file.sync_all().unwrap();
    let start = Instant::now();
    for number in 0..count {
        file.write_all_at(&[7; 4096], (number % 256 * 4096) as u64).unwrap();
        file.sync_data().unwrap();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// SQLite as the journal uses it, without a server around it.
struct Database(Connection);

impl Database {
    fn open(server: &Server) -> Self {
        let database = Connection::open(server.file("raw.db")).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.pragma_update(None, "synchronous", "FULL").unwrap();
        database
            .execute_batch("CREATE TABLE fact (seq INTEGER PRIMARY KEY, time_ms INTEGER, json TEXT)")
            .unwrap();
        Self(database)
    }

    fn insert(database: &Connection, number: usize) {
        let row = held_job(number).to_string();
        database
            .prepare_cached("INSERT INTO fact (time_ms, json) VALUES (?1, ?2)")
            .unwrap()
            .execute(params![1, row])
            .unwrap();
    }

    /// Inserts a second, each a transaction of its own.
    fn single_inserts(&mut self, count: usize) -> f64 {
        let start = Instant::now();
        (0..count).for_each(|number| Self::insert(&self.0, number));
        count as f64 / start.elapsed().as_secs_f64()
    }

    /// Milliseconds for a batch in one transaction.
    fn batch(&mut self) -> f64 {
        let start = Instant::now();
        let transaction = self.0.transaction().unwrap();
        (0..BATCH).for_each(|number| Self::insert(&transaction, number));
        transaction.commit().unwrap();
        start.elapsed().as_secs_f64() * 1e3
    }
}
