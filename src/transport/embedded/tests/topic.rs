//! The topic of all events.

use super::*;

const TOPIC: &str = "/topic/beamq.DEMO.events";

#[tokio::test]
async fn the_topic_is_open_only_after_a_login_on_the_same_connection() {
    let world = World::new().await;
    let (mut client, mut other) = (world.connect().await, world.connect().await);
    client.send(build::Subscribe::new("t", TOPIC)).await;
    client.next_error("needs a login that may read events").await;
    client.subscribe("0", "/temp-queue/a").await;
    client.call("/temp-queue/a", "echo").await;
    client.send(build::Subscribe::new("t", TOPIC)).await;
    client.next_error("needs a login that may read events").await;
    client.call("/temp-queue/a", "login").await;
    client.subscribe("t", TOPIC).await;
    other.send(build::Subscribe::new("t", TOPIC)).await;
    other.next_error("needs a login that may read events").await;

    client.request("/temp-queue/a", "e", "events 3").await;
    let mut numbers = Vec::new();
    while numbers.len() < 3 {
        let message = client.next().await;
        if message.get("subscription") == Some("t") {
            assert_eq!(message.get("destination"), Some(TOPIC));
            assert_eq!(message.get("correlation-id"), None);
            numbers.push(body(&message).to_owned());
        }
    }
    assert_eq!(numbers, ["event 0", "event 1", "event 2"]);
}

#[tokio::test]
async fn with_the_session_that_was_allowed_to_read_it_the_subscription_ends() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.call("/temp-queue/a", "login").await;
    client.subscribe("t", TOPIC).await;
    client.call("/temp-queue/a", "logout").await;
    client.next_error("has ended with the session").await;
    world.clients.broadcast(&"secret".into());
    client.send(build::Unsubscribe::new("t")).await;
    client.next_error("no subscription with the id \"t\"").await;
    assert_eq!(body(&client.call("/temp-queue/a", "echo").await), "echo", "no event came between");
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_is_told_and_closed() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.call("/temp-queue/a", "login").await;
    client.subscribe("t", TOPIC).await;
    // More than the channel of the events holds, and more than the sockets do.
    let event: Arc<str> = "x".repeat(1000).into();
    for _ in 0..40_000 {
        world.clients.broadcast(&event);
    }
    loop {
        let frame = client.next().await;
        if frame.command == Command::Error {
            assert!(frame.get("message").unwrap().starts_with("lagged"), "{frame:?}");
            break;
        }
    }
    client.expect_end().await;
}
