//! Connecting to a PostgreSQL server, and checks of new connections.

use std::{io, path::PathBuf, thread, time::Duration};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{
    conninfo::ConnInfo,
    error::{MigrationError, OpenError, StoreError, classify},
};
use crate::config::{
    libpq,
    secret::Secret,
    sections::{self, Pooler, SslMode},
};

/// How to connect.
#[derive(Debug)]
pub(super) struct Server {
    /// Hosts, tried in this order.
    targets: Vec<PgConnectOptions>,
    password_file: Option<PathBuf>,
    /// Timeout of all attempts together.
    patience: Duration,
    /// A pooler assigns another connection to each transaction: nothing may depend on the session.
    pub pooled: bool,
}

impl Server {
    pub fn new(store: &sections::Store) -> Result<Self, OpenError> {
        let mut info = match &store.url {
            Some(url) => ConnInfo::of_url(url.expose())?,
            None => by_fields(store),
        };
        info.add_if_missing("sslmode", store.ssl_mode.map(mode).unwrap_or_default());
        if let Some(path) = &store.ssl_root_cert {
            info.add("sslrootcert", path.display().to_string());
        }
        info.complete(&libpq)?;
        info.add_if_missing("application_name", "nutritionfacts");
        let pooled = store.pooler == Pooler::Transaction;
        let with = |options: PgConnectOptions| {
            // The statements are always the same, and errors and notices quote rows; metrics cover both.
            let options = options.disable_statement_logging();
            if pooled {
                options.extra_float_digits(None).statement_cache_capacity(0)
            } else {
                options.options([("synchronous_commit", "on"), ("client_min_messages", "error")])
            }
        };
        let targets = info.targets(&libpq)?.into_iter().map(with).collect();
        let (password_file, patience) = (store.password_file.clone(), store.acquire_timeout);
        let server = Self { targets, password_file, patience, pooled };
        // A file that is missing at start is a mistake, not a temporary failure.
        server.password().map_err(|(path, source)| OpenError::File { path, source })?;
        Ok(server)
    }

    /// Returns a connection whose commits are durable; `statement_timeout` in milliseconds (through a pooler, that of the role applies).
    pub async fn connect(&self, statement_timeout: &str) -> Result<PgConnection, MigrationError> {
        // The file is read each time, because it changes when the password is rotated.
        let password = self
            .password()
            .map_err(|(_, error)| StoreError::unavailable(format!("password file: {}", error.kind())))?;
        let mut last = MigrationError::Store(StoreError::unavailable("no host"));
        for target in &self.targets {
            let mut options = target.clone();
            if let Some(password) = &password {
                options = options.password(password);
            }
            if !self.pooled {
                options = options.options([("statement_timeout", statement_timeout)]);
            }
            // A host that does not respond must leave time for the next.
            let share = self.patience / u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
            let connecting = self.connect_to(options);
            let outcome = if self.targets.len() > 1 { timeout(share, connecting).await } else { Ok(connecting.await) };
            match outcome.unwrap_or_else(|_| Err(StoreError::timeout("no connection", share).into())) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, options: PgConnectOptions) -> Result<PgConnection, MigrationError> {
        let mut connection = connect_aside(options).await.map_err(|error| self.explain(&error))?;
        check(&mut connection).await?;
        Ok(connection)
    }

    fn explain(&self, error: &sqlx::Error) -> MigrationError {
        match classify(error) {
            // PgBouncer's response to startup parameters.
            StoreError::Unavailable { reason, .. } if reason == "08P01" && !self.pooled => {
                StoreError::unavailable("08P01: if this is a pooler, set `store.pooler` to `transaction`").into()
            }
            error => error.into(),
        }
    }

    fn password(&self) -> Result<Option<String>, (PathBuf, io::Error)> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| (path.clone(), error))?;
        Ok(Some(text.trim().to_owned()))
    }
}

fn by_fields(store: &sections::Store) -> ConnInfo {
    let mut info = ConnInfo::default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    info.add("host", text(&store.host));
    info.add("port", store.port.map(|port| port.to_string()).unwrap_or_default());
    info.add("user", text(&store.user));
    info.add("dbname", text(&store.database));
    info.add("password", store.password.as_ref().map(Secret::expose).unwrap_or_default());
    info
}

fn mode(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "disable",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    }
}

/// Connects on a separate thread.
///
/// sqlx yields after every few of the thousands of steps of password authentication (SCRAM). Among busy tasks each
/// yield waits for all of them: a server whose refused clients retry at once would never reconnect.
async fn connect_aside(options: PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let (mut sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    thread::Builder::new().name("connect".into()).spawn(move || {
        runtime.block_on(async {
            let connection = tokio::select! {
                connection = PgConnection::connect_with(&options) => connection,
                // The caller does not wait any more.
                () = sender.closed() => return,
            };
            let _ = sender.send(connection);
        });
    })?;
    receiver.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Durable acknowledgements depend on the first two settings; text of any language needs UTF-8; a read-only server is
/// unusable (during a failover, for example).
async fn check(connection: &mut PgConnection) -> Result<(), MigrationError> {
    const SETTINGS: &str = "SELECT current_setting('synchronous_commit') = 'off', \
        current_setting('fsync') = 'off', current_setting('transaction_read_only') = 'on', \
        current_setting('server_encoding') <> 'UTF8'";
    // A script in one round trip, which works through a pooler.
    let row = sqlx::raw_sql(SETTINGS).fetch_one(connection).await?;
    let is = |column| sqlx::Row::try_get::<bool, usize>(&row, column).map_err(|error| classify(&error));
    if is(0)? {
        return Err(MigrationError::NotDurable { setting: "synchronous_commit" });
    }
    if is(1)? {
        return Err(MigrationError::NotDurable { setting: "fsync" });
    }
    if is(3)? {
        return Err(MigrationError::Encoding);
    }
    if is(2)? {
        return Err(StoreError::unavailable("read-only").into());
    }
    Ok(())
}
