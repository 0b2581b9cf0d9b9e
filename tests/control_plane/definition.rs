//! The definition of the custom resource is removed, and installed again.

use super::{
    install::{Install, message, messages, said, watch},
    kubectl::{CRD, define, kubectl},
    plane::Plane,
    support::{eventually, server::Server},
};

fn publish(install: &Install, name: &str) {
    // After the definition is created, the API server takes a moment to know the kind.
    let object = message(name, &serde_json::json!({})).to_string();
    eventually("the kind is known", || install.namespace.apply(&object).ok());
}

fn served(server: &Server, names: &[&str]) {
    eventually("these are active", || (messages(server) == names).then_some(()));
}

/// Creates the definition again, even after a failure: other tests need it.
struct Definition;

impl Drop for Definition {
    fn drop(&mut self) {
        define();
    }
}

#[test]
fn removing_the_definition_withdraws_its_messages_until_it_is_back() {
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

/// The watch may get 410, 404, or end: in each case the objects of the new definition are used.
#[test]
fn a_replaced_definition_is_followed() {
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
