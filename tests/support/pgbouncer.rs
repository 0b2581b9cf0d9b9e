//! A PgBouncer in transaction mode in front of a PostgreSQL.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use tempfile::TempDir;

use super::{
    eventually,
    postgres::{Cluster, as_server_user, free_port},
    server::Watchdog,
};

/// Stopped when dropped.
pub struct PgBouncer {
    folder: TempDir,
    port: u16,
    child: Child,
    watchdog: Watchdog,
}

impl PgBouncer {
    /// With this number of connections to the server for each database.
    pub fn start(cluster: &Cluster, connections: u32) -> Self {
        let folder = tempfile::Builder::new().prefix("nf-bouncer-").tempdir().unwrap();
        let port = free_port();
        let settings = format!(
            "[databases]
            * = host=127.0.0.1 port={} user=postgres
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            max_client_conn = 500
            default_pool_size = {connections}
            server_login_retry = 1
            ",
            cluster.port()
        );
        fs::write(folder.path().join("pgbouncer.ini"), settings.replace("            ", "")).unwrap();
        let (child, watchdog) = launch(folder.path(), port);
        Self { folder, port, child, watchdog }
    }

    /// Kills it and starts it again: clients are disconnected.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.watchdog) = launch(self.folder.path(), self.port);
    }

    /// The URL of a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Path, port: u16) -> (Child, Watchdog) {
    let mut command = as_server_user(&find(), folder);
    let child = command.arg("pgbouncer.ini").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let watchdog = Watchdog::over(child.id());
    eventually("PgBouncer listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    (child, watchdog)
}

fn find() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
        .expect("this test needs PgBouncer: install the Debian package `pgbouncer`")
}
