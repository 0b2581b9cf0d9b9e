//! The Role of this repository grants exactly the requests that the server makes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    install::{Install, ROLE, is_answered, messages},
    plane::Plane,
    support::{eventually, postgres, server::Setup},
};

/// Such as `list configmaps nutritionfacts-live`; with a name only if the Role restricts names.
fn used(request: &Value, names: bool) -> String {
    let object = &request["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = match text(&object["subresource"]) {
        none if none.is_empty() => text(&object["resource"]),
        subresource => format!("{}/{subresource}", text(&object["resource"])),
    };
    let name = if names { text(&object["name"]) } else { String::new() };
    format!("{} {} {resource} {name}", text(&request["verb"]), text(&object["apiGroup"])).trim_end().to_owned()
}

#[test]
fn the_role_grants_exactly_what_is_used() {
    let plane = Plane::take();
    let install = Install::new();
    install.configure("api: {reply: empty}");
    let server = install.setup().start();
    eventually("the ConfigMap is active", || (!is_answered(&server)).then_some(()));
    install.configure("api: [");
    eventually("an Event is written", || install.describe_live().contains("ConfigRejected").then_some(()));
    install.publish("hello");
    install.wait_for("Published", "hello");
    // If writing a status caused another write, it would happen before the next one.
    install.publish("second");
    install.wait_for("Published", "second");

    let requests = plane.requests_of(&install.namespace.name);
    let refused: Vec<_> = requests.iter().filter(|request| request["responseStatus"]["code"] == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let patches = requests.iter().filter(|request| request["verb"] == "patch").count();
    assert_eq!(patches, 2, "each status is written once, and causes no second one");

    let role: Value = serde_saphyr::from_str(ROLE).unwrap();
    let mut granted = BTreeSet::new();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|entry| entry.as_str().unwrap().to_owned()).collect()
    };
    for rule in role["rules"].as_array().unwrap() {
        let names = list(&rule["resourceNames"]);
        let names = if names.is_empty() { vec![String::new()] } else { names };
        for group in list(&rule["apiGroups"]) {
            for (verb, resource) in list(&rule["verbs"])
                .iter()
                .flat_map(|verb| list(&rule["resources"]).into_iter().map(move |resource| (verb.clone(), resource)))
            {
                granted
                    .extend(names.iter().map(|name| format!("{verb} {group} {resource} {name}").trim_end().to_owned()));
            }
        }
    }
    let used: BTreeSet<_> =
        requests.iter().map(|request| used(request, request["objectRef"]["resource"] == "configmaps")).collect();
    assert_eq!(used, granted);
}

/// Several servers with one database: all reply to pings, one writes the status.
#[test]
fn only_the_leader_writes_the_status() {
    let plane = Plane::take();
    let install = Install::new();
    let postgres = postgres::Cluster::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(postgres.create_database("replicas"));
    let servers: Vec<_> = (0..3).map(|_| install.with(Setup::postgres(&url), install.address()).start()).collect();
    for name in ["one", "two", "three"] {
        install.publish(name);
        install.wait_for("Published", name);
        for server in &servers {
            eventually("each serves it", || messages(server).contains(&name.to_owned()).then_some(()));
        }
    }
    let requests = plane.requests_of(&install.namespace.name);
    assert_eq!(requests.iter().filter(|request| request["verb"] == "patch").count(), 3);
}
