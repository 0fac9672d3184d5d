//! What the transport does at the same time, all of it in one task.
//!
//! A request and its reply pass the reader, the client's forwarder and the writer. Were each of them a task,
//! the scheduler would wake another thread for one of them every time, which costs more than all of them do.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{
    StreamExt,
    future::{AbortHandle, abortable},
    stream::FuturesUnordered,
    task::AtomicWaker,
};
use tokio::sync::mpsc;

/// How often the work is looked at before other tasks have a turn.
const ROUNDS: usize = 16;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where work is handed in.
#[derive(Clone)]
pub(super) struct Crew {
    newcomers: mpsc::UnboundedSender<Work>,
}

/// The work that is going on. It goes on only while it is polled, beside the transport's main work.
pub(super) struct AtWork {
    newcomers: mpsc::UnboundedReceiver<Work>,
    all: FuturesUnordered<Work>,
}

/// Work that ends when this is dropped.
pub(super) struct Hired(AbortHandle);

impl Drop for Hired {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A crew without work.
pub(super) fn assemble() -> (Crew, AtWork) {
    let (hand_in, newcomers) = mpsc::unbounded_channel();
    (Crew { newcomers: hand_in }, AtWork { newcomers, all: FuturesUnordered::new() })
}

impl Crew {
    /// Has work done, to its end or until it is aborted.
    pub(super) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let (work, abort) = abortable(work);
        let work = async move {
            // Whoever aborts it knows.
            let _ = work.await;
        };
        // Without anybody to do it the transport is at its end.
        let _ = self.newcomers.send(Box::pin(work));
        abort
    }

    /// Has work done for as long as what is given back lives.
    pub(super) fn hire(&self, work: impl Future<Output = ()> + Send + 'static) -> Hired {
        Hired(self.begin(work))
    }
}

impl AtWork {
    /// Lets all work go on beside the main work, until that has come to its end.
    pub(super) async fn beside<T>(mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        poll_fn(|context| {
            bell.task.register(context.waker());
            let mut inner = Context::from_waker(&waker);
            for _ in 0..ROUNDS {
                bell.listen();
                // What the server has said meanwhile goes out first.
                self.go_on(&mut inner);
                if let Poll::Ready(done) = main.as_mut().poll(&mut inner) {
                    return Poll::Ready(done);
                }
                if bell.rest() {
                    return Poll::Pending;
                }
            }
            // Others have a turn before it goes on.
            bell.sleep();
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    fn go_on(&mut self, context: &mut Context<'_>) {
        loop {
            while let Poll::Ready(Some(work)) = self.newcomers.poll_recv(context) {
                self.all.push(work);
            }
            match self.all.poll_next_unpin(context) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }
}

/// Wakes the task, unless it is at work: what one part of it does for another is seen in the next round.
/// To the scheduler a task that wakes itself is one more task, for which it wakes one more thread.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    state: AtomicU8,
}

/// Nobody works: whoever rings wakes the task.
const ASLEEP: u8 = 0;
/// A round is under way, and nobody has rung since it began.
const AT_WORK: u8 = 1;
/// Somebody has rung since the round began.
const RUNG: u8 = 2;

impl Bell {
    /// A round begins.
    fn listen(&self) {
        self.state.store(AT_WORK, Ordering::SeqCst);
    }

    /// Ends the round; `false` when somebody has rung since it began.
    fn rest(&self) -> bool {
        self.state.compare_exchange(AT_WORK, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Ends the round, whoever has rung.
    fn sleep(&self) {
        self.state.store(ASLEEP, Ordering::SeqCst);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let at_work = self.state.compare_exchange(AT_WORK, RUNG, Ordering::SeqCst, Ordering::SeqCst);
        if at_work == Err(ASLEEP) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::oneshot;

    use super::*;

    /// Counts how often the task is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_one_part_does_for_another_is_seen_without_waking_the_task() {
        let (crew, at_work) = assemble();
        let (ask, asked) = mpsc::unbounded_channel::<oneshot::Sender<u32>>();
        let mut asked = asked;
        let (outside, from_outside) = oneshot::channel::<u32>();
        let _answering = crew.hire(async move {
            let number = from_outside.await.unwrap();
            while let Some(answer) = asked.recv().await {
                answer.send(number).unwrap();
            }
        });
        let main = async {
            let mut sum = 0;
            for _ in 0..3 {
                let (answer, answered) = oneshot::channel();
                ask.send(answer).unwrap();
                sum += answered.await.unwrap();
            }
            sum
        };
        let mut task = pin!(at_work.beside(main));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        assert!(task.as_mut().poll(&mut context).is_pending());
        assert_eq!(woken.0.load(Ordering::SeqCst), 0, "nothing has happened outside");
        outside.send(7).unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(task.as_mut().poll(&mut context), Poll::Ready(21));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "three questions and answers in one turn of the task");
    }

    #[test]
    fn a_task_that_always_has_something_to_do_lets_others_have_a_turn() {
        let (crew, at_work) = assemble();
        let _restless = crew.hire(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let mut task = pin!(at_work.beside(std::future::pending::<()>()));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn hired_work_ends_with_what_was_given_back() {
        let (crew, at_work) = assemble();
        let (alive, mut ended) = mpsc::channel::<()>(1);
        let hired = crew.hire(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        let main = async {
            tokio::task::yield_now().await;
            assert!(ended.try_recv() == Err(mpsc::error::TryRecvError::Empty), "it goes on");
            drop(hired);
            ended.recv().await
        };
        assert_eq!(at_work.beside(main).await, None);
    }
}
