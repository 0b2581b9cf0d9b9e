//! An API server that is slow, silent, or denies access. In each case the server accepts pings and keeps the last known state.

use std::time::Duration;

use super::{
    install::{Install, SOURCES, is_answered, messages, said, up},
    support::{eventually, line::Line, server::Server, server::Setup},
};

fn times_said(server: &Server, text: &str) -> usize {
    server.log.text().matches(text).count()
}

/// A server behind a faulty network line, with an active message.
fn behind(line: &Line, install: &Install) -> Server {
    install.configure("ingest: {max_batch: 7}");
    install.publish("hello");
    let server = install.with(Setup::sqlite(), line.address).start();
    up(&server, true);
    eventually("the message is active", || (messages(&server) == ["hello"]).then_some(()));
    server
}

#[test]
fn a_slow_api_server_delays_no_ping() {
    let install = Install::new();
    install.configure("ingest: {max_batch: 7}");
    install.publish("hello");
    let line = Line::to(install.address());
    line.delay(Duration::from_millis(700));
    let server = install.with(Setup::sqlite(), line.address).start();
    eventually("it comes in the end", || (messages(&server) == ["hello"]).then_some(()));
    up(&server, true);
    install.configure("api: {reply: empty}");
    eventually("so does a change", || (!is_answered(&server)).then_some(()));
}

#[test]
fn a_silent_watch_is_noticed() {
    let install = Install::new();
    let line = Line::to(install.address());
    let server = behind(&line, &install);
    line.silence();
    install.configure("api: {reply: empty}");
    eventually("it asks again", || (!is_answered(&server)).then_some(()));
    up(&server, true);
}

#[test]
fn a_cut_connection_is_restored_and_no_change_is_missed() {
    let install = Install::new();
    let line = Line::to(install.address());
    let server = behind(&line, &install);
    for round in 0..5 {
        let answers = round % 2 == 1;
        line.cut();
        install.configure(if answers { "api: {reply: by_version}" } else { "api: {reply: empty}" });
        eventually("the change is active", || (is_answered(&server) == answers).then_some(()));
    }
    up(&server, true);
}

#[test]
fn revoked_rights_keep_the_state_until_they_are_granted_again() {
    let install = Install::new();
    let line = Line::to(install.address());
    let server = behind(&line, &install);
    install.unbind();
    // An established watch continues until it ends.
    line.cut();
    up(&server, false);
    assert_eq!(messages(&server), ["hello"], "403 is no removal");
    said(&server, "403: ");
    for source in SOURCES {
        let told = format!("\"source\":\"{source}\",\"problem\":\"403: ");
        assert_eq!(times_said(&server, &told), 1, "{}", server.log.text());
    }
    install.namespace.kubectl(&["delete", "kmsg/hello"], "").unwrap();
    install.configure("api: {reply: empty}");
    install.bind();
    up(&server, true);
    eventually("it learns of the change", || (!is_answered(&server)).then_some(()));
    install.configure("");
    eventually("and of the removal", || (is_answered(&server) && messages(&server).is_empty()).then_some(()));
}

#[test]
fn a_rotated_token_is_used_after_the_old_one_is_rejected() {
    let install = Install::new();
    install.namespace.kubectl(&["create", "secret", "generic", "bond"], "").unwrap();
    install.renew_token(&["--bound-object-kind=Secret", "--bound-object-name=bond"]);
    let line = Line::to(install.address());
    let server = behind(&line, &install);
    install.namespace.kubectl(&["delete", "secret", "bond"], "").unwrap();
    // The API server caches for a while that the token is valid.
    eventually("the token is refused", || {
        let up = server.metric("nutritionfacts_config_watch_up{source=\"kolibrimessages\"}");
        if up.as_deref() == Some("1") {
            line.cut();
        }
        server.log.text().contains("401: the API server does not accept our token").then_some(())
    });
    assert_eq!(messages(&server), ["hello"]);
    install.renew_token(&[]);
    up(&server, true);
    install.configure("api: {reply: empty}");
    eventually("it follows again", || (!is_answered(&server)).then_some(()));
    let token = std::fs::read_to_string(install.token_file()).unwrap();
    assert!(!server.log.text().contains(&token));
}
