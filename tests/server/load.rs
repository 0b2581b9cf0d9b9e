//! Many senders at once, and the promise that is checked afterwards: answered means kept, once.

use std::{
    collections::BTreeMap,
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

/// Pings from many senders, each as fast as it gets answers. One in four makes a connection for each ping.
#[derive(Default)]
pub struct Load {
    ended: AtomicBool,
    pub answered: AtomicUsize,
    pub refused: AtomicUsize,
    /// Connections that ended without an answer.
    pub failed: AtomicUsize,
}

impl Load {
    /// Sends until the load ends; project (a name for the ping) and id of all that were answered 200.
    fn send(&self, address: SocketAddr, name: &str, keeps: bool) -> Vec<(String, String)> {
        let mut answered = vec![];
        let mut connection = Connection::try_open(address);
        for number in 0.. {
            if self.ended.load(SeqCst) {
                break;
            }
            let project = format!("{name}-{number}");
            let instance = format!("{name}-{}", number % 7);
            let body = json!({"instance_id": instance, "version": "0.19.5", "project": project}).to_string();
            match connection.as_mut().map_err(|_| ()).and_then(|open| ask(open, &body).map_err(|_| ())) {
                Ok(reply) if reply.status == 200 => {
                    assert!(!reply.says_close(), "clients from 0.18 on throw `close` away");
                    answered.push((project, reply.json()["id"].as_str().unwrap().to_owned()));
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

    /// Runs the load while `meanwhile` does its deeds; what was answered.
    pub fn during(&self, address: SocketAddr, round: &str, meanwhile: impl FnOnce()) -> Vec<(String, String)> {
        thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| scope.spawn(move || self.send(address, &format!("{round}-{sender}"), sender % 4 > 0)))
                .collect();
            // Ends the load also when a deed panics, so that the scope can end.
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

/// Every answered ping is there under the id of its reply, none twice, and each instance counted what is there.
pub fn check(setup: &Setup, answered: &[(String, String)]) {
    let mut rows = Rows::open(&setup.url);
    let stored = rows.all("pingbacks");
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &stored {
        ids.entry(row["project"].as_str().unwrap()).or_default().push(row["id"].as_str().unwrap());
    }
    let twice: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(twice.is_empty(), "stored twice: {twice:?}");
    let lost: Vec<_> =
        answered.iter().filter(|(name, id)| ids.get(name.as_str()).is_none_or(|ids| ids[0] != id)).collect();
    assert!(lost.is_empty(), "{} of {} answered pings lost, first {:?}", lost.len(), answered.len(), lost[0]);
    check_instances(&mut rows);
}

/// `instances` is what the pings come to, as simply as can be: all of them counted, once.
pub fn check_instances(rows: &mut Rows) {
    let instances = rows.counted();
    let description = || INSTANCE[4..].iter().copied();
    let mut pings: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows.all("pingbacks").into_iter().filter(|row| row["instance_id"] != "") {
        pings.entry(row["instance_id"].as_str().unwrap().to_owned()).or_default().push(row);
    }
    assert_eq!(instances.len(), pings.len());
    for instance in instances {
        let own = &pings[instance["instance_id"].as_str().unwrap()];
        let moments = || own.iter().map(|row| row["received_at"].as_str().unwrap());
        let texts =
            |row: &Row| description().map(|column| row[column].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let latest =
            own.iter().max_by_key(|row| (row["received_at"].as_str().unwrap().to_owned(), texts(row))).unwrap();
        let mut expected: Row = description().map(|column| (column.into(), latest[column].clone())).collect();
        expected.insert("instance_id".into(), latest["instance_id"].clone());
        expected.insert("first_seen".into(), moments().min().unwrap().into());
        expected.insert("last_seen".into(), moments().max().unwrap().into());
        expected.insert("pings".into(), own.len().into());
        assert_eq!(instance, expected);
    }
}
