//! The engine as clients of the real server see it.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::harness::{Server, User};

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/scripts").join(name)).unwrap()
}

/// Every progress that was told of a job.
fn progress(user: &User, id: &str) -> Vec<Value> {
    let of_job =
        user.seen.iter().filter(|event| event["method"] == "event.progress" && event["params"]["id"] == id);
    of_job.map(|event| event["params"]["progress"].clone()).collect()
}

/// Answers the job's next question and gives the question.
async fn answer(user: &mut User, from: usize, value: Value) -> Value {
    let asked = user
        .event("a question", from, |event| {
            event["method"] == "event.prompt" && event["params"]["settled"].is_null()
        })
        .await["params"]
        .clone();
    user.call("run.answer", json!({"prompt": asked["prompt"], "value": value})).await;
    asked
}

/// Waits until the script is shown in this wait.
async fn in_wait(user: &mut User, id: &str, wait: &str) {
    user.event(wait, 0, |event| {
        event["params"]["id"] == id
            && event["params"]["progress"]["command"].as_str().is_some_and(|said| said.starts_with(wait))
    })
    .await;
}

#[tokio::test]
async fn the_aware_example_shows_its_steps_and_a_percentage_that_never_falls() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("aware.py", &example("aware.py")).await;
    let job = user.ends(&id, "succeeded").await;
    assert_eq!(job["progress"]["percent"], 100.0, "{job:#}");
    let told = progress(&user, &id);
    let percents: Vec<f64> = told.iter().filter_map(|progress| progress["percent"].as_f64()).collect();
    assert!(percents.len() >= 3 && percents.windows(2).all(|pair| pair[0] <= pair[1]), "{percents:?}");
    for step in ["Measure", "50 K"] {
        assert!(told.iter().any(|progress| progress["step"] == step), "{step} of {told:#?}");
    }
    assert!(told.iter().any(|progress| progress["basis"] == "loop"), "{told:#?}");
    let output = user.output(&id).await;
    for line in ["checkpoint temperature measured: kelvin=150.0", "strongest at 5 K and 1 deg"] {
        assert!(output.contains(&line.to_owned()), "{line} of {output:#?}");
    }
    // The summary's cell begins at seven eighths.
    assert!(percents.last().is_some_and(|last| (87.0..=100.0).contains(last)), "{percents:?}");
}

#[tokio::test]
async fn how_far_a_job_came_is_known_after_it_failed_or_was_aborted() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import beamq\nfor n in beamq.track(range(4), text='scans'):\n    with beamq.step(f'scan {n}'):\n        \
                  if n == 3:\n            ENDING\n";
    let failing = user.submit("failing", &script.replace("ENDING", "1 / 0")).await;
    let failed = user.ends(&failing, "failed").await;
    let endless = user.submit("endless", &script.replace("ENDING", "beamq.sleep(1e6)")).await;
    user.call("queue.release", json!({})).await;
    in_wait(&mut user, &endless, "beamq.sleep").await;
    user.call("run.abort", json!({})).await;
    let aborted = user.ends(&endless, "aborted").await;
    for job in [failed, aborted] {
        let progress = &job["progress"];
        assert_eq!(progress["step"], "scan 3", "{job:#}");
        assert_eq!(progress["basis"], "loop");
        assert_eq!(progress["percent"], 75.0);
        let kept = user.call("job.get", json!({"id": job["id"]})).await;
        assert_eq!(kept["job"]["progress"], *progress, "in the history as well: {kept:#}");
    }
}

#[tokio::test]
async fn the_black_box_example_runs_untouched_without_a_percentage() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let job = json!({"name": "blackbox.py", "script": example("blackbox.py"), "black_box": true});
    let id = user.submit_job(job).await;
    let job = user.ends(&id, "succeeded").await;
    assert!(user.output(&id).await.iter().any(|line| line.starts_with("2000 primes")));
    assert!(progress(&user, &id).iter().all(|progress| progress["percent"].is_null()), "{job:#}");
}

#[tokio::test]
async fn the_interactive_example_goes_by_the_answers() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("interactive.py", &example("interactive.py")).await;
    let sample = answer(&mut user, 0, json!("oil")).await;
    assert_eq!((&sample["choices"], &sample["default"]), (&json!(["water", "oil"]), &json!("water")));
    let asked = user.seen.len();
    let frames = answer(&mut user, asked, json!("3")).await;
    assert_eq!(frames["text"], "How many frames? ");
    let asked = user.seen.len();
    answer(&mut user, asked, json!(false)).await;
    let job = user.ends(&id, "failed").await;
    assert_eq!(job["report"]["message"], "thrown away: it did not look right");
    let output = user.output(&id).await;
    assert!(output.starts_with(&["measuring oil".to_owned(), "frame 1".to_owned()]), "{output:?}");
}

#[test]
fn the_examples_run_without_a_server_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, last) in [("aware.py", "deg"), ("blackbox.py", "primes"), ("interactive.py", "kept")] {
        let mut python = std::process::Command::new(super::fixture::interpreter())
            .arg(root.join("examples/scripts").join(name))
            .env("PYTHONPATH", root.join("src/engine/python/lib"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut python.stdin.take().unwrap(), b"oil\n2\n\n").unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.lines().last().unwrap().contains(last), "{name}: {said}");
    }
}

#[tokio::test]
async fn r06_every_wait_is_skipped_and_the_script_goes_on_after_it() {
    let server = Server::start().await;
    let mut user = server.client().await;
    for (wait, script) in [
        ("beamq.sleep", "import beamq\nbeamq.sleep(1e6)\n"),
        ("time.sleep", "import time\ntime.sleep(1e6)\n"),
        ("question", "import beamq\nassert beamq.ask('Go on?', default='yes') == 'yes'\n"),
        (
            "waitfor_move",
            "import beamq, sys, types\ncode = '''def waitfor_move():\\n    import time\\n    from nicos import session\\n    while True:\\n        session.breakpoint(3)\\n        time.sleep(0.1)\\n'''\nlibrary = types.ModuleType('library')\nexec(compile(code, 'library.py', 'exec'), library.__dict__)\ntry:\n    library.waitfor_move()\nexcept beamq.WaitSkipped as skipped:\n    assert 'waitfor_move' in str(skipped)\n",
        ),
    ] {
        let id = user.submit("waits", &format!("{script}print('after')\n")).await;
        in_wait(&mut user, &id, wait).await;
        user.call("run.skip", json!({})).await;
        user.ends(&id, "succeeded").await;
        assert_eq!(user.output(&id).await.last().map(String::as_str), Some("after"), "{wait}");
    }
    // An open question without a default has no answer to go on with.
    let asked = user.seen.len();
    let id = user.submit("asks", "print(input('Which? '))\n").await;
    in_wait(&mut user, &id, "question").await;
    let from = user.seen.len();
    user.call("run.skip", json!({})).await;
    user.event("the notice", from, |event| event["params"]["notice"] == "nothing_to_skip").await;
    answer(&mut user, asked, json!("this")).await;
    user.ends(&id, "succeeded").await;
}

#[tokio::test]
async fn r04_the_reply_to_a_pause_names_the_wait_that_the_script_is_in() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("waits", "import time\nprint('here')\ntime.sleep(1e6)\n").await;
    in_wait(&mut user, &id, "time.sleep").await;
    for (level, when) in [
        ("line", "at the next line of the script; now in time.sleep(1e+06), line 3"),
        ("point", "at the next wait or pause point; now in time.sleep(1e+06), line 3"),
        ("now", "at once, also inside a wait that polls; now in time.sleep(1e+06), line 3"),
    ] {
        assert_eq!(user.call("run.pause", json!({"level": level})).await["acts"], when);
    }
    user.settles(&id, "paused").await;
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
}

#[tokio::test]
async fn a_script_that_disturbs_its_worker_ends_alone_and_the_server_goes_on() {
    let server = Server::with("queue: {after_failure: continue}\noutput: {keep_per_job: \"64 KiB\"}\n").await;
    let mut user = server.client().await;
    let find = "import os, stat, sys, time\nfd = [fd for fd in range(3, 1024) if os.path.exists('/proc/self/fd/%d' % fd) and stat.S_ISSOCK(os.fstat(fd).st_mode)][0]\nos.set_blocking(fd, True)\n";
    for (script, message) in [
        ("os.write(fd, b'x' * 3_000_000)\ntime.sleep(1e6)\n", "1 MiB"),
        ("os.write(fd, b'\\xff{\\n' * 1000)\ntime.sleep(1e6)\n", "no messages"),
        ("os.close(fd)\ntime.sleep(1e6)\n", "closed its control channel"),
        ("os.closerange(3, 1024)\nwhile True: pass\n", "closed its control channel"),
    ] {
        let job = user.run(&format!("{find}{script}")).await;
        assert_eq!(
            (&job["state"], &job["report"]["type"]),
            (&json!("failed"), &json!("WorkerError")),
            "{job:#}"
        );
        assert!(job["report"]["message"].as_str().unwrap().contains(message), "{job:#}");
    }
    // What a script sends in the worker's name is at most a lie about itself.
    let forged = user
        .run(&format!("{find}os.write(fd, b'{{\"say\": \"finished\", \"report\": null, \"status\": 0}}\\n')\nos._exit(0)\n"))
        .await;
    assert_eq!(forged["state"], "succeeded", "{forged:#}");

    let flood =
        user.submit("flood", "import sys\nfor _ in range(2000): sys.stdout.write('x' * 1_000_000)\n").await;
    user.ends(&flood, "succeeded").await;
    let size = user.job(&flood).await["output"].clone();
    assert!(size["bytes"].as_u64().unwrap() <= 64 << 10, "{size}");
    // 2 GB in pieces of 64 KiB.
    assert!((30_000..31_000).contains(&size["dropped"].as_u64().unwrap()), "{size}");
    assert_eq!(user.run("print('well')").await["state"], "succeeded");
}

#[tokio::test]
async fn what_a_library_says_to_the_log_of_nicos_is_in_the_output() {
    let server = Server::with("").await;
    let mut user = server.client().await;
    let script =
        "from nicos import session\nsession.log.info('cooling to %s K', 5)\nsession.log.warning('slow')\n";
    let id = user.submit("log", script).await;
    user.ends(&id, "succeeded").await;
    assert_eq!(user.output(&id).await, ["INFO: cooling to 5 K", "WARNING: slow"]);
}

#[tokio::test]
async fn the_configured_memory_and_niceness_hold_for_every_job() {
    let server = Server::with("engine: {python: {memory: 600 MiB, niceness: 3}}\n").await;
    let mut user = server.client().await;
    let script = "import os, subprocess\nprint(os.nice(0))\nprint(subprocess.run(['sh', '-c', 'nice; ulimit -v'], capture_output=True, text=True).stdout.split())\nbytearray(700 << 20)\n";
    let id = user.submit("greedy", script).await;
    let job = user.ends(&id, "failed").await;
    assert_eq!(job["report"]["type"], "MemoryError", "{job:#}");
    assert_eq!(job["report"]["line"], 4);
    assert!(
        job["report"]["hint"].as_str().unwrap().contains("engine.python.memory allows 600 MiB"),
        "{job:#}"
    );
    let own = std::process::Command::new("nice").output().unwrap();
    let nice = (String::from_utf8(own.stdout).unwrap().trim().parse::<i8>().unwrap() + 3).min(19);
    assert_eq!(user.output(&id).await[..2], [nice.to_string(), format!("['{nice}', '614400']")]);
}

/// As the kernel tells it (`sched_getattr`, from Linux 6.12 on): a process of the default slice is woken at once
/// beside one with a longer slice, instead of after some milliseconds.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[tokio::test]
async fn a_script_computes_in_longer_slices_than_everybody_who_waits_for_it() {
    let number = libc::SYS_sched_getattr;
    let ask = format!(
        "import ctypes, struct\nattributes = ctypes.create_string_buffer(48)\n\
         assert ctypes.CDLL(None).syscall({number}, 0, attributes, 48, 0) == 0\n\
         print(struct.unpack('IIQiIQQQ', attributes.raw)[5])\n"
    );
    let ordinary = std::process::Command::new("python3").args(["-c", &ask]).output().unwrap();
    let ordinary: u64 = String::from_utf8(ordinary.stdout).unwrap().trim().parse().unwrap();
    let server = Server::with("").await;
    let mut user = server.client().await;
    let id = user.submit("slices", &ask).await;
    user.ends(&id, "succeeded").await;
    let slice: u64 = user.output(&id).await[0].parse().unwrap();
    // An older kernel tells nothing, to nobody.
    if ordinary > 0 {
        assert!(slice >= 10_000_000 && slice > 2 * ordinary, "{slice} ns beside {ordinary} ns");
    } else {
        assert_eq!(slice, 0);
    }
}

#[tokio::test]
async fn a_memory_limit_that_leaves_no_room_blocks_the_queue_with_the_reason() {
    let server = Server::with("engine: {python: {memory: 20 MiB}}\n").await;
    let mut user = server.client().await;
    user.queue_is("blocked").await;
    let why = user.queue().await["why"].clone();
    let status = user.call("server.status", json!({})).await;
    let detail = status["engine"]["detail"].as_str().unwrap();
    assert!(detail.contains("engine.python.memory") && detail.contains("20 MiB"), "{detail} {why}");
}
