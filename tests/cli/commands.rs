//! Commands, help and exit codes.

use crate::run::run;

#[test]
fn without_a_command_there_is_help_and_exit_code_2() {
    let ended = run(&[]).end();
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("Usage: nutritionfacts [OPTIONS] <COMMAND>"), "{}", ended.stderr);
}

#[test]
fn the_version_and_help_are_no_failure() {
    let ended = run(&["--version"]).end();
    assert_eq!((ended.code, ended.stdout), (0, format!("nutritionfacts {}\n", env!("CARGO_PKG_VERSION"))));
    assert_eq!(run(&["serve", "--help"]).end().code, 0);
}

#[test]
fn an_unknown_command_or_flag_is_wrong_usage() {
    for arguments in [&["simulate"][..], &["config", "show", "--colour"], &["--log-format", "xml", "config", "show"]] {
        assert_eq!(run(arguments).end().code, 2, "{arguments:?}");
    }
}

#[test]
fn the_schema_is_printed() {
    let ended = run(&["config", "schema"]).end();
    assert_eq!(ended.code, 0);
    let schema: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(schema["properties"]["http"]["properties"]["max_body"]["x-live"], true);
}

#[test]
fn the_openapi_document_is_printed() {
    let ended = run(&["openapi"]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, include_str!("../../docs/openapi.json")));
}

#[test]
fn the_definition_of_the_custom_resource_is_printed() {
    let ended = run(&["crd"]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, include_str!("../../helm/nutritionfacts/files/crd.yaml")));
}

#[test]
fn migrate_makes_the_tables_and_may_be_run_again() {
    for _ in 0..2 {
        let run = run(&["migrate", "--log-format", "json"]);
        let url = format!("sqlite://{}", run.path("data/n.db").display());
        let ended = run.argument("--set").argument(&format!("store.url={url}")).end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("the schema is up to date"), "{}", ended.stderr);
    }
}
