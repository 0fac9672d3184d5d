//! How soon a subscribed client sees what has changed.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Effort,
    clock::{monotonic, ms_between},
    script_start::{first_line, script},
    server::{ENDED, Server, block_on, job_is, listen, wait_for},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

/// Changes come at the pace of people and scripts, not one right after the other: whatever sleeps has to be
/// woken each time.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let server = Server::start();
    let (changes, size) = block_on(holds(&server, effort.choose(20, 500)));
    let echoes = loopback_echoes(size, effort.choose(20, 500));
    let echo = |samples: &[f64], share| Quantity::Milliseconds(percentile(samples, share));
    table.figure(
        "queue.hold sent by A → event.queue at B (median)",
        Quantity::Milliseconds(median(&changes)),
        Target::AtMost(5.0),
        ("TCP loopback echo of that size", echo(&echoes, 0.5)),
    );
    table.remark(
        "queue.hold sent by A → event.queue at B (p99)",
        echo(&changes, 0.99),
        Some(("TCP loopback echo of that size, p99", echo(&echoes, 0.99))),
    );
    let starts = block_on(starts(&server, effort.choose(3, 40)));
    table.figure(
        "first line runs → event.job `running` at B (median)",
        Quantity::Milliseconds(median(&starts)),
        Target::AtMost(5.0),
        ("TCP loopback echo of that size", echo(&echoes, 0.5)),
    );
}

/// Milliseconds from sending a change until another client has its event, and the size of the event.
async fn holds(server: &Server, changes: usize) -> (Vec<f64>, usize) {
    let (actor, observer) = (server.client().await, server.client().await);
    let mut events = listen(&observer, &["queue"]).await;
    let (mut samples, mut size) = (Vec::new(), 0);
    for number in 0..changes {
        let (method, state) =
            if number % 2 == 0 { ("queue.hold", "held") } else { ("queue.release", "idle") };
        tokio::time::sleep(PAUSE).await;
        let start = Instant::now();
        let seen = wait_for(&mut events, |event| event["params"]["state"] == state);
        let (reply, event) =
            tokio::join!(actor.call::<Value>(method, json!({})), async { (seen.await, start.elapsed()) });
        reply.unwrap();
        samples.push(event.1.as_secs_f64() * 1e3);
        size = event.0.to_string().len();
    }
    actor.close().await;
    observer.close().await;
    (samples, size)
}

/// Milliseconds from a script's first line until a client knows that it runs; negative when it knows before.
async fn starts(server: &Server, jobs: usize) -> Vec<f64> {
    let (actor, observer) = (server.client().await, server.client().await);
    let mut events = listen(&observer, &["job"]).await;
    let mut samples = Vec::new();
    for number in 0..jobs {
        server.spare_is_warm().await;
        let mark = server.file(&format!("mark {number}"));
        // A script that ended at once would have its end and the next worker's start measured as well.
        let script = script(&mark) + "time.sleep(0.2)\n";
        let job = json!({"name": "benchmark", "script": script});
        let reply: Value = actor.call("job.submit", json!({"job": job})).await.unwrap();
        let id = reply["id"].as_str().unwrap().to_owned();
        wait_for(&mut events, |event| job_is(event, &id, &["running"])).await;
        let known = monotonic();
        wait_for(&mut events, |event| job_is(event, &id, &ENDED)).await;
        samples.push(ms_between(first_line(&mark), known));
    }
    actor.close().await;
    observer.close().await;
    samples
}

/// Milliseconds for so many bytes to go to a thread and back.
fn loopback_echoes(size: usize, rounds: usize) -> Vec<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let echo = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_nodelay(true).unwrap();
        let mut bytes = vec![0; size];
        while peer.read_exact(&mut bytes).is_ok() {
            peer.write_all(&bytes).unwrap();
        }
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut bytes = vec![b'x'; size];
    let samples = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            stream.write_all(&bytes).unwrap();
            stream.read_exact(&mut bytes).unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    drop(stream);
    echo.join().unwrap();
    samples
}
