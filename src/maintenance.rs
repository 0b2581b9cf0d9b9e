//! What must be done now and then: the months that pings will fall into are made ahead.

use std::time::Duration;

use crate::{domain::Clock, store::Store};

/// Between two rounds; months are made three ahead, so a day of failures harms nothing.
const PAUSE: Duration = Duration::from_hours(1);

/// Runs for ever.
pub async fn run(store: Store, clock: impl Clock) {
    loop {
        if let Err(error) = store.prepare_months(clock.now()).await {
            tracing::warn!(%error, "cannot prepare the coming months");
        }
        tokio::time::sleep(PAUSE.mul_f32(0.9 + 0.2 * fastrand::f32())).await;
    }
}
