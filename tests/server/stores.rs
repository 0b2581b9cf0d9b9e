//! Runs each test of a topic on both stores.

use std::{
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::{
    Connection, Executor, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::support::{
    LIMIT,
    postgres::{self, Cluster},
    server::{Server, Setup},
};

/// Generates tests on both stores from functions of a new [`Setup`].
macro_rules! on_both_stores {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test(&crate::support::server::Setup::sqlite()); })+
        }
        mod postgres {
            $(#[test] fn $test() { super::$test(&crate::stores::postgres()); })+
        }
    };
}
pub(crate) use on_both_stores;

/// An empty database in the shared PostgreSQL of this binary.
pub fn postgres() -> Setup {
    database_in(postgres::shared())
}

/// An empty database.
pub fn database_in(cluster: &Cluster) -> Setup {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("server_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Setup::postgres(&runtime.block_on(cluster.create_database(&name)))
}

/// Runs statements while a server may be running.
pub fn execute(setup: &Setup, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if setup.url.starts_with("postgres") {
            PgConnection::connect(&setup.url).await.unwrap().execute(sql).await.unwrap();
        } else {
            let options = SqliteConnectOptions::from_str(&setup.url).unwrap();
            let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(LIMIT);
            SqliteConnection::connect_with(&options).await.unwrap().execute(sql).await.unwrap();
        }
    });
}

/// One shared server, for tests that only check replies.
pub fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Setup::sqlite().start())
}
