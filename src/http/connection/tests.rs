//! In paused time, so that data can arrive in the very instant in which a connection is parked.

use std::{
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use proptest::{collection::vec, prelude::*, test_runner::Config};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

use super::*;
use crate::{
    http::{
        activity::Activity,
        network::Network,
        open::Open,
        socket::{Deadlines, PARK_AFTER},
        under_way::Received,
    },
    telemetry::metrics::Metrics,
};

const DEADLINES: Deadlines = Deadlines { header: Duration::from_secs(10), idle: Duration::from_mins(1) };

/// Answers with the path of the request; reads no body.
fn answer(
    activity: &Arc<Activity>,
    request: http::Request<Incoming>,
) -> Ready<Result<http::Response<Reply>, Infallible>> {
    let mut under_way = activity.request();
    let path = request.uri().path().to_owned();
    drop(Received::wrap(request.into_body(), &under_way));
    under_way.reply();
    let reply =
        Reply::new(Body::from(path), under_way, Instant::now(), "unmatched", Metrics::new(), tracing::Span::none());
    ready(Ok(http::Response::new(reply)))
}

fn socket(room: usize) -> (DuplexStream, Socket<DuplexStream>) {
    let (client, server) = duplex(room);
    (client, Socket::new(server, Activity::new(), DEADLINES))
}

/// A client, and the server's view of it.
fn connect(room: usize) -> (DuplexStream, Arc<Activity>) {
    let (client, socket) = socket(room);
    let activity = socket.activity().clone();
    let service = {
        let activity = activity.clone();
        move |request| answer(&activity, request)
    };
    tokio::spawn(serve(socket, service_fn(service)));
    (client, activity)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

async fn send(client: &mut DuplexStream, text: &str) {
    client.write_all(text.as_bytes()).await.unwrap();
}

/// The path that is answered next; `None` if the connection is closed.
async fn answered(client: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return None,
            Err(error) => panic!("{error} within a reply"),
        }
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK") && !head.contains("connection"), "{head}");
    let length = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0;
    let mut body = vec![0; length.parse().unwrap()];
    client.read_exact(&mut body).await.unwrap();
    Some(String::from_utf8(body).unwrap())
}

async fn ask(client: &mut DuplexStream, path: &str) {
    send(client, &get(path)).await;
    assert_eq!(answered(client).await.as_deref(), Some(path));
}

#[tokio::test(start_paused = true)]
async fn hyper_gives_an_idle_socket_back() {
    let (mut client, mut socket) = socket(4096);
    let activity = socket.activity().clone();
    let service = service_fn(move |request| answer(&activity, request));
    send(&mut client, &format!("{}{}", get("/whole"), &get("/cut")[..10])).await;
    let reader = begin(&mut socket).await.unwrap();
    socket.set_reader(reader);
    let socket = speak_http1(socket, service).await.expect("it is parked");
    assert!(socket.is_parked() && socket.has_unread());
    assert_eq!(answered(&mut client).await.unwrap(), "/whole");
}

/// In real time, because only a real socket shows how its readiness behaves.
#[tokio::test]
async fn a_real_socket_is_parked_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut socket = Socket::new(listener.accept().await.unwrap().0, Activity::new(), DEADLINES);
    let activity = socket.activity().clone();
    let service = service_fn(move |request| answer(&activity, request));
    for path in ["/1", "/2", "/3"] {
        client.write_all(get(path).as_bytes()).await.unwrap();
        let reader = begin(&mut socket).await.unwrap();
        socket.set_reader(reader);
        socket = speak_http1(socket, &service).await.expect("it is parked");
        assert_eq!(answered(&mut client).await.unwrap(), path);
    }
    drop(client);
    assert_eq!(begin(&mut socket).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_parked_connection_answers_again() {
    let (mut client, _) = connect(4096);
    for path in ["/1", "/2", "/3"] {
        // A new connection is parked as well.
        sleep(PARK_AFTER * 2).await;
        ask(&mut client, path).await;
        ask(&mut client, path).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_connection_is_closed_when_it_was_idle_too_long() {
    for used in [false, true] {
        let (mut client, _) = connect(4096);
        if used {
            ask(&mut client, "/").await;
        }
        let begun = Instant::now();
        assert_eq!(answered(&mut client).await, None);
        let idle = begun.elapsed().as_millis();
        assert!((60_000..60_100).contains(&idle), "{idle} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_connection_is_closed_without_a_reply_when_asked() {
    for used in [false, true] {
        let (mut client, activity) = connect(4096);
        if used {
            ask(&mut client, "/").await;
        }
        sleep(PARK_AFTER * 2).await;
        activity.leave();
        let begun = Instant::now();
        assert_eq!(answered(&mut client).await, None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

/// Also if its first bytes came together with the previous request.
#[tokio::test(start_paused = true)]
async fn a_connection_asked_to_close_waits_for_the_rest_of_a_header() {
    let (mut client, activity) = connect(4096);
    let (whole, cut) = (get("/whole"), get("/cut"));
    send(&mut client, &format!("{whole}{}", &cut[..10])).await;
    assert_eq!(answered(&mut client).await.unwrap(), "/whole");
    activity.leave();
    sleep(PARK_AFTER * 2).await;
    send(&mut client, &cut[10..]).await;
    assert_eq!(answered(&mut client).await.unwrap(), "/cut");
    assert_eq!(answered(&mut client).await, None);
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_longest_parked_connection_is_closed() {
    let open = Open::new(3);
    let mut clients = vec![];
    for index in 0..4 {
        let (mut client, _) = connect_to(&open, 1).await.unwrap();
        if index > 0 {
            ask(&mut client, "/").await;
        }
        sleep(PARK_AFTER * 2).await;
        clients.push(client);
    }
    assert_eq!(answered(&mut clients[0]).await, None);
    for client in &mut clients[1..] {
        ask(client, "/").await;
    }
}

/// A client that was admitted, from a network with this number; `None` if it was not.
async fn connect_to(open: &Open, network: u8) -> Option<(DuplexStream, Arc<Activity>)> {
    let network = Network::of([192, 0, network, 1].into());
    let place = open.admit(network).await?;
    let (client, socket) = socket(4096);
    let activity = socket.activity().clone();
    open.add(network, &activity);
    let requests = activity.clone();
    tokio::spawn(async move {
        // Answers with the body, or with the path.
        serve(
            socket,
            service_fn(move |request: http::Request<Incoming>| {
                let requests = requests.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let mut under_way = requests.request();
                    let body = Received::wrap(request.into_body(), &under_way);
                    let body =
                        BodyExt::collect(body).await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                    let body = if body.is_empty() { path.into() } else { body };
                    under_way.reply();
                    let reply = Reply::new(
                        Body::from(body),
                        under_way,
                        Instant::now(),
                        "unmatched",
                        Metrics::new(),
                        tracing::Span::none(),
                    );
                    Ok(http::Response::new(reply))
                }
            }),
        )
        .await;
        drop(place);
    });
    Some((client, activity))
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_network_with_the_most_loses_a_connection() {
    let open = Open::new(4);
    let mut hostile = vec![];
    for _ in 0..3 {
        let (mut client, _) = connect_to(&open, 1).await.unwrap();
        // Bodies that never end.
        send(&mut client, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n1").await;
        sleep(PARK_AFTER).await;
        hostile.push(client);
    }
    let (mut quiet, _) = connect_to(&open, 2).await.unwrap();
    sleep(PARK_AFTER).await;
    // Connections are not closed for networks with fewer than the most.
    let (mut third, _) = connect_to(&open, 3).await.unwrap();
    ask(&mut third, "/").await;
    ask(&mut quiet, "/").await;
    let mut rest = vec![];
    hostile[0].read_to_end(&mut rest).await.unwrap();
    sleep(PARK_AFTER).await;
    send(&mut hostile[2], "234567890").await;
    assert_eq!(answered(&mut hostile[2]).await.unwrap(), "1234567890");
    // Nor for a network that has more: only its own are closed.
    sleep(PARK_AFTER * 2).await;
    let (mut fourth, _) = connect_to(&open, 1).await.unwrap();
    ask(&mut fourth, "/").await;
    ask(&mut quiet, "/").await;
    ask(&mut third, "/").await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_transit_is_not_cut_off() {
    let (mut client, _) = connect(64);
    let path = format!("/{}", "x".repeat(1000));
    for _ in 0..2 {
        send(&mut client, &get(&path)).await;
        sleep(PARK_AFTER * 4).await;
        assert_eq!(answered(&mut client).await.unwrap(), path);
        sleep(PARK_AFTER * 4).await;
    }
}

/// The unread rest of a body must not be taken for a request.
#[tokio::test(start_paused = true)]
async fn a_connection_with_an_unread_body_is_not_parked() {
    let (_client, mut socket) = socket(4096);
    let activity = socket.activity().clone();
    let request = activity.request();
    let unread = request.unread();
    drop(request);
    socket.set_reader(Reader::Http1);
    activity.leave();
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
    assert!(!socket.is_parked());
    unread.is_read();
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
    assert!(socket.is_parked());

    let (mut client, _) = connect(4096);
    send(&mut client, "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
    sleep(PARK_AFTER * 2).await;
    let _ = client.write_all(get("/body").as_bytes()).await;
    let mut replies = String::new();
    client.read_to_string(&mut replies).await.unwrap();
    assert_eq!(replies.matches("HTTP/1.1").count(), 1, "{replies}");
}

#[tokio::test(start_paused = true)]
async fn an_http2_preface_in_pieces_begins_http2() {
    let (mut client, activity) = connect(4096);
    for byte in *PREFACE {
        sleep(Duration::from_millis(100)).await;
        client.write_all(&[byte]).await.unwrap();
    }
    client.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frame = [0; 9];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "settings");
    // It has no header that could be late.
    sleep(DEADLINES.header * 2).await;
    activity.leave();
    let mut rest = vec![];
    client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.windows(5).any(|bytes| bytes == b"\x07\0\0\0\0"), "a GOAWAY: {rest:?}");
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_http2_preface_times_out_as_a_header() {
    let (mut client, _) = connect(4096);
    client.write_all(&PREFACE[..20]).await.unwrap();
    let begun = Instant::now();
    assert_eq!(answered(&mut client).await, None);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

fn pause() -> impl Strategy<Value = Duration> {
    let moment = i32::try_from(PARK_AFTER.as_millis()).unwrap();
    prop_oneof![Just(0), moment - 2..=moment + 2, Just(3 * moment)]
        .prop_map(|millis| Duration::from_millis(millis.try_into().unwrap()))
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    /// However requests are split, and whatever arrives in the instant in which the connection is parked.
    #[test]
    fn no_byte_is_lost(requests in 1_usize..6, cuts in vec((1_usize..60, pause()), 1..7), settle in pause()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (mut client, activity) = connect(4096);
            let all: String = (0..requests).map(|index| get(&format!("/{index}"))).collect();
            let mut rest = all.as_str();
            for (length, pause) in cuts {
                let piece;
                (piece, rest) = rest.split_at(length.min(rest.len()));
                send(&mut client, piece).await;
                sleep(pause).await;
            }
            send(&mut client, rest).await;
            sleep(settle).await;
            activity.leave();
            for index in 0..requests {
                assert_eq!(answered(&mut client).await, Some(format!("/{index}")));
            }
            assert_eq!(answered(&mut client).await, None);
        });
    }
}
