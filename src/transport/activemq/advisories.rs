//! What a broker tells about its connections and temporary queues, by itself.

use serde_json::Value;

use super::stance::Consumer;

/// The topics that tell it. Each begins with what exists already when somebody subscribes.
pub(super) fn topics(requests: &str) -> [String; 3] {
    ["TempQueue", "Connection", &format!("Consumer.Queue.{requests}")]
        .map(|name| format!("/topic/ActiveMQ.Advisory.{name}"))
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Advisory {
    /// A temporary queue exists.
    QueueAdded(String),
    /// A temporary queue is gone.
    QueueRemoved(String),
    /// A connection exists, and the account it logged in with.
    ConnectionAdded { connection: String, account: String },
    /// A connection is gone.
    ConnectionRemoved(String),
    /// Somebody reads requests, and wants to be the only one.
    ConsumerAdded(Consumer),
    /// Somebody reads requests no longer.
    ConsumerRemoved(Consumer),
}

impl Advisory {
    /// Reads the JSON of an advisory; `None` for one about something else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let news: Value = serde_json::from_slice(body).ok()?;
        if let Some(queue) = news.get("DestinationInfo") {
            let name = text(queue.pointer("/destination/string"))?;
            return match queue.get("operationType").and_then(Value::as_u64)? {
                0 => Some(Self::QueueAdded(name)),
                1 => Some(Self::QueueRemoved(name)),
                _ => None,
            };
        }
        if let Some(connection) = news.get("ConnectionInfo") {
            let account = text(connection.get("userName")).unwrap_or_default();
            return Some(Self::ConnectionAdded {
                connection: text(connection.pointer("/connectionId/value"))?,
                account,
            });
        }
        if let Some(consumer) = news.get("ConsumerInfo") {
            let exclusive = consumer.get("exclusive").and_then(Value::as_bool)?;
            let consumer = read_consumer(consumer.get("consumerId")?)?;
            return exclusive.then_some(Self::ConsumerAdded(consumer));
        }
        let gone = news.get("RemoveInfo")?.get("objectId")?;
        match gone.get("@class")?.as_str()? {
            "ConnectionId" => text(gone.get("value")).map(Self::ConnectionRemoved),
            "ConsumerId" => read_consumer(gone).map(Self::ConsumerRemoved),
            _ => None,
        }
    }
}

fn read_consumer(id: &Value) -> Option<Consumer> {
    let number = format!("{}:{}", id.get("sessionId")?, id.get("value")?);
    Some(Consumer { connection: text(id.get("connectionId"))?, number })
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_and_connections_that_come_and_go_are_understood() {
        let queue = |operation: u8| {
            format!(
                r#"{{"DestinationInfo":{{"connectionId":{{"value":"ID:c-1:1"}},"destination":{{"@class":"ActiveMQTempQueue","string":"ID:c-1:1:1"}},"operationType":{operation}}}}}"#
            )
        };
        assert_eq!(Advisory::read(queue(0).as_bytes()), Some(Advisory::QueueAdded("ID:c-1:1:1".into())));
        assert_eq!(Advisory::read(queue(1).as_bytes()), Some(Advisory::QueueRemoved("ID:c-1:1:1".into())));
        let added = br#"{"ConnectionInfo":{"connectionId":{"value":"ID:c-1:1"},"userName":"ss_client"}}"#;
        assert_eq!(
            Advisory::read(added),
            Some(Advisory::ConnectionAdded { connection: "ID:c-1:1".into(), account: "ss_client".into() })
        );
        let removed = br#"{"RemoveInfo":{"objectId":{"@class":"ConnectionId","value":"ID:c-1:1"}}}"#;
        assert_eq!(Advisory::read(removed), Some(Advisory::ConnectionRemoved("ID:c-1:1".into())));
    }

    #[test]
    fn exclusive_consumers_that_come_and_go_are_understood_and_others_do_not_matter() {
        let consumer = |exclusive: bool| {
            format!(
                r#"{{"ConsumerInfo":{{"consumerId":{{"connectionId":"ID:c-1:1","sessionId":-1,"value":2}},"destination":{{"@class":"ActiveMQQueue","string":"ss_admin"}},"exclusive":{exclusive}}}}}"#
            )
        };
        let expected = Consumer { connection: "ID:c-1:1".into(), number: "-1:2".into() };
        let added = Advisory::read(consumer(true).as_bytes());
        assert_eq!(added, Some(Advisory::ConsumerAdded(expected.clone())));
        assert_eq!(Advisory::read(consumer(false).as_bytes()), None);
        let removed = br#"{"RemoveInfo":{"objectId":{"@class":"ConsumerId","connectionId":"ID:c-1:1","sessionId":-1,"value":2}}}"#;
        assert_eq!(Advisory::read(removed), Some(Advisory::ConsumerRemoved(expected)));
    }

    #[test]
    fn rubbish_tells_nothing() {
        for body in [&b""[..], b"{", b"{}", b"[]", br#"{"DestinationInfo":1}"#, br#"{"RemoveInfo":{}}"#] {
            assert_eq!(Advisory::read(body), None);
        }
    }
}
