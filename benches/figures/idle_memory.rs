//! How much memory the server's process has resident while it has nothing to do.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{
    Effort,
    processes::{interpreter, python_children, resident_mib},
    server::{ENDED, Server, block_on, held_job, listen, wait_for},
    table::{Quantity, Table, Target},
};

/// What issue and operators call little, in MiB.
const LITTLE: Target = Target::AtMost(25.0);

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let jobs = effort.choose(20, 1_000);
    let server = Server::start();
    let sleeper = sleeping_python();
    let against = ("python3 that sleeps", Quantity::MiB(sleeper));
    block_on(async {
        server.spare_is_warm().await;
        table.figure("resident after the start", resident(&server), LITTLE, against);
        let worker = python_children(server.pid()).into_iter().map(resident_mib).sum();
        table.remark("… and its spare worker, a process of its own", Quantity::MiB(worker), Some(against));
        run(&server, jobs).await;
        server.spare_is_warm().await;
        table.figure(format!("resident after {jobs} jobs that ran"), resident(&server), LITTLE, against);
        fill_and_clear(&server).await;
        table.remark(
            "resident after 10000 jobs that were queued and removed",
            resident(&server),
            Some(against),
        );
    });
}

fn resident(server: &Server) -> Quantity {
    Quantity::MiB(resident_mib(server.pid()))
}

/// Runs so many jobs that each write a line.
async fn run(server: &Server, count: usize) {
    let client = server.client().await;
    let mut events = listen(&client, &["job", "output", "queue"]).await;
    let jobs: Vec<_> = (0..count)
        .map(|number| json!({"name": format!("job {number}"), "script": "print('done')"}))
        .collect();
    let reply: Value = client.call("job.submit_batch", json!({"jobs": jobs})).await.unwrap();
    let last = reply["verdicts"][count - 1]["id"].clone();
    let ended = |event: &Value| {
        let job = &event["params"]["job"];
        job["id"] == last && ENDED.iter().any(|state| job["state"] == *state)
    };
    for left in (0..count).rev() {
        let event = wait_for(&mut events, |event| {
            ENDED.iter().any(|state| event["params"]["job"]["state"] == *state)
        })
        .await;
        assert_eq!(event["params"]["job"]["state"], "succeeded", "{event}");
        assert_eq!(left == 0, ended(&event));
    }
    client.close().await;
}

async fn fill_and_clear(server: &Server) {
    let client = server.client().await;
    for _ in 0..10 {
        let jobs: Vec<_> = (0..1_000).map(held_job).collect();
        let _: Value = client.call("job.submit_batch", json!({"jobs": jobs})).await.unwrap();
    }
    let _: Value = client.call("queue.clear", json!({})).await.unwrap();
    client.close().await;
}

/// The resident memory of a Python that does nothing, in MiB.
fn sleeping_python() -> f64 {
    let mut python = Command::new(interpreter())
        .args(["-c", "import time; print(flush=True); time.sleep(60)"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0];
    std::io::Read::read_exact(python.stdout.as_mut().unwrap(), &mut line).unwrap();
    let resident = resident_mib(python.id());
    python.kill().unwrap();
    python.wait().unwrap();
    resident
}
