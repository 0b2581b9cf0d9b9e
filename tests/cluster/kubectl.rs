//! The command `kubectl` on the cluster of `KUBECONFIG`, and temporary namespaces.

use std::{
    env,
    io::Write,
    process::{Command, Stdio},
    sync::{LazyLock, Once},
};

use nutritionfacts::cluster::kolibri_message::KolibriMessage;
use serde_json::Value;

use super::support::eventually;

const HINT: &str = "see \"A cluster for the tests\" in docs/testing.md";

/// The definition of the custom resource, as the program prints it.
pub static DEFINITION: LazyLock<String> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO_BIN_EXE_nutritionfacts")).arg("crd").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
});

/// Its name for `kubectl`.
pub const CRD: &str = "crd/kolibrimessages.nutritionfacts.learningequality.org";

/// Installs the custom resource. The API server may need a moment until it applies its rules.
pub fn define() {
    kubectl(&["apply", "-f", "-"], &DEFINITION).unwrap();
    kubectl(&["wait", "--for=condition=Established", "--timeout=60s", CRD], "").unwrap();
}

/// Runs `kubectl` with text on stdin; returns its output or its error.
///
/// # Panics
/// Without a cluster or without `kubectl`, with what to do about it.
pub fn kubectl(arguments: &[&str], stdin: &str) -> Result<String, String> {
    let has_cluster = env::var_os("KUBECONFIG").is_some_and(|files| !files.is_empty());
    assert!(has_cluster, "KUBECONFIG is not set, and these tests need a Kubernetes cluster to throw away: {HINT}");
    let mut command = Command::new("kubectl");
    // Capabilities of an earlier cluster at the same address must not be cached.
    command.args(["--cache-dir", concat!(env!("CARGO_TARGET_TMPDIR"), "/kubectl"), "--request-timeout=60s"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run kubectl: {error}: {HINT}"));
    // It may exit without reading its input.
    let _ = child.stdin.take().expect("it is piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A namespace in a cluster with the custom resource; deleted when dropped.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    pub fn new() -> Self {
        install_definition();
        let name = format!("nf-test-{:016x}", fastrand::u64(..));
        kubectl(&["create", "namespace", &name], "").unwrap();
        Self { name }
    }

    /// Runs `kubectl` in this namespace.
    pub fn kubectl(&self, arguments: &[&str], stdin: &str) -> Result<String, String> {
        kubectl(&[&["--namespace", &self.name], arguments].concat(), stdin)
    }

    /// Applies an object, YAML or JSON.
    pub fn apply(&self, object: &str) -> Result<String, String> {
        self.kubectl(&["apply", "-f", "-"], object)
    }

    /// The result of a dry run of applying an object.
    pub fn try_apply(&self, object: &Value) -> Result<String, String> {
        self.kubectl(&["apply", "--dry-run=server", "-f", "-"], &object.to_string())
    }

    /// An object as stored.
    pub fn stored(&self, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", object, "-o", "json"], "").unwrap()).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cluster deletes it in the background. If the cluster is gone, the test has reported that already.
        let _ = kubectl(&["delete", "namespace", &self.name, "--wait=false"], "");
    }
}

/// Once per process, until the API server uses this definition: it may have had another one.
fn install_definition() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        use kube::{CustomResourceExt, Resource};
        assert_eq!(CRD, format!("crd/{}", KolibriMessage::crd_name()));
        define();

        let definition: Value = serde_saphyr::from_str(&DEFINITION).unwrap();
        let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let (version, kind) = (KolibriMessage::api_version(&()), KolibriMessage::kind(&()));
        eventually("the API server publishes the schema", || {
            let document = kubectl(&["get", "--raw", &format!("/openapi/v3/apis/{version}")], "").ok()?;
            let document: Value = serde_json::from_str(&document).ok()?;
            let schemas = document["components"]["schemas"].as_object()?;
            let (_, schema) = schemas.iter().find(|(name, _)| name.ends_with(&format!(".{kind}")))?;
            (&schema["properties"]["spec"] == spec).then_some(())
        });
        let object = serde_json::json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": "a", "namespace": "default"}, "spec": {},
        });
        eventually("the API server judges by the schema", || {
            let refusal = kubectl(&["create", "--dry-run=server", "-f", "-"], &object.to_string()).err()?;
            refusal.contains("spec.stage: Required value").then_some(())
        });
    });
}
