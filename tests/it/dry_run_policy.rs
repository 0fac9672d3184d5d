//! `dry_run: never | warn | block`, by the role of who submits.

use serde_json::json;

use crate::{
    access::hash,
    harness::{Server, text},
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
