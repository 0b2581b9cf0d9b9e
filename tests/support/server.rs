//! The real program as a separate process.

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    LIMIT, eventually,
    http::{Connection, Reply},
};

/// The key of the pseudonyms, also used by the tests' model.
pub const KEY: &str = "a key for tests only, 32 or more characters";

/// How to start a server; it can be started again with the same store.
#[derive(Clone)]
pub struct Setup {
    pub url: String,
    folder: Arc<TempDir>,
    settings: Vec<String>,
    files: Vec<PathBuf>,
    /// Access to Kubernetes, if there is any.
    kubeconfig: Option<PathBuf>,
    key: Option<&'static str>,
    names_url: bool,
    small_disk: bool,
    /// Offset of the clock in days.
    clock: i32,
    variables: Vec<(&'static str, String)>,
}

impl Setup {
    /// The embedded store in a folder of its own.
    pub fn sqlite() -> Self {
        let folder = tempfile::Builder::new().prefix("nf-server-").tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("data/nutritionfacts.db").display());
        Self {
            url,
            folder: Arc::new(folder),
            settings: vec![],
            files: vec![],
            kubeconfig: None,
            key: Some(KEY),
            names_url: true,
            small_disk: false,
            clock: 0,
            variables: vec![],
        }
    }

    /// With a PostgreSQL database.
    pub fn postgres(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::sqlite() }
    }

    /// One `--set`.
    pub fn set(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// One `--config`.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// With this access to a cluster.
    pub fn kubeconfig(mut self, file: impl Into<PathBuf>) -> Self {
        self.kubeconfig = Some(file.into());
        self.set("kubernetes.enabled=true")
    }

    /// Without the privacy key.
    pub fn without_key(mut self) -> Self {
        self.key = None;
        self
    }

    /// With a store that is described by settings, not by its URL.
    pub fn without_url(mut self) -> Self {
        self.names_url = false;
        self
    }

    /// With the embedded store on a disk of 8 MiB, which only the server sees ([`Server::own`]).
    pub fn on_a_small_disk(mut self) -> Self {
        std::fs::create_dir(self.folder.path().join("data")).unwrap();
        self.small_disk = true;
        self
    }

    /// With a clock that is ahead by this number of days.
    pub fn clock(mut self, days: i32) -> Self {
        self.clock = days;
        self
    }

    /// With this variable in its environment.
    pub fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the program and waits until it can store a ping.
    pub fn start(&self) -> Server {
        let server = self.launch();
        server.wait_until_ready();
        server
    }

    /// Starts the program, which must refuse to start; returns its exit code and output.
    pub fn refusal(&self) -> (Option<i32>, String) {
        let mut child = self.command().spawn().unwrap();
        let _watchdog = Watchdog::over(child.id());
        let log = Log::default();
        let readers = [log.follow(child.stdout.take().unwrap()), log.follow(child.stderr.take().unwrap())];
        let status = eventually("the server refuses to start", || child.try_wait().unwrap());
        for reader in readers {
            reader.join().unwrap();
        }
        (status.code(), log.text())
    }

    fn command(&self) -> Command {
        const PROGRAM: &str = env!("CARGO_BIN_EXE_nutritionfacts");
        let mut command = if self.small_disk {
            // In a separate user namespace anyone may mount; all three commands are the same process.
            let mut command = Command::new("unshare");
            let script = "mount -t tmpfs -o size=8m tmpfs data && exec \"$0\" \"$@\"";
            command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, PROGRAM]);
            command
        } else {
            Command::new(PROGRAM)
        };
        command.args(["serve", "--log-format", "json"]);
        let listeners =
            ["http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "shutdown.delay=0s", "ingest.max_hourly_pings=0"];
        for setting in listeners.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["--set", setting]);
        }
        for file in &self.files {
            command.arg("--config").arg(file);
        }
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["NUTRITIONFACTS", "OTEL_", "PG"].iter().any(|prefix| text.starts_with(prefix))
                || ["DATABASE_URL", "RUST_LOG"].contains(&&*text)
            {
                command.env_remove(name);
            }
        }
        match &self.kubeconfig {
            Some(file) => command.env("KUBECONFIG", file),
            // Tests may run in a pod, or with access to somebody's cluster: they must use neither.
            None => command.env("KUBECONFIG", "/nowhere").env("NUTRITIONFACTS__KUBERNETES__ENABLED", "false"),
        };
        if self.clock != 0 {
            // Timers run normally.
            command.env("LD_PRELOAD", libfaketime()).env("FAKETIME", format!("{:+}d", self.clock));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if self.names_url {
            command.env("NUTRITIONFACTS__STORE__URL", &self.url);
        }
        if let Some(key) = self.key {
            command.env("NUTRITIONFACTS__PRIVACY__KEY", key);
        }
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the program and waits until it listens.
    pub fn launch(&self) -> Server {
        let mut child = self.command().spawn().unwrap();
        let watchdog = Watchdog::over(child.id());
        let log = Log::default();
        log.follow(child.stdout.take().unwrap());
        log.follow(child.stderr.take().unwrap());

        let (public, admin) = eventually("the server listens", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", log.text());
            }
            Some((log.address_of("public")?, log.address_of("admin")?))
        });
        Server { setup: self.clone(), public, admin, log, child, _watchdog: watchdog }
    }
}

/// Makes a program see another time.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    folders
        .map(|folder| folder.join("faketime/libfaketime.so.1"))
        .find(|file| file.is_file())
        .expect("these tests need libfaketime: install the Debian package `libfaketime`")
}

/// A running server; killed when dropped.
pub struct Server {
    pub setup: Setup,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub log: Log,
    child: Child,
    _watchdog: Watchdog,
}

impl Server {
    pub fn connect(&self) -> Connection {
        Connection::open(self.public)
    }

    /// A connection with a small receive buffer.
    pub fn connect_raw(&self) -> TcpStream {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            socket.connect(self.public).await.unwrap()
        });
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream
    }

    /// Sends a request on a new connection.
    pub fn ask(&self, bytes: &[u8]) -> Reply {
        self.connect().ask(bytes)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    /// From the admin listener.
    pub fn admin_text(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Connection::open(self.admin).ask(request.as_bytes()).text()
    }

    /// The value of a series of `/metrics`, written as there.
    pub fn metric(&self, series: &str) -> Option<String> {
        let text = self.admin_text("/metrics");
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
    }

    pub fn wait_until_ready(&self) {
        let begun = Instant::now();
        eventually("the server is ready", || {
            // Its reply is the only hint why it is not ready.
            assert!(begun.elapsed() < LIMIT / 2, "the server is not ready: {}", self.log.text());
            (self.get("/readyz").status == 200).then_some(())
        });
    }

    /// A path as the server sees it.
    pub fn own(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(path.strip_prefix("/").unwrap())
    }

    /// Resident memory in bytes: current, and the maximum so far.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells the memory");
            line.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap()
        };
        (kib("VmRSS:") * 1024, kib("VmHWM:") * 1024)
    }

    /// Open file descriptors.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// SIGKILL; the setup starts it again.
    pub fn kill(mut self) -> Setup {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.setup.clone()
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits for the end.
    pub fn wait(mut self) -> ExitStatus {
        eventually("the server ends", || self.child.try_wait().unwrap())
    }

    /// Asserts that nothing has panicked so far, and that the server still responds.
    pub fn assert_well(&self) {
        let text = self.log.text();
        assert!(!text.contains("panicked"), "a panic: {text}");
        assert_eq!(self.get("/readyz").status, 200);
    }

    pub fn data_folder(&self) -> PathBuf {
        self.setup.folder().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills the process if this one ends without doing so (statics are never dropped).
pub(super) struct Watchdog(Child);

impl Watchdog {
    pub(super) fn over(process: u32) -> Self {
        let script = format!("cat >/dev/null; kill -KILL {process} 2>/dev/null");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The process has ended and its id may be reused soon: stop the watchdog.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The log lines of the server.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>, Arc<AtomicBool>);

impl Log {
    fn follow(&self, source: impl Read + Send + 'static) -> JoinHandle<()> {
        let (lines, is_deaf) = (Arc::clone(&self.0), Arc::clone(&self.1));
        thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
                while is_deaf.load(Ordering::Relaxed) {
                    thread::park();
                }
            }
        })
    }

    /// From now on the server's output is not read.
    pub fn be_deaf(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    pub fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }

    /// The fields (including `message`) of each line that is JSON.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.0.lock().unwrap();
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.map(|mut event| if event["fields"].is_object() { event["fields"].take() } else { event }).collect()
    }

    fn address_of(&self, listener: &str) -> Option<SocketAddr> {
        let events = self.events();
        let event = events.iter().find(|event| event["message"] == "listening" && event["listener"] == listener)?;
        event["address"].as_str()?.parse().ok()
    }
}
