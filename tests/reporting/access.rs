//! Who may read what.

use sqlx::{Connection, Executor, Row};

use crate::{
    fleet::{Fleet, now},
    support::postgres::shared,
};

#[tokio::test]
async fn readers_see_the_views_and_nothing_else() {
    let fleet = Fleet::of(30, 10).await;
    fleet.derive().await;
    let mut reader = shared().connect(&fleet.database).await;
    reader.execute("SET ROLE nutritionfacts_reporting").await.unwrap();
    let rows = reader
        .fetch_all("SELECT table_name::text FROM information_schema.views WHERE table_schema = 'reporting'")
        .await
        .unwrap();
    assert!(rows.len() > 10);
    for row in rows {
        let view: String = row.get(0);
        reader.execute(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM reporting.{view}"))).await.unwrap();
    }
    reader.execute("SELECT * FROM reporting.new_by_network(now() - interval '1 day', now())").await.unwrap();

    for table in [
        "pingbacks",
        "pings",
        "profiles",
        "instances",
        "installations",
        "statistics",
        "facility_statistics",
        "set_aside",
        "activity",
    ] {
        let sql = format!("SELECT count(*) FROM {table}");
        let error = reader.execute(sqlx::AssertSqlSafe(sql)).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{table}");
    }
    for sql in [
        "UPDATE reporting.clones SET copies = 0",
        "SELECT reporting.grant_to_readers()",
        "CREATE TABLE reporting.mine ()",
    ] {
        reader.execute(sql).await.unwrap_err();
    }
    reader.close().await.unwrap();
}

/// A user that may not create roles can still migrate; once an administrator has created the role, it gets access.
#[tokio::test]
async fn the_role_can_be_created_later() {
    let name = format!("late_{}", fastrand::u64(..));
    let url = shared().create_database(&name).await;
    shared()
        .execute("postgres", &format!("CREATE ROLE \"{name}\" LOGIN; ALTER DATABASE \"{name}\" OWNER TO \"{name}\""))
        .await;
    let section = nutritionfacts::config::sections::Store {
        url: Some(url.replace("postgres://postgres", &format!("postgres://{name}")).into()),
        ..Default::default()
    };
    let store = nutritionfacts::store::Store::open(&section).await.unwrap();
    store.migrate(now()).await.unwrap();
    let mut owner = shared().connect(&name).await;
    owner.execute(sqlx::AssertSqlSafe(format!("SET ROLE \"{name}\""))).await.unwrap();
    owner.execute("SELECT reporting.grant_to_readers()").await.unwrap();
    assert_eq!(store.digest(nutritionfacts::store::Whose::OTHERS).await.unwrap().batches, 0);
}

/// The page has all views with all their columns, and no others.
#[tokio::test]
async fn every_column_is_documented() {
    let mut fleet = Fleet::empty().await;
    let sql = "SELECT string_agg(view || '.' || name, ' ' ORDER BY view, name) FROM (
            SELECT table_name AS view, column_name AS name FROM information_schema.columns WHERE table_schema = 'reporting'
            UNION ALL SELECT routine_name, parameter_name FROM information_schema.routines JOIN information_schema.parameters USING (specific_schema, specific_name)
            WHERE specific_schema = 'reporting' AND routine_name = 'new_by_network' AND parameter_mode = 'OUT') AS columns (view, name)";
    let is = fleet.text(sql).await;
    let page = include_str!("../../docs/data.md");
    let mut said = Vec::new();
    for section in page.split("\n### ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap();
        let views: Vec<_> = title
            .split('`')
            .filter_map(|part| part.strip_prefix("reporting."))
            .map(|name| name.split('(').next().unwrap())
            .collect();
        for line in body.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `")) {
            for column in line.split(" | ").next().unwrap().split('`').skip(1).step_by(2) {
                for view in &views {
                    // The two views that share a table differ in one column.
                    if !matches!((*view, column), ("genders", "age") | ("ages", "gender")) {
                        said.push(format!("{view}.{column}"));
                    }
                }
            }
        }
    }
    said.sort();
    let mut is: Vec<_> = is.split(' ').map(ToOwned::to_owned).collect();
    is.sort();
    assert_eq!(said, is);
}
