//! `instances` in SQLite: what this process folded by a stroke, in slices between which pings are written; all else by
//! SQL, batch by batch. Whoever counts pings makes sure in the same transaction that nobody counts them again.

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use uuid::Uuid;

use super::{Sqlite, json, text};
use crate::store::{
    StoreError, instances,
    tally::{Folded, Installation, Pings},
};

/// Installations of one slice: the writer is not held for longer than by a batch of pings.
const SLICE: usize = 200;

static COUNT: LazyLock<String> =
    LazyLock::new(|| format!("{}{}", include_str!("../sql/sqlite_count.sql"), instances::merge("min", "max")));

impl Sqlite {
    pub(in crate::store) async fn count_own(&self) -> Result<(), StoreError> {
        let _one = self.counting.lock().await;
        let mut folded = self.tally.take();
        let Some(upto) = folded.batches.iter().chain(&folded.left).max().copied() else { return Ok(()) };
        let result = match self.stroke(&mut folded, upto).await {
            Ok(false) => self.count_batches(upto).await,
            other => other.map(|_| ()),
        };
        if result.is_err() {
            self.tally.leave([upto]);
        }
        result
    }

    /// Counts what is in no fold.
    pub(in crate::store) async fn count_left(&self) -> Result<(), StoreError> {
        let _one = self.counting.lock().await;
        self.count_batches(self.tally.oldest().map_or(i64::MAX, |batch| batch - 1)).await
    }

    /// False: not all batches up to this one were folded, so nothing was done.
    async fn stroke(&self, folded: &mut Folded<i64>, upto: i64) -> Result<bool, StoreError> {
        if !self.begin_stroke(&folded.batches, upto).await? {
            return Ok(false);
        }
        while !folded.installations.is_empty() {
            self.count_slice(&folded.slice(SLICE)).await?;
        }
        self.end_stroke(upto).await?;
        Ok(true)
    }

    /// Notes that a stroke is under way over all batches that are there, up to this one; false: they are others.
    async fn begin_stroke(&self, batches: &[i64], upto: i64) -> Result<bool, StoreError> {
        let mut writer = self.writer().await?;
        let result = async {
            let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
            let there = sqlx::query_scalar("SELECT batch FROM uncounted WHERE batch <= ?1 ORDER BY batch").bind(upto);
            let there: Vec<i64> = there.fetch_all(&mut *transaction).await?;
            if there != batches {
                return Ok(false);
            }
            let note = sqlx::query("UPDATE counting SET upto = ?1, done = ''").bind(upto);
            note.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(true)
        }
        .await;
        writer.settle(result)
    }

    async fn count_slice(&self, slice: &[(Installation, Pings)]) -> Result<(), StoreError> {
        let Some((last, _)) = slice.last() else { return Ok(()) };
        let lines = slice.iter().flat_map(|(_, pings)| pings.lines());
        let lines: Vec<_> = lines.map(|line| (line.id, Some(text(line.first)), line.count)).collect();
        let mut writer = self.writer().await?;
        let result = async {
            let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
            count(&mut transaction, &lines, "").await?;
            let note = sqlx::query("UPDATE counting SET done = ?1").bind(last.text());
            note.execute(&mut *transaction).await?;
            transaction.commit().await
        }
        .await;
        writer.settle(result)
    }

    async fn end_stroke(&self, upto: i64) -> Result<(), StoreError> {
        let mut writer = self.writer().await?;
        let delete = sqlx::query("DELETE FROM uncounted WHERE batch <= ?1").bind(upto);
        let result = delete.execute(&mut *writer).await.map(|_| ());
        writer.settle(result)
    }

    async fn count_batches(&self, upto: i64) -> Result<(), StoreError> {
        loop {
            let mut writer = self.writer().await?;
            let result = count_batch(&mut writer, upto).await;
            if !writer.settle(result)? {
                return Ok(());
            }
        }
    }
}

/// Counts the oldest batch; false: there is none.
async fn count_batch(connection: &mut SqliteConnection, upto: i64) -> Result<bool, sqlx::Error> {
    // Of a stroke that did not come to its end, some installations are counted.
    const OLDEST: &str = "SELECT batch, ids, CASE WHEN batch <= upto THEN done ELSE '' END
        FROM uncounted, counting WHERE batch <= ?1 ORDER BY batch LIMIT 1";
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let oldest: Option<(i64, Vec<u8>, String)> =
        sqlx::query_as(OLDEST).bind(upto).fetch_optional(&mut *transaction).await?;
    let Some((batch, ids, done)) = oldest else { return Ok(false) };
    let ids = ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok());
    let lines: Vec<_> = ids.map(|id| (id, None, 1)).collect();
    count(&mut transaction, &lines, &done).await?;
    sqlx::query("DELETE FROM uncounted WHERE batch = ?1").bind(batch).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Merges these pings, but for installations up to `done`.
async fn count(
    connection: &mut SqliteConnection,
    lines: &[(Uuid, Option<String>, u32)],
    done: &str,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(COUNT.as_str())).bind(json(&lines)?).bind(done);
    query.execute(connection).await.map(|_| ())
}
