//! Peers that break the rules harm nobody but themselves.

use super::*;

#[tokio::test]
async fn a_frame_that_breaks_a_rule_ends_its_connection_with_the_reason() {
    let world = World::new().await;
    let mut neighbour = world.connect().await;
    neighbour.subscribe("0", "/temp-queue/n").await;
    let long_header = [b"SEND\nx:", "y".repeat(11_000).as_bytes(), b"\n\n\0"].concat();
    let many_headers = ["SEND\n", &"x:y\n".repeat(101), "\n\0"].concat().into_bytes();
    let cases: [(&[u8], &str); 9] = [
        (b"GET / HTTP/1.1\r\n\r\n", "is not a STOMP command"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "before the blank line"),
        (b"SEND\ndestination\n\n\0", "header line 1 is not of the form name:value"),
        (b"SEND\nx:\\q\n\n\0", "an escape that STOMP 1.2 does not know"),
        (b"SEND\nx:\xff\n\n\0", "not valid UTF-8"),
        (b"SEND\ncontent-length:-1\n\n\0", "not a whole number of bytes"),
        (b"SEND\ncontent-length:1\n\nabc\0", "does not end after its content-length of 1 bytes"),
        (&long_header, "longer than the limit of 10240 bytes"),
        (&many_headers, "more than the limit of 100 header lines"),
    ];
    for (bytes, reason) in cases {
        let mut client = world.connect().await;
        client.subscribe("0", "/temp-queue/a").await;
        client.call("/temp-queue/a", "echo").await;
        client.send_bytes(bytes).await;
        client.next_error(reason).await;
        client.expect_end().await;
    }
    world.until("all sessions to go", |sessions| sessions.gone.len() == cases.len()).await;
    assert_eq!(body(&neighbour.call("/temp-queue/n", "echo").await), "echo");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_by_the_limit_while_it_is_still_being_sent() {
    let frame = Limits { body_bytes: 1_000_000, ..Limits::default() };
    let world = World::with(EndpointLimits { frame, ..EndpointLimits::default() }).await;
    for head in ["SEND\n\n", "SEND\ncontent-length:30000000\n\n"] {
        let mut client = world.connect().await;
        // More than the sockets hold: the client is not cut off in the middle of writing.
        client.send_bytes(&[head.as_bytes(), &vec![b'x'; 30_000_000]].concat()).await;
        client.next_error("longer than the limit of 1000000 bytes").await;
        client.expect_end().await;
    }
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    let body = format!("[\"{}\"]", "x".repeat(1_000_000 - 4));
    client.send(request("/temp-queue/a").with_body(body)).await;
    assert_eq!(client.next().await.body.len(), 1_000_000 - 4, "the limit itself is allowed");
}

#[tokio::test]
async fn before_the_login_almost_nothing_may_be_sent() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client.send_bytes(b"CONNECT\ncontent-length:30000000\n\n").await;
    client.send_bytes(&vec![b'x'; 30_000_000]).await;
    client.next_error("longer than the limit of 1024 bytes").await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_connection_that_ends_within_a_frame_is_just_gone() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.call("/temp-queue/a", "echo").await;
    client.send_bytes(b"SEND\ndestination:/queue/ss_ad").await;
    drop(client);
    world.until("the session to go", |sessions| sessions.gone.len() == 1).await;
    Client::open(world.address).await.send_bytes(b"CONNE").await;
    world.connect().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_alone() {
    let limits = EndpointLimits { stalled_write: Duration::from_millis(300), ..EndpointLimits::default() };
    let world = World::with(limits).await;
    let mut stuck = world.connect().await;
    let mut neighbour = world.connect().await;
    neighbour.subscribe("0", "/temp-queue/n").await;
    neighbour.call("/temp-queue/n", "echo").await;
    stuck.subscribe("0", "/temp-queue/stuck").await;
    // 200 MB, far more than the sockets' buffers hold.
    stuck.request("/temp-queue/stuck", "f", "flood 600").await;
    let is_gone = |sessions: &Sessions| sessions.gone.iter().any(|o| o.reply_to == "/temp-queue/stuck");
    let cut = world.until("the stuck client to be cut", is_gone);
    tokio::pin!(cut);
    let mut calls = 0;
    loop {
        tokio::select! {
            () = &mut cut => break,
            reply = neighbour.call("/temp-queue/n", "echo") => {
                assert_eq!(body(&reply), "echo");
                calls += 1;
            }
        }
    }
    assert!(calls > 10, "the neighbour was served all the time, but only {calls} times");
    assert_eq!(world.sessions.borrow().gone.len(), 1);
}

#[tokio::test]
async fn a_client_that_is_too_slow_for_its_session_is_told_why_it_ends() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.request("/temp-queue/a", "o", "overfill").await;
    loop {
        let frame = client.next().await;
        if frame.command == Command::Error {
            assert!(frame.get("message").unwrap().contains("were not read in time"), "{frame:?}");
            break;
        }
    }
    client.expect_end().await;
    world.until("the session to go", |sessions| sessions.gone.len() == 1).await;
}

#[tokio::test]
async fn a_client_that_sends_without_reading_does_not_hold_up_others() {
    let limits = EndpointLimits { stalled_write: Duration::from_millis(300), ..EndpointLimits::default() };
    let world = World::with(limits).await;
    let mut deaf = world.connect().await;
    let mut neighbour = world.connect().await;
    neighbour.subscribe("0", "/temp-queue/n").await;
    deaf.subscribe("0", "/temp-queue/deaf").await;
    let sending = tokio::spawn(async move {
        // Until the endpoint closes the connection.
        let frame =
            b"SEND\ndestination:/queue/ss_admin\nreply-to:/temp-queue/deaf\nreceipt:r\n\nlong 50000\0";
        while deaf.framed.get_mut().write_all(frame).await.is_ok() {}
    });
    world.until("the deaf client to be announced", |sessions| !sessions.announced.is_empty()).await;
    for _ in 0..20 {
        assert_eq!(body(&neighbour.call("/temp-queue/n", "echo").await), "echo");
    }
    in_time("the deaf client to be cut", sending).await.unwrap();
    assert_eq!(body(&neighbour.call("/temp-queue/n", "echo").await), "echo");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_and_closed() {
    let world = World::with(EndpointLimits { connections: 2, ..EndpointLimits::default() }).await;
    let (first, mut second) = (world.connect().await, world.connect().await);
    let mut third = Client::open(world.address).await;
    third.send(login_frame()).await;
    third.next_error("there are 2 connections already, which is the limit").await;
    third.expect_end().await;
    second.subscribe("0", "/temp-queue/a").await;
    second.call("/temp-queue/a", "echo").await;
    drop(first);
    // The place becomes free as soon as the endpoint has noticed.
    in_time("a free place", async {
        loop {
            let mut client = Client::open(world.address).await;
            client.send(login_frame()).await;
            if client.next().await.command == Command::Connected {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn reply_queues_beyond_the_limit_are_refused() {
    let world = World::with(EndpointLimits { reply_queues: 2, ..EndpointLimits::default() }).await;
    let mut client = world.connect().await;
    client.subscribe("a", "/temp-queue/a").await;
    client.send(request("/temp-queue/b").header("receipt", "b").with_body("echo")).await;
    assert_eq!(client.next().await.get("receipt-id"), Some("b"));
    client.send(request("/temp-queue/c").with_body("echo")).await;
    client.next_error("has 2 temporary queues, which is the limit").await;
    client.send(build::Subscribe::new("c", "/temp-queue/c")).await;
    client.next_error("has 2 temporary queues, which is the limit").await;
    assert_eq!(body(&client.call("/temp-queue/a", "echo").await), "echo");
}
