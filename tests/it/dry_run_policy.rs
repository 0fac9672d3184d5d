//! `dry_run: never | warn | block`, by the role of who submits.

use serde_json::json;

use crate::{
    access::hash,
    harness::{Server, text},
    proxy::Gui,
};

const BROKEN: &str = "from beamq.commands import waitfor_uamps\nprint('fine')\nwaitfor_uamps(-3)\n";

/// A server that is strict with users, trusts scientists and leaves administrators alone.
async fn server() -> Server {
    let mut config = String::from("dry_run: {user: block, scientist: warn, admin: never}\naccounts:\n");
    for role in ["user", "scientist"] {
        let secret = hash(&format!("{role} secret"));
        config.push_str(&format!("  - {{user: {role}-1, role: {role}, password_hash: \"{secret}\"}}\n"));
    }
    Server::with(&config).await
}

#[tokio::test]
async fn each_role_is_treated_as_the_configuration_says() {
    let server = server().await;
    let admin = server.client().await;
    admin.call("queue.hold", json!({})).await;
    let job = json!({"job": {"name": "broken", "script": BROKEN}});
    let queued = admin.call("job.submit", job.clone()).await;
    assert_eq!(queued["findings"], json!([]), "never: nobody has read it");
    let scientist = server.account("scientist-1", "scientist secret").await;
    let queued = scientist.call("job.submit", job.clone()).await;
    assert_eq!(
        (&queued["findings"][0]["line"], &queued["findings"][0]["severity"]),
        (&json!(3), &json!("error"))
    );

    let user = server.account("user-1", "user secret").await;
    let before = user.order().await;
    let error = user.refused("job.submit", job.clone()).await;
    assert_eq!((error.code, error.kind()), (-32015, "invalid_job"), "{error:?}");
    assert!(error.message.contains("the script has errors: line 3"), "{error:?}");
    assert_eq!(error.data["field"], "job.script");
    assert_eq!(error.data["findings"][0]["command"], "waitfor_uamps", "{error:?}");
    let error =
        user.refused("job.submit", json!({"job": {"name": "x", "script": "if True\n  pass\n"}})).await;
    assert_eq!(error.data["findings"][0]["code"], "syntax_error", "{error:?}");
    // All or none: the good one of a batch is not queued either.
    let batch = json!({"jobs": [{"name": "good", "script": "print(1)"}, {"name": "bad", "script": BROKEN}]});
    let error = user.refused("job.submit_batch", batch).await;
    assert_eq!(error.data["verdicts"][0], json!({"ok": true}));
    assert_eq!(error.data["verdicts"][1]["error"]["data"]["findings"][0]["line"], 3, "{error:?}");
    assert_eq!(user.order().await, before, "nothing of it was queued");

    let good = user.submit("good", "print('good')\n").await;
    let error = user.refused("job.edit", json!({"id": good, "script": BROKEN})).await;
    assert_eq!(error.kind(), "invalid_job");
    assert_eq!(user.job(&good).await["script"], "print('good')\n");
    user.call("job.edit", json!({"id": good, "name": "better"})).await;
    let error = user.refused("job.duplicate", json!({"id": text(&queued["id"])})).await;
    assert_eq!(error.kind(), "invalid_job", "what others queued is no way around it: {error:?}");
    user.call("job.duplicate", json!({"id": good})).await;
}

#[tokio::test]
async fn what_is_repeated_or_run_again_is_read_like_what_is_new() {
    let server = server().await;
    let admin = server.client().await;
    let repeated = json!({"job": {"name": "broken", "script": BROKEN, "repeat": 3}});
    let scientist = server.account("scientist-1", "scientist secret").await;
    scientist.call("queue.hold", json!({})).await;
    let queued = scientist.call("job.submit", repeated.clone()).await;
    assert_eq!(queued["findings"][0]["line"], 3, "warned, and queued: {queued}");
    assert_eq!(admin.order().await.len(), 3);
    let user = server.account("user-1", "user secret").await;
    let error = user.refused("job.submit", repeated).await;
    assert_eq!(error.kind(), "invalid_job");
    assert_eq!(admin.order().await.len(), 3, "none of the repeats was queued");
    admin.call("queue.clear", json!({})).await;

    // It fails in its third line, and whoever may not submit it may not run it again either.
    let mut watching = server.client().await;
    admin.call("queue.release", json!({})).await;
    let failed = admin.submit("broken", BROKEN).await;
    watching.ends(&failed, "failed").await;
    let error = user.refused("job.rerun", json!({"id": failed})).await;
    assert_eq!((error.kind(), &error.data["findings"][0]["line"]), ("invalid_job", &json!(3)), "{error:?}");
    let mended = user.call("job.rerun", json!({"id": failed, "script": "print('mended')\n"})).await;
    assert!(mended["id"].is_string(), "{mended}");
    let again = scientist.call("job.rerun", json!({"id": failed})).await;
    assert!(again["id"].is_string(), "a scientist is only warned: {again}");
}

#[tokio::test]
async fn the_policy_holds_in_the_proxy_dialect_too() {
    let server = server().await;
    let admin = server.client().await;
    admin.call("queue.hold", json!({})).await;
    let mut user = Gui::with_account(&server, "user", 10).await;
    for command in ["queue", "start"] {
        let refused = user.ask(json!({"command": command, "name": "broken", "code": BROKEN})).await;
        assert_eq!(refused["success"], false, "{command}: {refused}");
        assert!(text(&refused["payload"]).contains("the script has errors: line 3"), "{command}: {refused}");
    }
    assert_eq!(admin.order().await, Vec::<String>::new(), "nothing of it was queued");
    let queued = user.ask(json!({"command": "queue", "name": "good", "code": "print('good')\n"})).await;
    assert_eq!(queued["success"], true, "{queued}");
    let mut scientist = Gui::with_account(&server, "scientist", 10).await;
    let queued = scientist.ask(json!({"command": "queue", "name": "broken", "code": BROKEN})).await;
    assert_eq!(queued["success"], true, "a scientist is only warned: {queued}");
    assert_eq!(admin.order().await.len(), 2);
}
