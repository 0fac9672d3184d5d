//! A real server in a folder of its own, clients that are logged in, and ways to wait for what happens.
//!
//! Whatever is waited for has a deadline, and a server that a test has started is ended with the test,
//! also when it fails.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use beamq::client::{Client, ClientError, Credentials, LoginWith, RpcError, ServerAddress};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

/// How long anything may take that is bound to happen, on a machine that is busy with other things.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Short grace times, so that tests of stubborn scripts end soon; and no estimates that nobody asks for,
/// whose events come at any moment.
pub const QUICK: &str =
    "abort: {cooperative: \"700ms\", terminate: \"700ms\"}\nestimates: {background: false}\n";

/// The folder of a server: its configuration, its data, and room for what scripts write.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// A fresh folder with a configuration.
    pub fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("beamq.yaml"), config).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("beamq.yaml")
    }

    /// What the server wrote on standard error, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("stderr")).unwrap_or_default()
    }

    /// The command that starts a server here.
    pub fn serve(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_beamq"));
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path().join("stderr")).unwrap();
        command
            .args(["serve", "--stomp", "127.0.0.1:0", "--json"])
            .arg("--config")
            .arg(self.config())
            .arg("--data")
            .arg(self.data())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        command
    }

    /// Starts a server and waits until it accepts clients.
    pub async fn start(self) -> Server {
        let command = self.serve();
        self.started(command).await
    }

    /// Starts a server by way of a program that runs what its arguments say.
    pub async fn start_with(self, mut program: Command) -> Server {
        let serve = self.serve();
        let serve = serve.as_std();
        program.arg(serve.get_program()).args(serve.get_args());
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path().join("stderr")).unwrap();
        program.current_dir(self.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        program.kill_on_drop(true);
        self.started(program).await
    }

    async fn started(self, mut command: Command) -> Server {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = timeout(DEADLINE, lines.read_line(&mut line)).await;
        assert!(matches!(read, Ok(Ok(1..))), "the server did not become ready: {}", self.log());
        let ready: Value = serde_json::from_str(&line).unwrap();
        let ready = ready["ready"].clone();
        let address = ready["stomp"].as_str().unwrap().parse().unwrap();
        let token = fs::read_to_string(self.data().join("token")).unwrap().trim().to_owned();
        Server { child, home: self, ready, address, token, _stdout: lines }
    }
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    pub home: Home,
    pub ready: Value,
    pub address: ServerAddress,
    pub token: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// A server with short grace times in a fresh folder.
    pub async fn start() -> Self {
        Home::new(QUICK).start().await
    }

    /// A server with this configuration besides the short grace times.
    pub async fn with(config: &str) -> Self {
        Home::new(&format!("{QUICK}{config}")).start().await
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Ends the server as a power cut does.
    pub async fn kill(mut self) -> Home {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
        self.home
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).unwrap();
    }

    /// Waits for the server to end by itself.
    pub async fn ended(mut self) -> (ExitStatus, Home) {
        let status = timeout(DEADLINE, self.child.wait()).await;
        let Ok(status) = status else { panic!("the server did not end: {}", self.home.log()) };
        (status.unwrap(), self.home)
    }

    /// Stops the server in the orderly way and starts another one on the same data.
    pub async fn restart(self) -> Self {
        self.signal(Signal::SIGTERM);
        let (status, home) = self.ended().await;
        assert!(status.success(), "{status}: {}", home.log());
        home.start().await
    }

    /// A connection that has not logged in to the server proper.
    pub async fn stranger(&self) -> Client {
        Client::connect(&self.address, Credentials::token(&self.token)).await.unwrap()
    }

    /// A client with the token, who listens to every event.
    pub async fn client(&self) -> User {
        self.login(LoginWith::Token(self.token.clone())).await
    }

    /// A client with an account of the configuration, who listens to every event.
    pub async fn account(&self, user: &str, password: &str) -> User {
        self.login(LoginWith::Account { user: user.into(), password: password.into() }).await
    }

    async fn login(&self, with: LoginWith) -> User {
        User::log_in(self.stranger().await, with).await
    }
}

/// A client that remembers the events it was sent.
pub struct User {
    pub client: Client,
    events: mpsc::Receiver<Value>,
    /// Every event so far, oldest first.
    pub seen: Vec<Value>,
    latest: BTreeMap<String, Value>,
}

impl User {
    /// Logs a connection in and listens to every event.
    pub async fn log_in(client: Client, with: LoginWith) -> Self {
        let events = client.events();
        client.login(with, "tests").await.unwrap();
        let user = Self { client, events, seen: Vec::new(), latest: BTreeMap::new() };
        user.call("events.subscribe", json!({})).await;
        user
    }

    /// Calls a method that is to succeed.
    #[track_caller]
    pub fn call(&self, method: &str, params: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        let reply = Box::pin(self.client.call::<Value>(method, params.clone()));
        let method = method.to_owned();
        async move {
            match reply.await {
                Ok(result) => result,
                Err(error) => panic!("{caller}: {method} {params}: {error:?}"),
            }
        }
    }

    /// Calls a method that is to be refused.
    #[track_caller]
    pub fn refused(&self, method: &str, params: Value) -> impl Future<Output = RpcError> {
        let caller = std::panic::Location::caller();
        let reply = Box::pin(self.client.call::<Value>(method, params.clone()));
        let method = method.to_owned();
        async move {
            match reply.await {
                Err(ClientError::Rpc(error)) => {
                    assert_eq!(error.data.get("kind").map(Value::is_string), Some(true), "{error:?}");
                    error
                }
                other => panic!("{caller}: {method} {params} was not refused: {other:?}"),
            }
        }
    }

    /// Queues a script and gives its id.
    pub async fn submit(&self, name: &str, script: &str) -> String {
        self.submit_job(json!({"name": name, "script": script})).await
    }

    /// Queues a job and gives its id.
    pub async fn submit_job(&self, job: Value) -> String {
        text(&self.call("job.submit", json!({"job": job})).await["id"])
    }

    pub async fn job(&self, id: &str) -> Value {
        self.call("job.get", json!({"id": id})).await["job"].clone()
    }

    pub async fn queue(&self) -> Value {
        self.call("queue.get", json!({})).await
    }

    /// The ids of the waiting jobs in their order.
    pub async fn order(&self) -> Vec<String> {
        self.queue().await["waiting"].as_array().unwrap().iter().map(|job| text(&job["id"])).collect()
    }

    pub async fn revision(&self) -> u64 {
        self.queue().await["revision"].as_u64().unwrap()
    }

    fn remember(&mut self, event: Value) {
        if event["method"] == "event.job" {
            let job = &event["params"]["job"];
            self.latest.insert(text(&job["id"]), job.clone());
        }
        self.seen.push(event);
    }

    /// Takes in the events that have arrived already.
    pub fn catch_up(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.remember(event);
        }
    }

    /// Waits until the events seen so far satisfy a condition; `what` is for the failure's message.
    pub async fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let give_up = Instant::now() + DEADLINE;
        loop {
            self.catch_up();
            if let Some(found) = found(self) {
                return found;
            }
            match tokio::time::timeout_at(give_up, self.events.recv()).await {
                Ok(Some(event)) => self.remember(event),
                Ok(None) => panic!("the connection ended while waiting for {what}: {}", self.last_events()),
                Err(_) => panic!("nothing after {DEADLINE:?} of {what}: {}", self.last_events()),
            }
        }
    }

    fn last_events(&self) -> String {
        let from = self.seen.len().saturating_sub(12);
        self.seen[from..].iter().map(|event| format!("\n  {event}")).collect()
    }

    /// Waits for an event after the first `from` that satisfies the condition.
    pub async fn event(&mut self, what: &str, from: usize, fits: impl Fn(&Value) -> bool) -> Value {
        self.until(what, |user| user.seen.iter().skip(from).find(|event| fits(event)).cloned()).await
    }

    /// Waits until the job is in the state now, or fails when it ends in another one.
    pub async fn settles(&mut self, id: &str, state: &str) -> Value {
        self.until(&format!("job {id} {state}"), |user| {
            let job = user.latest.get(id)?;
            if job["state"] == state {
                return Some(job.clone());
            }
            assert!(!is_final(&job["state"]), "job {id} is not {state} but: {job:#}");
            None
        })
        .await
    }

    /// Waits for the end of the job and gives it as the event shows it.
    pub async fn ended(&mut self, id: &str) -> Value {
        self.until(&format!("the end of job {id}"), |user| {
            user.latest.get(id).filter(|job| is_final(&job["state"])).cloned()
        })
        .await
    }

    /// Waits for the end of the job, which has to be this one.
    pub async fn ends(&mut self, id: &str, state: &str) -> Value {
        let job = self.ended(id).await;
        assert_eq!(job["state"], state, "{job:#}");
        job
    }

    /// Waits until the queue is in the state.
    pub async fn queue_is(&mut self, state: &str) {
        let give_up = Instant::now() + DEADLINE;
        let mut from = self.seen.len();
        while self.queue().await["state"] != state {
            assert!(Instant::now() < give_up, "the queue is not {state}: {}", self.queue().await);
            self.event("a change of the queue", from, |event| event["method"] == "event.queue").await;
            from = self.seen.len();
        }
    }

    /// The lines of a job's output that have been told.
    pub fn lines(&self, id: &str) -> Vec<String> {
        let of_job = self
            .seen
            .iter()
            .filter(|event| event["method"] == "event.output" && event["params"]["job"] == id)
            .flat_map(|event| event["params"]["lines"].as_array().unwrap());
        of_job.map(|line| text(&line["text"])).collect()
    }

    /// Waits for a line of the job's output that begins so, and gives the rest of it.
    pub async fn line(&mut self, id: &str, begin: &str) -> String {
        self.until(&format!("the line {begin:?} of job {id}"), |user| {
            let lines = user.lines(id);
            if let Some(rest) = lines.iter().find_map(|line| line.strip_prefix(begin)) {
                return Some(rest.trim().to_owned());
            }
            let job = user.latest.get(id);
            assert!(!job.is_some_and(|job| is_final(&job["state"])), "no {begin:?} in {lines:?} of {job:?}");
            None
        })
        .await
    }

    /// Everything that the job wrote, from the server's store.
    pub async fn output(&self, id: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut from = 1;
        loop {
            let page = self.call("output.get", json!({"job": id, "from": from})).await;
            let some = page["lines"].as_array().unwrap();
            if some.is_empty() {
                return lines;
            }
            lines.extend(some.iter().map(|line| text(&line["text"])));
            from = page["next"].as_u64().unwrap();
        }
    }

    /// Runs a script to its end and gives the job.
    pub async fn run(&mut self, script: &str) -> Value {
        let id = self.submit("a script", script).await;
        self.ended(&id).await
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

pub fn is_final(state: &Value) -> bool {
    let finals =
        ["succeeded", "succeeded_with_errors", "failed", "aborted", "cancelled", "expired", "interrupted"];
    finals.iter().any(|name| state == name)
}

/// The processes of a group that are alive.
pub fn alive_in_group(group: &str) -> Vec<String> {
    let group: i32 = group.parse().unwrap();
    let mut alive = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<_> = rest.split_whitespace().collect();
        // A zombie has ended; somebody has yet to ask how.
        let ended = matches!(fields.first(), Some(&"Z" | &"X"));
        if !ended && fields.get(2).and_then(|field| field.parse().ok()) == Some(group) {
            alive.push(stat);
        }
    }
    alive
}

/// How many processes this one has started and not yet buried.
pub fn children(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_each =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    of_each.map(|children| children.split_whitespace().count()).sum()
}

/// Waits until a condition about the outside world holds, which sends no events.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < give_up, "not so after {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Python that stays busy for ever, line by line, after it has said who it is.
pub const LOOP: &str =
    "import os\nprint('group', os.getpgid(0), flush=True)\nn = 0\nwhile True:\n    n += 1\n";

/// Python that waits until a file appears, and says who it is before.
pub fn waits_for(file: &Path) -> String {
    format!(
        "import os, time\nprint('group', os.getpgid(0), flush=True)\nwhile not os.path.exists({:?}):\n    time.sleep(0.01)\nprint('seen', flush=True)\n",
        file.display().to_string()
    )
}
