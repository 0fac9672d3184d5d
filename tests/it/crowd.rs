//! R29 and the promises that hold among many clients.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Server, text};

#[tokio::test]
async fn r08_two_clients_who_edit_at_once_lose_no_edit_and_overwrite_none() {
    let server = Server::start().await;
    let user = server.client().await;
    user.call("queue.hold", json!({})).await;
    for n in 0..6 {
        user.submit(&format!("job {n}"), "pass").await;
    }
    let first = user.revision().await;
    let mut editors = JoinSet::new();
    for editor in 0..2 {
        let client = server.client().await;
        editors.spawn(async move {
            let (mut done, mut conflicts) = (0, 0);
            let mut queue = client.queue().await;
            while done < 25 {
                let revision = queue["revision"].clone();
                let mut order: Vec<_> =
                    queue["waiting"].as_array().unwrap().iter().map(|job| text(&job["id"])).collect();
                order.rotate_left(1 + editor);
                let edit = json!({"ids": order, "revision": revision});
                match client.client.call::<Value>("queue.reorder", edit).await {
                    Ok(reply) => {
                        assert_eq!(reply["order"], json!(order));
                        done += 1;
                    }
                    Err(error) => {
                        let error = error.rpc().unwrap().clone();
                        assert_eq!(error.code, -32012);
                        assert!(error.data["revision"].as_u64() > revision.as_u64());
                        conflicts += 1;
                    }
                }
                queue = client.queue().await;
            }
            conflicts
        });
    }
    let conflicts: Vec<u32> = editors.join_all().await;
    // Each accepted edit is one revision: none was lost, and none was made on an order nobody had seen.
    assert_eq!(user.revision().await, first + 50, "{conflicts:?}");
}

#[tokio::test]
async fn r29_fifty_clients_submit_and_listen_at_once() {
    let server = Server::start().await;
    let mut watcher = server.client().await;
    watcher.call("queue.hold", json!({})).await;
    let mut crowd = JoinSet::new();
    for n in 0..50 {
        let client = server.client().await;
        crowd.spawn(async move {
            let mut ids = Vec::new();
            for round in 0..4 {
                ids.push(client.submit(&format!("{n}/{round}"), "pass").await);
            }
            (client, ids)
        });
    }
    let crowd = crowd.join_all().await;
    let ids: BTreeSet<_> = crowd.iter().flat_map(|(_, ids)| ids.iter().cloned()).collect();
    assert_eq!(ids.len(), 200, "two jobs got the same id");
    assert_eq!(watcher.call("server.status", json!({})).await["clients"], 51);
    let order: BTreeSet<_> = watcher.order().await.into_iter().collect();
    assert_eq!(order, ids);
    // Each hears of every job exactly once, in the same order, with rising numbers.
    let heard = |seen: &[Value]| -> Vec<String> {
        let queued = seen
            .iter()
            .filter(|event| event["method"] == "event.job" && event["params"]["job"]["state"] == "queued");
        queued.map(|event| text(&event["params"]["job"]["id"])).collect()
    };
    watcher.until("every job", |user| (heard(&user.seen).len() >= 200).then_some(())).await;
    let all = heard(&watcher.seen);
    for (mut client, _) in crowd {
        let numbers = |seen: &[Value]| -> Vec<u64> {
            seen.iter().filter_map(|event| event["params"]["seq"].as_u64()).collect()
        };
        client.until("every job", |user| (heard(&user.seen).last() == all.last()).then_some(())).await;
        assert!(numbers(&client.seen).windows(2).all(|pair| pair[0] < pair[1]));
        let its = heard(&client.seen);
        assert!(all.ends_with(&its), "{its:?}");
    }
}
