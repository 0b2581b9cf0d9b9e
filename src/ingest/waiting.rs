//! Who waits for a row to be written.

use tokio::sync::oneshot;
use tracing::Span;

use super::{Awaiting, Outcome, Unavailable};
use crate::telemetry::{request::Named, traces};

/// The sender of a row.
pub struct Waiting {
    pub answer: oneshot::Sender<Result<Outcome, Unavailable>>,
    /// Dropped when the row is committed, not when its sender goes away.
    pub client: Box<dyn Awaiting>,
    pub named: Named,
    /// What it waits for, if it is traced: its turn, then the commit.
    pub stage: Span,
}

impl Waiting {
    pub fn answer(self, result: Result<Outcome, Unavailable>) {
        traces::ended(&self.stage, result.map_or("unavailable", Outcome::label));
        drop(self.stage);
        // A sender that has gone away does not hear the answer.
        let _ = self.answer.send(result);
    }
}
