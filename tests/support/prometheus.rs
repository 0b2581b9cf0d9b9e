//! A real Prometheus, and queries to it.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LIMIT, eventually, postgres::free_port, server::Watchdog};

const MISSING: &str =
    "these tests need Prometheus: install the package `prometheus` of Debian, or https://prometheus.io/download";

/// Scrapes each second; stopped when dropped.
pub struct Prometheus {
    port: u16,
    child: Child,
    folder: TempDir,
    _watchdog: Watchdog,
}

/// Targets that are scraped under one job name.
pub struct Job {
    pub name: String,
    pub targets: Vec<SocketAddr>,
    /// Labels as added by discovery in Kubernetes; plain Prometheus has none.
    pub labels: Value,
}

impl Prometheus {
    /// With a rules file, and with past samples as `OpenMetrics` text.
    pub fn start(jobs: &[Job], rules: &Path, history: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("nf-prometheus-").tempdir().unwrap();
        let scrape = |job: &Job| {
            let targets: Vec<_> = job.targets.iter().map(ToString::to_string).collect();
            json!({"job_name": job.name, "static_configs": [{"targets": targets, "labels": job.labels}]})
        };
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": jobs.iter().map(scrape).collect::<Vec<_>>(),
        });
        // JSON is YAML.
        fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        fs::write(folder.path().join("history"), history).unwrap();
        let mut promtool = Command::new("promtool");
        promtool.args(["tsdb", "create-blocks-from", "openmetrics", "history", "data"]).current_dir(folder.path());
        let output = promtool.output().unwrap_or_else(|error| panic!("{error}: {MISSING}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let port = free_port();
        let mut command = Command::new("prometheus");
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(folder.path());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{error}: {MISSING}"));
        let watchdog = Watchdog::over(child.id());
        let mut prometheus = Self { port, child, folder, _watchdog: watchdog };
        eventually("Prometheus is ready", || {
            let ended = prometheus.child.try_wait().unwrap();
            assert!(ended.is_none(), "Prometheus ended: {}", prometheus.log());
            prometheus.fetch("/-/ready").map(drop)
        });
        prometheus
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The series of an expression at the current time.
    ///
    /// # Panics
    /// If Prometheus cannot evaluate it, with its error.
    pub fn query(&self, expr: &str) -> Vec<Value> {
        list(&self.ask(&format!("query?query={}", encode(expr)))["result"])
    }

    /// The series of an expression from a moment (seconds since 1970) until now.
    ///
    /// # Panics
    /// If Prometheus cannot evaluate it, with its error.
    pub fn range(&self, expr: &str, since: i64, step: &str) -> Vec<Value> {
        list(
            &self.ask(&format!("query_range?query={}&start={since}&end={}&step={step}", encode(expr), now()))["result"],
        )
    }

    /// The values of a label.
    pub fn label_values(&self, series: &str, label: &str) -> Vec<Value> {
        list(&self.ask(&format!("label/{label}/values?match[]={}", encode(series))))
    }

    /// The field `data` of an API response.
    pub fn ask(&self, what: &str) -> Value {
        let path = format!("/api/v1/{what}");
        let answer = self.fetch(&path).unwrap_or_else(|| panic!("no answer to {path}: {}", self.log()));
        let mut answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].take()
    }

    /// The body, unless it cannot respond yet. By HTTP/1.0, so that it comes in one piece.
    fn fetch(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        // Errors of expressions have the statuses 400 and 422.
        (!head.contains(" 503 ")).then(|| body.to_owned())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "Prometheus goes by no other clock")]
pub fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
