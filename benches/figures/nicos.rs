//! What beamq adds to a NICOS daemon, each time against the same thing asked of the daemon directly.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command as Program, Stdio},
    time::{Duration, Instant},
};

use beamq::{
    client::Client,
    nicos::{Connection, EventStream, Login, Options},
    security::Secret,
    wire::nicos::{Command, Event},
};
use serde_json::{Value, json};

use crate::{
    Effort,
    getstatus::Peer,
    server::{ENDED, PATIENCE, Server, block_on, job_is, listen, wait_for},
    statistics::median,
    table::{Quantity, Table, Target},
};

const LINES: usize = 20_000;
/// What NICOS and the engine take at most until both rest after a script.
const SETTLED: Duration = Duration::from_millis(500);

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let Some(daemon) = Daemon::start() else {
        eprintln!("no NICOS: ./tests/run installs it");
        return;
    };
    let server = Server::start_with(&daemon.engine());
    block_on(async {
        let (nicos, mut events) = daemon.connect().await;
        status(effort, &server, &nicos, table).await;
        start(effort, &server, &nicos, &mut events, table).await;
        output(effort, &server, &nicos, &mut events, table).await;
    });
}

/// The status, as clients of the proxy dialect ask for it.
async fn status(effort: Effort, server: &Server, nicos: &Connection, table: &mut Table) {
    let rounds = effort.choose(20, 1000);
    let (address, token) = server.endpoint();
    let mut client = Peer::log_in(address, &token).await;
    let (mut proxied, mut direct) = (Vec::new(), Vec::new());
    // In turns, so that what else the machine does falls on both.
    for _ in 0..rounds {
        proxied.push(client.round_trip().await.0);
        let asked = Instant::now();
        nicos.call(Command::GetStatus, &[]).await.unwrap();
        direct.push(milliseconds(asked));
    }
    let (proxied, direct) = (median(&proxied), median(&direct));
    table.figure(
        "getstatus through beamq, above one asked of NICOS directly (median)",
        Quantity::Milliseconds(proxied - direct),
        Target::AtMost(0.3),
        ("asked of NICOS directly", Quantity::Milliseconds(direct)),
    );
}

/// From handing a script in to NICOS's word that it begins.
async fn start(
    effort: Effort,
    server: &Server,
    nicos: &Connection,
    events: &mut EventStream,
    table: &mut Table,
) {
    let client = server.client().await;
    let mut told = listen(&client, &["job"]).await;
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    for _ in 0..effort.choose(5, 200) {
        let asked = Instant::now();
        let job = json!({"name": "empty", "script": "pass\n"});
        let reply: Value = client.call("job.submit", json!({"job": job})).await.unwrap();
        until(events, Event::Processing).await;
        ours.push(milliseconds(asked));
        let id = reply["id"].as_str().unwrap().to_owned();
        wait_for(&mut told, |event| job_is(event, &id, &ENDED)).await;

        let asked = Instant::now();
        nicos.call(Command::Queue, &[json!("empty"), json!("pass\n")]).await.unwrap();
        until(events, Event::Processing).await;
        own.push(milliseconds(asked));
        until(events, Event::Done).await;
        // Until the engine has seen it, too, it takes no job.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (ours, own) = (median(&ours), median(&own));
    table.figure(
        "job.submit → NICOS processes it, above NICOS's own queue → processing (median)",
        Quantity::Milliseconds(ours - own),
        Target::AtMost(3.0),
        ("NICOS's own", Quantity::Milliseconds(own)),
    );
}

/// Many lines, until the last one has arrived.
async fn output(
    effort: Effort,
    server: &Server,
    nicos: &Connection,
    events: &mut EventStream,
    table: &mut Table,
) {
    let script = format!("for i in range({LINES}):\n    print(i)\n");
    let client = server.client().await;
    let mut told = listen(&client, &["job", "output"]).await;
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    // In turns, since the pace of NICOS's threads changes by itself.
    for _ in 0..effort.choose(1, 5) {
        let asked = Instant::now();
        nicos.call(Command::Queue, &[json!("lines"), json!(script)]).await.unwrap();
        until(events, Event::Done).await;
        own.push(per_second(asked));
        tokio::time::sleep(SETTLED).await;

        let asked = Instant::now();
        let job = json!({"name": "lines", "script": script});
        let reply: Value = client.call("job.submit", json!({"job": job})).await.unwrap();
        let id = reply["id"].as_str().unwrap().to_owned();
        wait_for(&mut told, |event| job_is(event, &id, &ENDED)).await;
        ours.push(per_second(asked));
        assert_eq!(lines_of(&client, &id).await, LINES, "lines are missing");
        until(events, Event::Done).await;
        tokio::time::sleep(SETTLED).await;
    }
    let (ours, own) = (median(&ours), median(&own));
    table.figure(
        format!("{LINES} printed lines through beamq, all of them, against a NICOS client (median)"),
        Quantity::PerSecond(ours),
        Target::AtLeast(own * 0.95),
        ("a NICOS client", Quantity::PerSecond(own)),
    );
}

/// How many lines of a job's output are kept.
async fn lines_of(client: &Client, id: &str) -> usize {
    let (mut lines, mut from) = (0, 1);
    loop {
        let page: Value = client.call("output.get", json!({"job": id, "from": from})).await.unwrap();
        let some = page["lines"].as_array().unwrap().len();
        if some == 0 {
            return lines;
        }
        lines += some;
        from = page["next"].as_u64().unwrap();
    }
}

async fn until(events: &mut EventStream, wanted: Event) {
    let search = async { while events.next().await.expect("the connection lives").event != wanted {} };
    tokio::time::timeout(PATIENCE, search).await.expect("the event did not come");
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn per_second(since: Instant) -> f64 {
    LINES as f64 / since.elapsed().as_secs_f64()
}

/// A daemon of its own. Dropping it ends it.
struct Daemon {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Daemon {
    /// Starts a daemon without a cache, if NICOS is installed.
    fn start() -> Option<Self> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let caches = || folder("XDG_CACHE_HOME").unwrap_or_else(|| folder("HOME").unwrap().join(".cache"));
        let venv = folder("BEAMQ_TEST_CACHE").unwrap_or_else(|| caches().join("beamq-tests")).join("nicos");
        if !venv.exists() {
            return None;
        }
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = folder.path().join("daemon.out");
        let process = Program::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/nicos/run"))
            .args([venv.as_path(), folder.path(), Path::new("daemon")])
            .env("RIG_DAEMON_ADDR", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&log).unwrap_or_default().contains("setups loaded: startup") {
            assert!(Instant::now() < deadline, "NICOS does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its first script, which loads the setups, is just ending.
        std::thread::sleep(Duration::from_millis(500));
        Some(Self { process, folder, port })
    }

    async fn connect(&self) -> (Connection, EventStream) {
        let password = Secret::new("adampw".to_owned());
        let login = Login { user: "adam".into(), password, display: String::new() };
        let options = Options { mask: vec![Event::Status, Event::Cache], ..Options::default() };
        Connection::open("127.0.0.1", self.port, &login, options).await.unwrap()
    }

    /// The configuration of a server that runs its jobs here.
    fn engine(&self) -> String {
        use std::os::unix::fs::PermissionsExt;
        let password = self.folder.path().join("service.password");
        fs::write(&password, "servicepw\n").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        format!(
            "engine:\n  kind: nicos\n  nicos: {{address: \"127.0.0.1:{}\", user: service, password_file: {password:?}}}\n",
            self.port
        )
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
