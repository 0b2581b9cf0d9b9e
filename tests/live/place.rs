//! The observed servers: two with PostgreSQL, and one with the embedded store.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    stand_in,
    support::{
        mmdb::Mmdb,
        postgres::Cluster,
        prometheus::{Job, Prometheus, now},
        server::{Server, Setup},
    },
};

/// The job of the servers with PostgreSQL.
pub const POSTGRES: &str = "postgres";
/// The job of the one with the embedded store.
pub const EMBEDDED: &str = "embedded";

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
pub const YEAR: i64 = 365 * DAY;

pub struct Place {
    pub runtime: Runtime,
    pub cluster: Cluster,
    /// Those with PostgreSQL, by their configuration files.
    pub replicas: [Server; 2],
    pub files: [PathBuf; 2],
    pub messages: PathBuf,
    /// The database of countries of those with PostgreSQL.
    pub countries: PathBuf,
    pub embedded: Server,
    pub prometheus: Prometheus,
    /// Number of targets in Prometheus.
    pub targets: usize,
    /// When Prometheus began to scrape; seconds since 1970.
    pub begun: i64,
    _folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cluster = Cluster::start();
        let url = runtime.block_on(cluster.create_database("live"));
        let messages = folder.path().join("messages");
        fs::create_dir(&messages).unwrap();
        fs::write(messages.join("good.yaml"), message("good")).unwrap();
        let countries = folder.path().join("countries.mmdb");
        fs::write(&countries, mmdb(now())).unwrap();
        let files = ["a.yaml", "b.yaml"].map(|name| folder.path().join(name));
        let nowhere = folder.path().join("kubeconfig");
        fs::write(&nowhere, KUBECONFIG).unwrap();
        let replicas = files.each_ref().map(|file| {
            fs::write(file, "{}").unwrap();
            // Small, so that it fills up; and a database that does not respond counts as down only after a while.
            let settings = ["ingest.queue_capacity=40", "ingest.lanes=8", "ingest.max_batch=1"];
            let limits = ["store.acquire_timeout=15s", "store.statement_timeout=30s"];
            let of_messages = format!("messages.files=[{}]", messages.display());
            let of_countries = format!("geoip.database={}", countries.display());
            let setup = Setup::postgres(&url).config(file).kubeconfig(&nowhere).set("kubernetes.config_maps=[live]");
            settings
                .iter()
                .chain(&limits)
                .fold(setup, |setup, setting| setup.set(setting))
                .set(&of_messages)
                .set(&of_countries)
                .start()
        });
        let embedded = Setup::sqlite().on_a_small_disk().start();
        let jobs = stand_in::CHANGES.map(|change| stand_in::job(change, replicas[0].admin));
        let mut jobs = Vec::from(jobs);
        // A second build is visible only beside the first.
        jobs[0].targets.push(replicas[0].admin);
        let job = |name: &str, servers: &[Server], labels| Job {
            name: name.to_owned(),
            targets: servers.iter().map(|server| server.admin).collect(),
            labels,
        };
        jobs.push(job(POSTGRES, &replicas, json!({"namespace": "kolibri", "pod": "nutritionfacts"})));
        jobs.push(job(EMBEDDED, std::slice::from_ref(&embedded), json!({})));
        let begun = now();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts.yaml");
        let prometheus = Prometheus::start(&jobs, &rules, &history());
        let targets = jobs.iter().map(|job| job.targets.len()).sum();
        Self {
            runtime,
            cluster,
            replicas,
            files,
            messages,
            countries,
            embedded,
            prometheus,
            targets,
            begun,
            _folder: folder,
        }
    }

    /// Runs statements in the database of the servers.
    pub fn execute(&self, sql: &str) {
        self.runtime.block_on(self.cluster.execute("live", sql));
    }

    /// SIGKILL to all servers.
    pub fn stop(self) -> Prometheus {
        self.prometheus
    }
}

/// A database of countries that was built at this time; seconds since 1970.
pub fn mmdb(built: i64) -> Vec<u8> {
    Mmdb::new().built(u64::try_from(built).unwrap()).network("41.0.0.0/8", Mmdb::flat("TZ")).bytes()
}

/// An active message.
pub fn message(id: &str) -> String {
    format!("id: {id}\nstage: Active\ndate: 2026-11-01\ntranslations: {{en: {{title: T, message: M}}}}\n")
}

/// Yesterday and a week ago at this hour, with which some alerts compare: both jobs had ten pings a minute.
fn history() -> String {
    let now = now();
    let of = |series: &str, value: fn(i64) -> i64| -> String {
        let jobs = [(POSTGRES, "namespace=\"kolibri\","), (EMBEDDED, "")];
        // The following minutes are those of the test.
        let moments = [7, 1].map(|days| (-70..20).map(move |minute| (days, minute))).into_iter().flatten();
        let lines = jobs.iter().flat_map(|(job, labels)| {
            moments.clone().map(move |(days, minute)| {
                let (value, moment) = (value(minute), now - days * DAY + minute * MINUTE);
                format!("{series}{{{labels}job=\"{job}\",instance=\"history\",outcome=\"stored\"}} {value} {moment}\n")
            })
        });
        lines.collect()
    };
    let info = of("nutritionfacts_build_info", |_| 1);
    let pings = of("nutritionfacts_pingbacks_total", |minute| 1000 + 10 * minute);
    format!("# TYPE nutritionfacts_build_info gauge\n{info}# TYPE nutritionfacts_pingbacks counter\n{pings}# EOF\n")
}

/// Access to a cluster whose API server is down.
const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody, namespace: kolibri}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"#;
