//! The program accepts the configuration and messages of every case, with the values that were set.

use nutritionfacts::config::load;
use serde_json::Value;

use super::{
    manifest::{Object, items},
    program::{lines, live, loaded, messages, try_loaded, variables},
    release::{LONG, RELEASES, Release, walk},
};

/// The content of a case's own files.
fn values(release: &Release) -> Vec<Value> {
    let files = release.case.arguments.iter().filter(|argument| argument.starts_with('/'));
    files.map(|file| serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()).collect()
}

/// All keys in a section that are not sections themselves.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), found));
        }
        _ => found.push((path.to_owned(), value.clone())),
    }
}

#[test]
fn the_program_accepts_the_configuration() {
    for releases in [&RELEASES, &LONG] {
        walk(releases, |release, findings| {
            let Some((deployment, _)) = release.deployment() else { return };
            match try_loaded(release) {
                Ok(loaded) => {
                    let misplaced = loaded.misplaced();
                    findings.check(deployment, misplaced.is_empty(), lines(&misplaced));
                }
                Err(complaints) => findings.check(deployment, false, lines(&complaints)),
            }
        });
    }
}

/// The mounted copy of the live ConfigMap counts as that ConfigMap, so it is used while the API server is down.
#[test]
fn a_watched_live_config_map_is_a_separate_layer() {
    walk(&RELEASES, |release, findings| {
        let Some((deployment, _)) = release.deployment() else { return };
        let wanted: Vec<_> = values(release).into_iter().map(|values| values["liveConfig"]["config"].clone()).collect();
        let loaded = loaded(release);
        let Some((name, _)) = live(release) else { return };
        let watched = loaded.kubernetes.config_maps == [name];
        let off = release.case.name == "no-api";
        findings.check(deployment, watched != off, format!("watches {:?}", loaded.kubernetes.config_maps));
        let mut live = vec![];
        wanted.iter().filter(|config| !config.is_null()).for_each(|config| leaves(config, "", &mut live));
        for (path, _) in live {
            let key = path.trim_start_matches('/').replace('/', ".");
            let origin = loaded.origins.get(&key).cloned().unwrap_or_default();
            findings.check(deployment, origin == format!("configmap/{name}"), format!("{key} comes from {origin}"));
        }
    });
}

#[test]
fn files_contain_the_values() {
    walk(&RELEASES, |release, findings| {
        for (kind, section) in [("config", "config"), ("live", "liveConfig")] {
            let mut wanted = vec![];
            for values in values(release) {
                let config = if section == "config" { &values["config"] } else { &values["liveConfig"]["config"] };
                if !config.is_null() {
                    leaves(config, "", &mut wanted);
                }
            }
            let suffix = format!("-{kind}");
            let Some(manifest) = release.of_kind("ConfigMap").find(|manifest| manifest.name().ends_with(&suffix))
            else {
                continue;
            };
            let text = manifest.source["data"]["config.yaml"].as_str().unwrap_or_default();
            let found = nutritionfacts::config::yaml::tree(text).unwrap();
            for (path, value) in wanted.into_iter().filter(|(path, _)| path != "/messages/files") {
                let is = found.pointer(&path).cloned().unwrap_or_default();
                findings.check(manifest, is == value, format!("{path} is {is} instead of {value}"));
            }
        }
    });
}

/// The live folder comes first, so that a list of files in values does not remove the messages of the release.
#[test]
fn messages_of_the_release_are_always_included() {
    walk(&RELEASES, |release, findings| {
        let Some((deployment, _)) = release.deployment() else { return };
        let loaded = loaded(release);
        let first =
            loaded.messages.files.first().and_then(|path| path.file_name()).map(|name| name.display().to_string());
        let volume = items(&deployment.source["spec"]["template"]["spec"]["volumes"]);
        let live =
            volume.iter().find(|volume| volume["name"] == "live").map(|volume| volume["configMap"]["name"].clone());
        findings.check(
            deployment,
            first.as_deref() == live.as_ref().and_then(Value::as_str),
            format!("{first:?} is no {live:?}"),
        );
    });
    let files = loaded(Release::named("live-config")).messages.files.clone();
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn the_program_accepts_the_messages() {
    walk(&RELEASES, |release, findings| {
        let wanted =
            values(release).iter().filter_map(|values| values["messages"].as_array().map(Vec::len)).next_back();
        let Some((name, config_map)) = live(release) else { return };
        let read = messages(name, config_map);
        let rejected: Vec<_> = read.rejected.iter().flatten().map(ToString::to_string).collect();
        findings.check_all(rejected.is_empty(), format!("{name}: {}", rejected.join("; ")));
        let (found, wanted) = (read.messages().count(), wanted.unwrap_or_default());
        findings.check_all(found == wanted, format!("{name}: {found} messages instead of {wanted}"));
    });
    let (name, config_map) = live(Release::named("messages")).unwrap();
    assert_eq!(messages(name, config_map).messages().count(), 2);
}

/// The Job has no files, and must use the same database.
#[test]
fn the_migration_job_uses_the_database_of_the_server() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            let Object::Job(_) = &workload.manifest.object else { continue };
            let container = workload.container("migrate").expect("the Job migrates");
            match load(&variables(container)) {
                Ok(job) => {
                    let server = loaded(release);
                    findings.check(workload.manifest, job.store == server.store, "has another store than the server");
                    findings.check(
                        workload.manifest,
                        job.privacy == server.privacy,
                        "has another privacy than the server",
                    );
                    let same = job.telemetry.log == server.telemetry.log;
                    findings.check(workload.manifest, same, "logs in another way than the server");
                }
                Err(complaints) => findings.check(workload.manifest, false, lines(&complaints)),
            }
        }
    });
}
