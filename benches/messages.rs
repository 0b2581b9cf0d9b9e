//! What 200 messages cost a reply: `cargo bench --bench messages`.

use std::hint::black_box;

use chrono::NaiveDate;
use criterion::{Criterion, criterion_group, criterion_main};
use nutritionfacts::{
    domain::{country::Country, message::Message, origin::Origin, version::Version},
    messages::{Catalogue, Sender},
};
use serde_json::json;

/// Half for everybody of some versions, a quarter by instance, a quarter by network.
fn catalogue() -> Catalogue {
    let message = |number: u32| {
        let audience = match number % 4 {
            0 => json!({"instances": (0..100).map(|other| format!("{number:016x}{other:016x}")).collect::<Vec<_>>()}),
            1 => json!({"networks": (0..20).map(|other| format!("10.{number}.{other}.0/24")).collect::<Vec<_>>()}),
            _ => json!({}),
        };
        let text = json!({"title": "t".repeat(60), "message": "m".repeat(600), "linkText": "l".repeat(20)});
        let document = json!({
            "id": format!("message-{number}"), "stage": "Active", "date": "2026-11-01", "audience": audience,
            "versionRange": format!(">=0.{}.0,<0.{}.0", 11 + number % 7, 13 + number % 7),
            "translations": {"en": text, "sw-tz": text, "es-419": text},
        });
        Message::read(&document).expect("a right message")
    };
    Catalogue::new(&(0..200).map(message).collect::<Vec<_>>())
}

fn choose(c: &mut Criterion) {
    let catalogue = catalogue();
    let today = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a day");
    let version = Version::read("0.16.0a21").expect("a version");
    let mut group = c.benchmark_group("choose among 200 messages");
    for (name, mode) in [("ordinary", ""), ("staged", "staged-msgs-ver-0.15.8")] {
        let sender = Sender {
            version: &version,
            mode,
            instance_id: "00",
            origin: Origin::new([203, 0, 113, 7].into(), Country::read("TZ")),
            installer: "apk - 0.19.5-0.1.7.1",
            os: "android",
            language: "sw-tz",
        };
        println!("{name}: {} are chosen", catalogue.choose(sender, today).len());
        group.bench_function(name, |b| b.iter(|| catalogue.choose(black_box(sender), today)));
    }
    group.finish();
}

criterion_group!(benches, choose);
criterion_main!(benches);
