//! The SQL of the runbooks, on a database with a generated fleet.

use sqlx::{AssertSqlSafe, Executor};

use crate::{fleet::Fleet, support::runbooks::of_language};

#[tokio::test]
async fn sql_of_the_runbooks_works() {
    let mut fleet = Fleet::of(20, 5).await;
    let mut failures = Vec::new();
    for (page, sql) in of_language("sql").into_iter().chain(of_language("sql change")) {
        if let Err(error) = fleet.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await {
            failures.push(format!("{page}: {sql}\n{error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
