//! What both stores promise.

use nutritionfacts::store::{MigrationError, SetAside, StoreError, Write};
use uuid::Uuid;

use crate::{
    rows::{Bench, Sighting, digest, now, ping, write},
    support::rows::INSTANCE,
};

/// Stamps every promise on both stores.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::rows::Bench::postgres().await).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::rows::Bench::sqlite().await).await; })*
        }
    };
}

/// The same, and on PostgreSQL with the keys that a distributed database needs.
macro_rules! on_all_stores {
    ($($name:ident),* $(,)?) => {
        $crate::contract::on_both_stores!($($name),*);
        mod two_columns {
            $(#[tokio::test] async fn $name() { super::$name(crate::rows::Bench::two_columns().await).await; })*
        }
    };
}

pub(crate) use {on_all_stores, on_both_stores};

mod without_a_schema {
    use super::{is_healthy_until_closed, migrates_five_at_once, needs_a_schema};

    on_both_stores!(migrates_five_at_once, needs_a_schema, is_healthy_until_closed);
}

on_all_stores!(
    migrates_again_and_again,
    works_with_a_later_schema_that_allows_it,
    writes_every_column,
    keeps_every_character,
    replays_exactly,
    takes_an_id_once_in_a_replay,
    refuses_an_id_twice_when_new,
    counts_pings_of_one_batch,
    keeps_pings_without_instance,
    brings_emptied_identifiers_back,
    takes_large_batches,
    takes_nothing,
    refuses_a_poison_row_and_writes_nothing,
    refuses_extra_that_is_no_json,
    sets_aside_once,
    remembers_the_last_messages,
);

const PINGBACK: &[&str] = &[
    "id",
    "received_at",
    "instance_id",
    "kolibri_version",
    "mode",
    "platform",
    "os",
    "sysversion",
    "python_version",
    "database_id",
    "system_id",
    "node_id",
    "language",
    "timezone",
    "uptime",
    "client_time",
    "installer",
    "project",
    "ip",
    "country",
    "subdivision",
    "privacy_notice",
    "extra",
];

pub async fn ready(bench: &Bench) {
    bench.store.migrate(now()).await.unwrap();
}

async fn instances(bench: &Bench) -> Vec<String> {
    counted(bench, INSTANCE).await
}

/// `instances` after the digest, some of its columns.
async fn counted(bench: &Bench, columns: &[&str]) -> Vec<String> {
    digest(&bench.store).await;
    assert_eq!(bench.count("outbox").await, 0);
    bench.table("instances", columns, "instance_id").await
}

pub fn is_rejected(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Rejected { .. }))
}

async fn migrates_again_and_again(bench: Bench) {
    ready(&bench).await;
    write(&bench.store, &[ping("i", 0)], Write::New).await.unwrap();
    ready(&bench).await;
    assert_eq!(bench.count("pingbacks").await, 1);
}

/// A later program has extended the schema; the row that says which programs may still work with it decides.
async fn works_with_a_later_schema_that_allows_it(bench: Bench) {
    ready(&bench).await;
    let now_sql = if bench.store.kind() == "sqlite" { "0" } else { "now()" };
    let bytes = if bench.store.kind() == "sqlite" { "x'00'" } else { "'\\x00'" };
    bench
        .execute(&format!(
            "INSERT INTO _sqlx_migrations SELECT 9999, 'later', {now_sql}, true, {bytes}, 0; ALTER TABLE set_aside ADD COLUMN later text"
        ))
        .await;
    ready(&bench).await;
    write(&bench.store, &[ping("i", 0)], Write::New).await.unwrap();
    digest(&bench.store).await;
    bench.store.health().await.unwrap();
    bench.execute("UPDATE store_state SET oldest_program = 9999").await;
    let error = bench.store.migrate(now()).await.unwrap_err();
    assert!(matches!(error, MigrationError::Newer { version: 9999 }), "{error}");
}

async fn migrates_five_at_once(bench: Bench) {
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move { store.migrate(now()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    write(&bench.store, &[ping("i", 0)], Write::New).await.unwrap();
}

async fn needs_a_schema(bench: Bench) {
    let error = write(&bench.store, &[ping("i", 0)], Write::New).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { timeout: false, .. }), "{error}");
}

async fn writes_every_column(bench: Bench) {
    ready(&bench).await;
    let full = ping("i", 0);
    let bare = ping("j", 1).with(|ping| (ping.client_time, ping.uptime, ping.extra) = (None, i64::MAX, "{}".into()));
    write(&bench.store, &[&full, &bare], Write::New).await.unwrap();
    let expected = [
        format!(
            "{}|2026-11-24T12:00:00.000001Z|i|0.18.0||Linux-6.1|linux|3.9.2 (default)|3.9.2|d|s|n|sw|Africa/Nairobi|17|\
             2026-11-24T12:00:00.000001Z|deb|p|192.0.2.0|KE|KE-30||{{\"a\":1}}",
            full.ping.id
        ),
        format!(
            "{}|2026-11-24T12:00:01.000001Z|j|0.18.1||Linux-6.1|linux|3.9.2 (default)|3.9.2|d|s|n|sw|Africa/Nairobi|\
             9223372036854775807|null|deb|p|192.0.2.0|KE|KE-30||{{}}",
            bare.ping.id
        ),
    ];
    assert_eq!(bench.table("pingbacks", PINGBACK, "id").await, expected);
    let description = "|Linux-6.1|linux|3.9.2 (default)|3.9.2|d|sw|Africa/Nairobi|deb|p|KE|KE-30";
    assert_eq!(
        instances(&bench).await,
        [
            format!("i|2026-11-24T12:00:00.000001Z|2026-11-24T12:00:00.000001Z|1|0.18.0|{description}"),
            format!("j|2026-11-24T12:00:01.000001Z|2026-11-24T12:00:01.000001Z|1|0.18.1|{description}"),
        ]
    );
}

async fn keeps_every_character(bench: Bench) {
    ready(&bench).await;
    let mut texts: Vec<String> = (1..=0x10_ffff_u32)
        .filter_map(char::from_u32)
        .filter(|c| (*c as u32) < 0x3000 || (*c as u32).is_multiple_of(97) || (*c as u32) > 0x10_ff00)
        .collect::<Vec<_>>()
        .chunks(500)
        .map(|chunk| chunk.iter().collect())
        .collect();
    texts.extend(["{a,\"b\"}", "NULL", "\\N", "'); --", "\\u0041", "0123", "true", "1e3"].map(String::from));
    let rows: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let extra = serde_json::json!({ "k": text }).to_string();
            let row = ping(&format!("{number:04}"), 0).saying(|profile| profile.platform.clone_from(text));
            row.with(|ping| ping.extra = extra.into())
        })
        .collect();
    write(&bench.store, &rows, Write::New).await.unwrap();
    assert!(bench.texts("SELECT platform FROM pingbacks ORDER BY instance_id").await == texts);
    digest(&bench.store).await;
    assert!(bench.texts("SELECT platform FROM instances ORDER BY instance_id").await == texts);
    let extras = bench.texts("SELECT CAST(extra AS text) FROM pingbacks ORDER BY instance_id").await;
    for (extra, text) in extras.iter().zip(&texts) {
        assert!(serde_json::from_str::<serde_json::Value>(extra).unwrap()["k"] == text.as_str());
    }
}

async fn replays_exactly(bench: Bench) {
    ready(&bench).await;
    let rows = [ping("i", 0), ping("i", 1), ping("j", 2)];
    write(&bench.store, &rows[..2], Write::New).await.unwrap();
    for _ in 0..3 {
        write(&bench.store, &rows, Write::Replay).await.unwrap();
    }
    assert_eq!(bench.count("pingbacks").await, 3);
    let pings = counted(&bench, &["instance_id", "pings"]).await;
    assert_eq!(pings, ["i|2", "j|1"]);
}

async fn takes_an_id_once_in_a_replay(bench: Bench) {
    ready(&bench).await;
    let row = ping("i", 0);
    write(&bench.store, &[&row, &row, &ping("i", 1), &row], Write::Replay).await.unwrap();
    assert_eq!(bench.count("pingbacks").await, 2);
    assert_eq!(counted(&bench, &["pings"]).await, ["2"]);
}

async fn refuses_an_id_twice_when_new(bench: Bench) {
    ready(&bench).await;
    let row = ping("i", 0);
    write(&bench.store, &[&row], Write::New).await.unwrap();
    let result = write(&bench.store, &[&ping("j", 0), &row], Write::New).await;
    assert!(is_rejected(&result), "{result:?}");
    assert_eq!(bench.count("pingbacks").await, 1);
}

async fn counts_pings_of_one_batch(bench: Bench) {
    ready(&bench).await;
    write(&bench.store, &[ping("i", 5), ping("j", 0), ping("i", 9), ping("i", 7)], Write::New).await.unwrap();
    let columns = ["instance_id", "first_seen", "last_seen", "pings", "kolibri_version"];
    assert_eq!(
        counted(&bench, &columns).await,
        [
            "i|2026-11-24T12:00:05.000001Z|2026-11-24T12:00:09.000001Z|3|0.18.9",
            "j|2026-11-24T12:00:00.000001Z|2026-11-24T12:00:00.000001Z|1|0.18.0",
        ]
    );
}

async fn keeps_pings_without_instance(bench: Bench) {
    ready(&bench).await;
    write(&bench.store, &[ping("", 0), ping("i", 0), ping("", 1)], Write::New).await.unwrap();
    write(&bench.store, &[ping("", 2)], Write::New).await.unwrap();
    assert_eq!(bench.count("pingbacks").await, 4);
    assert_eq!(counted(&bench, &["instance_id"]).await, ["i"]);
}

async fn brings_emptied_identifiers_back(bench: Bench) {
    ready(&bench).await;
    let (here, other) = (ping("i", 0), ping("other", 0));
    write(&bench.store, &[&here, &other], Write::New).await.unwrap();
    let whole = bench.texts("SELECT instance_id || system_id || node_id FROM profiles ORDER BY 1").await;
    bench.execute("UPDATE profiles SET system_id = '', node_id = ''").await;
    let again = here.with(|ping| ping.id = Uuid::from_u128(ping.id.as_u128() + 1));
    write(&bench.store, &[&again], Write::New).await.unwrap();
    let now = bench.texts("SELECT instance_id || system_id || node_id FROM profiles ORDER BY 1").await;
    assert_eq!(now, [whole[0].as_str(), "other"]);
}

async fn takes_large_batches(bench: Bench) {
    ready(&bench).await;
    let rows: Vec<_> = (0..5_000).map(|number| ping(&format!("i{}", number % 700), number)).collect();
    write(&bench.store, &rows, Write::New).await.unwrap();
    write(&bench.store, &rows, Write::Replay).await.unwrap();
    assert_eq!(bench.count("pingbacks").await, 5_000);
    digest(&bench.store).await;
    assert_eq!(bench.count("instances WHERE pings IN (7, 8)").await, 700);
}

async fn takes_nothing(bench: Bench) {
    write(&bench.store, &[] as &[Sighting], Write::New).await.unwrap();
}

async fn refuses_a_poison_row_and_writes_nothing(bench: Bench) {
    ready(&bench).await;
    let poison = if bench.store.kind() == "sqlite" {
        "CREATE TRIGGER poison BEFORE INSERT ON profiles WHEN new.mode = 'poison' BEGIN SELECT RAISE(ABORT, 'secret'); END"
    } else {
        "ALTER TABLE profiles ADD CONSTRAINT poison CHECK (mode <> 'poison')"
    };
    bench.execute(poison).await;
    let rows = [ping("i", 0), ping("secret", 1).saying(|profile| profile.mode = "poison".into()), ping("j", 2)];
    for write in [Write::New, Write::Replay] {
        let error = crate::rows::write(&bench.store, &rows, write).await.unwrap_err();
        let expected = if bench.store.kind() == "sqlite" { "SQLite 1811 CONSTRAINT" } else { "23514 poison" };
        assert!(matches!(&error, StoreError::Rejected { reason } if reason == expected), "{error:?}");
    }
    for table in ["pings", "profiles", "outbox"] {
        assert_eq!(bench.count(table).await, 0, "{table}");
    }
    write(&bench.store, &[&rows[0], &rows[2]], Write::New).await.unwrap();
    assert_eq!(counted(&bench, INSTANCE).await.len(), 2);
}

async fn refuses_extra_that_is_no_json(bench: Bench) {
    ready(&bench).await;
    let row = ping("i", 0).with(|ping| ping.extra = "{".into());
    assert!(is_rejected(&write(&bench.store, &[row], Write::New).await));
}

async fn sets_aside_once(bench: Bench) {
    ready(&bench).await;
    let row = SetAside {
        id: Uuid::from_u128(1),
        received_at: now(),
        kind: "pingback",
        instance_id: "i".into(),
        reason: "22P05".into(),
        // jsonb would refuse this.
        row: r#"{"a":"\u0000"}"#.into(),
    };
    bench.store.set_aside(&row).await.unwrap();
    bench.store.set_aside(&row).await.unwrap();
    let columns = ["id", "received_at", "kind", "instance_id", "reason", "\"row\""];
    assert_eq!(
        bench.table("set_aside", &columns, "id").await,
        [r#"00000000-0000-0000-0000-000000000001|2026-11-24T12:00:00.000001Z|pingback|i|22P05|{"a":"\u0000"}"#]
    );
}

async fn remembers_the_last_messages(bench: Bench) {
    ready(&bench).await;
    let store = &bench.store;
    assert_eq!(store.message_snapshot().await.unwrap(), None);
    for catalogue in [r#"[{"path": "/a", "messages": []}]"#, "[]", r#"["\u0000 é 😀"]"#] {
        store.save_message_snapshot(catalogue).await.unwrap();
        assert_eq!(store.message_snapshot().await.unwrap().as_deref(), Some(catalogue));
    }
    assert_eq!(bench.table("message_snapshot", &["id"], "id").await, ["1"]);
    store.close().await;
    assert!(matches!(store.message_snapshot().await, Err(StoreError::Unavailable { .. })));
}

async fn is_healthy_until_closed(bench: Bench) {
    assert!(bench.store.health().await.is_err(), "no schema");
    ready(&bench).await;
    bench.store.health().await.unwrap();
    assert_eq!(bench.store.connections(), (1, 0));
    bench.store.close().await;
    assert!(matches!(bench.store.health().await, Err(StoreError::Unavailable { .. })));
    let result = write(&bench.store, &[ping("i", 0)], Write::New).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })));
    assert_eq!(bench.store.connections(), (0, 0));
}
