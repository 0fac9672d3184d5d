//! A real ActiveMQ on free loopback ports, configured by `beamq broker-config`.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::server::PATIENCE;

/// Where Debian's package has the broker.
const INSTALLED: &str = "/usr/share/activemq/lib";

/// The queue of the echo responder, beside `ss_admin`.
pub(super) const ECHO_QUEUE: &str = "ss_echo";

/// Whether there is a broker to measure with.
pub(super) fn is_installed() -> bool {
    Path::new(INSTALLED).is_dir()
        && Command::new("java").arg("-version").stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}

/// A broker. Dropping it kills it.
pub(super) struct Broker {
    process: Child,
    folder: tempfile::TempDir,
    pub(super) port: u16,
}

impl Broker {
    /// Starts a broker that keeps nothing, as guarded as an instrument's, and waits until it accepts clients.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let [port, openwire] = free_ports();
        let made = Command::new(env!("CARGO_BIN_EXE_beamq"))
            .arg("broker-config")
            .arg(folder.path())
            .args(["--stomp-port", &port.to_string(), "--openwire-port", &openwire.to_string()])
            .args(["--client", "ss_client", "--not-persistent"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        give_the_echo_a_queue(&folder.path().join("activemq.xml"));
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/activemq/run"))
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut broker = Self { process, folder, port };
        broker.accepts_clients();
        broker
    }

    fn accepts_clients(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lives = matches!(self.process.try_wait(), Ok(None));
            assert!(lives && Instant::now() < give_up, "the broker does not start: {log}");
            if log.contains(" started | ") && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn password(&self, user: &str) -> String {
        fs::read_to_string(self.folder.path().join("passwords").join(user)).unwrap().trim().to_owned()
    }

    /// The lines of beamq's configuration that make it use this broker.
    pub(super) fn transport(&self) -> String {
        let file = self.folder.path().join("passwords/beamq");
        format!(
            "transports:\n  activemq: {{url: \"stomp://127.0.0.1:{}\", user: beamq, password_file: {file:?}}}\n",
            self.port
        )
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Everything that the configuration says of `ss_admin` holds for the echo's queue as well.
fn give_the_echo_a_queue(file: &Path) {
    let xml = fs::read_to_string(file).unwrap();
    let twice = |line: &str| match line.contains("\"ss_admin\"") {
        true => format!("{line}\n{}\n", line.replace("\"ss_admin\"", &format!("\"{ECHO_QUEUE}\""))),
        false => format!("{line}\n"),
    };
    let both: String = xml.lines().map(twice).collect();
    assert_eq!(both.matches(ECHO_QUEUE).count(), 3, "the template has changed: {both}");
    fs::write(file, both).unwrap();
}

/// Two ports that nobody uses now.
fn free_ports() -> [u16; 2] {
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    free.map(|listener| listener.local_addr().unwrap().port())
}
