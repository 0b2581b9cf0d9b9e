//! Periodic tasks: creates the partitions of coming months, counts days, weeks and months that have changed, and reports the
//! state of the store.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{Clock, period::Grain},
    store::{CountError, Store},
    telemetry::metrics::Metrics,
};

/// Interval of creating partitions; three months are created ahead, so a day of failures is harmless.
const MONTHS: Duration = Duration::from_hours(1);
/// Interval of checks for periods that are due; the store decides which are.
const PERIODS: Duration = Duration::from_secs(15);
/// Interval of checks of the outbox, the clocks and the volume.
const LOOKS: Duration = Duration::from_secs(30);
/// A difference between this clock and the database's is logged from this number of seconds on.
const CLOCKS_DIFFER: i64 = 120;

/// Runs forever.
pub async fn run(store: Store, clock: impl Clock, metrics: Arc<Metrics>) {
    tokio::join!(
        prepare_months(&store, &clock, &metrics),
        count_periods(&store, &metrics, Grain::Day),
        count_periods(&store, &metrics, Grain::Week),
        count_periods(&store, &metrics, Grain::Month),
        look_at_store(&store, &clock, &metrics),
    );
}

async fn prepare_months(store: &Store, clock: &impl Clock, metrics: &Metrics) {
    loop {
        if let Err(error) = store.prepare_months(clock.now()).await {
            tracing::warn!(%error, "cannot prepare the coming months");
        }
        // Reported whether or not this process created them.
        if let Ok(Some(ahead)) = store.months_ahead(clock.now()).await {
            let gauge = metrics.store_months_ahead.with_label_values(&[store.kind()]);
            gauge.set(i64::try_from(ahead).unwrap_or(i64::MAX));
        }
        pause(MONTHS).await;
    }
}

/// Each grain separately: a long count of a month must not delay the days.
async fn count_periods(store: &Store, metrics: &Metrics, grain: Grain) {
    let count = |result| metrics.periods_counted_total.with_label_values(&[grain.name(), result]).inc();
    loop {
        match store.count_period(grain).await {
            Ok(Some(_)) => {
                count("counted");
                continue;
            }
            Err(CountError { period: Some(period), error }) => {
                count("failed");
                let begins = period.begins;
                tracing::warn!(%error, grain = grain.name(), %begins, "cannot count a period: it is retried later");
            }
            // There is nothing to do, or the store is down, which the health probe reports.
            Ok(None) | Err(CountError { period: None, .. }) => {}
        }
        pause(PERIODS).await;
    }
}

async fn look_at_store(store: &Store, clock: &impl Clock, metrics: &Metrics) {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut differs = false;
    loop {
        let kind = &[store.kind()];
        if let Ok((batches, age)) = store.outbox().await {
            metrics.digest_waiting_batches.with_label_values(kind).set(batches);
            metrics.digest_oldest_age_seconds.with_label_values(kind).set(number(age.as_secs()));
        }
        if let Ok(ahead) = store.clock_ahead(|| clock.now()).await {
            metrics.store_clock_ahead_seconds.with_label_values(kind).set(ahead);
            let now = ahead.abs() > CLOCKS_DIFFER;
            if now && !differs {
                let which = if ahead > 0 { "ahead of" } else { "behind" };
                let seconds = ahead.abs();
                tracing::warn!(seconds, "this process's clock is {which} the database's, and pings get its time");
            } else if differs && !now {
                tracing::info!("this process's clock agrees with the database's again");
            }
            differs = now;
        }
        metrics.store_log_size_bytes.with_label_values(kind).set(number(store.log_size()));
        if let Ok(Some(volume)) = store.volume() {
            metrics.store_volume_size_bytes.with_label_values(kind).set(number(volume.size));
            metrics.store_volume_free_bytes.with_label_values(kind).set(number(volume.free));
        }
        pause(LOOKS).await;
    }
}

async fn pause(about: Duration) {
    tokio::time::sleep(about.mul_f32(0.9 + 0.2 * fastrand::f32())).await;
}
