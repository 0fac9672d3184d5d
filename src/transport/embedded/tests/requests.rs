//! Requests, replies, subscriptions and receipts.

use super::*;

#[tokio::test]
async fn a_reply_comes_to_the_subscription_with_its_correlation() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("replies", "/temp-queue/mine").await;
    client.request("/temp-queue/mine", "c-1", "echo {\"ü\":1}").await;
    let reply = client.next().await;
    assert_eq!(reply.command, Command::Message);
    assert_eq!(body(&reply), "echo {\"ü\":1}");
    assert_eq!(reply.get("correlation-id"), Some("c-1"));
    assert_eq!(reply.get("subscription"), Some("replies"));
    assert_eq!(reply.get("destination"), Some("/temp-queue/mine"));
    assert_eq!(reply.get("content-type"), Some("application/json"));
    assert_eq!(reply.get("ack"), None);
    client.request("/temp-queue/mine", "c-2", "echo").await;
    let second = client.next().await;
    assert_ne!(second.get("message-id"), reply.get("message-id"));

    let announced = world.sessions.borrow().announced.clone();
    assert_eq!(announced.len(), 1, "one reply-to is one client: {announced:?}");
    assert_eq!(announced[0].transport, "embedded");
    assert_eq!(announced[0].account.as_deref(), Some("beamq"));
    assert_eq!(announced[0].reply_to, "/temp-queue/mine");
}

#[tokio::test]
async fn a_request_without_correlation_gets_a_reply_without_it() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.send(request("/temp-queue/a").with_body("echo")).await;
    assert_eq!(client.next().await.get("correlation-id"), None);
}

#[tokio::test]
async fn what_comes_before_the_subscription_is_kept_for_it_in_order() {
    let world = World::new().await;
    let mut client = world.connect().await;
    for number in 0..50 {
        client.request("/temp-queue/a", &number.to_string(), "echo").await;
    }
    world.until("all replies to be handed over", |sessions| sessions.answered == 50).await;
    client.send(build::Subscribe::new("late", "/temp-queue/a")).await;
    for number in 0..50 {
        assert_eq!(client.next().await.get("correlation-id"), Some(number.to_string().as_str()));
    }
}

#[tokio::test]
async fn after_unsubscribe_messages_wait_for_the_next_subscription() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("one", "/temp-queue/a").await;
    client.send(build::Unsubscribe::new("one").receipt("off")).await;
    assert_eq!(client.next().await.get("receipt-id"), Some("off"));
    client.send(request("/temp-queue/a").header("receipt", "sent").with_body("echo")).await;
    assert_eq!(client.next().await.get("receipt-id"), Some("sent"));
    client.send(build::Subscribe::new("two", "/temp-queue/a")).await;
    assert_eq!(client.next().await.get("subscription"), Some("two"));
    client.send(build::Unsubscribe::new("one")).await;
    client.next_error("no subscription with the id \"one\"").await;
}

#[tokio::test]
async fn a_queue_of_the_same_name_belongs_to_each_connection_alone() {
    let world = World::new().await;
    let (mut ann, mut bob) = (world.connect().await, world.connect().await);
    ann.subscribe("0", "/temp-queue/same").await;
    bob.subscribe("0", "/temp-queue/same").await;
    assert_eq!(body(&bob.call("/temp-queue/same", "echo bob").await), "echo bob");
    assert_eq!(body(&ann.call("/temp-queue/same", "echo ann").await), "echo ann");
    assert_eq!(world.sessions.borrow().announced.len(), 2);
}

#[tokio::test]
async fn reply_destinations_of_other_forms_are_refused_and_the_connection_goes_on() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    for wrong in [
        "/queue/ss_admin",
        "/queue/other",
        "/topic/beamq.DEMO.events",
        "/remote-temp-queue/ID:vm-1:1:1",
        "/temp-queue/",
        "/temp-queue/a,/queue/ss_admin",
        "/temp-queue/a?consumer.priority=5",
        "/temp-queue/*",
        "/temp-queue/../x",
        " /temp-queue/a",
        "temp-queue",
        "",
    ] {
        client.send(request(wrong).header("receipt", "r").with_body("echo")).await;
        let error = client.next_error("not").await;
        assert_eq!(error.get("receipt-id"), Some("r"), "{wrong}");
    }
    let without = build::Send::new("/queue/ss_admin").body("echo");
    client.send(without).await;
    client.next_error("the request has no reply-to").await;
    assert!(world.sessions.borrow().announced.is_empty(), "none of them is a client");
    assert_eq!(body(&client.call("/temp-queue/a", "echo").await), "echo");
}

#[tokio::test]
async fn what_does_not_exist_is_refused_with_a_hint() {
    let world = World::new().await;
    let mut client = world.connect().await;
    let send = |to: &str| Frame::from(build::Send::new(to).header("reply-to", "/temp-queue/a"));
    let cases = [
        (send("/queue/other"), "nothing can be sent to \"/queue/other\""),
        (send("/topic/beamq.DEMO.events"), "nothing can be sent to"),
        (send("/temp-queue/a"), "nothing can be sent to"),
        (Frame::new(Command::Send), "SEND needs a destination"),
        (build::Subscribe::new("1", "/queue/ss_admin").into(), "is read by the server only"),
        (build::Subscribe::new("1", "/topic/beamq.OTHER.events").into(), "nothing to subscribe to"),
        (build::Subscribe::new("1", "/remote-temp-queue/ID:1").into(), "nothing to subscribe to"),
        (build::Subscribe::new("1", "/temp-queue/>").into(), "is not the name of a temporary queue"),
        (Frame::new(Command::Subscribe).header("id", "1"), "SUBSCRIBE needs a destination"),
        (Frame::new(Command::Subscribe).header("destination", "/temp-queue/a"), "SUBSCRIBE needs an id"),
        (
            build::Subscribe::new("1", "/temp-queue/a").header("ack", "never").into(),
            "\"never\" is not a mode of acknowledgement",
        ),
        (
            build::Subscribe::new("1", "/temp-queue/a").header("selector", "x > 1").into(),
            "selectors are not known",
        ),
        (build::Begin::new("t").into(), "transactions are not known"),
        (build::Commit::new("t").into(), "transactions are not known"),
        (build::Abort::new("t").into(), "transactions are not known"),
        (request("/temp-queue/a").header("transaction", "t"), "transactions are not known"),
        (Frame::new(Command::Ack), "ACK needs an id"),
        (Frame::new(Command::Message), "MESSAGE is a frame that only servers send"),
        (request("/temp-queue/a").header("correlation-id", "a\rb"), "has a control character"),
        (request("/temp-queue/a").header("receipt", "a\nb"), "has a control character"),
    ];
    for (frame, error) in cases {
        client.send(frame).await;
        client.next_error(error).await;
    }
    client.subscribe("0", "/temp-queue/a").await;
    client.send(build::Subscribe::new("0", "/temp-queue/b")).await;
    client.next_error("a subscription with the id \"0\" already").await;
    client.send(build::Subscribe::new("1", "/temp-queue/a")).await;
    client.next_error("subscribed to /temp-queue/a already").await;
    assert_eq!(body(&client.call("/temp-queue/a", "echo still here").await), "echo still here");
}

#[tokio::test]
async fn each_frame_that_asks_for_a_receipt_gets_it() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.send(build::Ack::new("m-1").receipt("r:1")).await;
    assert_eq!(client.next().await.get("receipt-id"), Some("r:1"));
    client.send(build::Nack::new("m-1").receipt("r2")).await;
    assert_eq!(client.next().await.get("receipt-id"), Some("r2"));
    client.send(request("/temp-queue/a").header("receipt", "r3").with_body("echo")).await;
    let mut commands = [client.next().await.command, client.next().await.command];
    commands.sort_by_key(|command| command.as_str());
    assert_eq!(commands, [Command::Message, Command::Receipt]);
}

#[tokio::test]
async fn who_wants_to_acknowledge_is_told_what() {
    let world = World::new().await;
    for mode in [build::AckMode::Client, build::AckMode::ClientIndividual] {
        let mut client = world.connect().await;
        client.send(build::Subscribe::new("0", "/temp-queue/a").ack(mode)).await;
        let reply = client.call("/temp-queue/a", "echo").await;
        let ack = reply.get("ack").expect("an id to acknowledge").to_owned();
        client.send(build::Ack::new(ack).receipt("r")).await;
        assert_eq!(client.next().await.command, Command::Receipt);
    }
}

#[tokio::test]
async fn stomp_1_0_needs_no_ids() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client.speak(Version::V1_0);
    client.send_bytes(b"CONNECT\nlogin:beamq\npasscode:the-token\n\n\0").await;
    assert_eq!(client.next().await.get("version"), Some("1.0"));
    client.send_bytes(b"SUBSCRIBE\ndestination:/temp-queue/a\n\n\0").await;
    let reply = client.call("/temp-queue/a", "echo").await;
    assert_eq!(reply.get("subscription"), None);
    // Nothing is escaped in this version, so what looks like an escape is none.
    let request =
        b"SEND\ndestination:/queue/ss_admin\nreply-to:/temp-queue/a\ncorrelation-id:a\\q:b\n\necho\0";
    client.send_bytes(request).await;
    assert_eq!(client.next().await.get("correlation-id"), Some("a\\q:b"));
    client.send_bytes(b"UNSUBSCRIBE\ndestination:/temp-queue/a\nreceipt:u\n\n\0").await;
    assert_eq!(client.next().await.get("receipt-id"), Some("u"));
}

#[tokio::test]
async fn disconnect_is_receipted_and_the_server_learns_of_it() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.call("/temp-queue/a", "echo").await;
    client.send(Frame::new(Command::Disconnect).header("receipt", "bye")).await;
    let receipt = client.next().await;
    assert_eq!((receipt.command, receipt.get("receipt-id")), (Command::Receipt, Some("bye")));
    client.expect_end().await;
    world.until("the session to go", |sessions| sessions.gone.len() == 1).await;
}

#[tokio::test]
async fn what_the_server_has_sent_comes_before_the_receipt_of_disconnect() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    // 30 MB, more than the queues and sockets between them hold.
    client.request("/temp-queue/a", "f", "flood 300").await;
    world.until("the flood to be handed over", |sessions| sessions.answered == 1).await;
    client.send(Frame::new(Command::Disconnect).header("receipt", "bye")).await;
    for _ in 0..300 {
        assert_eq!(client.next().await.body.len(), 100_000);
    }
    assert_eq!(client.next().await.get("correlation-id"), Some("f"));
    assert_eq!(client.next().await.get("receipt-id"), Some("bye"));
    client.expect_end().await;
}

#[tokio::test]
async fn a_client_that_vanishes_is_gone_with_all_its_queues() {
    let world = World::new().await;
    let mut client = world.connect().await;
    for queue in ["/temp-queue/a", "/temp-queue/b"] {
        client.subscribe(queue, queue).await;
        client.call(queue, "echo").await;
    }
    drop(client);
    world.until("both sessions to go", |sessions| sessions.gone.len() == 2).await;
}

#[tokio::test]
async fn after_the_server_has_closed_a_session_the_next_request_opens_another() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    assert_eq!(body(&client.call("/temp-queue/a", "logout").await), "logout");
    world.until("the first session to go", |sessions| sessions.gone.len() == 1).await;
    assert_eq!(body(&client.call("/temp-queue/a", "echo again").await), "echo again");
    assert_eq!(world.sessions.borrow().announced.len(), 2);
}

#[tokio::test]
async fn a_long_reply_is_whole() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    let reply = client.call("/temp-queue/a", "long 9000000").await;
    assert_eq!(reply.body.len(), 9_000_000);
    assert!(reply.body.iter().all(|byte| *byte == b'y'));
}

#[tokio::test]
async fn many_connections_are_served_at_once() {
    let world = World::new().await;
    let mut clients = Vec::new();
    for number in 0..200 {
        let mut client = world.connect().await;
        client.send(build::Subscribe::new("0", "/temp-queue/a")).await;
        client.request("/temp-queue/a", &number.to_string(), &format!("echo {number}")).await;
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let reply = client.next().await;
        assert_eq!(reply.get("correlation-id"), Some(number.to_string().as_str()));
        assert_eq!(body(&reply), format!("echo {number}"));
    }
    drop(clients);
    world.until("all of them to go", |sessions| sessions.gone.len() == 200).await;
}

#[tokio::test]
async fn when_the_endpoint_stops_clients_get_what_waits_for_them_and_are_told() {
    let mut world = World::new().await;
    let mut client = world.connect().await;
    client.subscribe("0", "/temp-queue/a").await;
    client.request("/temp-queue/a", "last", "echo last").await;
    world.until("the reply to be handed over", |sessions| sessions.answered == 1).await;
    world.stop.send_replace(true);
    assert_eq!(client.next().await.get("correlation-id"), Some("last"));
    client.next_error("the server is shutting down").await;
    client.expect_end().await;
    in_time("the endpoint to end", &mut world.endpoint).await.unwrap();
    assert!(TcpStream::connect(world.address).await.is_err(), "nobody listens any more");
}
