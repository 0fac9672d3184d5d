//! What the server asks for.

use tokio::time::Instant;

use super::{LOOK_AT_RUN, Supervisor};
use crate::engine::{
    EngineCall,
    nicos::{orders::Order, run::Run},
};

impl Supervisor {
    pub(super) async fn called(&mut self, call: EngineCall) {
        match call {
            EngineCall::Start(start) => {
                self.leave_alone();
                if self.run.is_some() || self.waiting.is_some() {
                    tracing::error!(job = %start.job, "a job was started while another is active; refused");
                    let mut run = self.run_of(start);
                    let refused = run.refused("another job is active");
                    self.tell_finish(run.job(), refused).await;
                } else {
                    self.waiting = Some(start);
                }
            }
            EngineCall::Abort(job, _) if self.waiting.as_ref().is_some_and(|start| start.job == job) => {
                self.look_at = Instant::now();
                if let Some(start) = self.waiting.take() {
                    let mut run = self.run_of(start);
                    let refused = run.refused("the job was aborted before NICOS had it");
                    self.tell_finish(job, refused).await;
                }
            }
            call => {
                self.look_at = Instant::now();
                self.steer(call);
            }
        }
    }

    /// Does not look at NICOS while it takes up a script, unless something is wanted of it: NICOS does one thing at a
    /// time, and says by itself that the script begins.
    pub(super) fn leave_alone(&mut self) {
        let urgent = self.run.as_ref().is_some_and(Run::is_urgent);
        self.look_at = if urgent { Instant::now() } else { Instant::now() + LOOK_AT_RUN };
    }

    fn steer(&mut self, call: EngineCall) {
        let Some(run) = &mut self.run else { return };
        let ours = run.job();
        match call {
            EngineCall::Pause(job, level) if job == ours => run.pause(level),
            EngineCall::CancelPause(job) if job == ours => run.cancel_pause(),
            EngineCall::Resume(job) if job == ours => run.resume(),
            EngineCall::Abort(job, stage) if job == ours => run.abort(stage),
            EngineCall::Answer(job, prompt, value) if job == ours => run.answer(prompt.0, value.as_ref()),
            EngineCall::Skip(job) if job == ours => {
                run.skip();
                self.order(Order::Finish);
            }
            EngineCall::Start(_)
            | EngineCall::Pause(..)
            | EngineCall::CancelPause(_)
            | EngineCall::Resume(_)
            | EngineCall::Skip(_)
            | EngineCall::Abort(..)
            | EngineCall::Answer(..)
            | EngineCall::Shutdown => {}
        }
    }
}
