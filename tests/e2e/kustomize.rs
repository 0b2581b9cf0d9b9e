//! The whole stack by kustomize, as in the README.

use super::{
    kubectl::{CRD, kubectl},
    release::{Turn, image},
    support::eventually,
};

const OVERLAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kustomize/overlays/dev");
const DEFINITION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kustomize/crd");
/// The overlay has its own namespace.
const NAMESPACE: &str = "nutritionfacts-dev";

struct Applied(String);

impl Drop for Applied {
    fn drop(&mut self) {
        let _ = kubectl(&["delete", "--ignore-not-found", "--wait=true", "--timeout=2m", "-f", "-"], &self.0);
    }
}

#[test]
fn the_dev_overlay_accepts_a_ping() {
    let _turn = Turn::take();
    let rendered = kubectl(&["kustomize", OVERLAY], "").unwrap();
    let shipped = rendered
        .lines()
        .find_map(|line| line.trim().strip_prefix("image: ").filter(|name| name.contains("/nutritionfacts:")));
    let shipped = shipped.expect("the overlay names the server's image").to_owned();
    let applied = Applied(rendered.replace(&shipped, &image()));
    // Another test may have created it, by Helm or by `nutritionfacts crd`.
    kubectl(&["apply", "--server-side", "--force-conflicts", "-k", DEFINITION], "").unwrap();
    kubectl(&["wait", "--for=condition=Established", "--timeout=60s", CRD], "").unwrap();
    eventually("all is applied", || kubectl(&["apply", "-f", "-"], &applied.0).ok());
    let within = |arguments: &[&str]| kubectl(&[&["--namespace", NAMESPACE], arguments].concat(), "");
    within(&["rollout", "status", "deployment/nutritionfacts", "--timeout=4m"]).unwrap();
    let ping =
        ["exec", "deployment/nutritionfacts", "--", "/nutritionfacts", "ping", "--admin-url", "http://127.0.0.1:8081"];
    let said = within(&ping).unwrap();
    assert!(said.starts_with("the ping was stored"), "{said}");
    let query = "SELECT count(*) FROM pingbacks WHERE mode = 'ping'";
    let psql =
        ["exec", "nutritionfacts-db-0", "--", "psql", "--username=nutritionfacts", "--no-align", "--tuples-only"];
    let count = within(&[&psql[..], &["--command", query, "nutritionfacts"]].concat()).unwrap();
    assert_eq!(count.trim(), "1");
    drop(applied);
    assert!(kubectl(&["get", CRD], "").is_ok(), "nothing of an overlay takes messages with it");
}
