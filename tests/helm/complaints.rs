//! Common complaints of users of other charts, each as a test of that name. Those about running pods are tested here as far
//! as manifests decide them.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    identity::{changed_chart, pod_templates, render_by},
    manifest::Object,
    monitoring::{fixed_sources, groups, without_runbook},
    program::{live, loaded},
    release::{RELEASES, Release, walk},
    support::{
        helm::{CHART, CRDS_CHART},
        render::Case,
    },
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn typo_in_values_ignored() {
    let refusal = Case::named("profile-production").try_render(&json!({"replicaCuont": 3})).unwrap_err();
    assert!(refusal.contains("'replicaCuont' not allowed"), "{refusal}");
}

#[test]
fn hpa_against_replicas() {
    for case in ["autoscaling", "keda", "replicas-elsewhere"] {
        let (deployment, _) = Release::named(case).deployment().unwrap();
        assert!(deployment.source["spec"].get("replicas").is_none(), "{case}");
    }
}

#[test]
fn pdb_blocks_drain() {
    for (case, count) in [("external", 0), ("profile-dev", 0), ("profile-production", 1), ("autoscaling", 1)] {
        assert_eq!(Release::named(case).of_kind("PodDisruptionBudget").count(), count, "{case}");
    }
    for budget in RELEASES.iter().flat_map(|release| release.of_kind("PodDisruptionBudget")) {
        assert_eq!(budget.source["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    }
}

/// Argo CD renders without access to the cluster, repeatedly: a Secret is either given or constant.
#[test]
fn secrets_regenerated_by_argo_cd() {
    let secrets = || -> Vec<Value> {
        let render = Case::named("profile-dev").render(&Value::Null);
        render.documents.into_iter().filter(|object| object["kind"] == "Secret").collect()
    };
    assert_eq!(secrets().len(), 1);
    assert_eq!(secrets(), secrets());
    for release in RELEASES.iter().filter(|release| release.of_kind("StatefulSet").next().is_none()) {
        assert_eq!(release.of_kind("Secret").count(), 0, "{}: only the database of `dev` has one", release.case.name);
    }
}

#[test]
fn hook_job_before_its_config_map() {
    let job = Release::named("migrations-job").of_kind("Job").next().expect("there is a Job");
    assert_eq!(job.hook(), Some("pre-install,pre-upgrade"));
    let pod = &job.source["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    assert!(volumes.iter().all(|volume| volume.get("configMap").is_none()), "{volumes:?}");
    assert!(pod.get("serviceAccountName").is_none(), "the account is not there yet");
}

/// `helm template` cannot query a cluster, and Argo CD and Flux render like it.
#[test]
fn service_monitor_missing_in_helm_template() {
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert_eq!(Release::named("monitoring").of_kind(kind).count(), 1, "{kind}");
    }
    for (case, kind) in
        [("pod-monitor", "PodMonitor"), ("keda", "ScaledObject"), ("http-route", "HTTPRoute"), ("cnpg", "Cluster")]
    {
        assert_eq!(Release::named(case).of_kind(kind).count(), 1, "{kind}");
    }
}

/// Helm does not update `crds/` after the first installation.
#[test]
fn crd_never_upgraded() {
    for chart in [CHART, CRDS_CHART] {
        assert!(!Path::new(chart).join("crds").exists());
    }
    for case in ["profile-production", "crds"] {
        let definition = Release::named(case).of_kind("CustomResourceDefinition").next().expect("it is a template");
        assert_eq!(definition.annotation("helm.sh/resource-policy"), Some("keep"), "{case}");
        assert!(definition.hook().is_none(), "{case}: a hook is replaced, and all messages go with it");
    }
}

#[test]
fn jobs_refused_by_restricted_psa() {
    for (case, kind) in [("migrations-job", "Job"), ("profile-production", "Pod")] {
        let release = Release::named(case);
        let workload =
            release.workloads().into_iter().find(|workload| workload.manifest.kind() == kind).expect("it is there");
        let server = release.server().expect("there is a server");
        assert_eq!(workload.spec.security_context, server.spec.security_context, "{case}");
        for container in &workload.spec.containers {
            assert_eq!(container.security_context, server.spec.containers[0].security_context, "{case}");
        }
    }
}

/// The password is only in a Secret, byte for byte; no template assembles a URL.
#[test]
fn special_characters_in_the_password() {
    let password = "p@ss:w/o?r#d%20&=\"'`$(id) {{ no }} ü\\ ";
    let release = Release::named("dev-password");
    let secret = release.of_kind("Secret").next().expect("there is a Secret");
    assert_eq!(secret.source["stringData"]["password"], password);
    for manifest in release.manifests.iter().filter(|manifest| manifest.kind() != "Secret") {
        assert!(!manifest.source.to_string().contains("p@ss"), "{}", manifest.name());
    }
    walk(&RELEASES, |release, findings| {
        let Some((deployment, _)) = release.deployment() else { return };
        let store = loaded(release).store.clone();
        let composed = store.is_postgres() && store.url.is_some();
        findings.check(
            deployment,
            !composed && store.password.is_none(),
            "the password is part of an address or of the environment",
        );
        let text = deployment.source.to_string();
        findings.check(
            deployment,
            !text.contains("postgres://") && !text.contains("postgresql://"),
            "an address is composed",
        );
    });
}

#[test]
fn pods_restart_on_every_chart_bump() {
    let chart =
        changed_chart(
            |path, text| {
                if path.ends_with("Chart.yaml") { text.replace("\nversion: ", "\nversion: 9") } else { text }
            },
        );
    for case in ["profile-dev", "profile-production", "profile-embedded"].map(Case::named) {
        let (before, after) = (case.render(&Value::Null), render_by(chart.path(), case, &Value::Null));
        assert!(after.text.contains("nutritionfacts-90."), "the version has changed");
        assert_eq!(pod_templates(&before), pod_templates(&after), "{}", case.name);
    }
}

#[test]
fn live_config_restarts_pods() {
    let case = Case::named("profile-production");
    let changed = case.render(&json!({"liveConfig": {"config": {"telemetry": {"log": {"filter": "debug"}}}}}));
    assert_eq!(pod_templates(&case.render(&Value::Null)), pod_templates(&changed));
    let release = Release::of(changed);
    assert_eq!(loaded(&release).telemetry.log.filter, "debug", "and it is active");
    assert!(live(&release).is_some());
}

/// A mount of a single file is never refreshed.
#[test]
fn sub_path_never_updates() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            for mount in workload.containers().flat_map(|container| container.volume_mounts.iter().flatten()) {
                let is_whole = mount.sub_path.is_none() && mount.sub_path_expr.is_none();
                findings.check(workload.manifest, is_whole, format!("{} is mounted by subPath", mount.mount_path));
            }
        }
    });
}

/// No pod is stopped before another one is ready, and a stopping pod serves until load balancers have removed it: by the
/// program's own delay, as there is no shell for a `preStop`.
#[test]
fn status_502_during_rollout() {
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server() else { return };
        let loaded = loaded(release);
        let delay = loaded.shutdown.delay;
        findings.check(server.manifest, !delay.is_zero(), "a pod that ends is not forgotten first");
        let grace = server.spec.termination_grace_period_seconds.unwrap_or(30);
        findings.check(
            server.manifest,
            grace.unsigned_abs() >= (delay + loaded.shutdown.grace).as_secs() + 5,
            "is killed while it ends",
        );
        let hooks = server.spec.containers.iter().any(|container| container.lifecycle.is_some());
        findings.check(server.manifest, !hooks, "has a hook of its own");
        let unavailable = server.manifest.source["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"].clone();
        findings.check(
            server.manifest,
            unavailable == 0 || !loaded.store.is_postgres(),
            format!("maxUnavailable: {unavailable}"),
        );
    });
}

#[test]
fn liveness_kills_a_long_migration() {
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server() else { return };
        let container = server.container("nutritionfacts").expect("the server's pod has the server");
        let allowed = container
            .startup_probe
            .as_ref()
            .map(|probe| probe.failure_threshold.unwrap_or(3) * probe.period_seconds.unwrap_or(10));
        // This case unsets the threshold.
        let is_long = release.case.name == "unset" || allowed.is_some_and(|seconds| seconds >= 3600);
        findings.check(server.manifest, is_long, format!("is killed after {allowed:?} s of migration"));
        let asks_startup = container.startup_probe.as_ref().and_then(|probe| probe.http_get.as_ref()?.path.clone());
        findings.check(server.manifest, asks_startup.as_deref() == Some("/startupz"), "the start is not waited for");
        let lives = container.liveness_probe.as_ref().and_then(|probe| probe.http_get.as_ref()?.path.clone());
        findings.check(server.manifest, lives.is_none_or(|path| path == "/livez"), "liveness asks more than for life");
    });
}

/// Each server migrates under an advisory lock, and nothing else migrates at the same time: neither an init container in each
/// pod, nor a Job beside a start.
#[test]
fn migration_race_of_five_starting_pods() {
    let release = Release::of(Case::named("external").render(&json!({"replicaCount": 5})));
    assert_eq!(release.of_kind("Job").count(), 0);
    let server = release.server().expect("there is a server");
    assert!(server.spec.init_containers.is_none());
    assert_eq!(server.spec.containers[0].args.as_deref(), Some(&["serve".to_owned()][..]));
    let job = Release::named("migrations-job").of_kind("Job").next().expect("there is a Job");
    let Object::Job(job) = &job.object else { panic!("it is a Job") };
    let parallelism = job.spec.as_ref().and_then(|spec| spec.parallelism);
    assert_eq!(parallelism, None, "one at a time");
}

#[test]
fn datasource_not_found() {
    for release in RELEASES.iter() {
        for config_map in release.of_kind("ConfigMap").filter(|object| object.label("grafana_dashboard").is_some()) {
            for (name, text) in config_map.source["data"].as_object().into_iter().flatten() {
                let dashboard = serde_json::from_str(text.as_str().unwrap_or_default()).expect("a dashboard is JSON");
                assert_eq!(fixed_sources(&dashboard), Vec::<String>::new(), "{name}");
            }
        }
    }
}

/// Kustomize has the same values. (Its own tests compare the rest.)
#[test]
fn helm_and_kustomize_drift() {
    let release = Release::named("crds");
    let server = Release::named("external");
    let read = |file: &str| -> Value {
        serde_saphyr::from_str(&std::fs::read_to_string(format!("{ROOT}/kustomize/{file}")).unwrap()).unwrap()
    };
    let definition = release.of_kind("CustomResourceDefinition").next().expect("there is a definition");
    assert_eq!(definition.source["spec"], read("crd/crd.yaml")["spec"]);
    let mut rules = server.of_kind("Role").next().expect("there is a Role").source["rules"].clone();
    rules[0]["resourceNames"] = json!(["nutritionfacts-live"]);
    assert_eq!(rules, read("base/role.yaml")["rules"]);
}

#[test]
fn alert_without_runbook() {
    assert_eq!(without_runbook(&groups(Release::named("profile-production"))), Vec::<String>::new());
    // The alert in this case is the user's own, and has no runbook.
    assert_eq!(without_runbook(&groups(Release::named("monitoring"))), ["NoPings"]);
}
