//! The two kinds of row that are queued and written alike.

use crate::{
    domain::{pingback::PingbackRow, statistics::StatisticsReport},
    store::{SetAside, Store, StoreError, Write},
};

/// A kind of row that goes through a queue of its own.
pub trait Row: Send + Sync + Sized + 'static {
    /// The name of the queue's tasks.
    const NAME: &'static str;

    /// Whether one row can be so large that the store never finishes it in time.
    const CAN_BE_TOO_LARGE: bool;

    /// What decides about the lane.
    fn key(&self) -> &str;

    /// The store's operation.
    fn write(store: &Store, rows: &[Self], write: Write) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The row as it is set aside.
    fn set_aside(&self, reason: String) -> SetAside;
}

impl Row for PingbackRow {
    const NAME: &'static str = "pingback writer";
    const CAN_BE_TOO_LARGE: bool = false;

    fn key(&self) -> &str {
        &self.instance_id
    }

    async fn write(store: &Store, rows: &[Self], write: Write) -> Result<(), StoreError> {
        store.write_pingbacks(rows, write).await
    }

    fn set_aside(&self, reason: String) -> SetAside {
        SetAside {
            id: self.id,
            received_at: self.received_at,
            kind: "pingback",
            instance_id: self.instance_id.clone(),
            reason,
            row: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}

impl Row for StatisticsReport {
    const NAME: &'static str = "statistics writer";
    const CAN_BE_TOO_LARGE: bool = true;

    fn key(&self) -> &str {
        &self.pi
    }

    async fn write(store: &Store, rows: &[Self], write: Write) -> Result<(), StoreError> {
        store.write_statistics(rows, write).await
    }

    fn set_aside(&self, reason: String) -> SetAside {
        SetAside {
            id: self.id,
            received_at: self.received_at,
            kind: "statistics",
            instance_id: String::new(),
            reason,
            row: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}
