//! Each switch does what it says, and the guards hold.

use std::collections::BTreeSet;

use nutritionfacts_tilt::{Run, Stack, Tools, World};
use serde_json::json;

fn names(run: &Run) -> BTreeSet<String> {
    let resources = run.calls("k8s_resource").chain(run.calls("local_resource"));
    resources.map(|call| call["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_combination_of_switches_evaluates() {
    let tools = Tools::all();
    for deploy in ["helm", "kustomize"] {
        for monitoring in [true, false] {
            for subcommand in ["up", "ci", "down"] {
                let world = World { subcommand: subcommand.into(), ..World::new(&tools) };
                let world = world.set("deploy", deploy).set("monitoring", monitoring).set("release", !monitoring);
                let run = world.set("target", "aarch64-unknown-linux-gnu").set("base_image", "ubuntu:26.04").run();
                assert_eq!(run.failure, None, "{deploy} {monitoring} {subcommand}");
                assert_eq!(names(&run).contains("grafana"), monitoring);
                assert_eq!(names(&run).contains("smoke"), subcommand == "ci");
                assert_eq!(names(&run).contains("psql"), subcommand != "ci");
            }
        }
    }
}

#[test]
fn chart_and_overlay_are_the_same_objects() {
    let tools = Tools::all();
    let [chart, overlay] = ["helm", "kustomize"].map(|deploy| {
        let stack = Stack::of(&World::new(&tools).set("deploy", deploy).run());
        let plain = |id: String| match id.split_once("-config-") {
            Some((name, _)) => format!("{name}-config:configmap"),
            None => id,
        };
        let deployment = &stack.objects["nutritionfacts:deployment"]["spec"]["template"]["spec"];
        let container = &deployment["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], false, "{deploy}");
        assert_eq!(deployment["terminationGracePeriodSeconds"], 30, "{deploy}");
        stack.objects.into_keys().map(plain).collect::<BTreeSet<_>>()
    });
    assert_eq!(chart, overlay);
}

#[test]
fn a_production_context_is_refused_before_anything_is_run() {
    let tools = Tools::all();
    for context in ["production", "arn:aws:eks:eu-west-1:1:cluster/telemetry", "kindergarten", "admin@minikube"] {
        let run = World { context: context.into(), ..World::new(&tools) }.run();
        let failure = run.failure.unwrap_or_else(|| panic!("{context} is not refused"));
        assert!(failure.contains(&format!(r#"{{"allow_contexts": ["{context}"]}} in tilt_config.json"#)), "{failure}");
        let done: BTreeSet<_> = run.calls.iter().map(|call| call.function.as_str()).collect();
        assert_eq!(done, BTreeSet::from(["define", "version_settings"]), "{context}");
    }
}

#[test]
fn a_context_is_allowed_by_the_settings() {
    let tools = Tools::all();
    let world = World { context: "team-dev".into(), ..World::new(&tools) }.set("allow_contexts", json!(["team-dev"]));
    let run = world.run();
    assert_eq!(run.failure, None);
    // Tilt has a guard of its own.
    assert_eq!(run.calls("allow_k8s_contexts").next().unwrap()["contexts"], json!(["team-dev"]));
    for context in ["kind", "kind-x", "k3d-x", "minikube", "docker-desktop", "colima", "orbstack"] {
        assert_eq!(World { context: context.into(), ..World::new(&tools) }.run().failure, None, "{context}");
    }
}

#[test]
fn buttons_wait_to_be_pressed_and_know_the_cluster() {
    let run = World::new(&Tools::all()).run();
    let buttons: Vec<_> = run.calls("local_resource").filter(|call| call["name"] != "build").collect();
    assert_eq!(buttons.len(), 8);
    for button in buttons {
        assert_eq!((&button["trigger_mode"], &button["auto_init"]), (&json!("manual"), &json!(false)), "{button}");
        assert_eq!(button["env"], json!({"CONTEXT": "kind-nutritionfacts", "NAMESPACE": "nutritionfacts-dev"}));
    }
}

#[test]
fn ci_waits_for_nobody() {
    let tools = Tools::all();
    let run = World { subcommand: "ci".into(), ..World::new(&tools) }.run();
    for resource in run.calls("local_resource") {
        assert_eq!((&resource["trigger_mode"], &resource["auto_init"]), (&json!("auto"), &json!(true)), "{resource}");
    }
    assert_eq!(run.calls("ci_settings").count(), 1);
}

#[test]
fn a_missing_tool_is_told_with_the_way_to_get_it() {
    for (tool, hint) in [
        ("cargo", "rustup.rs"),
        ("docker", "docs.docker.com"),
        ("kubectl", "kubernetes.io"),
        ("python3", "3.10"),
        ("helm", r#"{"deploy": "kustomize"}"#),
    ] {
        let failure = World::new(&Tools::without(tool)).run().failure.unwrap_or_else(|| panic!("{tool} is not missed"));
        assert!(failure.contains(&format!("{tool}: ")) && failure.contains(hint), "{failure}");
    }
    // Not one that this deployment does without.
    assert_eq!(World::new(&Tools::without("helm")).set("deploy", "kustomize").run().failure, None);
}

#[test]
fn a_machine_without_linux_is_told_to_name_a_target() {
    let tools = Tools::all();
    tools.script("uname", "#!/bin/sh\necho Darwin\n");
    let failure = World::new(&tools).run().failure.expect("a target is missed");
    assert!(failure.contains(r#"{"target": "aarch64-unknown-linux-gnu"}"#), "{failure}");
    let run = World::new(&tools).set("target", "x86_64-unknown-linux-gnu").run();
    assert_eq!(run.failure, None);
    let build = run.calls("local_resource").find(|call| call["name"] == "build").unwrap();
    assert_eq!(build["command"], json!(["tilt/build", "--target", "x86_64-unknown-linux-gnu"]));
}

#[test]
fn a_wrong_setting_is_told() {
    let tools = Tools::all();
    for (name, value, said) in [
        ("deploi", json!("helm"), "no setting is called deploi"),
        ("monitoring", json!("yes"), "should be a"),
        ("deploy", json!("compose"), r#"deploy is "compose""#),
    ] {
        let failure = World::new(&tools).set(name, value).run().failure.unwrap_or_else(|| panic!("{name} is taken"));
        assert!(failure.contains(said), "{failure}");
    }
}

/// The fakes refuse what Tilt refuses.
#[test]
fn what_tilt_does_not_know_is_an_error() {
    let tools = Tools::all();
    for text in
        ["docker_build('a', '.', dockerfil='x')", "k8s_resources('a')", "print(f'{1}')", "k8s_resource(labels=['a'])"]
    {
        assert!(World::new(&tools).run_text(text).failure.is_some(), "{text} is taken");
    }
    assert_eq!(World::new(&tools).run_text("if True:\n    x = [n for n in range(3)]\n").failure, None);
}
