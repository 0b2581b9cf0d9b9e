//! The served document is the committed one, and its paths reply as it says. Bodies are tested by
//! `scripts/test-openapi`.

use serde_json::Value;

use crate::support::server::Setup;

#[test]
fn the_served_document_is_the_committed_one() {
    let server = Setup::sqlite().start();
    let reply = server.get("/openapi.json");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.text(), include_str!("../../docs/openapi.json"));
}

#[test]
fn every_path_accepts_only_its_documented_methods() {
    let server = Setup::sqlite().start();
    let document: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let operation = &operations[method.to_lowercase()];
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}");
            let reply = server.ask(request.as_bytes());
            let status = if operation.is_null() {
                405
            } else if method == "OPTIONS" {
                204
            } else {
                200
            };
            assert_eq!(reply.status, status, "{method} {path}");
            if operation.is_null() {
                assert!(reply.header("allow").is_some() && reply.body.is_empty(), "{method} {path}");
            } else if !path.starts_with("/api/v1/pingback") && status == 200 {
                // The reply to a pingback without a version is empty.
                let types = operations[method.to_lowercase()]["responses"]["200"]["content"].as_object().unwrap();
                assert!(types.contains_key(reply.header("content-type").unwrap()), "{method} {path}");
            }
        }
    }
}
