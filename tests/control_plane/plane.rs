//! Processes of etcd and the API server that a test may stop.

use std::{
    env, fs,
    fs::OpenOptions,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use serde_json::Value;

use super::{kubectl::kubectl, support::eventually};

/// One test at a time uses it.
static TURN: Mutex<()> = Mutex::new(());

/// The control plane of `CONTROL_PLANE`, a folder with `pids/etcd` and `pids/kube-apiserver` (each file begins with the
/// process id), and `audit.log` of the API server. Restarted when dropped.
pub struct Plane {
    folder: PathBuf,
    stopped: Vec<Stopped>,
    _turn: MutexGuard<'static, ()>,
}

/// What was stopped, and how to start it again.
struct Stopped {
    name: &'static str,
    command: Vec<String>,
}

impl Plane {
    pub fn take() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = env::var_os("CONTROL_PLANE").filter(|folder| !folder.is_empty());
        let hint = "see \"A cluster for the tests\" in docs/testing.md";
        let folder =
            folder.unwrap_or_else(|| panic!("CONTROL_PLANE is not set, and these tests stop and start it: {hint}"));
        Self { folder: folder.into(), stopped: Vec::new(), _turn: turn }
    }

    /// Stops the API server abruptly.
    pub fn stop_api_server(&mut self) {
        self.stop("kube-apiserver");
    }

    /// Stops the API server and its database.
    pub fn stop_all(&mut self) {
        self.stop("kube-apiserver");
        self.stop("etcd");
    }

    /// Starts what was stopped, and waits until it responds.
    pub fn start(&mut self) {
        while let Some(Stopped { name, command }) = self.stopped.pop() {
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.folder.join(format!("logs/{name}.log")))
                .unwrap();
            let (program, arguments) = command.split_first().unwrap();
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            // It outlives the test, and is not in the process group of the terminal.
            let mut child = command.process_group(0).spawn().unwrap();
            fs::write(self.pid_file(name), format!("{} {}\n", child.id(), started(child.id()).unwrap())).unwrap();
            thread::spawn(move || child.wait());
        }
        eventually("the API server is ready", || kubectl(&["get", "--raw", "/readyz"], "").ok());
    }

    /// The data folder of etcd.
    pub fn data(&self) -> PathBuf {
        let stopped = self.stopped.iter().find(|stopped| stopped.name == "etcd").expect("etcd is stopped");
        let at = stopped.command.iter().position(|argument| argument == "--data-dir").unwrap();
        stopped.command[at + 1].clone().into()
    }

    /// Requests to the API server from a service account of this namespace.
    pub fn requests_of(&self, namespace: &str) -> Vec<Value> {
        let user = format!("\"system:serviceaccount:{namespace}:");
        let log = fs::read_to_string(self.folder.join("audit.log")).unwrap();
        log.lines().filter(|line| line.contains(&user)).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn stop(&mut self, name: &'static str) {
        let pids = fs::read_to_string(self.pid_file(name)).unwrap();
        let pid: u32 = pids.split_whitespace().next().unwrap().parse().unwrap();
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let command = command.split_terminator('\0').map(str::to_owned).collect();
        assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
        eventually("it has ended", || started(pid).is_none().then_some(()));
        self.stopped.push(Stopped { name, command });
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.folder.join("pids").join(name)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if !self.stopped.is_empty() {
            self.start();
        }
    }
}

/// Start time of a process in ticks since boot; `None` if it has ended.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything.
    let fields: Vec<_> = stat.rsplit(") ").next()?.split_whitespace().collect();
    (fields[0] != "Z").then(|| fields[19].to_owned())
}
