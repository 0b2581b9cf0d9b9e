//! Many clients at once, and the guarantee that is checked afterwards: acknowledged pings are stored exactly once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use serde_json::json;

use crate::support::{
    eventually,
    http::{Connection, PINGBACK, Reply, post},
    rows::{INSTANCE, Row, Rows},
    server::Setup,
};

const SENDERS: usize = 48;

/// Pings from many clients, each as fast as it gets replies. One in four opens a connection for each ping.
#[derive(Default)]
pub struct Load {
    ended: AtomicBool,
    pub answered: AtomicUsize,
    pub refused: AtomicUsize,
    /// Connections that ended without a reply.
    pub failed: AtomicUsize,
}

impl Load {
    /// Sends until the load ends; returns name and id of all acknowledged pings. An installation sends the same profile in some
    /// of its pings, then another version.
    fn send(&self, address: SocketAddr, name: &str, keeps: bool) -> Vec<(String, String)> {
        let mut answered = vec![];
        let mut connection = Connection::try_open(address);
        for number in 0.. {
            if self.ended.load(SeqCst) {
                break;
            }
            let ping = format!("{name}-{number}");
            let (instance, version) = (format!("{name}-{}", number % 7), format!("0.19.{}", number / 21 % 3));
            let body = json!({"instance_id": instance, "version": version, "ping": ping}).to_string();
            match connection.as_mut().map_err(|_| ()).and_then(|open| ask(open, &body).map_err(|_| ())) {
                Ok(reply) if reply.status == 200 => {
                    assert!(!reply.says_close(), "clients from 0.18 on throw `close` away");
                    answered.push((ping, reply.json()["id"].as_str().unwrap().to_owned()));
                    self.answered.fetch_add(1, SeqCst);
                }
                Ok(reply) => {
                    assert_eq!((reply.status, reply.says_close()), (503, false), "{}", reply.text());
                    self.refused.fetch_add(1, SeqCst);
                }
                Err(()) => {
                    self.failed.fetch_add(1, SeqCst);
                    connection = Connection::try_open(address);
                }
            }
            if !keeps {
                connection = Connection::try_open(address);
            }
        }
        answered
    }

    /// Runs the load during `meanwhile`; returns the acknowledged pings.
    pub fn during(&self, address: SocketAddr, round: &str, meanwhile: impl FnOnce()) -> Vec<(String, String)> {
        thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| scope.spawn(move || self.send(address, &format!("{round}-{sender}"), sender % 4 > 0)))
                .collect();
            // Ends the load also after a panic, so that the scope can end.
            let _end = End(&self.ended);
            meanwhile();
            self.ended.store(true, SeqCst);
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
        })
    }

    pub fn wait_for_answers(&self, more: usize) {
        let wanted = self.answered.load(SeqCst) + more;
        eventually("pings are answered", || (self.answered.load(SeqCst) >= wanted).then_some(()));
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn ask(connection: &mut Connection, body: &str) -> io::Result<Reply> {
    connection.send(&post(PINGBACK, body.as_bytes()))?;
    connection.read(true)
}

/// Every acknowledged ping exists under the id of its reply, none twice, and all stored pings are digested.
pub fn check(setup: &Setup, answered: &[(String, String)]) {
    let mut rows = Rows::open(&setup.url);
    let stored = rows.all("pingbacks");
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &stored {
        ids.entry(row["extra"]["ping"].as_str().unwrap_or_default()).or_default().push(text(row, "id"));
    }
    let twice: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(twice.is_empty(), "stored twice: {twice:?}");
    let lost: Vec<_> =
        answered.iter().filter(|(name, id)| ids.get(name.as_str()).is_none_or(|ids| ids[0] != id)).collect();
    assert!(lost.is_empty(), "{} of {} answered pings lost, first {:?}", lost.len(), answered.len(), lost[0]);
    check_derived(&mut rows);
}

/// The derived data matches a simple calculation from the pings: all of them are digested once.
pub fn check_derived(rows: &mut Rows) {
    let instances = rows.digested();
    let mut pings: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows.all("pingbacks").into_iter().filter(|row| row["instance_id"] != "") {
        pings.entry(text(&row, "instance_id").to_owned()).or_default().push(row);
    }
    for own in pings.values_mut() {
        own.sort_by_key(|row| [text(row, "received_at").to_owned(), text(row, "id").to_owned()]);
    }
    assert_eq!(instances.len(), pings.len());
    for instance in instances {
        let own = &pings[text(&instance, "instance_id")];
        let (first, latest) = (&own[0], &own[own.len() - 1]);
        let mut expected: Row =
            INSTANCE[4..].iter().map(|column| ((*column).into(), latest[*column].clone())).collect();
        expected.insert("instance_id".into(), latest["instance_id"].clone());
        expected.insert("first_seen".into(), first["received_at"].clone());
        expected.insert("last_seen".into(), latest["received_at"].clone());
        expected.insert("pings".into(), own.len().into());
        assert_eq!(instance, expected);
    }
    let pairs = || pings.values().flat_map(|own| own.windows(2));
    let changes: BTreeSet<_> = pairs()
        .filter(|pair| pair[0]["kolibri_version"] != pair[1]["kolibri_version"])
        .map(|pair| [text(&pair[1], "id"), text(&pair[0], "kolibri_version"), text(&pair[1], "kolibri_version")])
        .collect();
    let rows_of_changes = rows.all("version_changes");
    let found: BTreeSet<_> = rows_of_changes
        .iter()
        .map(|row| ["id", "from_version", "to_version"].map(|column| text(row, column)))
        .collect();
    assert_eq!((found, rows_of_changes.len()), (changes.clone(), changes.len()));
    let gaps = rows.number("SELECT CAST(coalesce(sum(gaps), 0) AS bigint) FROM ping_gaps");
    assert_eq!(usize::try_from(gaps).unwrap(), pairs().count(), "a gap between each two pings of an installation");
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row[column].as_str().unwrap()
}
