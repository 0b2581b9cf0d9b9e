//! The server as installed in a cluster: a service account with the Role of this repository, and no other rights.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    kubectl::{Namespace, kubectl},
    support::{eventually, http::Reply, server::Server, server::Setup},
};

/// The ConfigMap that the Role names.
pub const LIVE: &str = "nutritionfacts-live";
pub const ROLE: &str = include_str!("../../kustomize/base/role.yaml");
const ACCOUNT: &str = "nutritionfacts";

/// A namespace in which the server has the rights that it needs.
pub struct Install {
    pub namespace: Namespace,
    folder: TempDir,
    server: SocketAddr,
}

impl Install {
    pub fn new() -> Self {
        let namespace = Namespace::new();
        namespace.kubectl(&["create", "serviceaccount", ACCOUNT], "").unwrap();
        namespace.apply(ROLE).unwrap();
        let install = Self { namespace, folder: tempfile::tempdir().unwrap(), server: api_server() };
        install.bind();
        install.renew_token(&[]);
        install
    }

    /// Grants the Role.
    pub fn bind(&self) {
        let account = format!("--serviceaccount={}:{ACCOUNT}", self.namespace.name);
        self.namespace.kubectl(&["create", "rolebinding", ACCOUNT, "--role", ACCOUNT, &account], "").unwrap();
    }

    /// Revokes the Role.
    pub fn unbind(&self) {
        self.namespace.kubectl(&["delete", "rolebinding", ACCOUNT], "").unwrap();
    }

    /// Writes a new token into the file, as kubelet does.
    pub fn renew_token(&self, options: &[&str]) {
        let token = self.namespace.kubectl(&[&["create", "token", ACCOUNT], options].concat(), "").unwrap();
        let file = self.token_file();
        fs::write(file.with_extension("new"), token.trim()).unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// A kubeconfig of the service account that reads the token from its file, with this address of the API server.
    pub fn kubeconfig_by(&self, address: SocketAddr) -> PathBuf {
        let mut config = view();
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["server"] = format!("https://{address}").into();
        cluster["tls-server-name"] = "kubernetes".into();
        config["users"][0]["user"] = json!({"tokenFile": self.token_file()});
        let path = self.folder.path().join(format!("kubeconfig-{}", address.port()));
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// The address of the API server.
    pub fn address(&self) -> SocketAddr {
        self.server
    }

    /// A setup with the embedded store, and the ConfigMap and messages of this namespace.
    pub fn setup(&self) -> Setup {
        self.with(Setup::sqlite(), self.server)
    }

    /// As [`Install::setup`], with another store or another address of the API server.
    pub fn with(&self, setup: Setup, address: SocketAddr) -> Setup {
        let setup = setup.kubeconfig(self.kubeconfig_by(address));
        let namespace = format!("kubernetes.namespace={}", self.namespace.name);
        setup.set(&namespace).set(&format!("kubernetes.config_maps=[{LIVE}]"))
    }

    /// Writes the ConfigMap.
    pub fn apply_live(&self, data: &[(&str, &str)]) {
        let data: serde_json::Map<_, _> = data.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": LIVE}, "data": data});
        // Not `apply`, which would store a copy in an annotation of at most 256 KiB.
        let verb = if self.namespace.kubectl(&["get", "configmap", LIVE], "").is_ok() { "replace" } else { "create" };
        self.namespace.kubectl(&[verb, "-f", "-"], &object.to_string()).unwrap();
    }

    /// Writes only configuration into the ConfigMap.
    pub fn configure(&self, text: &str) {
        self.apply_live(&[("config.yaml", text)]);
    }

    /// The output of `kubectl describe` for the ConfigMap.
    pub fn describe_live(&self) -> String {
        self.namespace.kubectl(&["describe", "configmap", LIVE], "").unwrap()
    }

    /// Applies a message for everybody.
    pub fn publish(&self, name: &str) {
        self.namespace.apply(&message(name, &json!({})).to_string()).unwrap();
    }

    /// Waits until a condition of a message holds.
    pub fn wait_for(&self, condition: &str, name: &str) {
        let condition = format!("--for=condition={condition}");
        self.namespace.kubectl(&["wait", &condition, &format!("kmsg/{name}"), "--timeout=90s"], "").unwrap();
    }
}

/// A message for everybody, with changes to its `spec`.
pub fn message(name: &str, changes: &Value) -> Value {
    let mut spec = json!({
        "stage": "Active", "date": "2026-11-01", "translations": {"en": {"title": "T", "message": "M"}},
    });
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({
        "apiVersion": "nutritionfacts.learningequality.org/v1alpha1",
        "kind": "KolibriMessage",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// The reply that a device gets.
pub fn ping(server: &Server) -> Reply {
    let body = r#"{"instance_id": "00000000000000000000000000000001", "version": "0.17.5", "mode": ""}"#;
    let head = format!("POST /api/v1/pingback HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let reply = server.ask(format!("{head}{body}").as_bytes());
    assert_eq!(reply.status, 200, "{}", server.log.text());
    reply
}

/// Whether a device gets a reply with content, which the tests control by `api.reply`.
pub fn is_answered(server: &Server) -> bool {
    !ping(server).text().is_empty()
}

/// The ids of the messages that a device gets.
pub fn messages(server: &Server) -> Vec<String> {
    let reply = ping(server).json();
    let ids =
        reply["messages"].as_array().unwrap().iter().map(|message| message["msg_id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// Waits until the log of a server contains a text.
pub fn said(server: &Server, text: &str) {
    eventually(text, || server.log.text().contains(text).then_some(()));
}

/// Waits until a metric has a value.
pub fn metric(server: &Server, series: &str, value: &str) {
    eventually(series, || (server.metric(series)? == value).then_some(()));
}

/// Waits until a watch is up, or down.
pub fn watch(server: &Server, source: &str, is_up: bool) {
    let series = format!("nutritionfacts_config_watch_up{{source=\"{source}\"}}");
    metric(server, &series, if is_up { "1" } else { "0" });
}

/// The sources that a server of [`Install::setup`] follows.
pub const SOURCES: [&str; 2] = ["configmap/nutritionfacts-live", "kolibrimessages"];

/// Waits until all watches are up, or down.
pub fn up(server: &Server, is_up: bool) {
    for source in SOURCES {
        watch(server, source, is_up);
    }
}

fn view() -> Value {
    serde_json::from_str(&kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"], "").unwrap())
        .unwrap()
}

fn api_server() -> SocketAddr {
    let config = view();
    let url = config["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
    let host = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
    let host = if host.rsplit(']').next().unwrap().contains(':') { host } else { format!("{host}:443") };
    std::net::ToSocketAddrs::to_socket_addrs(host.as_str()).unwrap().next().unwrap()
}

/// Where kubelet would mount the ConfigMap.
pub fn mount(folder: &Path) -> PathBuf {
    folder.join(LIVE)
}
