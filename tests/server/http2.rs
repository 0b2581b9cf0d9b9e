//! HTTP/2 without TLS, for proxies that use it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::{runtime::Runtime, task::JoinHandle, time::timeout};

use crate::support::{
    LIMIT,
    http::PINGBACK,
    rows::Rows,
    server::{Server, Setup},
};

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5"}"#;

type Client = (SendRequest<Bytes>, JoinHandle<()>);

async fn connect(server: &Server, builder: &Builder) -> Client {
    let stream = tokio::net::TcpStream::connect(server.public).await.unwrap();
    let (client, connection) = builder.handshake(stream).await.unwrap();
    (client, tokio::spawn(async { drop(connection.await) }))
}

fn request() -> http::Request<()> {
    http::Request::post(format!("http://localhost{PINGBACK}")).body(()).unwrap()
}

async fn read(response: h2::client::ResponseFuture) -> (u16, String) {
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut text = vec![];
    while let Some(bytes) = body.data().await {
        text.extend_from_slice(&bytes.unwrap());
    }
    (head.status.as_u16(), String::from_utf8(text).unwrap())
}

#[test]
fn many_streams_at_once_are_answered() {
    let setup = Setup::sqlite();
    let server = setup.start();
    Runtime::new().unwrap().block_on(async {
        let (client, _connection) = connect(&server, &Builder::new()).await;
        let mut streams = vec![];
        for _ in 0..200 {
            let mut client = client.clone().ready().await.unwrap();
            let (response, mut body) = client.send_request(request(), false).unwrap();
            body.send_data(Bytes::from_static(PING), true).unwrap();
            streams.push(tokio::spawn(read(response)));
        }
        for stream in streams {
            let (status, text) = stream.await.unwrap();
            assert!(status == 200 && text.starts_with(r#"{"id": ""#), "{status} {text}");
        }
    });
    assert_eq!(Rows::open(&setup.url).pings("a"), 200);
    server.assert_well();
}

#[test]
fn a_shutdown_answers_streams_in_progress() {
    let setup = Setup::sqlite();
    let server = setup.start();
    Runtime::new().unwrap().block_on(async {
        let (client, connection) = connect(&server, &Builder::new()).await;
        let mut client = client.ready().await.unwrap();
        let (response, mut body) = client.send_request(request(), false).unwrap();
        body.send_data(Bytes::from_static(&PING[..5]), false).unwrap();
        // The request was received when a later one is answered.
        let (later, _) = client.clone().ready().await.unwrap().send_request(request(), true).unwrap();
        assert_eq!(read(later).await.0, 400);
        server.signal("TERM");
        // The server sends GOAWAY: no further requests, but the one in progress continues.
        timeout(LIMIT, async {
            while let Ok(ready) = client.clone().ready().await {
                let mut ready = ready;
                if let Ok((response, _)) = ready.send_request(request(), true)
                    && response.await.is_err()
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
        body.send_data(Bytes::from_static(&PING[5..]), true).unwrap();
        assert_eq!(read(response).await.0, 200);
        drop(client);
        timeout(LIMIT, connection).await.unwrap().unwrap();
    });
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 1);
}

/// Otherwise a client that grants no window for its reply would hold a connection that never counts as idle.
#[test]
fn a_reply_that_is_not_read_closes_the_connection() {
    let server = Setup::sqlite().set("http.idle_timeout=500ms").start();
    Runtime::new().unwrap().block_on(async {
        let (mut client, connection) = connect(&server, Builder::new().initial_window_size(0)).await;
        let (_response, mut body) = client.send_request(request(), false).unwrap();
        body.send_data(Bytes::from_static(PING), true).unwrap();
        timeout(LIMIT, connection).await.expect("the server closes").unwrap();
    });
    server.assert_well();
}

/// A client that ignores GOAWAY does not cause a hard stop.
#[test]
fn a_client_that_ignores_goaway_does_not_delay_a_shutdown() {
    let server = Setup::sqlite().start();
    let mut deaf = TcpStream::connect(server.public).unwrap();
    // The preface in two pieces, and empty settings.
    deaf.write_all(b"PR").unwrap();
    deaf.write_all(b"I * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    deaf.read_exact(&mut [0; 9]).unwrap();
    assert_eq!(server.stop().code(), Some(0));
}
