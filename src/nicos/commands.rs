//! The connection that carries commands, and their replies in the same order.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::{
    io::AsyncWriteExt,
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::codec::FramedRead;

use super::{Ending, NicosError, end};
use crate::wire::nicos::{Command, Reply, ReplyDecoder, Serializer, encode_command};

/// How many replies the daemon may owe us, those that nobody waits for any longer among them.
const MOST_OWED: usize = 256;

/// Where commands are handed in.
#[derive(Debug)]
pub(super) struct CommandLine {
    requests: mpsc::UnboundedSender<Request>,
    owed: Arc<Semaphore>,
    /// The arguments of the command that follows those which may be answered twice.
    no_arguments: Vec<u8>,
}

/// A command on its way out.
struct Request {
    frame: Bytes,
    awaited: Awaited,
}

/// A reply that is to come.
struct Awaited {
    /// Taken when it has come. Nobody may listen any longer.
    reply: Option<oneshot::Sender<Reply>>,
    /// Whether replies are to be dropped up to that of the fence.
    fenced: bool,
    _owed: OwnedSemaphorePermit,
}

impl CommandLine {
    /// Starts the tasks that write and read.
    pub(super) fn start(
        replies: FramedRead<OwnedReadHalf, ReplyDecoder>,
        writing: OwnedWriteHalf,
        serializer: Serializer,
        ending: Ending,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, NicosError> {
        let (requests, requested) = mpsc::unbounded_channel();
        let (awaited_in, awaited) = mpsc::unbounded_channel();
        tasks.spawn(write(writing, requested, awaited_in, ending.clone()));
        tasks.spawn(read(replies, awaited, ending));
        let no_arguments = serializer.encode(&[])?;
        Ok(Self { requests, owed: Arc::new(Semaphore::new(MOST_OWED)), no_arguments })
    }

    /// Sends a command and waits for its reply; `None` when the connection has ended.
    pub(super) async fn exchange(
        &self,
        command: Command,
        payload: &[u8],
    ) -> Option<Result<Reply, NicosError>> {
        let Ok(owed) = Arc::clone(&self.owed).try_acquire_owned() else {
            return Some(Err(NicosError::Overloaded { owed: MOST_OWED }));
        };
        let mut wire = BytesMut::new();
        let fenced = command.may_answer_twice();
        let mut encoded = encode_command(command, payload, &mut wire);
        if fenced {
            // Its reply is data, which the second reply of neither command is.
            encoded =
                encoded.and_then(|()| encode_command(Command::GetVersion, &self.no_arguments, &mut wire));
        }
        if let Err(error) = encoded {
            return Some(Err(error.into()));
        }
        let (reply, replied) = oneshot::channel();
        let awaited = Awaited { reply: Some(reply), fenced, _owed: owed };
        self.requests.send(Request { frame: wire.freeze(), awaited }).ok()?;
        replied.await.ok().map(Ok)
    }
}

async fn write(
    mut socket: OwnedWriteHalf,
    mut requested: mpsc::UnboundedReceiver<Request>,
    awaited: mpsc::UnboundedSender<Awaited>,
    ending: Ending,
) {
    let mut ended = ending.subscribe();
    let writing = async {
        while let Some(request) = requested.recv().await {
            // The reply cannot come before it is awaited.
            if awaited.send(request.awaited).is_err() {
                return;
            }
            if let Err(error) = socket.write_all(&request.frame).await {
                end(&ending, format!("a command could not be sent: {error}"));
                return;
            }
        }
    };
    tokio::select! {
        () = writing => {}
        _ = ended.wait_for(Option::is_some) => {}
    }
}

async fn read(
    mut replies: FramedRead<OwnedReadHalf, ReplyDecoder>,
    mut awaited: mpsc::UnboundedReceiver<Awaited>,
    ending: Ending,
) {
    let mut ended = ending.subscribe();
    let reading = async {
        let mut before_fence = None;
        loop {
            match replies.next().await {
                Some(Ok(reply)) => before_fence = take(reply, before_fence, &mut awaited),
                Some(Err(error)) => return end(&ending, error.to_string()),
                None => return end(&ending, "the daemon closed the connection"),
            }
        }
    };
    tokio::select! {
        () = reading => {}
        _ = ended.wait_for(Option::is_some) => {}
    }
}

/// Gives a reply to whoever waits for it. What is returned still has a fence to come.
fn take(
    reply: Reply,
    before_fence: Option<Awaited>,
    awaited: &mut mpsc::UnboundedReceiver<Awaited>,
) -> Option<Awaited> {
    if let Some(fenced) = before_fence {
        let is_fence = matches!(reply, Reply::Data(_));
        if !is_fence {
            tracing::debug!("the daemon sent a second reply; it is dropped");
        }
        return (!is_fence).then_some(fenced);
    }
    let Ok(mut next) = awaited.try_recv() else {
        tracing::warn!("the daemon sent a reply that nobody waits for; it is dropped");
        return None;
    };
    if let Some(waiting) = next.reply.take() {
        // Whoever gave up does not want it.
        waiting.send(reply).ok();
    }
    next.fenced.then_some(next)
}
