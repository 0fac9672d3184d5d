//! Which of NICOS's messages belong to a job of beamq: clients hear of those from beamq, and not once more.

use serde_json::{Value, json};

use crate::{
    nicos::Connection,
    wire::nicos::{Command, Event},
};

/// The job that NICOS runs, as one connection hears of it.
#[derive(Debug)]
pub(super) struct JobInNicos {
    /// The account that runs jobs.
    service: String,
    /// The request of the job that runs.
    request: Option<String>,
    /// Whether an event has told; before, NICOS has to be asked what was going on when the connection was made.
    told: bool,
}

impl JobInNicos {
    pub(super) fn new(service: &str) -> Self {
        Self { service: service.to_owned(), request: None, told: false }
    }

    /// Takes in that a script begins or has ended.
    pub(super) fn hear(&mut self, event: Event, value: &Value) {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        self.told = true;
        self.request = match event {
            Event::Processing if text("user") == Some(&self.service) => text("reqid").map(str::to_owned),
            _ => None,
        };
    }

    /// Asks which job runs.
    pub(super) fn question(&self, connection: Connection) -> impl Future<Output = Option<String>> + use<> {
        let running = format!(
            "(lambda c: c.reqid_work if c.status >= 0 and c.current_script.user.name == {} else None)\
             (__import__('nicos').session.daemon_device._controller)",
            json!(self.service)
        );
        async move {
            let answer = connection.call(Command::Eval, &[json!(running), json!(false)]).await;
            answer.ok()?.as_str().map(str::to_owned)
        }
    }

    /// Takes the answer in; what was told meanwhile is newer.
    pub(super) fn answered(&mut self, request: Option<String>) {
        if !self.told {
            self.request = request;
        }
    }

    /// Whether a message belongs to the job. NICOS gives what is said after a script's end the id of that script, too.
    pub(super) fn said(&self, message: &Value) -> bool {
        let request = message.get(5).and_then(Value::as_str);
        request.is_some() && request == self.request.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_belong_to_the_job_from_its_beginning_to_its_end() {
        let mut job = JobInNicos::new("service");
        let message = |id: Value| json!(["nicos", 1.5, 20, "text\n", null, id]);
        let script = |user: &str| json!({"reqid": "a", "name": "x", "script": "pass", "user": user});
        assert!(!job.said(&message(json!("a"))) && !job.said(&message(Value::Null)));
        job.hear(Event::Processing, &script("service"));
        assert!(job.said(&message(json!("a"))) && !job.said(&message(json!("b"))));
        assert!(!job.said(&message(Value::Null)));
        job.answered(Some("b".into()));
        assert!(job.said(&message(json!("a"))), "an event is newer than the answer");
        job.hear(Event::Done, &script("service"));
        assert!(!job.said(&message(json!("a"))));
        job.hear(Event::Processing, &script("ulf"));
        assert!(!job.said(&message(json!("a"))), "the script of somebody else is not told by beamq");
    }
}
