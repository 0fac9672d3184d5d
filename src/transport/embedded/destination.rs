//! The few destinations that exist here.

use super::refusal::Refusal;

/// Where requests are sent.
pub(super) const REQUESTS: &str = "/queue/ss_admin";

const REPLY_PREFIX: &str = "/temp-queue/";

/// The greatest length of a reply queue's name, in bytes.
const LONGEST_NAME: usize = 200;

/// Something that can be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A reply queue, by its whole destination.
    ReplyQueue(String),
    /// The topic of all events.
    Events,
}

/// The topic of an instrument's events.
pub(super) fn events_topic(instrument: &str) -> String {
    format!("/topic/beamq.{instrument}.events")
}

/// Reads the destination of a SUBSCRIBE.
pub(super) fn source(destination: Option<&str>, instrument: &str) -> Result<Source, Refusal> {
    let topic = events_topic(instrument);
    let hint = || format!("subscribe to {REPLY_PREFIX}NAME or, after a login, to {topic}");
    match destination {
        None => Err(Refusal::new("SUBSCRIBE needs a destination", hint())),
        Some(destination) if destination == topic => Ok(Source::Events),
        Some(REQUESTS) => Err(Refusal::new(format!("{REQUESTS} is read by the server only"), hint())),
        Some(destination) if destination.starts_with(REPLY_PREFIX) => {
            check_name(destination)?;
            Ok(Source::ReplyQueue(destination.to_owned()))
        }
        Some(destination) => {
            Err(Refusal::new(format!("there is nothing to subscribe to at {destination:?}"), hint()))
        }
    }
}

/// Checks the destination of a SEND.
pub(super) fn check_request(destination: Option<&str>) -> Result<(), Refusal> {
    match destination {
        Some(REQUESTS) => Ok(()),
        Some(other) => Err(Refusal::new(
            format!("nothing can be sent to {other:?}"),
            format!("requests go to {REQUESTS}"),
        )),
        None => Err(Refusal::new("SEND needs a destination", format!("requests go to {REQUESTS}"))),
    }
}

/// Checks a reply-to: only a queue of the connection itself will do, or a request could make the server
/// write to itself or to somebody else.
pub(super) fn reply_to(reply_to: Option<&str>) -> Result<&str, Refusal> {
    let hint = format!(
        "set reply-to:{REPLY_PREFIX}NAME with a name of your own, and subscribe to it to read the replies"
    );
    match reply_to {
        None => Err(Refusal::new("the request has no reply-to", hint)),
        Some(destination) if destination.starts_with(REPLY_PREFIX) => {
            check_name(destination)?;
            Ok(destination)
        }
        Some(other) => {
            Err(Refusal::new(format!("the reply-to {other:?} is not a queue of this connection"), hint))
        }
    }
}

fn check_name(destination: &str) -> Result<(), Refusal> {
    let name = destination.strip_prefix(REPLY_PREFIX).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Refusal::new(
        format!("{destination:?} is not the name of a temporary queue"),
        format!("a name has 1 to {LONGEST_NAME} ASCII letters, digits, '-', '_', '.' or ':'"),
    ))
}
