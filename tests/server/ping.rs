//! The subcommand `nutritionfacts ping`, by which `helm test` checks a server.

use std::process::{Command, Output};

use crate::{
    stores::on_both_stores,
    support::{eventually, server::Setup},
};

fn ping(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nutritionfacts")).arg("ping").args(arguments).output().unwrap()
}

fn a_stored_ping_is_reported_and_counted(setup: &Setup) {
    let server = setup.start();
    let (url, admin) = (format!("http://{}", server.public), format!("http://{}", server.admin));
    for _ in 0..2 {
        let output = ping(&["--url", &url, "--admin-url", &admin]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.starts_with("the ping was stored; the reply is {\"id\":"), "{said}");
    }
    eventually("both are counted", || {
        (server.metric("nutritionfacts_pingbacks_total{outcome=\"stored\"}")? == "2").then_some(())
    });
}

on_both_stores!(a_stored_ping_is_reported_and_counted);

#[test]
fn an_unreachable_server_is_reported_with_the_reason() {
    for (url, problem) in [
        ("http://127.0.0.1:1", "Connection refused"),
        ("https://127.0.0.1:1", "an address has the form http://HOST:PORT"),
    ] {
        let output = ping(&["--url", url, "--timeout", "1s"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains("the ping was not stored within 1s") && said.contains(problem), "{said}");
    }
}
