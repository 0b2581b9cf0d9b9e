//! Several servers with one database: all reply to pings, one writes the status.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    install::{Install, message, messages},
    support::{eventually, postgres, server::Server, server::Setup},
};

fn leader(servers: &[Option<Server>]) -> usize {
    let leads = |server: &Option<Server>| {
        server.as_ref().is_some_and(|server| server.metric("nutritionfacts_leader").as_deref() == Some("1"))
    };
    eventually("one leads", || {
        let leaders: Vec<_> = (0..servers.len()).filter(|at| leads(&servers[*at])).collect();
        assert!(leaders.len() < 2, "{leaders:?} lead");
        leaders.first().copied()
    })
}

#[test]
fn all_servers_send_a_message_and_one_leader_writes_its_status() {
    let install = Install::new();
    let postgres = postgres::Cluster::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(postgres.create_database("replicas"));
    let start = || install.with(Setup::postgres(&url), install.address()).start();
    let mut servers: Vec<_> = (0..3).map(|_| Some(start())).collect();
    let first = leader(&servers);
    let mut longest = Duration::ZERO;
    for number in 0..5 {
        let name = format!("m{number}");
        let begun = Instant::now();
        install.publish(&name);
        for server in servers.iter().flatten() {
            eventually("each serves it", || messages(server).contains(&name).then_some(()));
        }
        longest = longest.max(begun.elapsed());
        install.wait_for("Published", &name);
    }
    println!("three servers sent a message within {longest:?} of the beginning of `kubectl apply`");
    let resource_version = |name: &str| install.namespace.stored(&format!("kmsg/{name}"))["metadata"].clone();
    let before = resource_version("m0");

    drop(servers[first].take().unwrap().kill());
    let second = leader(&servers);
    assert_ne!(first, second);
    install.namespace.apply(&message("m1", &json!({"stage": "Withdrawn"})).to_string()).unwrap();
    install.wait_for("Published=false", "m1");
    servers[first] = Some(start());
    install.publish("last");
    install.wait_for("Published", "last");
    assert_eq!(leader(&servers), second, "who comes back does not take it away");
    assert_eq!(resource_version("m0"), before, "the new leader has nothing to say about it");
}
