//! Every command of NICOS that is passed on, and every event that reaches clients, with a real daemon and its cache.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    harness::{DEADLINE, User, text},
    nicos_daemon::{Daemon, gui},
    proxy::Gui,
};

async fn native(user: &User, command: &str, args: Value) -> Value {
    user.call("nicos.call", json!({"command": command, "args": args})).await
}

/// Waits until a command gives what is expected.
async fn gives(gui: &mut Gui, command: Value, fits: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let given = gui.does(command.clone()).await;
        if fits(&given) {
            return given;
        }
        assert!(begun.elapsed() < DEADLINE, "{command}: {given}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn every_command_that_is_passed_on_is_carried_out() {
    let daemon = Daemon::with_cache().await;
    let server = daemon.server("").await;
    let mut gui = gui(&server, "adam", 20).await;

    assert_eq!(gui.does(json!(["eval", ["m1.read()", false]])).await, json!(0.0));
    assert_eq!(gui.does(json!({"command": "exec", "cmd": "print('said by exec')"})).await, Value::Null);
    gui.until_message("said by exec").await;

    let watched = json!({"command": "watch", "vallist": ["6 * 7:answers"]});
    assert_eq!(gui.does(watched).await, Value::Null);
    let id = gui.queue("a job", "sleep(1.5)\n").await;
    let values = gui.until_event("watch").await;
    assert_eq!(values, json!({"6 * 7:answers": "42"}));
    gui.until_done(&id).await;
    assert_eq!(gui.does(json!({"command": "unwatch", "vallist": ["*"]})).await, Value::Null);

    let words = gui.does(json!({"command": "complete", "line": "m1.rea", "lastword": "m1.rea"})).await;
    assert!(words.as_array().unwrap().iter().any(|word| text(word).starts_with("m1.read")), "{words}");
    let in_cache =
        |keys: &Value| keys.as_array().is_some_and(|keys| keys.iter().any(|key| key[0] == "m1/value"));
    gives(&mut gui, json!({"command": "getcachekeys", "query": "m1/"}), in_cache).await;
    let history =
        json!({"command": "gethistory", "key": "m1/value", "fromtime": 0, "totime": 4_000_000_000_u64});
    gives(&mut gui, history, |history| history[0][1] == 0.0).await;

    let id = gui.queue("scan", "SetDetectors(det)\nscan(m1, 0, 1, 2, t=0.01)\n").await;
    gui.until_done(&id).await;
    let scan = gui.does(json!({"command": "getdataset", "index": 0})).await;
    assert_eq!(scan["class"], "ScanData", "{scan}");
    assert_eq!(scan["xresults"], json!([[0.0], [1.0]]), "{scan}");

    // NICOS's own view, which the proxy dialect answers from beamq's.
    let user = server.account("uma", "umapw").await;
    let file = native(&user, "transfer", json!([{"$bytes": "AP8="}])).await;
    assert!(text(&file).starts_with('/'), "{file}");
    assert!(text(&native(&user, "getversion", json!([])).await).starts_with("3."));
    assert_eq!(native(&user, "getstatus", json!({})).await["mode"], "master");
    let messages = native(&user, "getmessages", json!(["*"])).await;
    assert!(messages.as_array().unwrap().iter().any(|message| message[3] == "said by exec\n"));
    assert!(text(&native(&user, "getscript", json!([])).await).contains("scan(m1"));
    assert!(native(&user, "gettrace", json!([])).await.is_string());

    assert_eq!(gui.does(json!({"command": "debug", "code": "a = 1\nb = 2\n"})).await, Value::Null);
    assert_eq!(gui.until_event("debugging").await, true);
    // Taken only while NICOS is seen to run the script.
    let goes_on = json!({"command": "debuginput", "line": "c"});
    let begun = Instant::now();
    while gui.ask(goes_on.clone()).await["success"] != true {
        assert!(begun.elapsed() < DEADLINE, "the debugger takes nothing");
    }
    assert_eq!(gui.until_event("debugging").await, false);
}

#[tokio::test]
async fn every_event_of_nicos_reaches_clients_as_json() {
    let daemon = Daemon::with_cache().await;
    let server = daemon.server("").await;
    let mut gui = gui(&server, "adam", 20).await;
    let exec = |code: &str| json!({"command": "exec", "cmd": code});

    let arrives = async |gui: &mut Gui, event: &str| {
        println!("waiting for {event}");
        gui.until_event(event).await
    };
    arrives(&mut gui, "cache").await;
    gui.queue("device", "RemoveDevice('man')").await;
    assert_eq!(arrives(&mut gui, "device").await, json!(["destroy", ["man"]]));
    let id = gui.queue("setup", "NewSetup('startup')").await;
    while arrives(&mut gui, "setup").await[1] != json!(["startup"]) {}
    // Until then NICOS's commands are not there.
    gui.until_done(&id).await;
    gui.does(exec("help(maw)")).await;
    let help = arrives(&mut gui, "showhelp").await;
    assert!(text(&help[1]).contains("maw"), "{help}");
    gui.does(exec("from nicos import session; session.clientExec(print, ('here',))")).await;
    let run = arrives(&mut gui, "clientexec").await;
    assert_eq!(run, json!(["builtins.print", "here"]));

    let id = gui.queue("scan", "SetDetectors(det)\nscan(m1, 0, 1, 2, t=0.01)\n").await;
    let events = gui.until_done(&id).await;
    // NICOS tells of its data by another thread, so they may come behind the end of the script.
    let of = async |gui: &mut Gui, name: &str| match events.iter().find(|event| event["event"] == name) {
        Some(event) => event["payload"].clone(),
        None => arrives(gui, name).await,
    };
    assert_eq!(of(&mut gui, "dataset").await["class"], "ScanData", "{events:#?}");
    let point = of(&mut gui, "datapoint").await;
    assert!(point[0].is_string() && point[1].is_array() && point[2].is_array(), "{point}");

    // What this rig has no cause for is emitted as NICOS itself does.
    for (event, payload) in [
        ("datacurve", json!(["fit", [0.5, 1], [2, 3]])),
        ("watchdog", json!(["warning", 1.5, "too warm", "id"])),
        ("plugplay", json!(["added", "motor", "a motor"])),
        ("experiment", json!(["p1", "user"])),
    ] {
        let emit = format!("session.daemon_device.emit_event({event:?}, tuple({payload}))");
        gui.does(json!(["eval", [emit, false]])).await;
        assert_eq!(arrives(&mut gui, event).await, payload);
    }

    gui.queue("mode", "SetMode('maintenance')").await;
    assert_eq!(arrives(&mut gui, "mode").await, "maintenance");
}

#[tokio::test]
async fn an_account_that_has_changed_when_nicos_is_back_is_what_it_is_now() {
    let mut daemon = Daemon::start().await;
    let server = daemon.server("").await;
    let mut changed = gui(&server, "uma", 10).await;
    let gone = server.account("ulf", "ulfpw").await;
    assert_eq!(changed.does(json!(["eval", ["1", false]])).await, 1);
    daemon.end(Signal::SIGTERM).await;
    let accounts = daemon.path().join("package/rigpkg/bench/setups/special/daemon.py");
    let written = std::fs::read_to_string(&accounts).unwrap();
    let now =
        written.replace("_sha1('umapw'), 'user'", "_sha1('umapw'), 'guest'").replace("ulfpw", "another");
    assert_ne!(now, written);
    std::fs::write(&accounts, now).unwrap();
    daemon.launch().await;

    let begun = Instant::now();
    loop {
        let said = text(&changed.ask(json!(["eval", ["1", false]])).await["payload"]);
        if said.contains("viewer") {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "{said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let queued = json!({"command": "queue", "name": "x", "code": "pass"});
    assert!(changed.refused(queued).await.contains("viewer"));
    loop {
        let refused = gone.refused("nicos.call", json!({"command": "getversion"})).await;
        if refused.code == -32001 {
            break;
        }
        assert_eq!(refused.code, -32030, "{refused:?}");
        assert!(begun.elapsed() < DEADLINE, "{refused:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
