//! What must be done now and then: the months that pings will fall into are made ahead, what other processes left uncounted
//! is counted, and what the reporting views read is brought up to date.

use std::{sync::Arc, time::Duration};

use crate::{domain::Clock, store::Store, telemetry::metrics::Metrics};

/// Between two rounds; months are made three ahead, so a day of failures harms nothing.
const MONTHS: Duration = Duration::from_hours(1);
/// Between two looks for what nobody counts, and at the volume.
const LEFT: Duration = Duration::from_mins(1);
/// So old nothing is of a process that will still count it. Taken from a living one by mistake it is counted once too.
const OLD: Duration = Duration::from_mins(5);
/// Between two rounds of the rollups, of which most find nothing to do: what lasts is counted once an hour.
const ROLLUPS: Duration = Duration::from_mins(10);

/// Runs for ever.
pub async fn run(store: Store, clock: impl Clock, metrics: Arc<Metrics>) {
    tokio::join!(
        prepare_months(&store, &clock, &metrics),
        count_left(&store, &clock),
        roll_up(&store, &clock, &metrics),
        watch_volume(&store, &metrics),
    );
}

async fn prepare_months(store: &Store, clock: &impl Clock, metrics: &Metrics) {
    loop {
        if let Err(error) = store.prepare_months(clock.now()).await {
            tracing::warn!(%error, "cannot prepare the coming months");
        }
        // What is there, whoever made it.
        if let Ok(Some(ahead)) = store.months_ahead(clock.now()).await {
            let gauge = metrics.store_months_ahead.with_label_values(&[store.kind()]);
            gauge.set(i64::try_from(ahead).unwrap_or(i64::MAX));
        }
        pause(MONTHS).await;
    }
}

/// At the start all: most of it is what this process left when it ended last time.
async fn count_left(store: &Store, clock: &impl Clock) {
    let mut all = true;
    loop {
        match store.count_left((!all).then(|| clock.now() - OLD)).await {
            Ok(()) => all = false,
            Err(error) => tracing::warn!(%error, "cannot count what was left uncounted"),
        }
        pause(LEFT).await;
    }
}

async fn roll_up(store: &Store, clock: &impl Clock, metrics: &Metrics) {
    loop {
        match store.roll_up(clock.now()).await {
            Ok(true) => {
                let gauge = metrics.reporting_last_success_timestamp_seconds.with_label_values(&[store.kind()]);
                gauge.set(clock.now().timestamp());
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot bring the rollups up to date"),
        }
        pause(ROLLUPS).await;
    }
}

async fn watch_volume(store: &Store, metrics: &Metrics) {
    let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    // Where there is none, none will come.
    while let Ok(Some(volume)) = store.volume() {
        metrics.store_volume_size_bytes.with_label_values(&[store.kind()]).set(bytes(volume.size));
        metrics.store_volume_free_bytes.with_label_values(&[store.kind()]).set(bytes(volume.free));
        pause(LEFT).await;
    }
}

async fn pause(about: Duration) {
    tokio::time::sleep(about.mul_f32(0.9 + 0.2 * fastrand::f32())).await;
}
