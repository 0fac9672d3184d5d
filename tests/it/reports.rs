//! R11, R12, R13 and the scripts of the bad-input list: every end has the right state and a report, the
//! same over every interface, and nothing of a job reaches the next.

use serde_json::{Value, json};

use crate::harness::{Server, User, alive_in_group};

/// Runs a script to its end and checks that every interface tells the same of it.
async fn report_of(user: &mut User, job: Value) -> Value {
    let id = user.submit_job(job).await;
    let told = user.ended(&id).await;
    let mut got = user.job(&id).await;
    got.as_object_mut().unwrap().remove("script");
    got.as_object_mut().unwrap().remove("output");
    assert_eq!(got, told, "job.get differs from event.job");
    let listed = user.call("history.list", json!({"limit": 1})).await["jobs"][0].clone();
    assert_eq!(listed, told, "history.list differs from event.job");
    if user.queue().await["state"] == "held" {
        user.call("queue.release", json!({})).await;
    }
    told
}

async fn script(user: &mut User, script: &str) -> Value {
    report_of(user, json!({"name": "scan", "script": script})).await
}

#[tokio::test]
async fn r13_an_error_report_has_type_message_line_text_traceback_output_phase_and_hint() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let source = "import json\n\ndef read(text):\n    return json.loads(text)\n\nfor n in range(60):\n    print('line', n)\nread('{')\n";
    let job = script(&mut user, source).await;
    assert_eq!(job["state"], "failed");
    let report = &job["report"];
    assert_eq!(report["type"], "json.decoder.JSONDecodeError");
    assert!(report["message"].as_str().unwrap().starts_with("Expecting property name"), "{report:#}");
    assert_eq!((&report["line"], &report["phase"]), (&json!(4), &json!("run")), "{report:#}");
    assert_eq!(report["text"].as_str().unwrap().trim(), "return json.loads(text)");
    let frames: Vec<_> = report["traceback"].as_array().unwrap().iter().map(|frame| &frame["line"]).collect();
    assert_eq!(frames[..2], [&json!(8), &json!(4)], "{report:#}");
    let first = &report["traceback"][0];
    assert_eq!((&first["function"], &first["text"]), (&json!("<module>"), &json!("read('{')")));
    for frame in report["traceback"].as_array().unwrap() {
        assert!(!frame["file"].as_str().unwrap().contains("beamq_worker"), "not the user's frame: {frame}");
    }
    let tail = report["output_tail"].as_array().unwrap();
    assert!(tail.len() <= 50 && tail.contains(&json!("line 59")), "{tail:?}");
    assert!(report["elapsed_s"].as_f64().unwrap() > 0.0);
    assert_eq!(report["command_errors"], json!([]));
    assert!(report.get("exit_code").is_none() && report.get("signal").is_none());
}

#[tokio::test]
async fn r13_each_kind_of_end_has_its_phase_and_its_evidence() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let syntax = script(&mut user, "print('before')\nfor x in 3\n    pass\n").await;
    assert_eq!(syntax["state"], "failed");
    assert_eq!(
        (&syntax["report"]["type"], &syntax["report"]["phase"], &syntax["report"]["line"]),
        (&json!("SyntaxError"), &json!("syntax"), &json!(2))
    );
    let wrote = user.output(syntax["id"].as_str().unwrap()).await;
    assert!(!wrote.contains(&"before".to_owned()), "it ran although it cannot be compiled");

    let import = script(&mut user, "import no_such_module_anywhere\n").await;
    assert_eq!(
        (&import["report"]["type"], &import["report"]["phase"]),
        (&json!("ModuleNotFoundError"), &json!("import"))
    );
    assert!(import["report"]["hint"].is_string());

    let exit = script(&mut user, "import sys\nprint('leaving')\nsys.exit(3)\n").await;
    assert_eq!((&exit["state"], &exit["report"]["exit_code"]), (&json!("failed"), &json!(3)));
    assert_eq!((&exit["report"]["phase"], &exit["report"]["line"]), (&json!("run"), &json!(3)));
    let message = script(&mut user, "import sys\nsys.exit('no beam')\n").await;
    assert_eq!((&message["state"], &message["report"]["exit_code"]), (&json!("failed"), &json!(1)));
    assert!(message["report"]["message"].as_str().unwrap().contains("no beam"), "{message:#}");
    let good = script(&mut user, "import sys\nsys.exit(0)\n").await;
    assert_eq!(good["state"], "succeeded", "{good:#}");

    let hard = script(&mut user, "import os\nos._exit(7)\n").await;
    assert_eq!((&hard["state"], &hard["report"]["exit_code"]), (&json!("failed"), &json!(7)));
    assert_eq!(hard["report"]["phase"], "run");
    for signal in ["SIGKILL", "SIGSEGV", "SIGTERM"] {
        let job = script(
            &mut user,
            &format!(
                "import os, signal\nos.kill(os.getpid(), signal.{signal})\nimport time\ntime.sleep(60)\n"
            ),
        )
        .await;
        assert_eq!(job["state"], "failed", "{job:#}");
        assert_eq!(
            (&job["report"]["signal"], &job["report"]["phase"]),
            (&json!(signal), &json!("killed")),
            "{job:#}"
        );
    }
}

#[tokio::test]
async fn r11_a_worker_that_runs_out_of_memory_is_reported() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let source = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\nx = bytearray(4 << 30)\n";
    let job = script(&mut user, source).await;
    assert_eq!((&job["state"], &job["report"]["type"]), (&json!("failed"), &json!("MemoryError")));
    assert_eq!(job["report"]["line"], 3);
}

#[tokio::test]
async fn r12_no_state_leaks_from_one_job_into_the_next() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let first = "import os, sys, builtins, math\nos.environ['LEAK'] = '1'\nos.chdir('/')\nsys.path.append('/leak')\nbuiltins.leak = 1\nmath.pi = 3\nimport types\nsys.modules['leak'] = types.ModuleType('leak')\nprint(os.getpid())\n";
    let a = user.run(first).await;
    assert_eq!(a["state"], "succeeded");
    let second = "import os, sys, builtins, math\nassert 'LEAK' not in os.environ\nassert os.getcwd() != '/'\nassert '/leak' not in sys.path\nassert not hasattr(builtins, 'leak')\nassert math.pi > 3.1\nassert 'leak' not in sys.modules\nassert 'x' not in globals()\nprint(os.getpid())\n";
    let b = user.run(second).await;
    assert_eq!(b["state"], "succeeded", "{b:#}");
    let pid = |user: &User, job: &Value| user.lines(job["id"].as_str().unwrap());
    assert_ne!(pid(&user, &a), pid(&user, &b));
}

#[tokio::test]
async fn bad_scripts_that_leave_children_behind_end_and_the_children_with_them() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let source = "import os, subprocess, sys\nprint('group', os.getpgid(0), flush=True)\nsubprocess.Popen([sys.executable, '-c', 'import signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\ntime.sleep(1e6)'])\nif os.fork() == 0:\n    while True: pass\n";
    let id = user.submit("forks", source).await;
    let group = user.line(&id, "group").await;
    let job = user.ended(&id).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(alive_in_group(&group), Vec::<String>::new());
}

#[tokio::test]
async fn bad_scripts_that_close_their_pipes_or_print_rubbish_end_in_the_right_state() {
    let server = Server::with("queue: {after_failure: continue}\n").await;
    let mut user = server.client().await;
    let rubbish = user
        .run("import sys\nsys.stdout.buffer.write(b'\\xff\\xfe\\x00 binary\\n')\nsys.stdout.flush()\nprint('\\ud800 lone', '\\x1b[31m')\nprint('end')\n")
        .await;
    assert!(user.output(rubbish["id"].as_str().unwrap()).await.len() >= 2, "{rubbish:#}");
    // Standard output in other hands: the job still ends, and the server is well.
    let closed = user.run("import os\nfor fd in range(3, 64):\n    try: os.close(fd)\n    except OSError: pass\nprint('after')\n").await;
    assert!(["failed", "succeeded"].map(Some).contains(&closed["state"].as_str()), "{closed:#}");
    let silent = user.run("import os\nos.close(1)\nos.close(2)\n").await;
    assert!(["failed", "succeeded"].map(Some).contains(&silent["state"].as_str()), "{silent:#}");
    let written = user.run("import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'{\"rubbish\": \\xff}\\n' * 10)\n    except OSError: pass\n").await;
    assert!(["failed", "succeeded"].map(Some).contains(&written["state"].as_str()), "{written:#}");
    assert_eq!(user.run("print('well')").await["state"], "succeeded");
}

#[tokio::test]
async fn bad_scripts_that_are_not_utf8_or_hold_nul_are_refused_or_fail_with_a_report() {
    let server = Server::with("queue: {after_failure: continue}\n").await;
    let mut user = server.client().await;
    let job = json!({"job": {"name": "nul", "script": "print(1)\u{0}\n"}});
    match user.client.call::<Value>("job.submit", job).await {
        Ok(reply) => {
            let ended = user.ended(reply["id"].as_str().unwrap()).await;
            assert_eq!((&ended["state"], &ended["report"]["phase"]), (&json!("failed"), &json!("syntax")));
        }
        Err(error) => assert_eq!(error.rpc().unwrap().code, -32015),
    }
    let coding = user.run("# -*- coding: latin-1 -*-\nprint('é ß')\n").await;
    assert_eq!(coding["state"], "succeeded", "{coding:#}");
    assert_eq!(user.output(coding["id"].as_str().unwrap()).await, ["é ß"]);
}

#[tokio::test]
async fn a_question_is_answered_by_a_client_or_times_out_with_its_default() {
    let server = Server::with("jobs: {prompt_timeout: \"400ms\"}\n").await;
    let mut user = server.client().await;
    let source = "import beamq\nprint('got', beamq.ask('Which sample?', choices=['A', 'B'], timeout=600))\nprint('then', beamq.ask('More?', default='no'))\nprint('last', input('Name: '))\n";
    let id = user.submit("asks", source).await;
    let prompt = user.event("the question", 0, |event| event["method"] == "event.prompt").await;
    let number = prompt["params"]["prompt"].clone();
    assert_eq!(prompt["params"]["text"], "Which sample?");
    // Who comes later finds the question in the job.
    let late = server.client().await;
    let asked = late.call("server.status", json!({})).await["active"]["prompt"].clone();
    assert_eq!((&asked["prompt"], &asked["text"]), (&number, &json!("Which sample?")), "{asked}");
    assert_eq!(late.job(&id).await["prompt"], asked);
    assert_eq!(prompt["params"]["choices"], json!(["A", "B"]));
    let error = user.refused("run.answer", json!({"prompt": number, "value": "C"})).await;
    assert_eq!(error.data["allowed"], json!(["A", "B"]));
    let error = user.refused("run.answer", json!({"prompt": "77", "value": "A"})).await;
    assert_eq!(error.code, -32011);
    user.call("run.answer", json!({"prompt": number, "value": "B"})).await;
    assert_eq!(user.line(&id, "got").await, "B");
    assert_eq!(user.line(&id, "then").await, "no");
    let job = user.ends(&id, "failed").await;
    assert_eq!(job["report"]["line"], 4, "{job:#}");
    assert!(job["prompt"].is_null(), "{job:#}");
    let settled: Vec<_> = user
        .seen
        .iter()
        .filter(|event| event["method"] == "event.prompt")
        .filter_map(|event| event["params"]["settled"].as_str())
        .collect();
    assert_eq!(settled, ["answered", "timed_out", "timed_out"]);
}
