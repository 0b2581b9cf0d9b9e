//! From installation to the first ping, as in the README, and uninstallation.

use std::process::Command;

use super::{
    kubectl::{CRD, kubectl},
    release::{DEPLOYMENT, DEV, NAME, Release},
    support::helm::{CHART, Helm},
};

const README: &str = include_str!("../../helm/nutritionfacts/README.md");

/// A recorded request of Kolibri 0.17.5.
const CAPTURED: &str = r#"{"instance_id": "5f3a2b1c5f3a2b1c5f3a2b1c5f3a2b1c", "version": "0.17.5", "mode": "", "platform": "Linux-6.1.0", "sysversion": "3.9.2 (default)", "language": "en", "timezone": "Africa/Nairobi", "uptime": 5, "installer": "pex"}"#;

#[test]
fn the_dev_profile_can_be_installed_and_uninstalled() {
    let release = Release::begin();
    kubectl(&["delete", CRD, "--ignore-not-found"], "").unwrap();
    release.helm_upgrade(CHART, &["--values", DEV, "--set", "service.type=NodePort"]);

    let reply = release.ping(CAPTURED);
    let id = reply.json()["id"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned();
    let row = release.sql(&format!("SELECT kolibri_version, os, uptime FROM pingbacks WHERE id = '{id}'"));
    assert_eq!(row, "0.17.5|linux|5");
    let log = release.kubectl(&["logs", DEPLOYMENT]).unwrap();
    assert!(log.contains("database of countries loaded"), "the image has one, and the chart uses it: {log}");

    // From a pod, by the names of the Services.
    let tested = release.helm(&["test", NAME, "--logs"]);
    assert!(tested.contains("Phase:          Succeeded"), "{tested}");
    the_commands_of_the_notes_work(&release);

    let message = include_str!("../../docs/messages.md").split("```yaml kolibrimessage\n").nth(1).unwrap();
    release.kubectl_with(&["apply", "-f", "-"], message.split("```").next().unwrap()).unwrap();
    release.kubectl(&["wait", "--for=condition=Published", "kmsg/please-upgrade-2026", "--timeout=60s"]).unwrap();

    release.helm(&["uninstall", NAME, "--wait"]);
    assert!(kubectl(&["get", CRD], "").is_ok(), "an uninstall takes no messages with it");
    assert!(release.kubectl(&["get", "kmsg/please-upgrade-2026"]).is_ok());
    assert!(release.kubectl(&["get", DEPLOYMENT]).is_err());
    it_moves_as_the_readme_says(&release);
    assert!(release.kubectl(&["get", "kmsg/please-upgrade-2026"]).is_ok(), "it was there all the time");
}

/// To a release of another name, which does not own the definition at first.
fn it_moves_as_the_readme_says(release: &Release) {
    let arguments = ["upgrade", "--install", "moved", CHART, "--values", DEV, "--namespace", &release.namespace];
    let output = Command::new(Helm::Three.program()).args(arguments).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid ownership metadata"), "{output:?}");
    let (_, section) = README.split_once("## Uninstall and move").unwrap();
    let block = section.split("```sh\n").nth(2).and_then(|block| block.split("```").next()).unwrap();
    let (_, crd) = block.lines().next().unwrap().split_once("CRD=").unwrap();
    let mut run = 0;
    for line in block.lines() {
        let line = line.replace("$CRD", crd).replace("NAMESPACE", &release.namespace).replace("NAME", "moved");
        if let ["kubectl", arguments @ ..] = &line.split_whitespace().collect::<Vec<_>>()[..] {
            kubectl(arguments, "").unwrap_or_else(|error| panic!("{line}: {error}"));
            run += 1;
        }
    }
    assert_eq!(run, 2, "{block}");
    release.helm_upgrade_as("moved", CHART, &["--values", DEV]);
    release.helm(&["uninstall", "moved", "--wait"]);
}

/// Runs each printed command except those that wait for a person.
fn the_commands_of_the_notes_work(release: &Release) {
    let notes = release.helm(&["get", "notes", NAME]);
    let mut run = Vec::new();
    for line in notes.lines().filter_map(|line| line.strip_prefix("  ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["kubectl", ref arguments @ ..] if arguments.contains(&"port-forward") => {
                let object = arguments.iter().find(|word| word.starts_with("service/")).unwrap();
                assert!(release.kubectl(&["get", object]).is_ok());
            }
            ["kubectl", ref arguments @ ..] if arguments.contains(&"edit") => {
                let map = arguments.last().unwrap();
                assert!(release.kubectl(&["get", "configmap", map]).is_ok());
            }
            ["kubectl", ref arguments @ ..] => {
                kubectl(arguments, "SELECT 1;\n").unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            // It was run.
            ["helm", ..] => {}
            _ => panic!("what is this in the notes: {line}"),
        }
        run.push(line);
    }
    assert!(run.len() >= 6, "{notes}");
}

/// From the last released chart to the one of this tree.
#[test]
fn the_released_chart_can_be_upgraded() {
    let release = Release::begin_beside_definition();
    let options = ["--values", DEV, "--set", "service.type=NodePort,crds.enabled=false"];
    let last = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/released/nutritionfacts-0.1.0.tgz");
    release.helm_upgrade(last, &options);
    let id = release.ping(CAPTURED).json()["id"].as_str().unwrap().to_owned();
    release.helm_upgrade(CHART, &options);
    assert_eq!(release.sql(&format!("SELECT count(*) FROM pingbacks WHERE id = '{id}'")), "1");
    release.wait_until_it_keeps_pings();
}
