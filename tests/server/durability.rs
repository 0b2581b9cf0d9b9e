//! A 2xx for a ping means that it is on disk: under load, whoever is killed.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use serde_json::json;

use crate::{
    stores::{database_in, on_both_stores},
    support::{
        eventually,
        http::{Connection, PINGBACK, Reply, post},
        postgres::Cluster,
        rows::Rows,
        server::Setup,
    },
};

const SENDERS: usize = 48;

/// Pings from many senders, each as fast as it gets answers.
#[derive(Default)]
struct Load {
    ended: AtomicBool,
    answered: AtomicUsize,
    refused: AtomicUsize,
}

impl Load {
    /// Sends until the load ends; project (a name for the ping) and id of all that were answered 200.
    fn send(&self, address: SocketAddr, name: &str) -> Vec<(String, String)> {
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
                    answered.push((project, reply.json()["id"].as_str().unwrap().to_owned()));
                    self.answered.fetch_add(1, SeqCst);
                }
                Ok(reply) => {
                    assert_eq!((reply.status, reply.says_close()), (503, false), "{}", reply.text());
                    self.refused.fetch_add(1, SeqCst);
                }
                Err(()) => connection = Connection::try_open(address),
            }
        }
        answered
    }

    /// Runs the load while `meanwhile` does its deeds; what was answered.
    fn during(&self, address: SocketAddr, round: &str, meanwhile: impl FnOnce()) -> Vec<(String, String)> {
        thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| scope.spawn(move || self.send(address, &format!("{round}-{sender}"))))
                .collect();
            // Ends the load also when a deed panics, so that the scope can end.
            let _end = End(&self.ended);
            meanwhile();
            self.ended.store(true, SeqCst);
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
        })
    }

    fn wait_for_answers(&self, more: usize) {
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
fn check(setup: &Setup, answered: &[(String, String)]) {
    let mut rows = Rows::open(&setup.url);
    let stored = rows.all("pingbacks");
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut pings: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &stored {
        ids.entry(row["project"].as_str().unwrap()).or_default().push(row["id"].as_str().unwrap());
        *pings.entry(row["instance_id"].as_str().unwrap()).or_default() += 1;
    }
    let twice: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(twice.is_empty(), "stored twice: {twice:?}");
    let lost: Vec<_> =
        answered.iter().filter(|(name, id)| ids.get(name.as_str()).is_none_or(|ids| ids[0] != id)).collect();
    assert!(lost.is_empty(), "{} of {} answered pings lost, first {:?}", lost.len(), answered.len(), lost[0]);
    let instances = rows.all("instances");
    let counted: BTreeMap<&str, usize> = instances
        .iter()
        .map(|row| (row["instance_id"].as_str().unwrap(), usize::try_from(row["pings"].as_u64().unwrap()).unwrap()))
        .collect();
    assert_eq!(counted, pings, "instances.pings");
}

on_both_stores!(the_server_is_killed);

fn the_server_is_killed(setup: &Setup) {
    let mut answered = vec![];
    for round in ["first", "second"] {
        let server = setup.start();
        let load = Load::default();
        answered.extend(load.during(server.public, round, || {
            load.wait_for_answers(2000);
            server.kill();
        }));
    }
    // The start after a kill is the recovery.
    let server = setup.start();
    check(setup, &answered);
    assert_eq!(server.ask(&post(PINGBACK, b"{}")).status, 200);
}

#[test]
fn postgres_is_killed() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let load = Load::default();
    let answered = load.during(server.public, "only", || {
        for _ in 0..2 {
            load.wait_for_answers(1500);
            let refused = load.refused.load(SeqCst);
            cluster.kill();
            eventually("pings are refused", || (load.refused.load(SeqCst) > refused).then_some(()));
            cluster.restart();
            server.wait_until_ready();
        }
        load.wait_for_answers(1000);
    });
    check(&setup, &answered);
    server.assert_well();
}
