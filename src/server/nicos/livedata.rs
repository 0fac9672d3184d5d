//! Detector data: announced to the client, and kept a while for it to fetch.

use std::collections::VecDeque;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::wire::{nicos::Payload, pickle::tag};

/// How many announcements, and how many bytes of arrays, are kept for a session.
const MOST_KEPT: usize = 16;
const MOST_BYTES: usize = 32 << 20;

/// The arrays of a session that were announced last.
#[derive(Debug, Default)]
pub(super) struct LiveData {
    kept: VecDeque<(Value, Vec<Payload>)>,
    bytes: usize,
}

impl LiveData {
    /// Keeps the arrays of an event, and adds to its payload what can be fetched: the size in bytes, and type and
    /// shape where NICOS says them.
    pub(super) fn announce(&mut self, payload: &mut Value, blobs: Vec<Payload>) {
        let descriptions = payload.get("datadescs").and_then(Value::as_array).cloned().unwrap_or_default();
        let announced: Vec<_> = blobs
            .iter()
            .enumerate()
            .map(|(index, blob)| {
                let description = descriptions.get(index).unwrap_or(&Value::Null);
                let length = match blob {
                    Payload::Kept(bytes) => bytes.len(),
                    Payload::TooLarge { length } => *length,
                };
                json!({
                    "index": index,
                    "bytes": length,
                    "dtype": description.get("dtype"),
                    "shape": description.get("shape"),
                })
            })
            .collect();
        let uid = payload.get("uid").cloned().unwrap_or_default();
        if let Some(members) = payload.as_object_mut() {
            members.insert("blobs".into(), announced.into());
        }
        self.bytes += size(&blobs);
        self.kept.push_back((uid, blobs));
        while self.kept.len() > MOST_KEPT || self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            self.bytes -= size(&oldest);
        }
    }

    /// An array of the last announcement with this uid.
    pub(super) fn fetch(&self, args: &[Value]) -> Result<Value, String> {
        let uid = args.first().unwrap_or(&Value::Null);
        let index = match args.get(1) {
            None | Some(Value::Null) => 0,
            Some(index) => index
                .as_u64()
                .and_then(|index| usize::try_from(index).ok())
                .ok_or("getlivedata: index must be a whole number from 0 on")?,
        };
        let blobs = self.kept.iter().rev().find(|(kept, _)| kept == uid).map(|(_, blobs)| blobs);
        let blobs =
            blobs.ok_or_else(|| format!("no livedata with the uid {uid} is kept: only the last few are"))?;
        match blobs.get(index) {
            Some(Payload::Kept(bytes)) => Ok(json!({tag::BYTES: STANDARD.encode(bytes)})),
            Some(Payload::TooLarge { length }) => {
                Err(format!("the array of {length} bytes was too large to keep"))
            }
            None => Err(format!("this livedata has {} arrays, so there is no index {index}", blobs.len())),
        }
    }
}

fn size(blobs: &[Payload]) -> usize {
    blobs.iter().map(Payload::len).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use bytes::Bytes;

    use super::*;

    fn announced(live: &mut LiveData, uid: &str, blobs: Vec<Payload>) -> Value {
        let mut payload = json!({"uid": uid, "datadescs": [{"dtype": "<u4", "shape": [2, 3], "labels": {}}]});
        live.announce(&mut payload, blobs);
        payload
    }

    fn kept(bytes: usize) -> Payload {
        Payload::Kept(Bytes::from(vec![0xff; bytes]))
    }

    #[test]
    fn arrays_are_announced_and_fetched() {
        let mut live = LiveData::default();
        let payload = announced(&mut live, "a", vec![kept(3), Payload::TooLarge { length: 9 }]);
        assert_eq!(
            payload["blobs"],
            json!([
                {"index": 0, "bytes": 3, "dtype": "<u4", "shape": [2, 3]},
                {"index": 1, "bytes": 9, "dtype": null, "shape": null},
            ])
        );
        assert_eq!(live.fetch(&[json!("a")]).unwrap(), json!({"$bytes": "////"}));
        assert_eq!(live.fetch(&[json!("a"), json!(0)]).unwrap(), json!({"$bytes": "////"}));
        assert!(live.fetch(&[json!("a"), json!(1)]).unwrap_err().contains("too large"));
        assert!(live.fetch(&[json!("a"), json!(2)]).unwrap_err().contains("has 2 arrays"));
        assert!(live.fetch(&[json!("a"), json!("x")]).unwrap_err().contains("index"));
        assert!(live.fetch(&[json!("b")]).unwrap_err().contains("\"b\""));
    }

    #[test]
    fn only_the_last_few_are_kept_by_count_and_by_size() {
        let mut live = LiveData::default();
        for number in 0..100 {
            announced(&mut live, &number.to_string(), vec![kept(10)]);
        }
        assert_eq!(live.kept.len(), MOST_KEPT);
        assert!(live.fetch(&[json!("99")]).is_ok());
        announced(&mut live, "large", vec![kept(MOST_BYTES - 5)]);
        assert_eq!(live.kept.len(), 1);
        announced(&mut live, "larger", vec![kept(MOST_BYTES + 1)]);
        assert_eq!((live.kept.len(), live.bytes), (0, 0));
    }
}
