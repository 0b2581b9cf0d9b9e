//! PgBouncer in transaction mode, where any two transactions may use different connections.

use std::{process::Command, thread};

use sqlx::{Connection, Executor};
use tokio::runtime::Builder;

use crate::{
    load::{Load, check},
    stores::database_in,
    support::{
        eventually,
        http::{PINGBACK, STATISTICS, post},
        pgbouncer::PgBouncer,
        postgres::Cluster,
        rows::Rows,
        server::{Server, Setup},
    },
};

/// The months, and the data derived from their pings.
const FORGET_MONTHS: &str = "DO $$ DECLARE month text; BEGIN
    FOR month IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pings'::regclass LOOP
        EXECUTE 'DROP TABLE ' || month;
    END LOOP; END $$;
    TRUNCATE installations, version_changes, ping_gaps, periods, activity, cohorts";

/// Days, weeks and months are counted on separate connections.
fn wait_for_counts(servers: &[Server]) {
    for grain in ["day", "week", "month"] {
        let counts = |result: &str| -> Vec<String> {
            let series = format!("nutritionfacts_periods_counted_total{{grain=\"{grain}\",result=\"{result}\"}}");
            servers.iter().map(|server| server.metric(&series).unwrap()).collect()
        };
        eventually(&format!("a {grain} is counted"), || {
            counts("counted").iter().any(|count| count != "0").then_some(())
        });
        assert_eq!(counts("failed"), ["0", "0"], "{grain}");
    }
}

#[test]
fn two_servers_under_load_work_through_a_pooler() {
    let cluster = Cluster::start();
    let mut bouncer = PgBouncer::start(&cluster, 3);
    let direct = database_in(&cluster);
    let name = direct.url.rsplit('/').next().unwrap();
    let setup = Setup::postgres(&bouncer.url(name)).set("store.pooler=transaction").set("ingest.lanes=4");
    // Both migrate the empty database at the same time.
    let servers = [setup.launch(), setup.launch()];
    for server in &servers {
        server.wait_until_ready();
    }
    assert_eq!(servers[0].ask(&post(PINGBACK, br#"{"instance_id": "first", "version": "0.19.5"}"#)).status, 200);
    wait_for_counts(&servers);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    // The month of the next ping is created when it is written.
    runtime.block_on(cluster.execute(name, FORGET_MONTHS));
    let loads = [Load::default(), Load::default()];
    let (mut answered, second) = thread::scope(|scope| {
        let second = scope.spawn(|| loads[1].during(servers[1].public, "two", || loads[1].wait_for_answers(3000)));
        let first = loads[0].during(servers[0].public, "one", || {
            loads[0].wait_for_answers(1000);
            // Retries would hide statements that the pooler has split.
            let metrics = servers[0].admin_text("/metrics");
            let errors = |line: &&str| line.starts_with("nutritionfacts_store_errors_total{") && !line.ends_with(" 0");
            assert_eq!(metrics.lines().find(errors), None, "errors on an ordinary day");
            runtime.block_on(cluster.cut_connections(name));
            loads[0].wait_for_answers(1000);
            bouncer.restart();
            servers[0].wait_until_ready();
            loads[0].wait_for_answers(1000);
        });
        (first, second.join().unwrap())
    });
    answered.extend(second);
    check(&direct, &answered);
    for server in &servers {
        assert_eq!(server.ask(&post(STATISTICS, br#"{"pi": "x", "s": {"a": {}}}"#)).status, 200);
        server.assert_well();
    }
    assert_eq!(Rows::open(&direct.url).count("statistics"), 2);
    let mut report = Command::new(env!("CARGO_BIN_EXE_nutritionfacts"));
    report.env_clear().env("DATABASE_URL", bouncer.url(name)).env("NUTRITIONFACTS__STORE__POOLER", "transaction");
    let report = report.args(["report", "--format", "json"]).output().unwrap();
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["installations"], Rows::open(&direct.url).count("instances"));
}

/// A pooler does not pass on startup parameters: the timeout is that of the role.
#[test]
fn statements_have_the_timeout_of_the_role() {
    let cluster = Cluster::start();
    let bouncer = PgBouncer::start(&cluster, 3);
    let direct = database_in(&cluster);
    let name = direct.url.rsplit('/').next().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(cluster.execute("postgres", "ALTER ROLE postgres SET statement_timeout = '300ms'"));
    let server = Setup::postgres(&bouncer.url(name)).set("store.pooler=transaction").start();
    let mut other = runtime.block_on(cluster.connect(name));
    runtime.block_on(other.execute("BEGIN; LOCK TABLE pings")).unwrap();
    let ping = post(PINGBACK, br#"{"instance_id": "a", "version": "0.19.5"}"#);
    assert_eq!(server.ask(&ping).status, 503);
    assert!(server.metric("nutritionfacts_store_errors_total{class=\"timeout\",store=\"postgres\"}").is_some());
    runtime.block_on(other.close()).unwrap();
    server.wait_until_ready();
    assert_eq!(server.ask(&ping).status, 200);
    assert_eq!(Rows::open(&direct.url).pings("a"), 1);
}

#[test]
fn a_pooler_that_is_not_configured_is_detected() {
    let cluster = Cluster::start();
    let bouncer = PgBouncer::start(&cluster, 3);
    let direct = database_in(&cluster);
    let server = Setup::postgres(&bouncer.url(direct.url.rsplit('/').next().unwrap())).launch();
    eventually("the log names the setting", || server.log.text().contains("store.pooler").then_some(()));
    assert_eq!(server.get("/livez").status, 200);
}
