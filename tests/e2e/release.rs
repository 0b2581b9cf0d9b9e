//! A release of the chart in a temporary namespace.

use std::{
    env,
    net::SocketAddr,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::{
    kubectl::{CRD, define, kubectl},
    support::{
        eventually,
        helm::Helm,
        http::{Connection, PINGBACK, Reply, post},
    },
};

/// One test at a time: a node of this size has capacity for one.
static TURN: Mutex<()> = Mutex::new(());

pub const DEV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/nutritionfacts/profiles/dev.yaml");
pub const NAME: &str = "nf";
pub const DEPLOYMENT: &str = "deployment/nf-nutritionfacts";
pub const SERVICE: &str = "service/nf-nutritionfacts";

/// Of one test.
pub struct Turn(#[expect(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

impl Turn {
    pub fn take() -> Self {
        Self(TURN.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The server's image, which the nodes have.
pub fn image() -> String {
    let image = env::var_os("E2E_IMAGE").unwrap_or_else(|| "localhost/nutritionfacts:dev".into());
    image.into_string().expect("E2E_IMAGE is text")
}

/// A namespace in which a chart may be installed; deleted when dropped.
pub struct Release {
    pub namespace: String,
    _turn: Turn,
}

impl Release {
    pub fn begin() -> Self {
        let turn = Turn::take();
        let namespace = format!("nf-e2e-{:08x}", fastrand::u32(..));
        kubectl(&["create", "namespace", &namespace], "").unwrap();
        // As strict administrators configure it.
        let level = "pod-security.kubernetes.io/enforce=restricted";
        kubectl(&["label", "namespace", &namespace, level], "").unwrap();
        Self { namespace, _turn: turn }
    }

    /// The same in a cluster that has the custom resource already.
    pub fn begin_beside_definition() -> Self {
        let release = Self::begin();
        if kubectl(&["get", CRD], "").is_err() {
            define();
        }
        release
    }

    /// Installs or upgrades, and waits until everything is ready.
    pub fn helm_upgrade(&self, chart: &str, options: &[&str]) {
        self.helm_upgrade_as(NAME, chart, options);
    }

    /// Likewise, as a release of another name.
    pub fn helm_upgrade_as(&self, name: &str, chart: &str, options: &[&str]) {
        let image = image();
        let (registry, rest) = image.split_once('/').expect("E2E_IMAGE is REGISTRY/NAME:TAG");
        let (repository, tag) = rest.rsplit_once(':').expect("E2E_IMAGE is REGISTRY/NAME:TAG");
        let image = format!("image.registry={registry},image.repository={repository},image.tag={tag}");
        let fixed = ["upgrade", "--install", name, chart, "--set", &image, "--wait", "--timeout=5m"];
        self.helm(&[&fixed, options].concat());
    }

    /// Runs `helm` in the namespace; returns its output.
    pub fn helm(&self, arguments: &[&str]) -> String {
        let helm = Helm::Three.program();
        let output = Command::new(helm).args(["--namespace", &self.namespace]).args(arguments).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "helm {arguments:?}: {}\n{}", said(&output.stderr), self.state());
        said(&output.stdout)
    }

    /// Runs `kubectl` in the namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.kubectl_with(arguments, "")
    }

    pub fn kubectl_with(&self, arguments: &[&str], stdin: &str) -> Result<String, String> {
        kubectl(&[&["--namespace", &self.namespace], arguments].concat(), stdin)
    }

    /// An object as JSON.
    pub fn get(&self, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", object, "-o", "json"]).unwrap()).unwrap()
    }

    /// Names of the server's pods that are not terminating.
    pub fn pods(&self) -> Vec<String> {
        let selector = "--selector=app.kubernetes.io/component=server";
        let pods = self.kubectl(&["get", "pods", selector, "-o", "json"]).unwrap();
        let pods: Value = serde_json::from_str(&pods).unwrap();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let pods = pods["items"].as_array().unwrap().iter().filter(stays);
        pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the pods are what the Deployment says.
    pub fn wait_for_rollout(&self) {
        self.kubectl(&["rollout", "status", DEPLOYMENT, "--timeout=4m"]).unwrap_or_else(|error| {
            panic!("{error}\n{}", self.state());
        });
    }

    /// Address of the Service from outside: a port of a node.
    pub fn address(&self) -> SocketAddr {
        let port = self.get(SERVICE)["spec"]["ports"][0]["nodePort"].as_u64().expect("the Service is a NodePort");
        format!("{}:{port}", node_address()).parse().unwrap()
    }

    /// Sends a ping on a new connection.
    pub fn ping(&self, body: &str) -> Reply {
        Connection::open(self.address()).ask(&post(PINGBACK, body.as_bytes()))
    }

    /// Waits until pings are stored: while no pod is ready, nothing even listens.
    pub fn wait_until_it_keeps_pings(&self) {
        let address = self.address();
        eventually("pings are stored", || {
            let mut connection = Connection::try_open(address).ok()?;
            connection.send(&post(PINGBACK, b"{}")).ok()?;
            (connection.read(true).ok()?.status == 200).then_some(())
        });
    }

    /// Queries the database of the dev profile; returns one line per row.
    pub fn sql(&self, query: &str) -> String {
        let psql =
            ["psql", "--username=nutritionfacts", "--no-align", "--tuples-only", "--command", query, "nutritionfacts"];
        let command = [&["exec", "nf-nutritionfacts-db-0", "--"], &psql[..]].concat();
        eventually(query, || self.kubectl(&command).ok()).trim().to_owned()
    }

    /// Prints what is useful for finding the cause of a failure.
    fn state(&self) -> String {
        let mut state = String::new();
        let logs = ["logs", "--selector=app.kubernetes.io/name=nutritionfacts", "--tail=20", "--prefix"];
        for arguments in [&["get", "pods,events"][..], &logs] {
            state += &self.kubectl(arguments).unwrap_or_else(|error| error);
        }
        state
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        // Volumes of a test cluster are few, and the next test may need this one's memory.
        let _ = kubectl(&["delete", "namespace", &self.namespace, "--wait=true", "--timeout=2m"], "");
    }
}

/// Address of a node that this machine and the pods can reach.
pub fn node_address() -> String {
    let path = "-o=jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}";
    kubectl(&["get", "nodes", path], "").unwrap()
}
