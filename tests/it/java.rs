//! Clients in Java, compiled against Debian's jars.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    broker::Broker,
    harness::{DEADLINE, Server},
};

const JARS: [&str; 6] = [
    "activemq-client",
    "geronimo-jms_1.1_spec",
    "geronimo-j2ee-management-1.1-spec",
    "hawtbuf",
    "slf4j-api",
    "slf4j-nop",
];

/// Compiled classes in a folder.
pub struct Classes {
    path: String,
}

impl Classes {
    /// Compiles sources of this project into the folder.
    pub async fn compile(folder: &Path, sources: &[&str]) -> Self {
        let classes = folder.join("classes");
        std::fs::create_dir_all(&classes).unwrap();
        let jars: Vec<_> = JARS.iter().map(|name| format!("/usr/share/java/{name}.jar")).collect();
        let path = format!("{}:{}", jars.join(":"), classes.display());
        let project = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let compiled = Command::new("javac")
            .args(["-Xlint:all,-path,-options", "-Werror", "-cp", &path, "-d"])
            .arg(&classes)
            .args(sources.iter().map(|source| project.join(source)))
            .output()
            .await
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Self { path }
    }

    /// The command that runs a class as a client of the broker.
    pub fn command(&self, class: &str, broker: &Broker, server: &Server, address: &str) -> Command {
        let mut client = Command::new("java");
        client
            .args(["-XX:TieredStopAtLevel=1", "-cp", &self.path, class, address, "ss_client"])
            .env("BROKER_PASSWORD", broker.password("ss_client"))
            .env("BEAMQ_TOKEN", &server.token)
            .kill_on_drop(true);
        client
    }
}

/// A client that is talked to over its standard input and output. It ends with its test.
pub struct Talking {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Talking {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, input, output }
    }

    /// The next line is this one.
    pub async fn says(&mut self, wanted: &str) {
        let line = timeout(DEADLINE, self.output.next_line()).await.expect("the client says nothing");
        assert_eq!(line.unwrap().as_deref(), Some(wanted));
    }

    pub async fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
}
