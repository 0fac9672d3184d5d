//! Putting scripts into the queue and reading what became of them.

use serde_json::json;

use crate::support::{Server, run};

const FAILING: &str = "\
values = [1.5, 2.5]

def mean(values):
    return sum(values) / len(valeus)

print('about to fail')
print(mean(values))
";

#[test]
fn a_script_is_queued_runs_and_its_output_can_be_read() {
    let server = Server::start();
    let script =
        server.script("hello.py", "print('hello µA·h')\nimport sys\nprint('oops', file=sys.stderr)\n");
    let queued = server.json(&["submit", &script]);
    assert_eq!(queued["jobs"][0]["position"], 0);
    assert!(queued["revision"].is_u64(), "{queued}");
    let id = queued["jobs"][0]["id"].as_str().unwrap();
    server.until_state(id, "succeeded");

    let output = server.run(&["output", id]).expect_code(0);
    assert_eq!(output.out.lines().collect::<Vec<_>>(), ["hello µA·h", "oops"]);
    let lines = server.json(&["output", id])["lines"].clone();
    assert_eq!(lines[0]["n"], 1);
    assert_eq!((&lines[0]["stream"], &lines[1]["stream"]), (&json!("stdout"), &json!("stderr")));
    let history = server.json(&["history", "--state", "succeeded"]);
    assert_eq!(history["jobs"][0]["name"], "hello.py");
}

#[test]
fn waiting_tells_the_outcome_by_the_exit_code_and_what_went_wrong() {
    let server = Server::start();
    let good = server.script("good.py", "print('fine')\n");
    let bad = server.script("bad.py", FAILING);
    server.run(&["submit", &good, "--wait"]).expect_code(0);
    let failed = server.run(&["submit", &bad, "--wait"]).expect_code(1);
    for part in ["NameError", "line 4", "len(valeus)", "about to fail"] {
        assert!(failed.out.contains(part), "{part}: {}", failed.out);
    }
}

#[test]
fn waiting_with_json_gives_one_document_with_the_report() {
    let server = Server::start();
    let bad = server.script("bad.py", FAILING);
    let document =
        run(server.command(&["submit", &bad, "--wait"]).arg("--json"), b"").expect_code(1).document();
    let job = &document["jobs"][0];
    assert_eq!(job["state"], "failed");
    assert_eq!(job["report"]["type"], "NameError");
    assert_eq!(job["report"]["line"], 4);
    assert_eq!(job["report"]["traceback"][0]["line"], 7);
}

#[test]
fn all_the_fields_of_a_submission_arrive() {
    let server = Server::start();
    server.run(&["queue", "hold"]).expect_code(0);
    let script = server.script("s.py", "pass\n");
    let arguments = ["submit", &script, "--name", "cool", "--tag", "a", "--tag", "b", "--group", "night"];
    let more = [
        "--hold",
        "--black-box",
        "--not-before",
        "2h",
        "--deadline",
        "2099-01-01T00:00:00Z",
        "--timeout",
        "2h",
    ];
    let queued = server.json(&[&arguments[..], &more[..]].concat());
    let waiting = server.json(&["queue", "list"])["waiting"][0].clone();
    assert_eq!(waiting["id"], queued["jobs"][0]["id"]);
    assert_eq!(waiting["name"], "cool");
    assert_eq!(waiting["tags"], json!(["a", "b"]));
    assert_eq!(waiting["group"], "night");
    assert_eq!(waiting["state"], "held");
    assert_eq!(waiting["kind"], "black_box");
    assert_eq!(waiting["timeout"], "2h");
    assert!(waiting["not_before"].is_string() && waiting["deadline"].is_string(), "{waiting}");
}

#[test]
fn jobs_go_where_they_are_told() {
    let server = Server::start();
    server.run(&["queue", "hold"]).expect_code(0);
    let script = server.script("s.py", "pass\n");
    let submit = |flags: &[&str]| {
        let queued = server.json(&[&["submit", &script], flags].concat());
        let job = &queued["jobs"][0];
        (job["id"].as_str().unwrap().to_owned(), job["position"].as_u64().unwrap())
    };
    let (a, at) = submit(&[]);
    assert_eq!(at, 0);
    let (b, at) = submit(&["--back"]);
    assert_eq!(at, 1);
    let (c, at) = submit(&["--front"]);
    assert_eq!(at, 0);
    let (d, at) = submit(&["--before", &b]);
    assert_eq!(at, 2);
    let (e, at) = submit(&["--after", &c]);
    assert_eq!(at, 1);
    let (f, at) = submit(&["--index", "3"]);
    assert_eq!(at, 3);
    assert_eq!(server.order(), [c, e, a, f, d, b]);
}

#[test]
fn several_files_are_queued_together_with_their_positions() {
    let server = Server::start();
    server.run(&["queue", "hold"]).expect_code(0);
    let (a, b) = (server.script("a.py", "pass\n"), server.script("b.py", "pass\n"));
    let queued = server.json(&["submit", &a, &b]);
    let jobs = queued["jobs"].as_array().unwrap();
    assert_eq!(jobs.iter().map(|job| job["position"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1]);
    let queue = server.json(&["queue", "list"]);
    assert_eq!(
        (&queue["waiting"][0]["name"], &queue["waiting"][1]["name"]),
        (&json!("a.py"), &json!("b.py"))
    );
}

#[test]
fn one_bad_job_keeps_all_of_them_out() {
    let server = Server::start();
    server.run(&["queue", "hold"]).expect_code(0);
    let (a, b) = (server.script("a.py", "pass\n"), server.script("b.py", "pass\n"));
    let refused = server.run(&["submit", &a, &b, "--timeout", "0s"]).expect_code(1);
    assert!(refused.err.contains("error:") && refused.err.contains("b.py"), "{}", refused.err);
    assert_eq!(server.order(), Vec::<String>::new());
}

#[test]
fn copies_stand_in_a_row() {
    let server = Server::start();
    server.run(&["queue", "hold"]).expect_code(0);
    let script = server.script("s.py", "pass\n");
    let queued = server.json(&["submit", &script, "--repeat", "3"]);
    let ids: Vec<_> =
        queued["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(server.order(), ids);
}

#[test]
fn a_script_comes_from_standard_input_too() {
    let server = Server::start();
    let ended = run(&mut server.command(&["submit", "-", "--wait", "--json"]), b"\xef\xbb\xbfprint(6 * 7)\n");
    let document = ended.expect_code(0).document();
    let id = document["jobs"][0]["id"].as_str().unwrap();
    assert_eq!(server.run(&["output", id]).out, "42\n");
    assert_eq!(server.json(&["history"])["jobs"][0]["name"], "stdin");
}

#[test]
fn a_script_that_is_not_utf_8_is_refused_with_the_byte() {
    let server = Server::start();
    let script = server.script("latin.py", b"print('\xb5A')\n");
    let refused = server.run(&["submit", &script]).expect_code(1);
    assert!(refused.err.contains("position 7") && refused.err.contains("hint:"), "{}", refused.err);
}

#[test]
fn a_script_that_is_too_large_is_refused_and_the_limit_is_named() {
    let server = Server::start();
    let script = server.script("large.py", "#".repeat(17 << 20));
    let refused = server.run(&["submit", &script]).expect_code(1);
    assert!(refused.err.contains("16777216"), "{}", refused.err);
    server.run(&["status"]).expect_code(0);
}

#[test]
fn a_syntax_error_is_accepted_with_a_finding_and_fails_when_it_runs() {
    let server = Server::start();
    let script = server.script("broken.py", "x = 1\nif x\n    print(x)\n");
    let failed = server.run(&["submit", &script, "--wait"]).expect_code(1);
    assert!(failed.out.contains("SyntaxError") && failed.out.contains("line 2"), "{}", failed.out);
}

#[test]
fn a_process_that_exits_or_is_killed_is_a_failed_job_with_code_or_signal() {
    let server = Server::start_with("queue: {after_failure: continue}\n");
    let exit = server.script("exit.py", "import os\nos._exit(7)\n");
    let ended = server.run(&["submit", &exit, "--wait"]).expect_code(1);
    assert!(ended.out.contains("exit code 7"), "{}", ended.out);
    let killed = server.script("killed.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n");
    let ended = server.run(&["submit", &killed, "--wait"]).expect_code(1);
    assert!(ended.out.contains("SIGKILL"), "{}", ended.out);
}
