//! Behaviour of only the embedded store.

use std::cell::Cell;

use nutritionfacts::{
    config::sections,
    store::{OpenError, Store, StoreError, Write},
};

use sqlx::{Connection, SqliteConnection};

use crate::rows::{Bench, by_url, digest, now, ping, report, write, write_reports};

#[tokio::test]
async fn a_second_server_on_the_file_is_refused() {
    let bench = Bench::sqlite().await;
    let error = Store::open(&by_url(&bench.url)).await.unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("test.db.lock"));
    let Bench { store, url, folder: _folder } = bench;
    drop(store);
    Store::open(&by_url(&url)).await.unwrap();
}

#[tokio::test]
async fn written_rows_exist_after_reopening() {
    let Bench { store, url, folder } = Bench::sqlite().await;
    store.migrate(now()).await.unwrap();
    write(&store, &[ping("i", 0)], Write::New).await.unwrap();
    // Without closing, as after a crash.
    drop(store);
    let store = Store::open(&by_url(&url)).await.unwrap();
    store.migrate(now()).await.unwrap();
    let bench = Bench { store, url, folder };
    assert_eq!(bench.count("pingbacks").await, 1);
}

#[tokio::test]
async fn urls_that_name_no_file_are_refused() {
    for url in ["sqlite://", "sqlite://:memory:", "sqlite://a.db?mode=ro", "sqlite:a.db"] {
        assert!(matches!(Store::open(&by_url(url)).await, Err(OpenError::SqlitePath)), "{url}");
    }
    for url in ["mysql://h/d", "", "/a.db"] {
        assert!(matches!(Store::open(&by_url(url)).await, Err(OpenError::Scheme)), "{url}");
    }
    let error = Store::open(&by_url("postgres://u:p/w@h:x/d")).await.unwrap_err();
    assert!(!format!("{error:?}").contains("p/w"));
}

#[tokio::test]
async fn a_folder_that_cannot_be_created_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let url = format!("sqlite://{}", folder.path().join("file/sub/x.db").display());
    let error = Store::open(&by_url(&url)).await.unwrap_err();
    assert!(matches!(&error, OpenError::File { path, .. } if path.ends_with("sub")), "{error:?}");
}

#[test]
fn the_default_is_an_embedded_store() {
    let store = sections::Store::default();
    assert!(store.url.is_none() && store.host.is_none());
}

/// The write-ahead log that grew because of a slow reader is truncated when the reader has finished.
#[tokio::test]
async fn a_slow_reader_leaves_no_large_write_ahead_log() {
    let bench = Bench::sqlite().await;
    bench.store.migrate(now()).await.unwrap();
    let file = bench.url.strip_prefix("sqlite://").unwrap();
    let log = || std::fs::metadata(format!("{file}-wal")).unwrap().len();
    let mut reader = SqliteConnection::connect(&bench.url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM pings").execute(&mut reader).await.unwrap();
    let extra = format!(r#"{{"x": "{}"}}"#, "x".repeat(16_000));
    let mut second = 0;
    let mut write_some = async || {
        second += 1;
        let rows: Vec<_> = (0..100)
            .map(|number| ping(&format!("i{number}"), second).with(|ping| ping.extra = extra.clone().into()))
            .collect();
        write(&bench.store, &rows, Write::New).await.unwrap();
    };
    while log() < 80 << 20 {
        write_some().await;
    }
    assert_eq!(bench.store.log_size(), log());
    reader.close().await.unwrap();
    for _ in 0..5 {
        write_some().await;
    }
    assert!(log() <= 64 << 20, "{}", log());
}

/// Pings do not wait for a large report as a whole.
#[tokio::test]
async fn a_large_report_is_written_in_pieces() {
    let bench = Bench::sqlite().await;
    bench.store.migrate(now()).await.unwrap();
    let reports = [report("small", 2), report("large", 20_000), report("other", 999), report("last", 1)];
    let done = Cell::new(false);
    let writing = async {
        write_reports(&bench.store, &reports, Write::New).await.unwrap();
        done.set(true);
    };
    let pinging = async {
        let mut count = 0;
        while !done.get() {
            write(&bench.store, &[ping("i", 0)], Write::New).await.unwrap();
            count += 1;
        }
        count
    };
    let ((), meanwhile) = tokio::join!(writing, pinging);
    assert!(meanwhile >= 19, "{meanwhile} pings were written meanwhile");
    assert_eq!(bench.count("pingbacks").await, meanwhile);
    assert_eq!(bench.count("statistics").await, 4);
    assert_eq!(bench.count("channel_statistics").await, 21_002);
    assert_eq!(bench.count("facility_statistics").await, 4);
    assert_eq!(bench.count("unfinished").await, 0);
    // Once more, as after a failure with unknown outcome.
    write_reports(&bench.store, &reports, Write::Replay).await.unwrap();
    assert_eq!(bench.count("channel_statistics").await, 21_002);
    assert_eq!(bench.count("unfinished").await, 0);
    digest(&bench.store).await;
    assert_eq!(bench.count("outbox").await, 0);
}

/// A store that rejects reports whose `pi` is `p`.
async fn refusing() -> Bench {
    const POISON: &str =
        "CREATE TRIGGER poison BEFORE INSERT ON statistics WHEN new.pi = 'p' BEGIN SELECT RAISE(ABORT, 'p'); END";
    let bench = Bench::sqlite().await;
    bench.store.migrate(now()).await.unwrap();
    bench.execute(POISON).await;
    bench
}

/// A rejected report leaves those before it in place, also when they are written again.
#[tokio::test]
async fn reports_before_a_rejected_one_are_stored() {
    let mut bench = refusing().await;
    let reports = [report("a", 1499), report("p", 10)];
    let error = write_reports(&bench.store, &reports, Write::New).await.unwrap_err();
    assert!(matches!(error, StoreError::Rejected { .. }), "{error}");
    // As the queue does it: in halves, again.
    write_reports(&bench.store, &reports[..1], Write::Replay).await.unwrap();
    bench.reopen().await;
    bench.store.migrate(now()).await.unwrap();
    assert_eq!((bench.count("statistics").await, bench.count("unfinished").await), (1, 0));
    assert_eq!((bench.count("channel_statistics").await, bench.count("outbox").await), (1499, 1));
    // A process that ends while it writes existing rows again leaves no mark.
    bench.execute("CREATE TRIGGER late BEFORE DELETE ON unfinished BEGIN SELECT RAISE(ABORT, 'l'); END").await;
    write_reports(&bench.store, &reports[..1], Write::Replay).await.unwrap();
}

/// Rows of a report that was never finished are removed at the next start or before the next report.
#[tokio::test]
async fn parts_of_unfinished_reports_are_removed() {
    let mut bench = refusing().await;
    let poison = report("p", 2999);
    for again in [Write::New, Write::Replay] {
        let error = write_reports(&bench.store, &[&poison], again).await.unwrap_err();
        assert!(matches!(error, StoreError::Rejected { .. }), "{error}");
        assert_eq!((bench.count("channel_statistics").await, bench.count("unfinished").await), (2000, 1));
    }
    write_reports(&bench.store, &[report("q", 2000)], Write::New).await.unwrap();
    assert_eq!((bench.count("channel_statistics").await, bench.count("unfinished").await), (2000, 0));
    write_reports(&bench.store, &[&poison], Write::New).await.unwrap_err();
    bench.reopen().await;
    bench.store.migrate(now()).await.unwrap();
    assert_eq!((bench.count("channel_statistics").await, bench.count("unfinished").await), (2000, 0));
}
