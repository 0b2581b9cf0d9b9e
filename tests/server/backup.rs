//! Backup and restore, by the commands of docs/operations.md.

use std::{fs, path::Path, process::Command};

use crate::{
    stores,
    support::{
        http::{PINGBACK, post},
        server::{Server, Setup},
    },
};

/// The code block of the page that begins with this command.
fn block(begins: &str) -> String {
    let page = include_str!("../../docs/operations.md");
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.starts_with(begins)).unwrap().to_owned()
}

fn run(script: &str, folder: &Path, url: &str, programs: &Path) {
    let mut shell = Command::new("sh");
    let script = format!("PATH='{}':$PATH\n{script}", programs.display());
    shell.args(["-ec", &script]).current_dir(folder).env("DATABASE_URL", url);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn ping(server: &Server, id: &str) {
    let body = format!(r#"{{"instance_id": "{id}", "version": "0.17.5"}}"#);
    assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
}

#[test]
fn a_postgres_dump_can_be_restored() {
    let before = stores::postgres();
    let server = before.start();
    ping(&server, "before");
    let folder = tempfile::tempdir().unwrap();
    let programs = crate::support::postgres::find_programs();
    run(&block("pg_dump"), folder.path(), &before.url, &programs);
    ping(&server, "after the backup");
    drop(server);
    let after = stores::postgres();
    run(&block("pg_restore"), folder.path(), &after.url, &programs);
    let server = after.start();
    ping(&server, "after");
    let query = "SELECT string_agg(instance_id, ',' ORDER BY received_at) FROM pingbacks";
    let mut psql = Command::new("psql");
    let output = psql.args([&after.url, "--no-align", "--tuples-only", "--command", query]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "before,after");
}

#[test]
fn sqlite_can_be_backed_up_while_the_server_runs() {
    let setup = Setup::sqlite();
    let server = setup.start();
    ping(&server, "before");
    run(&block("sqlite3"), setup.folder(), "", Path::new("/nowhere"));
    ping(&server, "after the backup");
    let setup = server.kill();
    run(&block("rm -f data"), setup.folder(), "", Path::new("/nowhere"));
    let server = setup.start();
    ping(&server, "after");
    let database = setup.folder().join("data/nutritionfacts.db");
    assert!(fs::metadata(&database).is_ok());
    let query = "SELECT group_concat(instance_id) FROM (SELECT instance_id FROM pingbacks ORDER BY received_at)";
    let output = Command::new("sqlite3").arg("-readonly").arg(&database).arg(query).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "before,after");
}
