//! One STOMP connection to the broker: login, frames in, frames out, heart-beats.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use stomp_rs::protocol::frame as build;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::crew::{Crew, Hired};
use crate::{
    security::{PasswordFileError, Secret, read_password_file},
    wire::stomp::{Beats, Command, Frame, HeartBeat, Limits, Received, StompCodec, StompError, Version},
};

/// How often each side promises to send something.
const HEART_BEAT: Duration = Duration::from_secs(4);

/// How long the broker may take to let us in.
const LOGIN_WITHIN: Duration = Duration::from_secs(10);

/// How many bunches of frames may wait to be written.
const WAITING_TO_BE_WRITTEN: usize = 256;

/// Where the broker is, and who we are there.
#[derive(Clone, Debug)]
pub struct BrokerAccount {
    /// The broker's STOMP connector.
    pub address: SocketAddr,
    /// The account.
    pub user: String,
    /// The file with its password, which is read for each connection: a new password needs no restart.
    pub password_file: PathBuf,
}

impl BrokerAccount {
    async fn password(&self) -> Result<Secret<String>, LineError> {
        let path = self.password_file.clone();
        let read = tokio::task::spawn_blocking(move || read_password_file(&path)).await;
        // It ends early only with the server.
        read.map_err(|_| LineError::Closed)?.map(|file| file.password).map_err(LineError::from)
    }
}

/// Why a connection cannot be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("the broker cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    #[error(transparent)]
    Password(#[from] PasswordFileError),
    #[error("the broker refuses the account: {0}")]
    Refused(String),
    /// Brokers sometimes refuse credentials by nothing but this.
    #[error("the broker closed the connection instead of answering the login")]
    ClosedAtLogin,
    #[error("the broker did not answer the login within {} s", LOGIN_WITHIN.as_secs())]
    LoginTimedOut,
    #[error("the broker closed the connection")]
    Closed,
    #[error("messages are taken together again, after some that broke the connection")]
    CarefulNoMore,
    #[error("nothing was heard of the broker for {} s", .0.as_secs())]
    Silent(Duration),
    /// Somebody has forged its length.
    #[error("the broker has sent the beginning of a message, and nothing more for {} s but signs of life", .after.as_secs())]
    Unfinished {
        after: Duration,
        /// What acknowledges it, so that it does not come again.
        ack: Option<String>,
    },
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    #[error("what the broker sends breaks the rules of STOMP: {0}")]
    Rules(#[source] StompError),
    #[error("the broker does not accept what beamq sends: {0}")]
    Complaint(String),
}

impl LineError {
    /// Whether a message may be the cause that will come again with the next connection.
    pub(super) fn may_come_again(&self) -> bool {
        matches!(self, Self::Rules(_) | Self::Complaint(_) | Self::Unfinished { .. })
    }
}

impl From<StompError> for LineError {
    fn from(error: StompError) -> Self {
        match error {
            StompError::Io(error) => Self::Broken(error),
            StompError::CutShort => Self::Closed,
            rules => Self::Rules(rules),
        }
    }
}

/// Frames on their way to the broker, in bunches that stay together.
pub(super) type Outlet = mpsc::Sender<Vec<Frame>>;

/// A connection that is logged in.
pub(super) struct Connection {
    pub(super) incoming: Incoming,
    pub(super) outlet: Outlet,
    /// What the broker calls the connection.
    pub(super) id: String,
    /// What writes; it ends with the connection.
    pub(super) writer: Hired,
}

/// The reading half.
pub(super) struct Incoming {
    frames: FramedRead<AcknowledgedAtOnce, StompCodec>,
    silence: Option<Silence>,
    last_heard: Instant,
}

/// How long the broker may be silent, and when to look.
struct Silence {
    at_most: Duration,
    look: Pin<Box<Sleep>>,
    /// How many bytes of an unfinished frame were there after half of the time.
    half_way: Option<usize>,
}

impl Silence {
    fn new(at_most: Duration, last_heard: Instant) -> Self {
        Self { at_most, look: Box::pin(sleep_until(last_heard + at_most / 2)), half_way: None }
    }

    /// Looks how things stand with so many bytes of an unfinished frame, `None` between frames; tells then
    /// whether the time is over, and whether the frame has grown. Not set anew with every frame: that would
    /// cost more than a look now and then.
    fn look(&mut self, last_heard: Instant, unfinished: Option<usize>) -> Looked {
        let (half_way, at_last) = (last_heard + self.at_most / 2, last_heard + self.at_most);
        let now = Instant::now();
        if at_last <= now {
            // What comes from a broker that is alive, and does not finish the frame, are its heart-beats: a
            // whole message is here at once, for the broker is on this machine.
            let grows = unfinished.is_some_and(|bytes| self.half_way.is_some_and(|before| before < bytes));
            return if grows { Looked::Unfinished } else { Looked::Silent };
        }
        let passed = half_way <= now;
        self.half_way = unfinished.filter(|_| passed);
        self.look.as_mut().reset(if passed { at_last } else { half_way });
        Looked::Early
    }
}

/// What a look at the time tells.
enum Looked {
    /// It is not over.
    Early,
    /// Nothing came.
    Silent,
    /// Something came, but not the end of the frame.
    Unfinished,
}

/// A broker without tcpNoDelay sends the rest of a message, and the next message, only once what it sent is
/// acknowledged, which the system would put off by 40 ms.
struct AcknowledgedAtOnce(OwnedReadHalf);

impl AsyncRead for AcknowledgedAtOnce {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        // Without it the connection works as well, if not with every broker as fast.
        #[cfg(target_os = "linux")]
        let _ = self.0.as_ref().set_quickack(true);
        Poll::Ready(Ok(()))
    }
}

impl Connection {
    /// Connects and logs in.
    pub(super) async fn open(
        account: &BrokerAccount,
        limits: Limits,
        crew: &Crew,
    ) -> Result<Self, LineError> {
        timeout(LOGIN_WITHIN, Self::log_in(account, limits, crew))
            .await
            .unwrap_or(Err(LineError::LoginTimedOut))
    }

    async fn log_in(account: &BrokerAccount, limits: Limits, crew: &Crew) -> Result<Self, LineError> {
        let stream = TcpStream::connect(account.address).await.map_err(LineError::Unreachable)?;
        // Small frames that wait for others would cost up to 40 ms.
        stream.set_nodelay(true).map_err(LineError::Unreachable)?;
        let (reading, writing) = stream.into_split();
        let frames = FramedRead::new(AcknowledgedAtOnce(reading), StompCodec::new(limits));
        let mut incoming = Incoming { frames, silence: None, last_heard: Instant::now() };
        let mut writer = FramedWrite::new(writing, StompCodec::new(Limits::default()));
        let password = account.password().await?;
        let beat = HEART_BEAT.as_millis();
        let connect: Frame = build::Connect::new("1.2", account.address.ip().to_string())
            .header("login", account.user.clone())
            .header("passcode", password.expose().clone())
            .header("heart-beat", format!("{beat},{beat}"))
            .into();
        writer.send(connect).await.map_err(LineError::from)?;
        let connected = match incoming.next().await {
            Ok(frame) => frame,
            Err(LineError::Closed) => return Err(LineError::ClosedAtLogin),
            Err(error) => return Err(error),
        };
        match connected.command {
            Command::Connected if connected.get("version") == Some(Version::V1_2.as_str()) => {}
            Command::Error => return Err(LineError::Refused(complaint(&connected))),
            other => {
                let text = format!("it answered the login with {other} and not with STOMP 1.2");
                return Err(LineError::Complaint(text));
            }
        }
        let beats = Beats::agreed(HEART_BEAT, connected.get("heart-beat"));
        incoming.silence = beats.silence.map(|at_most| Silence::new(at_most, incoming.last_heard));
        let (outlet, waiting) = mpsc::channel(WAITING_TO_BE_WRITTEN);
        let writer = crew.hire(write_frames(writer, waiting, beats.send));
        let id = connected.get("session").unwrap_or_default().to_owned();
        Ok(Self { incoming, outlet, id, writer })
    }
}

impl Incoming {
    /// When something came last.
    pub(super) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// Waits for ever from now on.
    pub(super) fn be_patient(&mut self) {
        self.silence = None;
    }

    /// The next frame. Nothing is lost when the future is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Result<Frame, LineError> {
        loop {
            let received = match &mut self.silence {
                Some(silence) => tokio::select! {
                    biased;
                    received = self.frames.next() => received,
                    () = &mut silence.look => {
                        let within = self.frames.decoder().is_within_frame();
                        let unfinished = within.then(|| self.frames.read_buffer().len());
                        let after = silence.at_most;
                        match silence.look(self.last_heard, unfinished) {
                            Looked::Early => continue,
                            Looked::Silent => return Err(LineError::Silent(after)),
                            Looked::Unfinished => {
                                let headers = self.frames.decoder().unfinished();
                                let ack = headers.and_then(|headers| headers.get("ack")).map(str::to_owned);
                                return Err(LineError::Unfinished { after, ack });
                            }
                        }
                    }
                },
                None => self.frames.next().await,
            };
            self.last_heard = Instant::now();
            match received {
                Some(Ok(Received::Frame(frame))) => return Ok(frame),
                Some(Ok(Received::HeartBeat)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(LineError::Closed),
            }
        }
    }
}

async fn write_frames(
    mut writer: FramedWrite<OwnedWriteHalf, StompCodec>,
    mut waiting: mpsc::Receiver<Vec<Frame>>,
    beat: Option<Duration>,
) {
    // Twice as often as promised, for a late beat costs the connection.
    let pause = beat.map(|interval| interval / 2);
    let mut last = Instant::now();
    let mut look = Box::pin(sleep_until(last + pause.unwrap_or_default()));
    loop {
        let written = tokio::select! {
            biased;
            next = waiting.recv() => match next {
                Some(frames) => write_what_waits(&mut writer, frames, &mut waiting).await,
                None => return,
            },
            () = &mut look, if pause.is_some() => {
                let due = last + pause.unwrap_or_default();
                if due > Instant::now() {
                    look.as_mut().reset(due);
                    continue;
                }
                look.as_mut().reset(Instant::now() + pause.unwrap_or_default());
                writer.send(HeartBeat).await
            }
        };
        if let Err(error) = written {
            // The reader notices as well, and says why.
            tracing::debug!(%error, "cannot write to the broker");
            return;
        }
        last = Instant::now();
    }
}

/// Writes a bunch and those that have come meanwhile, so that many small frames share a packet.
async fn write_what_waits(
    writer: &mut FramedWrite<OwnedWriteHalf, StompCodec>,
    first: Vec<Frame>,
    waiting: &mut mpsc::Receiver<Vec<Frame>>,
) -> Result<(), StompError> {
    let mut next = Some(first);
    while let Some(frames) = next {
        for frame in frames {
            match writer.feed(frame).await {
                Err(error @ StompError::Unwritable { .. }) => {
                    tracing::error!(%error, "a frame could not be written");
                }
                other => other?,
            }
        }
        next = waiting.try_recv().ok();
    }
    // `flush` is the same for both kinds of item.
    SinkExt::<Frame>::flush(writer).await
}

/// What an ERROR says, in one line: the broker adds a stack trace.
pub(super) fn complaint(error: &Frame) -> String {
    let text = error.get("message").unwrap_or("an ERROR without a message");
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
