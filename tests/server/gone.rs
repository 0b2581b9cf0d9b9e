//! Clients that disconnect before their ping is written: the ping is not stored (docs/decisions/0040-pings-that-wait.md).

use std::time::Duration;

use sqlx::{Connection as _, Executor, SqliteConnection};

use crate::support::{
    eventually,
    http::{Connection, PINGBACK, post},
    rows::Rows,
    server::{Server, Setup},
};

fn send(server: &Server, before: &[u8], instance: &str) -> Connection {
    let mut connection = server.connect();
    let body = format!(r#"{{"instance_id": "{instance}", "version": "0.19.5"}}"#);
    connection.send(&[before, &post(PINGBACK, body.as_bytes())].concat()).unwrap();
    connection
}

#[test]
fn pings_of_disconnected_clients_are_not_stored() {
    let setup = Setup::sqlite();
    let server = setup.start();
    let number = |name: &str| server.metric(name).unwrap().parse::<usize>().unwrap();
    let queued = || number("nutritionfacts_ingest_queue_rows");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut holder = runtime.block_on(SqliteConnection::connect(&setup.url)).unwrap();
    runtime.block_on(holder.execute("BEGIN IMMEDIATE")).unwrap();
    // Until one batch waits for the lock, and the next one is queued.
    let mut stay = Vec::new();
    eventually("the writer waits", || {
        stay.push(send(&server, b"", "stays"));
        (queued() > 0).then_some(())
    });
    let before = queued();
    let mut finished = send(&server, b"", "gone");
    finished.finish_sending();
    let closed = send(&server, b"", "gone");
    // Unread data turns the close into a reset.
    let reset = send(&server, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", "gone");
    stay.push(send(&server, b"", "stays"));
    eventually("they are queued", || (queued() >= before + 3).then_some(()));
    drop((closed, reset));
    // When this is answered, the server knows all earlier closes; and no client has closed just now.
    std::thread::sleep(Duration::from_millis(200));
    assert!(queued() >= before + 3);
    runtime.block_on(holder.execute("ROLLBACK")).unwrap();
    // The client still listens, and gets the reply that its ping was not stored.
    assert_eq!(finished.reply().status, 503);
    for connection in &mut stay {
        assert_eq!(connection.reply().status, 200);
    }
    eventually("the queue is empty", || (queued() == 0).then_some(()));
    let rows = Rows::open(&setup.url).all("pingbacks");
    assert_eq!((rows.iter().filter(|row| row["instance_id"] == "gone").count(), rows.len()), (0, stay.len()));
    server.assert_well();
}
