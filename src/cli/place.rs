//! Where in the waiting order a job goes.

use clap::Args;
use serde_json::{Value, json};

/// At most one of these says where.
#[derive(Args, Debug, Default, Clone)]
#[group(multiple = false)]
pub(super) struct PlaceArgs {
    /// Run it next
    #[arg(long)]
    front: bool,
    /// Run it last
    #[arg(long)]
    back: bool,
    /// Put it at this position; 0 is next
    #[arg(long, value_name = "N")]
    index: Option<u64>,
    /// Put it before this job
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// Put it after this job
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

impl PlaceArgs {
    /// The `place` of the protocol, or `None` when nothing was said.
    pub(super) fn place(&self) -> Option<Value> {
        if self.front {
            Some(json!("front"))
        } else if self.back {
            Some(json!("back"))
        } else if let Some(index) = self.index {
            Some(json!({"index": index}))
        } else if let Some(id) = &self.before {
            Some(json!({"before": id}))
        } else {
            self.after.as_ref().map(|id| json!({"after": id}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_gives_the_place_of_the_protocol() {
        let none = PlaceArgs::default;
        assert_eq!(none().place(), None);
        assert_eq!(PlaceArgs { front: true, ..none() }.place(), Some(json!("front")));
        assert_eq!(PlaceArgs { back: true, ..none() }.place(), Some(json!("back")));
        assert_eq!(PlaceArgs { index: Some(0), ..none() }.place(), Some(json!({"index": 0})));
        assert_eq!(PlaceArgs { before: Some("4".into()), ..none() }.place(), Some(json!({"before": "4"})));
        assert_eq!(PlaceArgs { after: Some("4".into()), ..none() }.place(), Some(json!({"after": "4"})));
    }
}
