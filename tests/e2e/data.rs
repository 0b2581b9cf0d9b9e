//! Where data is stored: in a PostgreSQL outside the cluster, or on a volume.

use std::{fs, process::Command};

use super::{
    release::{DEPLOYMENT, Release, node_address},
    support::{authority::Authority, eventually, helm::CHART, postgres},
};

const PROFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/nutritionfacts/profiles");
const PING: &str = r#"{"instance_id": "0123456789abcdef0123456789abcdef", "version": "0.17.5", "mode": ""}"#;

/// The production profile, with a difficult password and a certificate.
#[test]
fn an_external_database_works_with_a_difficult_password_and_tls() {
    const FIRST: &str = r#"p:a/s@s w#o%r?d&=+'"\$(x)`"#;
    const SECOND: &str = "another one ${HOME} %2F é";
    let address = node_address();
    let (ours, theirs) = (Authority::new(&format!("IP:{address}")), Authority::new("DNS:elsewhere"));
    let postgres = postgres::Cluster::start_with_password(FIRST);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        postgres.enable_tls(&ours.path("server.crt"), &ours.path("server.key")).await;
        postgres.open_to_all().await;
        postgres.create_database("production").await;
    });
    let release = Release::begin_beside_definition();
    let secret = |name: &str, key: &str, text: &str| {
        let literal = format!("--from-literal={key}={text}");
        let made = release
            .kubectl(&["create", "secret", "generic", name, &literal, "--dry-run=client", "-o", "yaml"])
            .unwrap();
        release.kubectl_with(&["apply", "-f", "-"], &made).unwrap();
    };
    secret("nutritionfacts-database", "password", FIRST);
    secret("nutritionfacts-privacy", "privacy.key", "a key for tests only, 32 or more characters");
    secret("authority", "ca.crt", &fs::read_to_string(ours.path("ca.crt")).unwrap());
    let production = format!("{PROFILES}/production.yaml");
    let set = format!(
        "service.type=NodePort,crds.enabled=false,serviceMonitor.enabled=false,prometheusRule.enabled=false,\
         database.external.host={address},database.external.port={},database.external.database=production,\
         database.external.user=postgres,database.ca.existingSecret=authority,resources.requests.cpu=50m",
        postgres.port()
    );
    release.helm_upgrade(CHART, &["--values", &production, "--set", &set]);
    assert_eq!(release.ping(PING).status, 200);
    assert_eq!(release.pods().len(), 3);

    // Rotated: first in the database, then in the Secret. New pods use it at once, the others when they reconnect.
    runtime.block_on(async {
        let quoted = SECOND.replace('\'', "''");
        postgres.execute("postgres", &format!("ALTER ROLE postgres PASSWORD '{quoted}'")).await;
    });
    secret("nutritionfacts-database", "password", SECOND);
    release.kubectl(&["delete", "pod", &release.pods()[0], "--wait=true"]).unwrap();
    release.wait_for_rollout();
    eventually("all pods take pings", || (0..20).all(|_| release.ping(PING).status == 200).then_some(()));

    // A certificate of another authority is not trusted: the new pod does not get ready, and the others keep serving.
    secret("authority", "ca.crt", &fs::read_to_string(theirs.path("ca.crt")).unwrap());
    release.kubectl(&["rollout", "restart", DEPLOYMENT]).unwrap();
    eventually("the log names the certificate", || {
        let logs = ["logs", "--selector=app.kubernetes.io/component=server", "--tail=-1"];
        let logs = release.kubectl(&logs).unwrap_or_default();
        logs.contains("certificate").then_some(())
    });
    assert!((0..20).all(|_| release.ping(PING).status == 200), "the rollout stops, the service does not");
}

#[test]
fn the_embedded_store_survives_its_pod() {
    let release = Release::begin_beside_definition();
    let embedded = format!("{PROFILES}/embedded.yaml");
    release.helm_upgrade(CHART, &["--values", &embedded, "--set", "service.type=NodePort,crds.enabled=false"]);
    assert_eq!(release.ping(PING).status, 200);
    let pod = release.pods().remove(0);
    release.kubectl(&["delete", "pod", &pod]).unwrap();
    release.wait_for_rollout();
    release.wait_until_it_keeps_pings();
    assert_eq!(release.ping(PING).status, 200);
    let pods = release.pods();
    assert!(!pods.contains(&pod), "another pod: {pods:?}");

    // On a node that is this machine, the volume is a folder.
    let claim = release.get("pvc/nf-nutritionfacts-data");
    let volume = release.get(&format!("pv/{}", claim["spec"]["volumeName"].as_str().unwrap()));
    let folder = volume["spec"]["local"]["path"].as_str().or(volume["spec"]["hostPath"]["path"].as_str());
    let folder = folder.expect("the volume is a folder of the node");
    let database = format!("{folder}/nutritionfacts.db");
    let mut sqlite = Command::new("sqlite3");
    sqlite.args(["-readonly", &database, "SELECT count(*) FROM pingbacks WHERE instance_id <> ''"]);
    let output = sqlite.output().expect("this test needs `sqlite3`: install the Debian package `sqlite3`");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2", "{}", String::from_utf8_lossy(&output.stderr));
}
