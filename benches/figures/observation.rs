//! What it costs a script to be observed: the same work in a job and in a plain interpreter, in turn.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    Effort,
    processes::interpreter,
    server::{ENDED, Server, block_on, job_is, listen, wait_for},
    table::{Quantity, Table, Target},
};

/// Each kind of work, and how often it is repeated in one round.
///
/// The IO-heavy script logs and reads as scripts do: line by line through Python's buffers, flushed every
/// 100 lines, with a look at the file's size each time.
const WORK: [(&str, &str, u64); 3] = [
    (
        "a tight loop",
        "def work(n):\n    x = 0\n    for i in range(n):\n        x += i & 7\n    return x\n",
        15_000_000,
    ),
    (
        "a call-heavy script",
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n\ndef work(n):\n    for _ in range(n):\n        fib(18)\n",
        1_500,
    ),
    (
        "an IO-heavy script",
        "import os\ndef work(n):\n    with open('numbers', 'w') as out:\n        for i in range(n):\n            out.write(f'{i} {i * 0.1:.3f} counts\\n')\n            if i % 100 == 0:\n                out.flush()\n                os.stat('numbers')\n    with open('numbers') as back:\n        for line in back:\n            line.split()\n    os.remove('numbers')\n",
        400_000,
    ),
];

/// Nothing but the smallest system calls. The C library locks more in a process with a second thread, even
/// one that sleeps, and here nothing hides that. It has no target: it is printed to be known.
const WORST: (&str, &str, u64) = (
    "nothing but unbuffered reads and writes of 1 KiB",
    "import os\ndef work(n):\n    with open('numbers', 'wb', buffering=0) as out:\n        for i in range(n):\n            out.write(b'0123456789abcdef' * 64)\n    with open('numbers', 'rb', buffering=0) as back:\n        while back.read(1024):\n            pass\n    os.remove('numbers')\n",
    100_000,
);

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let rounds = effort.choose(1, 7);
    let server = Server::start();
    for (what, source, size) in WORK {
        let script = timed(source, size / effort.choose(10, 1));
        let (ours, plain) = block_on(interleaved(&server, &script, rounds));
        // The fastest round is the one that other programs disturbed least.
        table.comparison(
            format!("{what}: processor time in a job, as a share of plain python3"),
            ours / plain,
            Target::AtMost(1.03),
        );
        table.remark(
            format!("{what}: in a job"),
            Quantity::Milliseconds(ours),
            Some(("in plain python3", Quantity::Milliseconds(plain))),
        );
    }
    let (what, source, size) = WORST;
    let (ours, plain) = block_on(interleaved(&server, &timed(source, size / effort.choose(10, 1)), rounds));
    table.remark(
        format!("{what}: processor time in a job"),
        Quantity::Milliseconds(ours),
        Some(("in plain python3", Quantity::Milliseconds(plain))),
    );
}

/// A script that does the work and writes how many milliseconds of processor time its process took for it,
/// whatever watches it included. The time on the clock would measure who else is at work on the machine.
fn timed(source: &str, size: u64) -> String {
    format!(
        "{source}\nimport time\nbegan = time.process_time()\nwork({size})\nprint((time.process_time() - began) * 1e3)\n"
    )
}

/// The fewest milliseconds of so many rounds, in a job and in a plain interpreter.
async fn interleaved(server: &Server, script: &str, rounds: usize) -> (f64, f64) {
    let client = server.client().await;
    let mut events = listen(&client, &["job"]).await;
    let (mut ours, mut plain) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds {
        server.spare_is_warm().await;
        let job = json!({"name": "benchmark", "script": script});
        let reply: Value = client.call("job.submit", json!({"job": job})).await.unwrap();
        let id = reply["id"].as_str().unwrap().to_owned();
        let end = wait_for(&mut events, |event| job_is(event, &id, &ENDED)).await;
        assert_eq!(end["params"]["job"]["state"], "succeeded", "{end}");
        let output: Value = client.call("output.get", json!({"job": id})).await.unwrap();
        ours = ours.min(output["lines"][0]["text"].as_str().unwrap().parse().unwrap());

        server.spare_is_warm().await;
        plain = plain.min(plain_python(server, script));
    }
    client.close().await;
    (ours, plain)
}

fn plain_python(server: &Server, script: &str) -> f64 {
    let file = server.file("script.py");
    std::fs::write(&file, script).unwrap();
    let output = Command::new(interpreter()).arg(&file).current_dir(file.parent().unwrap()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
