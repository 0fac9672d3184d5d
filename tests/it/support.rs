//! A server in a directory of its own, and the command line to talk to it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// The longest wait for anything. Far above what it takes, so that only a fault exceeds it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A script that runs until it is ended, and can be paused at any line.
pub const ENDLESS: &str = "import time\nwhile True:\n    time.sleep(0.02)\n";

/// The program under test, with nothing of the user's own settings.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beamq"));
    for variable in ["BEAMQ_SERVER", "BEAMQ_DATA", "BEAMQ_CONFIG", "BEAMQ_USER", "BEAMQ_PASSWORD"] {
        command.env_remove(variable);
    }
    command.env("TZ", "UTC");
    command
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The only JSON document of standard output.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON objects of standard output, one a line.
    pub fn documents(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// A process that is ended when the test ends, however it ends.
pub struct Process {
    child: Child,
}

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        Self { child: command.stdin(Stdio::null()).spawn().expect("the program starts") }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).expect("the process is there");
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the process did not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lines of standard output as they come.
    pub fn lines(&mut self) -> mpsc::Receiver<String> {
        let out = self.child.stdout.take().expect("standard output is piped");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        receiver
    }

    /// The first line of standard output; the rest is not read.
    pub fn first_line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Standard error, once the process has ended.
    pub fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().expect("standard error is piped").read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end, with a text as its standard input.
pub fn run(command: &mut Command, input: &[u8]) -> Ended {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut process = Process { child: child.expect("the program starts") };
    // A program that does not read its input ends it early, which is its right.
    let _ = process.child.stdin.take().unwrap().write_all(input);
    let (out, err) = (process.child.stdout.take().unwrap(), process.child.stderr.take().unwrap());
    let out = thread::spawn(move || read_all(out));
    let err = thread::spawn(move || read_all(err));
    let status = process.wait();
    Ended { code: status.code(), out: out.join().unwrap(), err: err.join().unwrap() }
}

fn read_all(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits until a condition holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A server in a directory of its own, stopped and removed at the end of the test.
pub struct Server {
    process: Process,
    folder: TempDir,
    pub ready: Value,
}

impl Server {
    /// A server with the default configuration on a free port.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A server with a configuration file.
    pub fn start_with(configuration: &str) -> Self {
        Self::start_with_files(configuration, &[])
    }

    /// A server with a configuration file and other files beside it.
    pub fn start_with_files(configuration: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::write(folder.path().join("beamq.yaml"), configuration).unwrap();
        let (process, ready) = start_in(folder.path());
        Self { process, folder, ready }
    }

    /// Ends the server without a warning, as a power cut would, and starts it again.
    pub fn crash_and_restart(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait();
        (self.process, self.ready) = start_in(self.folder.path());
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a script into the folder of the test and gives its path.
    pub fn script(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command line, for this server.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("--data").arg(self.data()).args(arguments);
        command
    }

    /// Runs the command line to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments), b"")
    }

    /// Runs the command line with `--json`, expects it to end well, and gives its document.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ended = run(self.command(arguments).arg("--json"), b"");
        ended.expect_code(0).document()
    }

    /// Queues a script and gives the id of its job.
    pub fn submit(&self, text: &str) -> String {
        let ended = run(&mut self.command(&["submit", "-", "--json"]), text.as_bytes());
        ended.expect_code(0).document()["jobs"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The state of a job.
    pub fn state(&self, id: &str) -> String {
        let queue = self.json(&["queue", "list"]);
        let waiting = queue["waiting"].as_array().unwrap().iter();
        let history = self.json(&["history"]);
        let all = waiting.chain(history["jobs"].as_array().unwrap()).chain([&queue["active"]]);
        let job = all.into_iter().find(|job| job["id"] == id);
        job.map_or_else(|| "unknown".to_owned(), |job| job["state"].as_str().unwrap().to_owned())
    }

    /// Waits until a job is in a state.
    pub fn until_state(&self, id: &str, state: &str) {
        let mut last = String::new();
        until(&format!("job {id} is {state}"), || {
            last = self.state(id);
            last == state
        });
    }

    /// The ids of the waiting jobs in their order.
    pub fn order(&self) -> Vec<String> {
        let queue = self.json(&["queue", "list"]);
        let waiting = queue["waiting"].as_array().unwrap().iter();
        waiting.map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    }

    pub fn revision(&self) -> u64 {
        self.json(&["queue", "list"])["revision"].as_u64().unwrap()
    }

    /// Asks the server to stop and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.process.signal(Signal::SIGTERM);
        self.process.wait().code()
    }
}

fn start_in(folder: &Path) -> (Process, Value) {
    let log = folder.join("log");
    let mut process = Process::spawn(
        serve(&folder.join("data"))
            .arg("--config")
            .arg(folder.join("beamq.yaml"))
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap()),
    );
    let ready = process.lines().recv_timeout(DEADLINE);
    let ready =
        ready.unwrap_or_else(|_| panic!("the server is not ready:\n{}", fs::read_to_string(&log).unwrap()));
    let ready: Value = serde_json::from_str(&ready).expect(&ready);
    (process, ready["ready"].clone())
}

/// `beamq serve` for a data directory, on a free port.
pub fn serve(data: &Path) -> Command {
    let mut command = program();
    command.args(["serve", "--stomp", "127.0.0.1:0", "--json", "--data"]).arg(data);
    command
}
