//! Who may come in, and what both sides agree on.

use super::*;

#[tokio::test]
async fn the_right_passcode_is_let_in_and_told_what_was_agreed_on() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client.send(login_frame()).await;
    let connected = client.next().await;
    assert_eq!(connected.command, Command::Connected);
    assert_eq!(connected.get("version"), Some("1.2"));
    assert_eq!(connected.get("heart-beat"), Some("0,0"));
    assert!(connected.get("server").unwrap().starts_with("beamq/"));
    assert!(connected.get("session").is_some());
}

#[tokio::test]
async fn a_wrong_or_missing_passcode_ends_the_connection_without_saying_which_was_wrong() {
    let world = World::new().await;
    let mut texts = Vec::new();
    for (login, passcode) in [("beamq", "guess"), ("root", "the-token"), ("", "")] {
        let mut client = Client::open(world.address).await;
        let connect = build::Connect::new("1.2", "beamq").header("login", login).header("passcode", passcode);
        client.send(connect).await;
        let error = client.next_error("login or passcode is wrong").await;
        assert!(!body(&error).contains("the-token"));
        texts.push(error);
        client.expect_end().await;
    }
    assert!(texts.iter().all(|text| *text == texts[0]));
    let mut client = Client::open(world.address).await;
    client.send(build::Connect::new("1.2", "beamq")).await;
    client.next_error("login and passcode are needed").await;
    client.expect_end().await;
    assert!(world.sessions.borrow().announced.is_empty());
}

#[tokio::test]
async fn nothing_works_before_connect() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client.send(request("/temp-queue/a").with_body("echo").header("receipt", "r1")).await;
    let error = client.next_error("the first frame must be CONNECT or STOMP, not SEND").await;
    assert_eq!(error.get("receipt-id"), Some("r1"));
    client.expect_end().await;
    assert!(world.sessions.borrow().announced.is_empty());
}

#[tokio::test]
async fn the_newest_common_version_is_taken_and_none_in_common_is_refused() {
    let world = World::new().await;
    for (offer, agreed) in [(None, "1.0"), (Some("1.0,1.1"), "1.1"), (Some("1.1,1.2,7.0"), "1.2")] {
        for command in [Command::Connect, Command::Stomp] {
            let mut client = Client::open(world.address).await;
            let mut connect = Frame::new(command).header("login", "beamq").header("passcode", "the-token");
            if let Some(offer) = offer {
                connect = connect.header("accept-version", offer);
            }
            client.send(connect).await;
            assert_eq!(client.next().await.get("version"), Some(agreed));
        }
    }
    let mut client = Client::open(world.address).await;
    client.send(build::Connect::new("0.9,2.0", "beamq")).await;
    let error = client.next_error("no version in common").await;
    assert_eq!(error.get("version"), Some("1.0,1.1,1.2"));
    client.expect_end().await;
}

#[tokio::test]
async fn a_second_connect_is_refused_and_the_first_stays() {
    let world = World::new().await;
    let mut client = world.connect().await;
    client.send(login_frame()).await;
    client.next_error("connected already").await;
    client.subscribe("0", "/temp-queue/a").await;
}

#[tokio::test]
async fn frames_that_follow_connect_at_once_are_read_in_the_version_that_was_agreed_on() {
    let world = World::new().await;
    let mut client = Client::open(world.address).await;
    client
        .send_bytes(
            b"CONNECT\naccept-version:1.1\nlogin:beamq\npasscode:the-token\n\n\0\n\
              SUBSCRIBE\nid:a\\cb\ndestination:/temp-queue/a\nreceipt:r\\c1\n\n\0",
        )
        .await;
    client.speak(Version::V1_1);
    assert_eq!(client.next().await.get("version"), Some("1.1"));
    assert_eq!(client.next().await.get("receipt-id"), Some("r:1"));
    assert_eq!(client.call("/temp-queue/a", "echo").await.get("subscription"), Some("a:b"));
}

#[tokio::test]
async fn only_loopback_is_listened_on_and_a_port_in_use_is_named() {
    let everywhere: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
    let error = bind(everywhere).await.unwrap_err();
    assert!(matches!(error, BindError::NotLoopback { .. }), "{error}");
    let first = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let error = bind(first.local_addr()).await.unwrap_err();
    assert!(matches!(error, BindError::PortInUse { .. }), "{error}");
    assert!(error.to_string().contains(&first.local_addr().port().to_string()));
}

#[tokio::test]
async fn heart_beats_are_whole_milliseconds() {
    let world = World::new().await;
    for wrong in ["fast", "1", "-1,5", "1,2,3"] {
        let mut client = Client::open(world.address).await;
        client.send(login_frame().header("heart-beat", wrong)).await;
        client.next_error("is not of the form MS,MS").await;
        client.expect_end().await;
    }
    let mut client = Client::open(world.address).await;
    client.send(login_frame().header("heart-beat", "7,4000")).await;
    assert_eq!(client.next().await.get("heart-beat"), Some("4000,100"));
}
