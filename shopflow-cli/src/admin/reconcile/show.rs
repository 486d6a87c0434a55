//! Findings as they are told.

use core_kernel::wire_time;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::finding::Finding;

impl Finding {
    /// For programs. `mended` tells whether it is; if not, `why_not` says why nothing mends it.
    pub(super) fn json(&self, mended: bool, at: Timestamp) -> Value {
        let cure = self.cure.as_ref();
        json!({
            "found": self.kind.as_str(),
            "at": wire_time::format(at),
            "order_id": self.order_id,
            "event_type": cure.ok().map(|cure| cure.kind.event_type()),
            "event_id": cure.ok().map(|cure| cure.event_id),
            "notification_id": self.notification_id,
            "what": self.what,
            "mended": mended,
            "why_not": cure.err(),
        })
    }

    /// For people.
    pub(super) fn line(&self, mended: bool) -> String {
        let order = self.order_id.map(|id| id.to_string());
        let order = order.unwrap_or_else(|| "-".to_owned());
        let end = match (&self.cure, mended) {
            (Err(why), _) => format!("; {why}"),
            (Ok(_), true) => "; mended".to_owned(),
            (Ok(_), false) => String::new(),
        };
        format!(
            "{:<15}  {order:<36}  {}{end}",
            self.kind.as_str(),
            self.what
        )
    }
}
