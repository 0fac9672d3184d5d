//! A server that cannot start says in one line why and what to do, and ends with the documented code.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use tokio::time::timeout;

use crate::{
    harness::{DEADLINE, Home, Server},
    support::program,
};

/// Runs a server that is not to come up and gives its exit code and what it said.
async fn refused(home: &Home, change: impl FnOnce(&mut tokio::process::Command)) -> (i32, String) {
    let mut command = home.serve();
    command.stderr(Stdio::piped());
    change(&mut command);
    let output = timeout(DEADLINE, command.output()).await.expect("it did not end").unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("ready"));
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn one_line(said: &str, words: &[&str]) {
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[tokio::test]
async fn bad_start_with_a_port_in_use() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let home = Home::new(&format!("transports: {{embedded: {{stomp: \"{address}\"}}}}\n"));
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_beamq"));
    command.args(["serve", "--data"]).arg(home.data()).arg("--config").arg(home.config());
    let output = timeout(DEADLINE, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = output.expect("it did not end").unwrap();
    assert_eq!(output.status.code(), Some(5));
    one_line(&String::from_utf8(output.stderr).unwrap(), &[&address.port().to_string(), "in use", "Choose"]);
}

#[tokio::test]
async fn bad_start_on_an_address_that_others_can_reach() {
    let transports = |address| {
        [format!("embedded: {{stomp: \"{address}\"}}"), format!("http: {{address: \"{address}\"}}")]
    };
    for (address, transport) in ["0.0.0.0:0", "192.0.2.1:61613"]
        .into_iter()
        .flat_map(|address| transports(address).map(|transport| (address, transport)))
    {
        let home = Home::new(&format!("transports: {{{transport}}}\n"));
        let (code, said) = refused(&home, |_| {}).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(address) && said.contains("reachable from other machines"), "{said}");
    }
}

#[tokio::test]
async fn bad_start_with_a_configuration_that_cannot_be_read_or_understood() {
    let home = Home::new("");
    fs::remove_file(home.config()).unwrap();
    let (code, said) = refused(&home, |_| {}).await;
    assert_eq!(code, 2);
    one_line(&said, &["beamq.yaml"]);

    for (config, words) in [
        ("queue: {after_failure: stop}\n", ["stop", "hold"]),
        ("qeue: {}\n", ["qeue", "queue"]),
        ("abort: {cooperative: 2}\n", ["cooperative", "2s"]),
        (
            "accounts: [{user: x, role: user, password_hash: plain}]\n",
            ["password_hash", "beamq account hash"],
        ),
        ("a: [\n", ["beamq.yaml", ":"]),
        ("queue: {}\nqueue: {}\n", ["queue", "twice"]),
    ] {
        let home = Home::new(config);
        let (code, said) = refused(&home, |_| {}).await;
        assert_eq!(code, 2, "{config}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        for word in words {
            assert!(said.contains(word), "{config}: {word:?} is missing in: {said}");
        }
    }
    let home = Home::new("");
    fs::write(home.config(), [0xff, 0xfe, 0x00]).unwrap();
    let (code, said) = refused(&home, |_| {}).await;
    assert_eq!(code, 2, "{said}");
}

#[tokio::test]
async fn bad_start_with_a_data_directory_that_cannot_be_written() {
    // A file where the directory should be stops everybody, also somebody who may write anywhere.
    let home = Home::new("");
    fs::write(home.data(), "in the way").unwrap();
    let (code, said) = refused(&home, |_| {}).await;
    assert_eq!(code, 2);
    one_line(&said, &["data"]);

    let home = Home::new("");
    fs::create_dir(home.data()).unwrap();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(home.data().join("probe"), "").is_err() {
        let (code, said) = refused(&home, |_| {}).await;
        assert_eq!(code, 2);
        one_line(&said, &["data"]);
    }
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn bad_start_with_a_journal_that_is_none_or_of_a_later_version() {
    let home = Home::new("");
    fs::create_dir(home.data()).unwrap();
    fs::write(home.data().join("beamq.db"), "this is no database, however long one looks at it".repeat(100))
        .unwrap();
    let (code, said) = refused(&home, |_| {}).await;
    assert_ne!(code, 0);
    one_line(&said, &["beamq.db"]);
}

#[tokio::test]
async fn bad_start_without_python() {
    let home = Home::new("");
    let (code, said) = refused(&home, |command| {
        command.env("PATH", "/nowhere");
    })
    .await;
    assert_eq!(code, 2);
    one_line(&said, &["python3", "engine.python.interpreter"]);
    let home = Home::new("engine: {python: {interpreter: ./no/such/python}}\n");
    let (code, said) = refused(&home, |_| {}).await;
    assert_eq!(code, 2);
    one_line(&said, &["no/such/python"]);
}

#[tokio::test]
async fn bad_start_with_a_python_that_does_not_work_blocks_the_queue_and_says_so() {
    let home = Home::new("engine: {python: {interpreter: ./python}}\n");
    fs::write(home.path().join("python"), "#!/bin/sh\necho broken >&2\nexit 3\n").unwrap();
    fs::set_permissions(home.path().join("python"), fs::Permissions::from_mode(0o755)).unwrap();
    let server: Server = home.start().await;
    let mut user = server.client().await;
    user.queue_is("blocked").await;
    let status = user.call("server.status", serde_json::json!({})).await;
    assert_eq!(status["engine"]["state"], "unavailable", "{status:#}");
    assert!(status["engine"]["detail"].is_string());
    let id = user.submit("waits", "print('ran')").await;
    assert_eq!(user.job(&id).await["state"], "queued");
    // When the interpreter is put right, the queue goes on by itself.
    fs::write(server.home.path().join("python.new"), "#!/bin/sh\nexec python3 \"$@\"\n").unwrap();
    fs::set_permissions(server.home.path().join("python.new"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(server.home.path().join("python.new"), server.home.path().join("python")).unwrap();
    user.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn bad_start_up_script_blocks_the_queue_with_its_reason_until_it_is_mended() {
    let home = Home::new("engine: {python: {startup: [beamline.py]}}\n");
    let startup = home.path().join("beamline.py");
    fs::write(&startup, "import motors_that_are_not_there\n").unwrap();
    let server: Server = home.start().await;
    let mut user = server.client().await;
    user.queue_is("blocked").await;
    let status = user.call("server.status", serde_json::json!({})).await;
    let detail = status["engine"]["detail"].as_str().unwrap();
    for expected in ["beamline.py", "motors_that_are_not_there"] {
        assert!(detail.contains(expected), "{expected} in {status:#}");
    }
    // What stands at the end of a long reason is what matters, on the command line and in the log as well.
    let told = program().args(["status", "--data"]).arg(server.home.data()).output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    assert!(told.contains("No module named 'motors_that_are_not_there'"), "{told}");
    assert!(server.home.log().contains("No module named 'motors_that_are_not_there'"));
    let id = user.submit("waits", "print(motor)").await;
    assert_eq!(user.job(&id).await["state"], "queued");
    fs::write(&startup, "motor = 'ready'\nimport builtins\nbuiltins.motor = motor\n").unwrap();
    user.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn r40_a_server_that_is_ready_says_where_and_writes_it_down() {
    let server = Server::with("instrument: LARMOR\n").await;
    let ready = &server.ready;
    assert_eq!(ready["pid"], server.pid());
    assert_eq!(ready["data"], server.home.data().display().to_string());
    assert_eq!(ready["stomp"], format!("127.0.0.1:{}", server.address.port));
    assert_eq!((&ready["http"], &ready["instrument"]), (&serde_json::Value::Null, &"LARMOR".into()));
    assert!(ready["version"].is_string());
    let written = fs::read_to_string(server.home.data().join("endpoint.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!((&written["pid"], &written["stomp"]), (&ready["pid"], &ready["stomp"]));
}
