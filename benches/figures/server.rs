//! A real server process and clients of it.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use beamq::client::{Client, Credentials, LoginWith, ServerAddress};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::processes::{cpu_time_of_sleeper, path, python_children};

/// The longest wait for anything that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a worker must have done nothing to count as warm.
const QUIET: Duration = Duration::from_millis(60);

/// A server with a data directory of its own. Dropping it ends both.
pub(crate) struct Server {
    process: Child,
    address: ServerAddress,
    token: String,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts the server as an instrument would run it, on a real disk: `/tmp` may be none.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Starts the server with a configuration.
    pub(crate) fn start_with(config: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let data = folder.path().join("data");
        let file = folder.path().join("beamq.yaml");
        std::fs::write(&file, config).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_beamq"))
            .args(["serve", "--quiet", "--json", "--stomp", "127.0.0.1:0", "--data"])
            .arg(&data)
            .arg("--config")
            .arg(&file)
            .env("PATH", path())
            .env_remove("BEAMQ_CONFIG")
            .env_remove("BEAMQ_SERVER")
            .env_remove("BEAMQ_DATA")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the server's ready line");
        let address = ready["ready"]["stomp"].as_str().unwrap().parse().unwrap();
        let token = std::fs::read_to_string(data.join("token")).unwrap().trim().to_owned();
        Self { process, address, token, folder }
    }

    /// What lets a client in as administrator.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A new file next to the server's data, on the same disk.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How to reach the server, for a thread of its own.
    pub(crate) fn door(&self) -> Door {
        Door { address: self.address.clone(), token: self.token.clone() }
    }

    /// The host and port, and what opens the door, for a client that speaks STOMP by hand.
    pub(crate) fn endpoint(&self) -> ((String, u16), String) {
        ((self.address.host.clone(), self.address.port), self.token.clone())
    }

    /// A client that has logged in.
    pub(crate) async fn client(&self) -> Client {
        self.door().client().await
    }

    /// Waits until a spare worker is ready: it is there, alone, and has stopped using the processor.
    pub(crate) async fn spare_is_warm(&self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let before = self.sleeping_worker();
            tokio::time::sleep(QUIET).await;
            if before.is_some() && self.sleeping_worker() == before {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "no spare worker became warm");
        }
    }

    fn sleeping_worker(&self) -> Option<(u32, u64)> {
        match python_children(self.pid()).as_slice() {
            [pid] => Some((*pid, cpu_time_of_sleeper(*pid)?)),
            _ => None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its workers end with it.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What a client needs to come in.
#[derive(Clone)]
pub(crate) struct Door {
    address: ServerAddress,
    token: String,
}

impl Door {
    /// A client that has logged in.
    pub(crate) async fn client(&self) -> Client {
        let client = Client::connect(&self.address, Credentials::token(&self.token)).await.unwrap();
        client.login(LoginWith::Token(self.token.clone()), "benchmark").await.unwrap();
        client
    }
}

/// A client that hears of these kinds of events.
pub(crate) async fn listen(client: &Client, kinds: &[&str]) -> mpsc::Receiver<Value> {
    let events = client.events();
    let _: Value = client.call("events.subscribe", json!({"kinds": kinds})).await.unwrap();
    events
}

/// Waits for the event that is wanted.
pub(crate) async fn wait_for(events: &mut mpsc::Receiver<Value>, wanted: impl Fn(&Value) -> bool) -> Value {
    let search = async {
        loop {
            let event = events.recv().await.expect("the connection ended");
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("the event did not come")
}

/// Whether this is an event of the job in one of the states.
pub(crate) fn job_is(event: &Value, id: &str, states: &[&str]) -> bool {
    let job = &event["params"]["job"];
    job["id"] == id && job["state"].as_str().is_some_and(|state| states.contains(&state))
}

/// The final states.
pub(crate) const ENDED: [&str; 7] =
    ["succeeded", "succeeded_with_errors", "failed", "aborted", "cancelled", "expired", "interrupted"];

/// The submission of a job that waits for ever.
pub(crate) fn held_job(number: usize) -> Value {
    // As long as a short real script.
    let script = "from beamq.commands import *\n".to_owned() + &"x = 1  # a line of a script\n".repeat(20);
    json!({"name": format!("held {number}"), "script": script, "held": true})
}

/// Runs a measurement that talks to servers. One thread is enough for clients, and leaves the processors
/// to the server.
pub(crate) fn block_on<T>(measurement: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(measurement)
}
