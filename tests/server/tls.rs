//! TLS to PostgreSQL: each `store.ssl_mode` with a certificate of a test authority.

use std::path::{Path, PathBuf};

use tokio::runtime::Builder;

use crate::{
    stores::database_in,
    support::{
        authority::Authority,
        eventually,
        http::{PINGBACK, post},
        postgres::Cluster,
        server::Setup,
    },
};

fn by(cluster: &Cluster, database: &str, host: &str, mode: &str, authority: Option<&Path>) -> Setup {
    let url = format!("postgres://postgres@{host}:{}/{database}", cluster.port());
    let setup = Setup::postgres(&url).set(&format!("store.ssl_mode={mode}"));
    match authority {
        Some(path) => setup.set(&format!("store.ssl_root_cert={}", path.display())),
        None => setup,
    }
}

#[test]
fn every_ssl_mode_accepts_and_rejects_the_right_servers() {
    let (ours, theirs) = (Authority::new("DNS:localhost"), Authority::new("DNS:localhost"));
    let cluster = Cluster::start();
    let database = database_in(&cluster).url.rsplit('/').next().unwrap().to_owned();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (right, wrong) = (ours.path("ca.crt"), theirs.path("ca.crt"));
    let refused = |host: &str, mode: &str, authority: Option<&Path>, told: &str| {
        let server = by(&cluster, &database, host, mode, authority).launch();
        eventually(&format!("{mode} at {host}: the log contains `{told}`"), || {
            let events = server.log.events();
            events.iter().any(|event| event["problem"].as_str().is_some_and(|text| text.contains(told))).then_some(())
        });
        assert_eq!(server.ask(&post(PINGBACK, b"{}")).status, 503, "{mode} at {host}");
    };
    refused("localhost", "require", None, "server does not support TLS");
    runtime.block_on(cluster.enable_tls(&ours.path("server.crt"), &ours.path("server.key")));

    for (host, mode, authority, encrypted) in [
        ("localhost", "verify-full", Some(&right), true),
        ("127.0.0.1", "verify-ca", Some(&right), true),
        ("127.0.0.1", "require", None, true),
        ("127.0.0.1", "prefer", None, true),
        ("127.0.0.1", "disable", None, false),
    ] {
        let server = by(&cluster, &database, host, mode, authority.map(PathBuf::as_path)).start();
        assert_eq!(server.ask(&post(PINGBACK, b"{}")).status, 200, "{mode}");
        let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
            WHERE application_name = 'nutritionfacts'";
        let seen: Option<bool> = runtime.block_on(async {
            sqlx::query_scalar(sql).fetch_one(&mut cluster.connect("postgres").await).await.unwrap()
        });
        assert_eq!(seen, Some(encrypted), "{mode}");
        assert_eq!(server.stop().code(), Some(0));
    }
    refused("127.0.0.1", "verify-full", Some(&right), "not valid for name");
    refused("localhost", "verify-full", Some(&wrong), "invalid peer certificate");
    refused("localhost", "verify-ca", Some(&wrong), "invalid peer certificate");
    refused("localhost", "verify-full", None, "UnknownIssuer");
}

#[test]
fn a_missing_authority_file_is_reported_at_start() {
    let cluster = Cluster::start();
    let (code, text) =
        by(&cluster, "postgres", "localhost", "verify-full", Some(Path::new("/nowhere/ca.crt"))).refusal();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("store.ssl_root_cert") && text.contains("/nowhere/ca.crt"), "{text}");
}
