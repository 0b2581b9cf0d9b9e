//! How a PostgreSQL server is reached, and what a fresh connection must fulfil.

use std::{io, path::PathBuf, str::FromStr, thread};

use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{runtime::Handle, sync::oneshot};

use super::error::{MigrationError, OpenError, StoreError, classify};
use crate::config::sections::{self, Pooler, SslMode};

/// The address and manner of connecting.
#[derive(Debug)]
pub(super) struct Server {
    options: PgConnectOptions,
    password_file: Option<PathBuf>,
    /// A pooler gives every transaction another connection: nothing may rest on the session.
    pub pooled: bool,
}

impl Server {
    pub fn new(store: &sections::Store) -> Result<Self, OpenError> {
        let mut options = match &store.url {
            Some(url) => by_url(url.expose(), store.ssl_mode)?,
            None => by_fields(store),
        };
        if let Some(path) = &store.ssl_root_cert {
            // Read at each connection; missing from the beginning, it is a mistake and not a bad day.
            std::fs::metadata(path).map_err(|source| OpenError::File { path: path.clone(), source })?;
            options = options.ssl_root_cert(path);
        }
        if options.get_application_name().is_none() {
            options = options.application_name("nutritionfacts");
        }
        // The statements are always the same ones, and errors and notices quote rows: the metrics tell of both.
        options = options.disable_statement_logging();
        let pooled = store.pooler == Pooler::Transaction;
        options = if pooled {
            options.extra_float_digits(None).statement_cache_capacity(0)
        } else {
            options.options([("synchronous_commit", "on"), ("client_min_messages", "error")])
        };
        let server = Self { options, password_file: store.password_file.clone(), pooled };
        // A file that is missing from the beginning is a mistake, not a bad day.
        server.with_password().map_err(|(path, source)| OpenError::File { path, source })?;
        Ok(server)
    }

    /// A connection whose commits are durable; `statement_timeout` in milliseconds (through a pooler, that of the role).
    pub async fn connect(&self, statement_timeout: &str) -> Result<PgConnection, MigrationError> {
        // The file is read each time: whoever rotates the password changes it first.
        let mut options = self
            .with_password()
            .map_err(|(_, error)| StoreError::unavailable(format!("password file: {}", error.kind())))?;
        if !self.pooled {
            options = options.options([("statement_timeout", statement_timeout)]);
        }
        let mut connection = connect_aside(options).await.map_err(|error| self.explain(&error))?;
        check(&mut connection).await?;
        Ok(connection)
    }

    fn explain(&self, error: &sqlx::Error) -> MigrationError {
        match classify(error) {
            // PgBouncer's answer to start-up parameters.
            StoreError::Unavailable { reason, .. } if reason == "08P01" && !self.pooled => {
                StoreError::unavailable("08P01: if this is a pooler, set `store.pooler` to `transaction`").into()
            }
            error => error.into(),
        }
    }

    fn with_password(&self) -> Result<PgConnectOptions, (PathBuf, io::Error)> {
        let options = self.options.clone();
        let Some(path) = &self.password_file else { return Ok(options) };
        let text = std::fs::read_to_string(path).map_err(|error| (path.clone(), error))?;
        Ok(options.password(text.trim()))
    }
}

fn by_url(url: &str, ssl_mode: SslMode) -> Result<PgConnectOptions, OpenError> {
    let Some((_, query)) = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .map(|rest| rest.split_once('?').unwrap_or((rest, "")))
    else {
        return Err(OpenError::Scheme);
    };
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::PostgresUrl)?;
    let says_ssl = query.split('&').any(|pair| pair.starts_with("sslmode=") || pair.starts_with("ssl-mode="));
    Ok(if says_ssl { options } else { options.ssl_mode(mode(ssl_mode)) })
}

fn by_fields(store: &sections::Store) -> PgConnectOptions {
    let mut options = PgConnectOptions::new_without_pgpass().port(store.port).ssl_mode(mode(store.ssl_mode));
    if let Some(host) = &store.host {
        options = options.host(host);
    }
    if let Some(user) = &store.user {
        options = options.username(user);
    }
    if let Some(database) = &store.database {
        options = options.database(database);
    }
    if let Some(password) = &store.password {
        options = options.password(password.expose());
    }
    options
}

fn mode(mode: SslMode) -> PgSslMode {
    match mode {
        SslMode::Disable => PgSslMode::Disable,
        SslMode::Prefer => PgSslMode::Prefer,
        SslMode::Require => PgSslMode::Require,
        SslMode::VerifyCa => PgSslMode::VerifyCa,
        SslMode::VerifyFull => PgSslMode::VerifyFull,
    }
}

/// Connects on a thread of its own.
///
/// sqlx yields after every few of the thousands of steps by which a password is proved (SCRAM). Among busy tasks each
/// yield waits for all of them: a server whose refused senders come again at once would never get its connection back.
async fn connect_aside(options: PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let (mut sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    thread::Builder::new().name("connect".into()).spawn(move || {
        runtime.block_on(async {
            let connection = tokio::select! {
                connection = PgConnection::connect_with(&options) => connection,
                // Nobody waits any longer.
                () = sender.closed() => return,
            };
            let _ = sender.send(connection);
        });
    })?;
    receiver.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// "Answered means kept" rests on the first two; text of any language needs UTF-8; and a server that only lets us read is none (a failover, say).
async fn check(connection: &mut PgConnection) -> Result<(), MigrationError> {
    const SETTINGS: &str = "SELECT current_setting('synchronous_commit') = 'off', \
        current_setting('fsync') = 'off', current_setting('transaction_read_only') = 'on', \
        current_setting('server_encoding') <> 'UTF8'";
    // Text and one round trip: fit for a pooler.
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
