//! Replies before the schema exists, and failing migrations.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::runtime::{Builder, Runtime};

use crate::{
    stores,
    support::{
        eventually,
        http::{Connection as Http, PINGBACK, post},
        server::{Server, Setup},
    },
};

/// The key of the advisory lock for schema changes.
const MIGRATIONS_LOCK: i64 = 0x6e75_7472_0000_0001;

const PING: &[u8] = br#"{"version": "0.19.5"}"#;

struct Superuser(Runtime, PgConnection);

impl Superuser {
    fn of(setup: &Setup) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(PgConnection::connect(&setup.url)).unwrap();
        Self(runtime, connection)
    }

    fn execute(&mut self, sql: &str) {
        self.0.block_on(self.1.execute(AssertSqlSafe(sql))).unwrap();
    }

    fn count(&mut self, sql: &str) -> i64 {
        self.0.block_on(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.1)).unwrap()
    }
}

fn admin(server: &Server, path: &str) -> u16 {
    Http::open(server.admin).ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).status
}

#[test]
fn probes_are_answered_while_another_migrates() {
    let setup = stores::postgres();
    let mut superuser = Superuser::of(&setup);
    superuser.execute(&format!("SELECT pg_advisory_lock({MIGRATIONS_LOCK})"));
    let server = setup.launch();
    let waits = format!(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
        WHERE locktype = 'advisory' AND NOT granted AND datname = '{}'",
        setup.url.rsplit('/').next().unwrap()
    );
    eventually("it waits for its turn", || (superuser.count(&waits) == 1).then_some(()));
    assert_eq!((admin(&server, "/livez"), admin(&server, "/startupz"), admin(&server, "/readyz")), (200, 503, 503));
    assert_eq!((server.get("/livez").status, server.get("/readyz").status), (200, 503));
    let reply = server.ask(&post(PINGBACK, PING));
    assert_eq!((reply.status, reply.says_close()), (503, false));
    // A server that is stopped meanwhile exits.
    let impatient = setup.launch();
    eventually("both wait", || (superuser.count(&waits) == 2).then_some(()));
    assert_eq!(impatient.stop().code(), Some(0));

    superuser.execute(&format!("SELECT pg_advisory_unlock({MIGRATIONS_LOCK})"));
    server.wait_until_ready();
    assert_eq!((admin(&server, "/startupz"), server.ask(&post(PINGBACK, PING)).status), (200, 200));
}

#[test]
fn a_failed_migration_ends_the_process_and_says_what_to_do() {
    let setup = stores::postgres();
    let mut superuser = Superuser::of(&setup);
    superuser.execute("CREATE TABLE set_aside (mine int)");
    for _ in 0..2 {
        let (code, text) = setup.refusal();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("migration 3 failed (42P07)") && text.contains("nutritionfacts migrate"), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        assert_eq!(superuser.count(tables), 1, "the schema is as it was");
    }
    superuser.execute("DROP TABLE set_aside");
    assert_eq!(setup.start().ask(&post(PINGBACK, PING)).status, 200);
}

/// A failover in the middle of a migration is not a failed migration.
#[test]
fn an_interrupted_migration_is_retried() {
    let setup = stores::postgres();
    let mut superuser = Superuser::of(&setup);
    superuser.execute(
        "CREATE FUNCTION nap() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3600); END';
        CREATE EVENT TRIGGER nap ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION nap()",
    );
    let server = setup.launch();
    let name = setup.url.rsplit('/').next().unwrap();
    let naps = format!("FROM pg_stat_activity WHERE datname = '{name}' AND wait_event = 'PgSleep'");
    eventually("the migration is in progress", || {
        (superuser.count(&format!("SELECT count(*) {naps}")) == 1).then_some(())
    });
    superuser.execute("ALTER EVENT TRIGGER nap DISABLE");
    superuser.execute(&format!("SELECT pg_terminate_backend(pid) {naps}"));
    server.wait_until_ready();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
}
