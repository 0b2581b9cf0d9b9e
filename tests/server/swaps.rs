//! Messages that change under load: each reply holds one state of the catalogue as a whole.
//!
//! The catalogue is replaced as `messages::follow` does it; files would be too slow for a thousand changes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use chrono::Utc;
use nutritionfacts::{
    config::{Layer, load},
    domain::{Clock, Timestamp, message::Message, privacy::Privacy},
    geoip::Places,
    http::{
        self,
        serve::{Listener, bind},
        socket::Deadlines,
        state::AppState,
    },
    ingest::{Ingest, health::Health},
    lifecycle::Lifecycle,
    messages::Catalogue,
    store::Store,
    telemetry::{metrics::Metrics, traces::Traces},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{
    self,
    http::{Connection, PINGBACK, post},
};

const SWAPS: usize = 1_000;
const SENDERS: usize = 50;
const PINGS: usize = 50_000;
/// Number of messages in each state.
const MESSAGES: usize = 5;

struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "as the program's own clock")]
    fn now(&self) -> Timestamp {
        Utc::now()
    }
}

/// All messages of a state contain its number.
fn state(number: usize) -> Arc<Catalogue> {
    let message = |index| {
        let document = json!({
            "id": format!("m{index}"), "stage": "Active", "date": "2026-11-01",
            "translations": {"en": {"title": number.to_string(), "message": "m".repeat(200)}},
        });
        Message::read(&document).unwrap()
    };
    Arc::new(Catalogue::new(&(0..MESSAGES).map(message).collect::<Vec<_>>()))
}

/// A message of a state as it is sent.
fn sent(number: usize, index: usize) -> Value {
    json!({
        "msg_id": format!("m{index}"), "version_range": "*", "link_url": "", "timestamp": "2026-11-01",
        "i18n": {"en": {"title": number.to_string(), "msg": "m".repeat(200), "link_text": null}},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reply_contains_one_complete_state() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("nutritionfacts.db").display());
    let loaded = load(&[Layer::flag("--set", "store.url", url)]).unwrap();
    let (lifecycle, metrics) = (Lifecycle::default(), Metrics::new());
    let store = Store::open(&loaded.store).await.unwrap();
    store.migrate(WallClock.now()).await.unwrap();
    let health = Health::new(&store, &metrics);
    health.set(true, "");
    let (_config, config) = watch::channel(loaded);
    let (_privacy, privacy) = watch::channel(Arc::new(Privacy::None));
    let ingest = Ingest::start(&store, WallClock, config.clone(), privacy, health.clone(), &metrics, &lifecycle);
    let catalogue = watch::Sender::new(state(0));
    let state_of_server = Arc::new(AppState {
        ingest,
        messages: catalogue.subscribe(),
        places: Places::unknown(&metrics),
        config,
        health,
        lifecycle: lifecycle.clone(),
        metrics: metrics.clone(),
        budgets: http::budget::Budgets::default(),
        refusals: http::refusals::Refusals::default(),
        unknown: http::unknown::Unknown::default(),
    });
    let socket = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let deadlines = Deadlines { header: support::LIMIT, idle: support::LIMIT };
    let listener = Listener {
        name: "public",
        socket,
        routes: http::public(state_of_server),
        deadlines,
        max_connections: 1_000,
        traces: Traces::default(),
    };
    tokio::spawn(listener.run(lifecycle, metrics));

    let (catalogue, swaps) = (Arc::new(catalogue), Arc::new(AtomicUsize::new(0)));
    let send = move |sender: usize| {
        let mut connection = Connection::open(address);
        let request = post(PINGBACK, br#"{"instance_id": "a", "version": "0.17.5"}"#);
        let mut seen = BTreeSet::new();
        for number in 0..PINGS / SENDERS {
            // Each client at another moment, so that the swaps are spread over the load.
            if number % (PINGS / SWAPS) == sender % (PINGS / SWAPS) {
                catalogue.send_replace(state(swaps.fetch_add(1, SeqCst) + 1));
            }
            let reply = connection.ask(&request);
            assert_eq!(reply.status, 200, "{}", reply.text());
            let reply = reply.json();
            let messages = reply["messages"].as_array().unwrap();
            let number = messages[0]["i18n"]["en"]["title"].as_str().unwrap().parse::<usize>().unwrap();
            let whole: Vec<Value> = (0..MESSAGES).map(|index| sent(number, index)).collect();
            assert_eq!(messages, &whole, "a mixture");
            seen.insert(number);
        }
        seen
    };
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let send = send.clone();
            thread::spawn(move || send(sender))
        })
        .collect();
    let seen = tokio::task::spawn_blocking(|| {
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<BTreeSet<usize>>()
    });
    let seen = seen.await.unwrap().len();
    assert!(seen > SWAPS / 2, "only {seen} states were seen: the swaps did not happen during the load");
}
