//! From the acknowledged submission to the first line of the script, with a warm spare worker.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    Effort,
    clock::{monotonic, ms_between},
    processes::interpreter,
    server::{ENDED, Server, block_on, job_is, listen, wait_for},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let rounds = effort.choose(5, 60);
    let (ours, plain) = block_on(interleaved(rounds));
    let peer = Quantity::Milliseconds(median(&plain));
    table.figure(
        "reply to job.submit → first line (median)",
        Quantity::Milliseconds(median(&ours)),
        Target::AtMost(10.0),
        ("spawn of python3 script.py → first line", peer),
    );
    table.comparison(
        "… times faster than python3 script.py",
        median(&plain) / median(&ours),
        Target::AtLeast(3.0),
    );
    table.remark(
        "reply to job.submit → first line (p95)",
        Quantity::Milliseconds(percentile(&ours, 0.95)),
        Some(("the same of python3 script.py", Quantity::Milliseconds(percentile(&plain, 0.95)))),
    );
}

/// Milliseconds to the first line: through the server, and of a plain interpreter, in turn.
async fn interleaved(rounds: usize) -> (Vec<f64>, Vec<f64>) {
    let server = Server::start();
    let client = server.client().await;
    let mut events = listen(&client, &["job"]).await;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        server.spare_is_warm().await;
        let mark = server.file(&format!("mark {round}"));
        let job = json!({"name": "benchmark", "script": script(&mark)});
        let reply: Value = client.call("job.submit", json!({"job": job})).await.unwrap();
        let acknowledged = monotonic();
        let id = reply["id"].as_str().unwrap().to_owned();
        wait_for(&mut events, |event| job_is(event, &id, &ENDED)).await;
        ours.push(ms_between(acknowledged, first_line(&mark)));

        // The next spare has the processor for itself before the other interpreter has it.
        server.spare_is_warm().await;
        plain.push(plain_python(&server, round));
    }
    client.close().await;
    (ours, plain)
}

fn plain_python(server: &Server, round: usize) -> f64 {
    let (mark, file) = (server.file(&format!("plain {round}")), server.file("script.py"));
    fs::write(&file, script(&mark)).unwrap();
    let spawned = monotonic();
    let status = Command::new(interpreter()).arg(&file).status().unwrap();
    assert!(status.success());
    ms_between(spawned, first_line(&mark))
}

/// A script that notes the time of its first line.
pub(crate) fn script(mark: &Path) -> String {
    let mark = mark.display();
    format!("import time; first = time.monotonic_ns()\nopen({:?}, 'w').write(str(first))\n", mark.to_string())
}

/// The time that the script noted.
pub(crate) fn first_line(mark: &Path) -> Duration {
    Duration::from_nanos(fs::read_to_string(mark).unwrap().parse().unwrap())
}
