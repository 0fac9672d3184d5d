//! What the server is told: whether NICOS can take jobs, and why not.

use std::time::Duration;

use super::{Foreign, Supervisor};
use crate::engine::{EngineEvent, EngineState};

/// How long a daemon may take to load its setups before that is somebody's script.
const LOADS_WITHIN: Duration = Duration::from_secs(1);

impl Supervisor {
    fn state(&self) -> (EngineState, Option<String>) {
        use EngineState::{Ready, Starting, Unavailable};
        let Some(link) = &self.link else {
            return match &self.why_down {
                None => (Starting, None),
                Some(why) => (Unavailable, Some(why.clone())),
            };
        };
        if let Some(why) = &self.why_blind {
            return (Unavailable, Some(why.clone()));
        }
        if !link.seen && self.asked_at.is_none_or(|asked| asked.elapsed() < LOADS_WITHIN) {
            return self.told.clone().unwrap_or((Starting, None));
        }
        let within = self.settings.answer_within;
        if self.asked_at.is_some_and(|asked| asked.elapsed() >= within) {
            let why = format!("NICOS has not answered for more than {} s", within.as_secs_f64());
            return (Unavailable, Some(why));
        }
        if self.thread_dead {
            let why = "NICOS runs no script any longer: a script has ended its script thread (sys.exit() does); \
                       restart the NICOS daemon";
            return (Unavailable, Some(why.into()));
        }
        if let Some(Foreign { name, user, .. }) = &self.foreign {
            let what = match name {
                Some(name) => format!("the script {name:?}"),
                None => "a script".to_owned(),
            };
            let whose = user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
            let why = format!(
                "NICOS runs {what}{whose}, which is not of this queue; the queue goes on when it has ended"
            );
            return (Unavailable, Some(why));
        }
        (Ready, None)
    }

    pub(super) async fn tell_state(&mut self) {
        let state = self.state();
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            self.tell(EngineEvent::State(state.0, state.1)).await;
        }
    }

    pub(super) async fn tell(&self, event: EngineEvent) {
        // When the server has dropped its side, the calls end as well and so does this task.
        let _server_gone = self.events.send(event).await;
    }
}
