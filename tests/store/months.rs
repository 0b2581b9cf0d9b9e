//! The partitions of PostgreSQL, one per month.

use nutritionfacts::{domain::period::Grain, store::Write};
use sqlx::Executor;

use crate::rows::{Bench, Sighting, digest, now, ping, ping_at, until, write, write_reports};

/// A ping of another time.
fn ping_of(moment: &str) -> Sighting {
    ping_at("i", moment.parse().unwrap())
}

async fn months(bench: &Bench) -> Vec<String> {
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pings'::regclass ORDER BY 1";
    bench.texts(sql).await
}

#[tokio::test]
async fn months_are_made_ahead_and_on_the_way() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    let ahead = ["2026_10", "2026_11", "2026_12", "2027_01", "2027_02"].map(|month| format!("pings_{month}"));
    assert_eq!(months(&bench).await, ahead);

    let late = [ping_of("2025-03-31T23:59:59.999999Z"), ping("i", 0), ping_of("2028-02-29T00:00:00Z")];
    write(&bench.store, &late, Write::New).await.unwrap();
    write(&bench.store, &[ping_of("2029-01-01T00:00:00Z")], Write::Replay).await.unwrap();
    assert_eq!(bench.count("pingbacks").await, 4);
    assert_eq!(bench.count("pings_2025_03").await, 1);
    assert_eq!(bench.count("pings_2028_02").await, 1);

    bench.store.prepare_months("2027-03-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert!(months(&bench).await.contains(&"pings_2027_06".to_owned()));
}

#[tokio::test]
async fn one_missing_month_is_made_by_many_at_once() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move { write(&store, &[ping_of("2030-05-05T00:00:00Z")], Write::New).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(bench.count("pings_2030_05").await, 8);
}

/// Somebody looks at a month before it is dropped; it is needed again.
#[tokio::test]
async fn a_detached_month_keeps_nobody_from_starting() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    write(&bench.store, &[ping("old", 0)], Write::New).await.unwrap();
    for table in ["pings", "statistics", "channel_statistics", "facility_statistics"] {
        bench.execute(&format!("ALTER TABLE {table} DETACH PARTITION {table}_2026_11")).await;
    }
    bench.store.migrate(now()).await.unwrap();
    assert!(months(&bench).await.contains(&"pings_2026_11_2".to_owned()));
    assert_eq!(bench.store.months_ahead(now()).await.unwrap(), Some(3));
    write(&bench.store, &[ping("new", 0)], Write::New).await.unwrap();
    assert_eq!((bench.count("pings").await, bench.count("pings_2026_11").await), (1, 1));
    bench.store.migrate(now()).await.unwrap();
    assert_eq!(months(&bench).await.len(), 5, "nothing is made twice");
}

/// The statements of docs/operations.md, while somebody reads the month: pings do not wait.
#[tokio::test]
async fn dropping_a_month_holds_up_no_ping() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    write(&bench.store, &[ping_of("2024-11-05T00:00:00Z"), ping("i", 0)], Write::New).await.unwrap();
    write_reports(&bench.store, &[crate::rows::report_at("", 1, "2024-11-05T00:00:00Z".parse().unwrap())], Write::New)
        .await
        .unwrap();
    let database = bench.url.rsplit('/').next().unwrap();
    let page = include_str!("../../docs/operations.md");
    let (_, page) = page.split_once("### Dropping a month by hand").unwrap();
    let mut blocks = page.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    let [look, seal, mut drop] = [(); 3].map(|()| blocks.next().unwrap());
    let version = &bench.texts("SELECT current_setting('server_version_num')").await[0];
    if version.as_str() < "140000" {
        drop = drop.replace(" CONCURRENTLY", "");
    }
    let look = look.trim().trim_end_matches(';');
    let look = format!("SELECT batches || ' ' || periods FROM ({look}) AS looked");
    assert_eq!(bench.texts(&look).await, ["2 0"], "what is to be digested first");
    digest(&bench.store).await;
    for grain in Grain::ALL {
        while bench.store.count_period(grain).await.unwrap().is_some() {}
    }
    assert_eq!(bench.texts(&look).await, ["0 0"]);
    bench.execute(&seal).await;
    let mut reader = crate::support::postgres::shared().connect(database).await;
    reader.execute("BEGIN; SELECT count(*) FROM pings").await.unwrap();
    let mut operator = crate::support::postgres::shared().connect(database).await;
    let statements: Vec<_> = drop.split_inclusive(";\n").map(ToOwned::to_owned).collect();
    operator.execute(sqlx::AssertSqlSafe(statements[0].clone())).await.unwrap();
    let detach = statements[1].clone();
    let detaching = tokio::spawn(async move {
        let result = operator.execute(sqlx::AssertSqlSafe(detach)).await;
        (operator, result)
    });
    let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE%' AND datname = current_database()";
    until("it waits for the reader", async || bench.texts(waits).await == ["1"]).await;
    write(&bench.store, &[ping("i", 1)], Write::New).await.unwrap();
    reader.execute("COMMIT").await.unwrap();
    let (mut operator, result) = detaching.await.unwrap();
    // Or its patience was at an end: then it is tried again.
    if result.is_err() {
        let again = if version.as_str() < "140000" {
            statements[1].clone()
        } else {
            statements[1].replace(" CONCURRENTLY", " FINALIZE")
        };
        operator.execute(sqlx::AssertSqlSafe(again)).await.unwrap();
    }
    for statement in &statements[2..] {
        operator.execute(sqlx::AssertSqlSafe(statement.clone())).await.unwrap();
    }
    assert_eq!((bench.count("pings").await, bench.count("channel_statistics").await), (2, 0));
    bench.store.migrate(now()).await.unwrap();
}
