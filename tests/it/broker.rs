//! A real ActiveMQ on free loopback ports, configured by `beamq broker-config`, and ended with its test.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command as Program, Output, Stdio},
};

use beamq::{
    client::{Client, Credentials, LoginWith, ServerAddress},
    wire::stomp::{Command, Frame, Limits, Received, StompCodec},
};
use futures_util::{SinkExt, StreamExt};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command as AsyncProgram},
    time::timeout,
};
use tokio_util::codec::Framed;

use crate::harness::{DEADLINE, Home, QUICK, Server, User, eventually};

/// The request queue.
pub const REQUESTS: &str = "/queue/ss_admin";

/// A broker. Dropping it kills it.
pub struct Broker {
    folder: TempDir,
    process: Option<Child>,
    pub stomp: u16,
    pub openwire: u16,
}

impl Broker {
    /// A broker that keeps nothing on disk.
    pub async fn start() -> Self {
        let mut broker = Self::configured(&["--not-persistent"]);
        broker.launch().await;
        broker
    }

    /// The configuration of a broker that does not run yet.
    pub fn configured(options: &[&str]) -> Self {
        let (stomp, openwire) = free_ports();
        let broker = Self { folder: TempDir::new().unwrap(), process: None, stomp, openwire };
        let made = broker.configure(options);
        assert!(made.status.success(), "{made:?}");
        broker
    }

    /// Runs `beamq broker-config` for this broker.
    pub fn configure(&self, options: &[&str]) -> Output {
        Program::new(env!("CARGO_BIN_EXE_beamq"))
            .arg("broker-config")
            .arg(self.folder.path())
            .args(["--stomp-port", &self.stomp.to_string(), "--openwire-port", &self.openwire.to_string()])
            .args(["--client", "ss_client", "--client", "other"])
            .args(options)
            .output()
            .unwrap()
    }

    /// Changes the configuration.
    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let file = self.folder.path().join("activemq.xml");
        fs::write(&file, change(fs::read_to_string(&file).unwrap())).unwrap();
    }

    /// Starts the broker and waits until it accepts clients.
    pub async fn launch(&mut self) {
        let log = self.folder.path().join("log");
        let file = fs::File::create(&log).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/activemq/run");
        let process = AsyncProgram::new(program)
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let process = self.process.insert(process);
        let port = self.stomp;
        eventually("the broker accepts clients", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            assert!(matches!(process.try_wait(), Ok(None)), "the broker has ended: {text}");
            text.contains(" started | ") && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().and_then(Child::id).expect("the broker runs");
        kill(Pid::from_raw(pid as i32), signal).unwrap();
    }

    /// Ends the broker and waits for its end.
    pub async fn end(&mut self, signal: Signal) {
        self.signal(signal);
        let mut process = self.process.take().unwrap();
        timeout(DEADLINE, process.wait()).await.expect("the broker ends").unwrap();
    }

    /// What the broker has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub fn password_file(&self, user: &str) -> PathBuf {
        self.folder.path().join("passwords").join(user)
    }

    pub fn password(&self, user: &str) -> String {
        fs::read_to_string(self.password_file(user)).unwrap().trim().to_owned()
    }

    pub fn address(&self) -> ServerAddress {
        format!("127.0.0.1:{}", self.stomp).parse().unwrap()
    }

    /// The URL for the command line, which is told the password by a file.
    pub fn url(&self) -> String {
        format!("stomp://ss_client@127.0.0.1:{}", self.stomp)
    }

    /// The lines of beamq's configuration that make it use this broker.
    pub fn transport(&self) -> String {
        format!(
            "transports:\n  activemq: {{url: \"stomp://127.0.0.1:{}\", user: beamq, password_file: {:?}}}\n",
            self.stomp,
            self.password_file("beamq")
        )
    }

    /// A server behind this broker, connected to it, with more lines of configuration.
    pub async fn server(&self, config: &str) -> Server {
        let server = Home::new(&format!("{QUICK}{}{config}", self.transport())).start().await;
        self.is_served(&server).await;
        server
    }

    /// Waits until the server is connected.
    pub async fn is_served(&self, server: &Server) {
        let watcher = server.client().await;
        state_is(&watcher, "connected").await;
    }

    /// A client of our own library, through the broker, logged in with the token.
    pub async fn user(&self, server: &Server) -> User {
        let credentials = Credentials { user: "ss_client".into(), passcode: self.password("ss_client") };
        let client = Client::connect(&self.address(), credentials).await.unwrap();
        assert!(!client.peer_is_beamq());
        User::log_in(client, LoginWith::Token(server.token.clone())).await
    }

    /// A client that speaks STOMP by hand, subscribed to a temporary queue of its own.
    pub async fn raw(&self) -> RawStomp {
        let mut raw = RawStomp::open(self.stomp, "ss_client", &self.password("ss_client")).await;
        raw.subscribe("/temp-queue/r").await;
        raw
    }
}

impl Drop for Broker {
    /// What a broker said is seldom of interest, unless its test fails.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = self.process.as_mut().map(Child::try_wait);
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("the broker ({ended:?}) said last, newest first:\n{}", lines.join("\n"));
        }
    }
}

/// Waits until the server says that its broker is so.
pub async fn state_is(watcher: &User, begin: &str) {
    let give_up = tokio::time::Instant::now() + DEADLINE;
    loop {
        let status = watcher.call("server.status", json!({})).await;
        let state = status["transports"]["activemq"].as_str().unwrap().to_owned();
        if state.starts_with(begin) {
            return;
        }
        assert!(tokio::time::Instant::now() < give_up, "the broker is not {begin:?} but {state:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Two ports that nobody uses. They must be the same after a restart, so the system cannot choose then. It
/// must not give one of them to anybody else either, while the broker starts or is away: with a connection that
/// goes out from its port a broker ends. So they are below those that the system chooses from.
fn free_ports() -> (u16, u16) {
    const LOWEST: u16 = 10_000;
    let chosen_by_system = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = chosen_by_system.split_whitespace().next().and_then(|first| first.parse().ok());
    let span = u32::from(first.unwrap_or(32_768_u16).max(LOWEST + 2000) - LOWEST);
    // Tests that run at the same time begin to look far from each other.
    let begin = std::process::id().wrapping_mul(7919) % span;
    let mut free = (0..span).filter_map(|n| {
        let port = LOWEST + u16::try_from((begin + n) % span).unwrap();
        TcpListener::bind(("127.0.0.1", port)).ok()
    });
    let (one, other) = (free.next().unwrap(), free.next().unwrap());
    (one.local_addr().unwrap().port(), other.local_addr().unwrap().port())
}

/// A STOMP client of a broker, by hand.
pub struct RawStomp {
    framed: Framed<TcpStream, StompCodec>,
}

impl RawStomp {
    pub async fn open(port: u16, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let limits = Limits { body_bytes: 128 << 20, ..Limits::default() };
        let mut raw = Self { framed: Framed::new(stream, StompCodec::new(limits)) };
        let connect = Frame::new(Command::Connect)
            .header("accept-version", "1.2")
            .header("host", "localhost")
            .header("login", user)
            .header("passcode", password);
        raw.send(connect).await;
        assert_eq!(raw.frame().await.command, Command::Connected);
        raw
    }

    pub async fn subscribe(&mut self, destination: &str) {
        let frame = Frame::new(Command::Subscribe)
            .header("id", destination)
            .header("destination", destination)
            .header("receipt", "subscribed");
        self.send(frame).await;
        assert_eq!(self.frame().await.command, Command::Receipt);
    }

    pub async fn send(&mut self, frame: Frame) {
        timeout(DEADLINE, self.framed.send(frame)).await.expect("the broker takes it").unwrap();
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Frame {
        loop {
            let next = timeout(DEADLINE, self.framed.next()).await.expect("the broker says nothing");
            match next.expect("the broker closed the connection").unwrap() {
                Received::Frame(frame) => return frame,
                Received::HeartBeat => {}
            }
        }
    }

    /// The next reply or event.
    pub async fn message(&mut self) -> (Frame, Value) {
        let frame = self.frame().await;
        assert_eq!(frame.command, Command::Message, "{frame:?}");
        let value = serde_json::from_slice(&frame.body).unwrap();
        (frame, value)
    }

    /// A call with a correlation id, and its reply.
    pub async fn call(&mut self, correlation: &str, method: &str, params: Value) -> Value {
        self.send(request(correlation, &call(method, params))).await;
        loop {
            let (frame, reply) = self.message().await;
            if frame.get("correlation-id") == Some(correlation) {
                return reply;
            }
        }
    }
}

/// A call as text.
pub fn call(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

/// A request that is answered on `/temp-queue/r`.
pub fn request(correlation: &str, body: &str) -> Frame {
    Frame::new(Command::Send)
        .header("destination", REQUESTS)
        .header("reply-to", "/temp-queue/r")
        .header("correlation-id", correlation)
        .with_body(body.to_owned())
}
