//! A steady stream of pings from clients that record each result. As Kolibri does, each opens a connection per request.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::support::{
    eventually,
    http::{Connection, PINGBACK, post},
};

const CLIENTS: usize = 10;
/// Pause of each client between two pings: together some hundred per second.
const PAUSE: Duration = Duration::from_millis(33);

/// Pings in progress.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicUsize,
    failed: AtomicUsize,
    /// Replies with `Connection: close`.
    closing: AtomicUsize,
}

impl Load {
    pub fn start(address: SocketAddr) -> Self {
        let shared = Arc::<Shared>::default();
        let client = |number| {
            let shared = shared.clone();
            thread::spawn(move || ping_on_and_on(address, number, &shared))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), shared }
    }

    /// Failures during an action, which lasts for at least some pings.
    pub fn failures_during(&self, what: &str, work: impl FnOnce()) -> usize {
        let (sent, failed, begun) = (self.sent(), self.failed(), Instant::now());
        work();
        let more = self.sent() - sent;
        println!("{what}: {more} pings in {:?}, {} failed", begun.elapsed(), self.failed() - failed);
        assert!(more > 0, "nothing was sent during {what}");
        self.failed() - failed
    }

    /// Stops it; returns the ids of the acknowledged pings.
    pub fn stop(self) -> BTreeMap<String, usize> {
        self.shared.stop.store(true, SeqCst);
        let kept = self.clients.into_iter().flat_map(|client| client.join().unwrap());
        let kept = kept.map(|id| (id, 0)).collect();
        assert_eq!(self.shared.closing.load(SeqCst), 0, "no reply says `Connection: close`");
        kept
    }

    /// Waits for this number of pings; returns whether all succeeded.
    pub fn is_calm_for(&self, pings: usize) -> Option<()> {
        let (sent, failed) = (self.sent(), self.failed());
        eventually("pings are sent", || (self.sent() >= sent + pings || self.failed() > failed).then_some(()));
        (self.failed() == failed).then_some(())
    }

    pub fn sent(&self) -> usize {
        self.shared.sent.load(SeqCst)
    }

    fn failed(&self) -> usize {
        self.shared.failed.load(SeqCst)
    }
}

fn ping_on_and_on(address: SocketAddr, client: usize, shared: &Shared) -> Vec<String> {
    let mut kept = Vec::new();
    for number in 0_u32.. {
        if shared.stop.load(SeqCst) {
            break;
        }
        let id = format!("{client:08x}{number:024x}");
        let body = format!(r#"{{"instance_id": "{id}", "version": "0.17.5", "mode": ""}}"#);
        let reply = Connection::try_open(address).and_then(|mut connection| {
            connection.send(&post(PINGBACK, body.as_bytes()))?;
            connection.read(true)
        });
        shared.sent.fetch_add(1, SeqCst);
        match reply {
            Ok(reply) => {
                shared.closing.fetch_add(usize::from(reply.says_close()), SeqCst);
                if reply.status == 200 {
                    kept.push(id);
                } else {
                    shared.failed.fetch_add(1, SeqCst);
                }
            }
            Err(_) => drop(shared.failed.fetch_add(1, SeqCst)),
        }
        thread::sleep(PAUSE);
    }
    kept
}
