//! The definition of the custom resource is removed, and installed again.

use super::{
    install::{Install, message, messages, said, watch},
    kubectl::{CRD, define, kubectl},
    plane::Plane,
    support::{eventually, server::Server},
};

fn publish(install: &Install, name: &str) {
    // After its definition has come the API server takes a moment to know the kind.
    let object = message(name, &serde_json::json!({})).to_string();
    eventually("the kind is known", || install.namespace.apply(&object).ok());
}

fn served(server: &Server, names: &[&str]) {
    eventually("these are in force", || (messages(server) == names).then_some(()));
}

/// Defines it again, whatever has failed: other tests need it.
struct Definition;

impl Drop for Definition {
    fn drop(&mut self) {
        define();
    }
}

#[test]
fn removed_it_takes_the_messages_with_it_and_comes_back_later() {
    let _plane = Plane::take();
    let _definition = Definition;
    let install = Install::new();
    publish(&install, "hello");
    let server = install.setup().start();
    served(&server, &["hello"]);
    kubectl(&["delete", CRD], "").unwrap();
    served(&server, &[]);
    watch(&server, "kolibrimessages", false);
    said(&server, "install the CRD with `nutritionfacts crd | kubectl apply -f -`");
    watch(&server, "configmap/nutritionfacts-live", true);

    // A server that starts meanwhile does not wait for it.
    let other = install.setup().start();
    watch(&other, "kolibrimessages", false);
    define();
    publish(&install, "again");
    for server in [&server, &other] {
        watch(server, "kolibrimessages", true);
        served(server, &["again"]);
    }
}

/// The watch may be answered with 410, 404, or by an end: whatever it is, the objects of the new definition count.
#[test]
fn replaced_at_once() {
    let _plane = Plane::take();
    let _definition = Definition;
    let install = Install::new();
    let server = install.setup().start();
    for round in 0..3 {
        let name = format!("m{round}");
        publish(&install, &name);
        served(&server, &[&name]);
        kubectl(&["delete", CRD], "").unwrap();
        define();
        served(&server, &[]);
    }
    publish(&install, "last");
    served(&server, &["last"]);
    watch(&server, "kolibrimessages", true);
}
