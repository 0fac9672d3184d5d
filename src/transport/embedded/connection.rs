//! One connection, from its first byte to its last.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{self, Instant},
};

use super::{
    CredentialCheck, EndpointLimits, FAREWELL, asked_to_stop,
    dialogue::Dialogue,
    farewell,
    handshake::{self, Agreement},
    incoming::Incoming,
    outlet::{Outlet, WriterGone},
    refusal::Refusal,
    writer,
};
use crate::{
    transport::Clients,
    wire::stomp::{Frame, StompError},
};

/// What all connections of the endpoint share.
pub(super) struct House {
    pub(super) clients: Clients,
    pub(super) credentials: Arc<dyn CredentialCheck>,
    pub(super) limits: EndpointLimits,
    pub(super) connections_so_far: AtomicU64,
}

/// What the tasks of a connection tell the one that reads.
#[derive(Debug)]
pub(super) enum Notice {
    /// The server has closed the session behind a reply queue.
    SessionEnded { destination: Arc<str>, read_too_slowly: bool },
    /// Events were lost to the subscriber of the topic.
    TopicLagged { missed: u64 },
}

/// Why a connection ends.
pub(super) enum End {
    /// The client said goodbye or closed its side; a receipt may be owed.
    Left { last: Option<Frame> },
    /// The connection is broken.
    Broken,
    /// We end it, with this ERROR.
    Refused(Frame),
    /// The server stops.
    ShuttingDown,
}

impl End {
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::Refused(refusal.into_frame(None))
    }
}

/// Serves one peer until it leaves or has to be sent away.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    house: Arc<House>,
    mut shutdown: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot switch off the delay of small packets");
    }
    let (reading, writing) = stream.into_split();
    let mut incoming = Incoming::new(reading, handshake::BEFORE_LOGIN);
    let met = tokio::select! {
        biased;
        () = asked_to_stop(&mut shutdown) => return,
        met = meet(&mut incoming, &house) => met,
    };
    let agreement = match met {
        Ok(agreement) => agreement,
        Err(End::Refused(error)) => {
            tracing::warn!(%peer, reason = error.get("message"), "refused a connection");
            return farewell::refuse(incoming, writing, error, FAREWELL).await;
        }
        Err(End::Left { .. } | End::Broken | End::ShuttingDown) => return,
    };
    let number = house.connections_so_far.fetch_add(1, Ordering::Relaxed) + 1;
    let name: Arc<str> = format!("beamq-{number}").into();
    tracing::debug!(%peer, connection = %name, version = %agreement.version, "a client has connected");

    let stalled = house.limits.stalled_write;
    incoming.go_on_with(agreement.version, house.limits.frame);
    let (frames, waiting) = mpsc::channel(writer::FRAMES_WAITING);
    let outlet = Outlet::new(frames, Arc::clone(&name));
    let mut writer = JoinSet::new();
    writer.spawn(writer::run(writing, agreement.version, waiting, agreement.we_beat, stalled));
    let connected = handshake::connected(&agreement, &name);
    let (notices, mut heard) = mpsc::channel(16);
    let mut dialogue = Dialogue::new(house, peer, agreement, outlet, notices);
    let end = match dialogue.outlet.write(connected).await {
        Ok(()) => talk(&mut dialogue, &mut incoming, &mut heard, &mut shutdown).await,
        Err(WriterGone) => End::Broken,
    };
    // Nobody hears notices any more, so that no task waits for it.
    drop(heard);
    finish(dialogue, end, writer, incoming).await;
    tracing::debug!(%peer, connection = %name, "the connection has ended");
}

/// Waits for the first frame and agrees on how to go on.
async fn meet(incoming: &mut Incoming, house: &House) -> Result<Agreement, End> {
    let within = house.limits.connect_within;
    match time::timeout(within, incoming.next()).await {
        Ok(Ok(Some(first))) => handshake::agree(&first, house.credentials.as_ref()).map_err(End::Refused),
        Ok(Ok(None)) => Err(End::Left { last: None }),
        Ok(Err(StompError::Io(_) | StompError::CutShort)) => Err(End::Broken),
        Ok(Err(error)) => Err(End::refused(Refusal::from(&error))),
        Err(_late) => Err(End::refused(Refusal::new(
            format!("no CONNECT came within {} s", within.as_secs_f64()),
            "send CONNECT with accept-version, login and passcode first",
        ))),
    }
}

/// Reads frames and carries them out, until there is a reason to end.
async fn talk(
    dialogue: &mut Dialogue,
    incoming: &mut Incoming,
    heard: &mut mpsc::Receiver<Notice>,
    shutdown: &mut watch::Receiver<bool>,
) -> End {
    // Two intervals and a half: one late beat is no reason, and a busy machine is not either.
    let patience = dialogue.agreement.peer_beats.map(|interval| interval * 5 / 2);
    loop {
        let alive_until = patience.map(|patience| incoming.last_heard() + patience);
        let outcome = tokio::select! {
            biased;
            Some(notice) = heard.recv() => dialogue.handle_notice(notice).await,
            () = asked_to_stop(shutdown) => return End::ShuttingDown,
            () = dialogue.outlet.closed() => return End::Broken,
            frame = incoming.next() => match frame {
                Ok(Some(frame)) => dialogue.handle_frame(frame).await,
                Ok(None) => return End::Left { last: None },
                Err(StompError::Io(_) | StompError::CutShort) => return End::Broken,
                Err(error) => return End::refused(Refusal::from(&error)),
            },
            () = until(alive_until) => match patience {
                // Something may have come just now.
                Some(patience) if incoming.last_heard().elapsed() >= patience => Err(silent(patience)),
                _ => Ok(()),
            },
        };
        if let Err(end) = outcome {
            return end;
        }
    }
}

/// Lets everything that is on its way be written, then the last frame, and closes.
async fn finish(mut dialogue: Dialogue, end: End, mut writer: JoinSet<io::Result<()>>, incoming: Incoming) {
    let (last, linger) = match end {
        // The tasks of the connection end with what they hold.
        End::Broken => return,
        End::Left { last } => (last, LINGER),
        End::Refused(error) => {
            tracing::info!(peer = %dialogue.peer, reason = error.get("message"), "ended a connection");
            (Some(error), LINGER)
        }
        End::ShuttingDown => {
            let refusal = Refusal::new("the server is shutting down", "connect again when it is back");
            (Some(refusal.into_frame(None)), LINGER_AT_SHUTDOWN)
        }
    };
    let farewell = async {
        dialogue.empty().await;
        if let Some(last) = last {
            dialogue.outlet.write(last).await.ok();
        }
        // The writer ends after the last of its senders.
        drop(dialogue);
        writer.join_next().await
    };
    match time::timeout(FAREWELL, farewell).await {
        Ok(Some(Ok(Ok(())))) => incoming.linger(linger).await,
        Ok(ended) => tracing::debug!(?ended, "a client could not be written to"),
        Err(_late) => tracing::debug!("a client did not read its last messages in time"),
    }
}

/// How long a peer whose connection we end may take to notice it.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The same, while everybody waits for the server to end.
const LINGER_AT_SHUTDOWN: Duration = Duration::from_millis(200);

fn silent(patience: Duration) -> End {
    End::refused(Refusal::new(
        format!("nothing came for {} ms, although heart-beats were promised", patience.as_millis()),
        "send a line end when there is nothing else to send, or connect with heart-beat:0,0",
    ))
}

/// Waits until then, or for ever.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
