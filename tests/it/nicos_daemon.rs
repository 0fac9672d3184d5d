//! A real NICOS daemon on a free loopback port, with or without its cache, ended with its test.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use beamq::{
    nicos::{Connection, EventStream, Login, NicosError, NicosEvent, Options},
    security::Secret,
    wire::nicos::{Command, Event},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command as Program},
    time::{Instant, sleep, timeout},
};

use crate::{
    harness::{DEADLINE, Home, QUICK, Server, eventually},
    installed::installed,
    proxy::Gui,
};

/// A daemon. Dropping it kills it and its cache.
pub struct Daemon {
    folder: TempDir,
    process: Option<Child>,
    cache: Option<(Child, u16)>,
    serializer: &'static str,
    version: &'static str,
    pub port: u16,
}

impl Daemon {
    /// A daemon without a cache, which is all that running scripts needs.
    pub async fn start() -> Self {
        let mut daemon = Self::prepared("");
        daemon.launch().await;
        daemon
    }

    /// A daemon with a cache: it has a history and can make dry runs.
    pub async fn with_cache() -> Self {
        let mut daemon = Self::prepared("");
        daemon.launch_cache().await;
        daemon.launch().await;
        daemon
    }

    /// A daemon whose payloads are JSON.
    pub async fn with_json() -> Self {
        let mut daemon = Self::prepared("nicos.protocols.daemon.classic.JsonSerializer");
        daemon.launch().await;
        daemon
    }

    /// A daemon of version 23 of the protocol, which cannot be had any more: the one of version 24 without what that
    /// version added.
    pub async fn of_version_23() -> Self {
        let mut daemon = Self { version: "23", ..Self::prepared("") };
        daemon.launch().await;
        daemon
    }

    /// A daemon that does not run yet.
    pub fn prepared(serializer: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder, process: None, cache: None, serializer, version: "", port: free_port() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("daemon.out")).unwrap_or_default()
    }

    fn program(&self, which: &str) -> Program {
        let log = File::create(self.path().join(format!("{which}.out"))).unwrap();
        let cache = self.cache.as_ref().map(|(_, port)| format!("127.0.0.1:{port}")).unwrap_or_default();
        let mut program = Program::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/nicos/run"));
        program
            .args([installed("nicos"), self.path().to_owned(), PathBuf::from(which)])
            .env("RIG_DAEMON_ADDR", format!("127.0.0.1:{}", self.port))
            .env("RIG_CACHE_ADDR", cache)
            .env("RIG_SERIALIZER", self.serializer)
            .env("RIG_VERSION", self.version)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true);
        program
    }

    async fn launch_cache(&mut self) {
        let port = free_port();
        let mut program = self.program("cache");
        program.env("RIG_CACHE_ADDR", format!("127.0.0.1:{port}"));
        self.cache = Some((program.spawn().unwrap(), port));
        // Unlike the daemon, the cache does not mind a connection that says nothing.
        eventually("the cache accepts clients", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
            .await;
    }

    /// Starts the daemon and waits until it is ready. Its port is never tried: a connection that says nothing
    /// blocks every login.
    pub async fn launch(&mut self) {
        let process = self.program("daemon").spawn().unwrap();
        self.process = Some(process);
        eventually("the daemon is ready", || {
            let log = self.log();
            let ended = self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None)));
            assert!(!ended, "the daemon has ended: {log}");
            log.contains("starting server on") && log.contains("setups loaded: startup")
        })
        .await;
        // What follows its log line is done when the first script, which loads the setups, is.
        let (nicos, _events) = self.admin().await;
        let give_up = Instant::now() + DEADLINE;
        let idle = [json!("session.daemon_device._controller.status < 0"), json!(false)];
        while nicos.call(Command::Eval, &idle).await.unwrap() != json!(true) {
            assert!(Instant::now() < give_up, "the daemon is not idle: {}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
        nicos.quit().await;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().and_then(Child::id).expect("the daemon runs");
        kill(Pid::from_raw(pid as i32), signal).unwrap();
    }

    /// Ends the daemon and waits for its end.
    pub async fn end(&mut self, signal: Signal) {
        self.signal(signal);
        let mut process = self.process.take().unwrap();
        timeout(DEADLINE, process.wait()).await.expect("the daemon ends").unwrap();
    }

    /// Connects with an account of the rig, whose passwords are the names with `pw`.
    pub async fn connect(
        &self,
        user: &str,
        options: Options,
    ) -> Result<(Connection, EventStream), NicosError> {
        Connection::open("127.0.0.1", self.port, &login(user), options).await
    }

    /// An administrator who hears everything but the cache.
    pub async fn admin(&self) -> (Connection, EventStream) {
        let options = Options { mask: vec![Event::Cache], ..Options::default() };
        self.connect("adam", options).await.unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    /// The lines of beamq's configuration that make it run jobs here.
    pub fn engine(&self) -> String {
        let password = self.path().join("service.password");
        fs::write(&password, "servicepw\n").unwrap();
        fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        format!(
            "engine:\n  kind: nicos\n  nicos: {{address: \"127.0.0.1:{}\", user: service, password_file: {password:?}}}\n",
            self.port
        )
    }

    /// A server that runs its jobs in this daemon.
    pub async fn server(&self, config: &str) -> Server {
        Home::new(&format!("{QUICK}{}{config}", self.engine())).start().await
    }
}

/// The login of an account of the rig.
pub fn login(user: &str) -> Login {
    Login { user: user.into(), password: Secret::new(format!("{user}pw")), display: String::new() }
}

/// A client of the proxy dialect, logged in with an account of NICOS that has this level there.
pub async fn gui(server: &Server, user: &str, level: u8) -> Gui {
    let mut gui = Gui::stranger(server).await;
    let login =
        json!({"command": "authenticate", "login": user, "passwd": format!("{user}pw"), "display": ""});
    assert_eq!(gui.does(login).await, json!({"user_level": level}));
    gui
}

/// Waits for an event, and gives its value.
pub async fn event(events: &mut EventStream, which: Event, fits: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let next: NicosEvent = events.next().await.expect("the connection lives");
            if next.event == which {
                let value = next.value().unwrap();
                if fits(&value) {
                    return value;
                }
            }
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("no {} came", which.name()))
}

/// The daemon's port must be the same after a restart, so the system cannot choose then.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
