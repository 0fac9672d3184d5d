//! Much output: more than anybody keeps, and more than is read in time. And daemons of other kinds: one that speaks
//! JSON, and one of an older version.

use std::fs;

use beamq::wire::nicos::Command;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    harness::{Server, User, eventually},
    nicos_daemon::Daemon,
    nicos_engine::is_engine,
};

/// How much a script writes, unless the environment says otherwise: NICOS needs about three times as much memory (1.3 GB),
/// and takes a second for 50 MB.
fn megabytes() -> u64 {
    std::env::var("BEAMQ_TEST_OUTPUT_MB").ok().and_then(|number| number.parse().ok()).unwrap_or(450)
}

/// In so many parts, each of which has the usual time on a busy machine.
const PARTS: u64 = 3;

/// Writes ten lines for each megabyte.
fn writes(megabytes: u64) -> String {
    format!("for i in range({}):\n    print('%06d ' % i + 'x' * 99_992)\n", megabytes * 10)
}

/// A size of a process that the system tells, in KiB: `VmRSS` is what it holds, `VmHWM` the most that it ever held.
fn memory(process: u32, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
}

async fn serving(daemon: &Daemon) -> (Server, User) {
    let server = daemon.server("output: {keep_per_job: \"4 MiB\"}\nqueue: {after_failure: continue}\n").await;
    let mut user = server.client().await;
    is_engine(&mut user, "ready", "").await;
    (server, user)
}

/// What the server may hold more than before: what waits to be read (16 MiB), what is kept (4 MiB) several times over,
/// and what an allocator does not give back.
const MOST_MORE: u64 = 100 << 10;

#[tokio::test]
async fn more_output_than_is_kept_is_counted_and_costs_no_memory() {
    let daemon = Daemon::start().await;
    let (server, mut user) = serving(&daemon).await;
    let before = memory(server.pid(), "VmRSS");
    let part = |part: u64| daemon.path().join(format!("written-{part}"));
    let parts = (0..PARTS)
        .map(|number| format!("{}open({:?}, 'w').close()\n", writes(megabytes() / PARTS), part(number)));
    let id = user.submit("a script", &format!("{}print('the last line')\n", parts.collect::<String>())).await;
    for number in 0..PARTS {
        eventually("the script has written a part", || part(number).exists()).await;
    }
    user.ends(&id, "succeeded").await;
    let most = memory(server.pid(), "VmHWM");
    println!("{} MB of output: {before} KiB before, {most} KiB at most", megabytes());
    assert!(most - before < MOST_MORE, "{before} KiB before, {most} KiB at most");

    let lines = user.output(&id).await;
    let kept: usize = lines.iter().map(String::len).sum();
    assert!((3 << 20..5 << 20).contains(&kept), "{kept} bytes are kept");
    let page = user.call("output.get", json!({"job": id, "from": 1})).await;
    // Each of the long lines is cut in two; one of those that are kept is the remark that no more are.
    let all = megabytes() / PARTS * PARTS * 20 + 1;
    assert_eq!(page["dropped"], all - (lines.len() as u64 - 1));
    let tail = user.job(&id).await["report"]["output_tail"].clone();
    assert_eq!(tail.as_array().and_then(|tail| tail.last()), Some(&json!("the last line")));
}

#[tokio::test]
async fn a_script_outlives_that_nobody_reads_what_nicos_sends() {
    let daemon = Daemon::start().await;
    let (server, mut user) = serving(&daemon).await;
    let written = daemon.path().join("written");
    let go = daemon.path().join("go");
    let script = format!(
        "from os.path import exists\nprint('the first line')\nsleep(0.5)\n{}open({written:?}, 'w').close()\n\
         while not exists({go:?}):\n    sleep(0.02)\nprint('the last line')\n",
        writes(150),
    );
    let id = user.submit("writes a lot", &script).await;
    user.line(&id, "the first line").await;
    // The server is stopped, so that its sockets are full; NICOS cuts off whoever is 100 MB behind.
    server.signal(Signal::SIGSTOP);
    eventually("the script has written", || written.exists()).await;
    server.signal(Signal::SIGCONT);
    user.line(&id, "what the script wrote while NICOS was away is missing").await;
    is_engine(&mut user, "ready", "").await;
    assert_eq!(user.job(&id).await["state"], "running", "it is recognised");
    fs::write(&go, "").unwrap();
    user.ends(&id, "succeeded").await;
    let tail = user.job(&id).await["report"]["output_tail"].clone();
    assert_eq!(tail.as_array().and_then(|tail| tail.last()), Some(&json!("the last line")));
    assert!(memory(server.pid(), "VmHWM") < 200 << 10, "{} KiB", memory(server.pid(), "VmHWM"));
}

#[tokio::test]
async fn a_daemon_that_speaks_json_runs_jobs_like_any_other() {
    let daemon = Daemon::with_json().await;
    let (_server, mut user) = serving(&daemon).await;
    let job = user.run("print('héllo', {1, 2})\nmaw(m1, 5)\n").await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let lines = user.output(job["id"].as_str().unwrap()).await;
    assert!(lines.starts_with(&["héllo".to_owned(), "{1, 2}".to_owned()]), "{lines:?}");

    let job = user.run("x = 1\nraise ValueError('no')\n").await;
    let report: Value = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!(
        (&report["type"], &report["message"], &report["line"]),
        (&json!("ValueError"), &json!("no"), &json!(2))
    );

    let id = user.submit("endless", "while True:\n    sleep(0.02)\n").await;
    user.settles(&id, "running").await;
    user.call("run.pause", json!({})).await;
    user.settles(&id, "paused").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn a_daemon_of_the_version_before_runs_jobs_like_any_other() {
    let daemon = Daemon::of_version_23().await;
    let (nicos, _events) = daemon.admin().await;
    assert_eq!(nicos.banner().protocol_version, 23);
    let (_server, mut user) = serving(&daemon).await;
    let id = user.submit("asks", "print('before')\nn = userinput('How many?')\nprint('got', n)\n").await;
    let asked = user.event("the question", 0, |event| event["method"] == "event.prompt").await;
    user.call("run.answer", json!({"prompt": asked["params"]["prompt"], "value": 7})).await;
    user.ends(&id, "succeeded").await;
    let lines = user.output(&id).await;
    assert!(["before", "got", "7"].iter().all(|line| lines.iter().any(|it| it == line)), "{lines:?}");

    // Such a daemon does not say that somebody else has answered; the script goes on.
    let from = user.seen.len();
    let script = "from os.path import exists\npause('again')\nwhile not exists(GO):\n    sleep(0.02)\n";
    let go = daemon.path().join("go");
    let id = user.submit("pauses", &script.replace("GO", &format!("{go:?}"))).await;
    user.event("the question", from, |event| event["params"]["text"] == "again").await;
    nicos.call(Command::Continue, &[]).await.unwrap();
    user.event("its end", from, |event| event["params"]["settled"] == "withdrawn").await;
    assert_eq!(user.job(&id).await["state"], "running");
    fs::write(&go, "").unwrap();
    user.ends(&id, "succeeded").await;
}
