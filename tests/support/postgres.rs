//! Temporary PostgreSQL servers: real ones, in a temporary folder, removed when the test process ends, however it ends.

use std::{
    env, fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

/// `$1`: signal, `$2`: data folder. The postmaster is paused first, so that it starts no more children meanwhile.
/// A killed process may stay a zombie if nobody reaps orphans (in a container): that counts as ended.
const SIGNAL: &str = r#"
signal() {
    postmaster=$(head -n 1 "$2/postmaster.pid" 2>/dev/null) || return 0
    [ "$1" = CONT ] || kill -STOP "$postmaster" 2>/dev/null
    processes=$postmaster
    for stat in /proc/[0-9]*/stat; do
        read -r pid _ _ parent _ 2>/dev/null <"$stat" || continue
        [ "$parent" = "$postmaster" ] && processes="$processes $pid"
    done
    kill "-$1" $processes 2>/dev/null
    [ "$1" = KILL ] || return 0
    for pid in $processes; do
        while read -r _ _ state _ 2>/dev/null <"/proc/$pid/stat" && [ "$state" != Z ]; do sleep 0.01; done
    done
    rm -f "$2/postmaster.pid" "$2"/../.s.PGSQL.*
}
"#;

/// Fast start, but durable commits. In the file, so that tests can change the settings by ALTER SYSTEM.
const SETTINGS: &[u8] = b"
listen_addresses = '127.0.0.1'
fsync = on
max_connections = 200
shared_buffers = 32MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 256MB
";

/// A separate server; stopped and removed when dropped.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Stops the server when our end of its standard input is closed, also after a SIGKILL of the test process.
    watchdog: Child,
    port: u16,
    password: Option<String>,
}

/// The shared server of this test binary; each test creates its own database in it, and none kills or pauses it.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

impl Cluster {
    /// A server that accepts everybody as `postgres`.
    pub fn start() -> Self {
        Self::initialise(None)
    }

    /// A server that requires this password (SCRAM).
    pub fn start_with_password(password: &str) -> Self {
        Self::initialise(Some(password))
    }

    fn initialise(password: Option<&str>) -> Self {
        let programs = find_programs();
        let folder = tempfile::Builder::new().prefix("nf-pg-").tempdir().unwrap();
        let data = folder.path().join("data");
        let mut initdb = as_server_user(&programs.join("initdb"), folder.path());
        initdb.args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.arg("--pgdata").arg(&data);
        if let Some(password) = password {
            let file = folder.path().join("password");
            fs::write(&file, password).unwrap();
            if is_root() {
                give_to_server_user(&file);
            }
            initdb.arg("--auth=scram-sha-256").arg("--pwfile").arg(file);
        } else {
            initdb.arg("--auth=trust");
        }
        run(&mut initdb);

        let mut settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        settings.write_all(SETTINGS).unwrap();

        let watchdog = Command::new("sh")
            .args(["-c", &format!("{SIGNAL}\ncat >/dev/null\nsignal KILL \"$1/data\"\nrm -rf \"$1\""), "watchdog"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();

        let mut cluster = Self { folder, programs, watchdog, port: 0, password: password.map(Into::into) };
        // Another process may take the free port before our server does: then try another one.
        let started = (0..5).any(|_| {
            cluster.port = free_port();
            cluster.launch()
        });
        assert!(started, "postgres does not start: {}", cluster.log());
        cluster
    }

    /// The port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the unix socket (for `store.host`).
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Creates an empty database; returns its URL.
    pub async fn create_database(&self, name: &str) -> String {
        self.execute("postgres", &format!("CREATE DATABASE \"{name}\"")).await;
        self.url(name)
    }

    /// The same, with sorting and matching by ICU if the server supports it (from 15 on): there `\d` matches `٣`.
    pub async fn create_icu_database(&self, name: &str) -> String {
        let mut connection = self.connect("postgres").await;
        let query = "SELECT current_setting('server_version_num')::int >= 150000";
        let has_icu: bool = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
        let rules = if has_icu { "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'" } else { "" };
        self.execute("postgres", &format!("CREATE DATABASE \"{name}\" {rules}")).await;
        self.url(name)
    }

    /// The URL of a database, by TCP.
    pub fn url(&self, database: &str) -> String {
        let password = self.password.as_deref().map(|text| format!(":{}", utf8_percent_encode(text, NON_ALPHANUMERIC)));
        format!("postgres://postgres{}@127.0.0.1:{}/{database}", password.unwrap_or_default(), self.port)
    }

    /// Runs statements as superuser.
    pub async fn execute(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A connection as superuser.
    pub async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect_with(&self.url(database).parse::<PgConnectOptions>().unwrap()).await.unwrap()
    }

    /// Reloads the configuration file, and waits until the settings are active.
    pub async fn set(&self, setting: &str, value: &str) {
        let mut connection = self.connect("postgres").await;
        connection.execute("SET default_transaction_read_only = off").await.unwrap();
        connection.execute(AssertSqlSafe(format!("ALTER SYSTEM SET {setting} = {value}"))).await.unwrap();
        connection.execute("SELECT pg_reload_conf()").await.unwrap();
        connection.close().await.unwrap();
    }

    /// Ends every connection to this database except our own.
    pub async fn cut_connections(&self, database: &str) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = ";
        self.execute("postgres", &format!("{sql}'{database}'")).await;
    }

    /// Accepts everybody with a password, from any address.
    pub async fn open_to_all(&self) {
        let mut rules = fs::OpenOptions::new().append(true).open(self.data().join("pg_hba.conf")).unwrap();
        rules.write_all(b"host all all 0.0.0.0/0 scram-sha-256\n").unwrap();
        self.set("listen_addresses", "'*'").await;
        self.restart();
    }

    /// Offers TLS with this certificate and key (PEM).
    pub async fn enable_tls(&self, certificate: &Path, key: &Path) {
        for (from, to) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = self.data().join(to);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
            if is_root() {
                give_to_server_user(&to);
            }
        }
        self.set("ssl", "on").await;
    }

    /// SIGKILL to all processes of the server.
    pub fn kill(&self) {
        self.signal("KILL");
    }

    /// SIGSTOP to all processes of the server: it accepts connections and bytes, and does not respond.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Ends [`Self::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Starts again after [`Self::kill`], or kills and starts; the same port, the same data.
    pub fn restart(&self) {
        self.kill();
        assert!(self.launch(), "postgres does not start again: {}", self.log());
    }

    fn launch(&self) -> bool {
        let socket = self.folder.path().display();
        let settings = format!("-p {} -k '{socket}'", self.port);
        as_server_user(&self.programs.join("pg_ctl"), self.folder.path())
            .args(["start", "--silent", "--wait", "--timeout=60", "--options", &settings, "--pgdata"])
            .arg(self.data())
            .arg("--log")
            .arg(self.folder.path().join("log"))
            .status()
            .unwrap()
            .success()
    }

    fn signal(&self, name: &str) {
        let script = format!("{SIGNAL}\nsignal \"$1\" \"$2\"");
        run(Command::new("sh").args(["-c", &script, "signal", name]).arg(self.data()));
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

pub fn find_programs() -> PathBuf {
    let has_initdb = |folder: &PathBuf| folder.join("initdb").is_file();
    let named = env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut packaged: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    packaged.sort();
    named
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(packaged.into_iter().rev())
        .find(has_initdb)
        .expect("these tests need PostgreSQL's programs: install the Debian package `postgresql`, or set POSTGRES_BIN to the folder of `initdb`")
}

/// PostgreSQL refuses to run as root (in a container, for example): then it runs as the user of its package.
pub(super) fn as_server_user(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        give_to_server_user(folder);
        command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn give_to_server_user(path: &Path) {
    let id = |flag: &str| -> u32 {
        let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse().expect("as root, the tests need the user `postgres` of the Debian package `postgresql`")
    };
    chown(path, Some(id("-u")), Some(id("-g"))).unwrap();
}

fn is_root() -> bool {
    // A new file belongs to whoever we are: there is no safe getuid in the standard library.
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
