//! From a body to its rows, beside what a general parser takes for the same text.
//!
//! `cargo bench --bench reading`; ratios within one run are what counts.

use std::{fs, hint::black_box, net::IpAddr, path::Path};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nutritionfacts::domain::{
    Timestamp, new_id,
    pingback::{Arrival, Pingback},
    place::Place,
    privacy::{Key, Privacy},
    profile::Profile,
    statistics::Envelope,
    version::Version,
};

/// The body of a recorded request of Kolibri 0.19.
fn recorded(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kolibri/captures/0.19.5").join(name);
    let request = fs::read_to_string(path).expect("recorded requests are part of the project");
    request.split_once("\r\n\r\n").expect("a header and a body").1.to_owned()
}

fn pingback(c: &mut Criterion) {
    let body = recorded("py311-reply-id-uuid-pingback.http");
    let arrival = Arrival {
        id: new_id(Timestamp::UNIX_EPOCH, 1),
        received_at: Timestamp::UNIX_EPOCH,
        address: IpAddr::from([203, 0, 113, 7]),
        place: Place::of("TZ", "02"),
    };
    let rules = Privacy::Pseudonymous(Key::new(&"k".repeat(32)).expect("long enough"));
    let mut group = c.benchmark_group("pingback");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("serde_json::Value", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&body)));
    });
    group.bench_function("read", |b| b.iter(|| Pingback::read(black_box(&body))));
    // As of an installation that nothing is remembered of.
    group.bench_function("read and make the rows", |b| {
        b.iter(|| Pingback::read(black_box(&body)).map(|pingback| pingback.into_rows(arrival, &rules)));
    });
    // As of one that says what it said before.
    let description = |body| Pingback::read(body).expect("a pingback").description;
    let (joined, profile) = (description(&body).joined(), Profile::read(&description(&body)).into_profile(&rules));
    group.bench_function("read, recognise and make the ping", |b| {
        b.iter(|| {
            let pingback = Pingback::read(black_box(&body)).expect("a pingback");
            assert!(pingback.description.is(&joined));
            pingback.into_ping(arrival, profile.described(), &rules)
        });
    });
    group.bench_function("version", |b| {
        b.iter(|| Version::read(black_box("0.16.0a21")).as_ref().map(Version::takes_json));
    });
    group.finish();
}

fn statistics(c: &mut Criterion) {
    let body = recorded("py311-reply-id-uuid-statistics.http");
    let arrival = (uuid::Uuid::nil(), Timestamp::UNIX_EPOCH);
    let mut group = c.benchmark_group("statistics");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("serde_json::Value", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&body)));
    });
    group.bench_function("read and make the rows", |b| {
        b.iter(|| {
            Envelope::read(black_box(&body))
                .map(|envelope| envelope.into_report(arrival, &Privacy::None, usize::MAX, usize::MAX))
        });
    });
    group.finish();
}

criterion_group!(benches, pingback, statistics);
criterion_main!(benches);
