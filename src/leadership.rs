//! Elects the leader among all processes that share a database; it writes the status of messages into the cluster.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::{store::Store, telemetry::metrics::Metrics};

/// Approximate interval between attempts; after the leader ends, there is none for up to this time.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs forever, and publishes whether this process is the leader. While the store is down, no process is.
pub async fn run(store: Store, metrics: Arc<Metrics>, leads: watch::Sender<bool>) {
    let tell = |now: bool| {
        metrics.leader.set(i64::from(now));
        leads.send_if_modified(|leads| {
            let is_new = *leads != now;
            *leads = now;
            if is_new {
                if now {
                    tracing::info!("this server gained leadership");
                } else {
                    tracing::info!("this server lost leadership");
                }
            }
            is_new
        });
    };
    let mut said = false;
    loop {
        match store.candidate().await {
            Ok(mut candidate) => {
                while let Ok(now) = store.leads(&mut candidate).await {
                    (said, ()) = (false, tell(now));
                    pause().await;
                }
            }
            // The health probe reports that the store is down; this may be about the number of connections.
            Err(error) if !said => {
                tracing::warn!(%error, "cannot compete for leadership yet");
                said = true;
            }
            Err(_) => {}
        }
        tell(false);
        pause().await;
    }
}

async fn pause() {
    sleep(PAUSE.mul_f32(0.75 + 0.5 * fastrand::f32())).await;
}
