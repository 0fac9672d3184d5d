//! How soon a pause, a resume and an abort act, as a client of the server sees it.

use std::{fs, path::Path, time::Duration};

use beamq::client::Client;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    Effort,
    clock::{monotonic, ms_between},
    processes::interpreter,
    server::{ENDED, Server, block_on, job_is, listen, wait_for},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

/// A script that stands still for longer than this has been paused.
const STILL: Duration = Duration::from_millis(60);
/// The grace times of the default configuration, together.
const GRACE_MS: f64 = 5_000.0;

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let rounds = effort.choose(5, 60);
    let server = Server::start();
    block_on(async {
        let mut user = User::of(&server).await;
        let mark = server.file("lines");
        let (pauses, resumes) = user.pause_and_resume(&tight_loop(&mark), "line", Some(&mark), rounds).await;
        let (waits, _) = user.pause_and_resume(POLLING, "now", None, effort.choose(3, 30)).await;
        let switch =
            ("a signal to plain python3 → its handler", Quantity::Milliseconds(plain_signal(rounds)));
        table.figure(
            "run.pause → event of the pause, in a tight loop (median)",
            Quantity::Milliseconds(median(&pauses)),
            Target::AtMost(5.0),
            switch,
        );
        table.remark(
            "run.pause → event of the pause, in a tight loop (p95)",
            Quantity::Milliseconds(percentile(&pauses, 0.95)),
            None,
        );
        table.figure(
            "run.pause now → event of the pause, in a polling wait (slowest)",
            Quantity::Milliseconds(percentile(&waits, 1.0)),
            Target::AtMost(500.0),
            ("the wait polls every", Quantity::Milliseconds(100.0)),
        );
        table.figure(
            "run.resume → next line (median)",
            Quantity::Milliseconds(median(&resumes)),
            Target::AtMost(5.0),
            switch,
        );
        let mut aborts = Vec::new();
        for _ in 0..effort.choose(3, 30) {
            aborts.push(user.abort("print('up')\nwhile True:\n    pass\n").await);
        }
        table.figure(
            "run.abort → event of the job's end, in a tight loop (median)",
            Quantity::Milliseconds(median(&aborts)),
            Target::AtMost(50.0),
            switch,
        );
        let pid = server.file("pid");
        let mut deaths = Vec::new();
        for _ in 0..effort.choose(3, 30) {
            deaths.push(user.killed_from_outside(&pid).await);
        }
        table.figure(
            "SIGKILL to a job's process → event of the job's end (slowest)",
            Quantity::Milliseconds(percentile(&deaths, 1.0)),
            Target::AtMost(1000.0),
            switch,
        );
        if effort == Effort::Full {
            table.figure(
                "run.abort of a script that ignores it and SIGTERM → event of its end, beyond the grace times",
                Quantity::Milliseconds(user.abort(STUBBORN).await - GRACE_MS),
                Target::AtMost(100.0),
                ("the grace times together", Quantity::Milliseconds(GRACE_MS)),
            );
        }
    });
}

/// A loop that notes when it runs again after it stood still.
fn tight_loop(mark: &Path) -> String {
    format!(
        "import time\nout = open({:?}, 'a', buffering=1)\nprint('up')\nlast = time.monotonic_ns()\nwhile True:\n    now = time.monotonic_ns()\n    if now - last > {}:\n        out.write('%d\\n' % now)\n    last = now\n",
        mark.display().to_string(),
        STILL.as_nanos() / 2
    )
}

/// A wait as the libraries of instruments have it.
const POLLING: &str = "\
import time
from nicos import session

def waitfor_move():
    print('up')
    while True:
        session.breakpoint(3)
        time.sleep(0.1)

waitfor_move()
";

const STUBBORN: &str = "\
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up')
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
";

struct User {
    client: Client,
    events: mpsc::Receiver<Value>,
}

impl User {
    async fn of(server: &Server) -> Self {
        let client = server.client().await;
        let events = listen(&client, &["job", "output"]).await;
        Self { client, events }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        self.client.call(method, params).await.unwrap()
    }

    /// Starts a script, after an abort may have held the queue, and waits until it says that it is up.
    async fn start(&mut self, script: &str) -> String {
        let job = json!({"name": "benchmark", "script": script});
        let reply = self.call("job.submit", json!({"job": job})).await;
        let _not_held = self.client.call::<Value>("queue.release", json!({})).await;
        let id = reply["id"].as_str().unwrap().to_owned();
        wait_for(&mut self.events, |event| {
            event["params"]["job"] == id && event["params"]["lines"][0]["text"] == "up"
        })
        .await;
        id
    }

    /// Milliseconds to each pause, and to each next line after it.
    async fn pause_and_resume(
        &mut self,
        script: &str,
        level: &str,
        mark: Option<&Path>,
        rounds: usize,
    ) -> (Vec<f64>, Vec<f64>) {
        let id = self.start(script).await;
        let (mut pauses, mut resumed_at) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            sleep(STILL / 4).await;
            let asked = monotonic();
            self.call("run.pause", json!({"level": level})).await;
            wait_for(&mut self.events, |event| job_is(event, &id, &["paused"])).await;
            pauses.push(ms_between(asked, monotonic()));
            sleep(STILL).await;
            resumed_at.push(monotonic());
            self.call("run.resume", json!({})).await;
            wait_for(&mut self.events, |event| job_is(event, &id, &["running"])).await;
        }
        self.call("run.abort", json!({})).await;
        wait_for(&mut self.events, |event| job_is(event, &id, &ENDED)).await;
        let noted = mark.map(|mark| fs::read_to_string(mark).unwrap()).unwrap_or_default();
        let lines: Vec<_> = noted.lines().map(|line| Duration::from_nanos(line.parse().unwrap())).collect();
        // A busy machine can make the script stand still at other times as well.
        let first_after = |asked: &Duration| lines.iter().find(|line| *line >= asked).copied();
        let resumes =
            resumed_at.iter().filter_map(|asked| Some(ms_between(*asked, first_after(asked)?))).collect();
        (pauses, resumes)
    }

    /// Milliseconds until the end of a job is known whose process was killed.
    async fn killed_from_outside(&mut self, pid: &Path) -> f64 {
        let script = format!(
            "import os\nopen({:?}, 'w').write(str(os.getpid()))\nprint('up')\nwhile True:\n    pass\n",
            pid.display().to_string()
        );
        let id = self.start(&script).await;
        let process = Pid::from_raw(fs::read_to_string(pid).unwrap().parse().unwrap());
        let asked = monotonic();
        kill(process, Signal::SIGKILL).unwrap();
        wait_for(&mut self.events, |event| job_is(event, &id, &ENDED)).await;
        ms_between(asked, monotonic())
    }

    /// Milliseconds until a script is gone.
    async fn abort(&mut self, script: &str) -> f64 {
        let id = self.start(script).await;
        let asked = monotonic();
        self.call("run.abort", json!({})).await;
        wait_for(&mut self.events, |event| job_is(event, &id, &ENDED)).await;
        ms_between(asked, monotonic())
    }
}

/// What nobody can be faster than: milliseconds from a signal to its handler in a plain interpreter.
fn plain_signal(rounds: usize) -> f64 {
    use std::io::{BufRead, BufReader};

    let script = "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: print(time.monotonic_ns(), flush=True))\nprint('up', flush=True)\nwhile True:\n    pass\n";
    let mut python = std::process::Command::new(interpreter())
        .args(["-c", script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(python.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let pid = Pid::from_raw(python.id().cast_signed());
    let samples: Vec<_> = (0..rounds)
        .map(|_| {
            let asked = monotonic();
            kill(pid, Signal::SIGUSR1).unwrap();
            let handled = lines.next().unwrap().unwrap().parse().unwrap();
            ms_between(asked, Duration::from_nanos(handled))
        })
        .collect();
    python.kill().unwrap();
    python.wait().unwrap();
    median(&samples)
}
