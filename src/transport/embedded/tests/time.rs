//! Heart-beats and other things that take their time.

use super::*;

#[tokio::test]
async fn who_does_not_connect_in_time_is_told_and_closed() {
    let limits = EndpointLimits { connect_within: Duration::from_millis(100), ..EndpointLimits::default() };
    let world = World::with(limits).await;
    let mut client = Client::open(world.address).await;
    client.send_bytes(b"\n\nCONNECT\nlogin").await;
    client.next_error("no CONNECT came within 0.1 s").await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_peer_that_breaks_its_promise_to_beat_is_ended_with_the_reason() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client.send(login_frame().header("heart-beat", "400,0")).await;
    assert_eq!(client.next().await.get("heart-beat"), Some("0,400"));
    client.subscribe("0", "/temp-queue/a").await;
    client.call("/temp-queue/a", "echo").await;
    let silent_since = std::time::Instant::now();
    client.next_error("nothing came for 1000 ms, although heart-beats were promised").await;
    assert!(silent_since.elapsed() >= Duration::from_millis(800), "not before twice the interval");
    client.expect_end().await;
    world.until("the session to go", |sessions| sessions.gone.len() == 1).await;
}

#[tokio::test]
async fn a_peer_that_beats_stays_and_gets_our_beats() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client.send(login_frame().header("heart-beat", "400,100")).await;
    assert_eq!(client.next().await.get("heart-beat"), Some("100,400"));
    // Each of our beats answers one of the server's, so this lasts at least as long as many intervals do.
    in_time("twenty beats", async {
        for _ in 0..20 {
            assert_eq!(client.receive().await, Some(Received::HeartBeat));
            client.beat().await;
        }
    })
    .await;
    client.subscribe("0", "/temp-queue/a").await;
}

#[tokio::test]
async fn a_frame_that_comes_slowly_counts_as_life() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client.send(login_frame().header("heart-beat", "400,100")).await;
    client.next().await;
    client.send_bytes(b"SUBSCRIBE\nid:0\nreceipt:r\ndestination:/temp-queue/").await;
    // The server's beats are the clock: one byte at each, for much longer than the patience lasts.
    for _ in 0..30 {
        assert_eq!(client.receive().await, Some(Received::HeartBeat));
        client.send_bytes(b"a").await;
    }
    client.send_bytes(b"\n\n\0").await;
    assert_eq!(client.next().await.get("receipt-id"), Some("r"));
}
