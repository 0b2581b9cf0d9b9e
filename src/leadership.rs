//! Who of all processes that share a database does what one has to do: say in the cluster what has become of messages.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::{store::Store, telemetry::metrics::Metrics};

/// Between two looks, about; so long nobody leads when the leader has gone.
const PAUSE: Duration = Duration::from_secs(2);

/// Stands for ever, and tells whether it leads. While the store is away nobody knows, and so nobody leads.
pub async fn run(store: Store, metrics: Arc<Metrics>, leads: watch::Sender<bool>) {
    let tell = |now: bool| {
        metrics.leader.set(i64::from(now));
        leads.send_if_modified(|leads| {
            let is_new = *leads != now;
            *leads = now;
            if is_new {
                if now {
                    tracing::info!("this server has the leadership");
                } else {
                    tracing::info!("this server has lost the leadership");
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
            // The probe of the store tells when it is away; this may be about the number of connections.
            Err(error) if !said => {
                tracing::warn!(%error, "cannot stand for leadership yet");
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
