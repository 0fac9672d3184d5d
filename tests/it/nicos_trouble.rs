//! What goes wrong with a NICOS daemon, caused with a real one: away, gone, hanging, cut off, its thread killed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use beamq::wire::nicos::{Command, Event};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    harness::{Home, QUICK},
    nicos_daemon::{Daemon, event, gui},
    nicos_engine::is_engine,
    proxy::Gui,
};

const ENDLESS: &str = "while True:\n    sleep(0.02)\n";

#[tokio::test]
async fn a_daemon_may_come_later_go_and_come_back() {
    let mut daemon = Daemon::prepared("");
    let engine = daemon.engine().replace("user: service", "user: service, answer_within: 1s");
    let queue = "queue: {after_failure: continue, after_restart: continue}\n";
    let server = Home::new(&format!("{QUICK}{engine}{queue}")).start().await;
    let mut user = server.client().await;
    is_engine(&mut user, "unavailable", "no NICOS daemon can be reached").await;
    user.queue_is("blocked").await;
    let id = user.submit("early", "print('at last')\n").await;
    daemon.launch().await;
    user.ends(&id, "succeeded").await;

    // It ends under a script.
    let id = user.submit("unlucky", ENDLESS).await;
    user.settles(&id, "running").await;
    daemon.end(Signal::SIGKILL).await;
    let job = user.ends(&id, "interrupted").await;
    assert!(
        job["report"]["message"].as_str().is_some_and(|why| why.contains("NICOS daemon ended")),
        "{job:#}"
    );
    is_engine(&mut user, "unavailable", "NICOS").await;
    daemon.launch().await;
    is_engine(&mut user, "ready", "").await;
    user.call("queue.release", json!({})).await;
    let id = user.submit("afterwards", "print('again')\n").await;
    user.ends(&id, "succeeded").await;

    // It hangs.
    let id = user.submit("patient", ENDLESS).await;
    user.settles(&id, "running").await;
    daemon.signal(Signal::SIGSTOP);
    is_engine(&mut user, "unavailable", "has not answered for more than 1 s").await;
    assert_eq!(user.job(&id).await["state"], "running");
    daemon.signal(Signal::SIGCONT);
    is_engine(&mut user, "ready", "").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn a_script_that_ends_nicoss_script_thread_is_recognised() {
    let mut daemon = Daemon::start().await;
    let server = daemon.server("queue: {after_failure: continue}\n").await;
    let mut user = server.client().await;
    let id = user.submit("exits", "print('bye')\nimport sys\nsys.exit()\n").await;
    let next = user.submit("next", "print('next')\n").await;
    let job = user.ends(&id, "failed").await;
    let report = user.job(job["id"].as_str().unwrap()).await["report"].clone();
    assert_eq!(report["type"], "SystemExit", "{report:#}");
    assert!(report["hint"].as_str().unwrap().contains("restart the NICOS daemon"), "{report:#}");
    is_engine(&mut user, "unavailable", "restart the NICOS daemon").await;
    user.queue_is("blocked").await;
    assert_eq!(user.job(&next).await["state"], "queued", "it was not lost in NICOS's queue");
    daemon.end(Signal::SIGTERM).await;
    daemon.launch().await;
    user.ends(&next, "succeeded").await;
}

/// Stands between the server and the daemon, and cuts every connection when asked to. A network does that.
struct Relay {
    port: u16,
    cut: watch::Sender<u32>,
    open: Arc<AtomicBool>,
}

impl Relay {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, cuts) = watch::channel(0);
        let open = Arc::new(AtomicBool::new(true));
        let opened = Arc::clone(&open);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                if !opened.load(Ordering::SeqCst) {
                    continue;
                }
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { port, cut, open }
    }

    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

#[tokio::test]
async fn a_script_that_ran_on_without_us_is_recognised_and_nothing_it_wrote_is_missing() {
    let mut daemon = Daemon::start().await;
    let relay = Relay::start(daemon.port).await;
    let direct = std::mem::replace(&mut daemon.port, relay.port);
    let config = daemon.engine();
    daemon.port = direct;
    let server = Home::new(&format!("{QUICK}{config}queue: {{after_failure: continue}}\n")).start().await;
    let mut user = server.client().await;
    is_engine(&mut user, "ready", "").await;
    // A client of the proxy dialect is not to notice.
    let mut gui = Gui::login(&server, "ibex").await;

    // It goes on until it is told to end, however long everything else takes.
    let enough = daemon.path().join("enough");
    let source = format!(
        "import os\nn = 0\nwhile not os.path.exists({enough:?}):\n    n += 1\n    print('line %d' % n)\n    sleep(0.02)\n"
    );
    let id = user.submit("cut off", &source).await;
    user.line(&id, "line 20").await;
    relay.open.store(false, Ordering::SeqCst);
    relay.cut();
    is_engine(&mut user, "unavailable", "").await;
    assert_eq!(user.job(&id).await["state"], "running");
    relay.open.store(true, Ordering::SeqCst);
    is_engine(&mut user, "ready", "").await;
    let mut late = Gui::login(&server, "late").await;
    for gui in [&mut gui, &mut late] {
        let status = gui.does(json!({"command": "getstatus"})).await;
        assert_eq!((&status["status"][0], &status["scriptname"]), (&json!(0), &json!("cut off")), "{status}");
    }
    std::fs::write(&enough, "").unwrap();
    user.ends(&id, "succeeded").await;
    let lines = user.output(&id).await;
    let expected: Vec<String> = (1..=lines.len()).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected);
    let told = gui.until_done(&id).await;
    let of = |name: &str| told.iter().filter(|event| event["event"] == name).count();
    assert_eq!((of("request"), of("processing"), of("done"), of("blocked")), (1, 1, 1, 0), "{told:#?}");
    assert_eq!(told.last().unwrap()["payload"]["success"], true);
    let written = told.iter().filter(|event| event["event"] == "message").map(|event| &event["payload"][3]);
    let written: String = written.map(|text| text.as_str().unwrap()).collect();
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
    assert_eq!(late.until_done(&id).await.last().unwrap()["payload"]["success"], true);

    // One that ends meanwhile may have succeeded or not.
    let (nicos, mut events) = daemon.admin().await;
    let id = user.submit("ends unseen", "print('running')\nsleep(1)\nprint('unseen')\n").await;
    user.line(&id, "running").await;
    relay.open.store(false, Ordering::SeqCst);
    relay.cut();
    is_engine(&mut user, "unavailable", "").await;
    event(&mut events, Event::Done, |_| true).await;
    nicos.quit().await;
    relay.open.store(true, Ordering::SeqCst);
    let job = user.ends(&id, "interrupted").await;
    assert!(job["report"]["message"].as_str().unwrap().contains("not known"), "{job:#}");
    assert_eq!(user.output(&id).await, ["running", "unseen"]);
}

#[tokio::test]
async fn a_script_of_an_earlier_server_holds_the_queue_until_it_has_ended() {
    let daemon = Daemon::start().await;
    let server = daemon.server("queue: {after_restart: continue}\n").await;
    let mut user = server.client().await;
    let id = user.submit("survivor", ENDLESS).await;
    user.settles(&id, "running").await;
    let server = server.kill().await.start().await;
    let mut user = server.client().await;
    assert_eq!(user.job(&id).await["state"], "interrupted");
    is_engine(&mut user, "unavailable", "\"survivor\" of service").await;
    let next = user.submit("next", "print('next')\n").await;
    let (nicos, _events) = daemon.admin().await;
    nicos.call(Command::Stop, &[json!(3)]).await.unwrap();
    is_engine(&mut user, "ready", "").await;
    user.ends(&next, "succeeded").await;
}

#[tokio::test]
async fn a_server_that_is_stopped_leaves_no_script_of_its_own_behind() {
    let daemon = Daemon::start().await;
    let server = daemon.server("shutdown: {active: abort}\n").await;
    let mut user = server.client().await;
    let id = user.submit("abandoned", ENDLESS).await;
    user.settles(&id, "running").await;
    server.signal(Signal::SIGTERM);
    let (status, home) = server.ended().await;
    assert!(status.success(), "{status}: {}", home.log());
    let (nicos, _events) = daemon.admin().await;
    let status =
        nicos.call(Command::Eval, &[json!("session.daemon_device._controller.status"), json!(false)]).await;
    assert!(status.unwrap().as_i64().unwrap() < 0);
}

#[tokio::test]
async fn a_server_is_stopped_although_the_daemon_hangs() {
    let daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut user = server.client().await;
    is_engine(&mut user, "ready", "").await;
    let _gui = gui(&server, "adam", 20).await;
    let _native = server.account("uma", "umapw").await;
    daemon.signal(Signal::SIGSTOP);
    server.signal(Signal::SIGTERM);
    let (status, home) = server.ended().await;
    assert!(status.success(), "{status}: {}", home.log());
    daemon.signal(Signal::SIGCONT);
}

#[tokio::test]
async fn what_listens_and_is_no_daemon_is_named() {
    let mut daemon = Daemon::prepared("");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    daemon.port = silent.local_addr().unwrap().port();
    let wrong = Daemon::prepared("");
    let server = wrong.server("").await;
    let mut user = server.client().await;
    is_engine(&mut user, "unavailable", "no NICOS daemon can be reached").await;
    let server = daemon.server("").await;
    let mut user = server.client().await;
    is_engine(&mut user, "unavailable", "accepted the connection and did not answer").await;
}
