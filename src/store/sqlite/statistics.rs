//! Writes reports in SQLite: many in one transaction, or a large one in several, because pings wait for the only writer.

use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use super::{
    Sqlite, json, text,
    write::{is_present, note},
};
use crate::{
    domain::statistics::{ChannelRow, FacilityRow, StatisticsReport},
    store::{StoreError, Write},
};

/// Entries per transaction, which takes some ten milliseconds.
const PIECE: usize = 1000;

/// Entries of one report.
#[derive(Debug, Clone, Copy)]
struct Piece<'a> {
    channels: &'a [ChannelRow],
    facilities: &'a [FacilityRow],
}

impl Piece<'_> {
    fn len(self) -> usize {
        self.channels.len() + self.facilities.len()
    }

    /// The first [`PIECE`] entries, and the rest.
    fn split(self) -> (Self, Self) {
        let (channels, later) = self.channels.split_at(PIECE.min(self.channels.len()));
        let (facilities, last) = self.facilities.split_at((PIECE - channels.len()).min(self.facilities.len()));
        (Self { channels, facilities }, Self { channels: later, facilities: last })
    }
}

impl<'a> From<&'a StatisticsReport> for Piece<'a> {
    fn from(report: &'a StatisticsReport) -> Self {
        Self { channels: &report.channels, facilities: &report.facilities }
    }
}

impl Sqlite {
    pub(in crate::store) async fn write_statistics(
        &self,
        reports: &[&StatisticsReport],
        write: Write,
        epoch: u32,
    ) -> Result<(), StoreError> {
        let mut rest = reports;
        while let Some(first) = rest.first() {
            let mut entries = 0;
            let fitting = rest.iter().take_while(|report| {
                entries += Piece::from(**report).len();
                entries <= PIECE
            });
            let together = fitting.count().max(1);
            let mut last = Piece::from(*first);
            if last.len() > PIECE {
                last = self.write_beginning(first, epoch).await?;
            }
            let mut writer = self.writer().await?;
            let result = self.insert(&mut writer, epoch, &rest[..together], last, write).await;
            if !writer.settle(result)? {
                return Err(StoreError::Stale);
            }
            rest = &rest[together..];
        }
        Ok(())
    }

    /// Writes the entries of a new report except the last piece, which it returns. Until that is written, with the
    /// report, `unfinished` has an entry for it.
    async fn write_beginning<'a>(&self, report: &'a StatisticsReport, epoch: u32) -> Result<Piece<'a>, StoreError> {
        let mut rest = Piece::from(report);
        // There is only one queue of reports, so no other one is being written.
        let mut writer = self.writer().await?;
        let result = forget_unfinished(&mut writer, Some(report.id)).await;
        writer.settle(result)?;
        while rest.len() > PIECE {
            let (piece, later) = rest.split();
            let mut writer = self.writer().await?;
            let result = self.insert_piece(&mut writer, epoch, report.id, piece).await;
            if !writer.settle(result)? {
                return Err(StoreError::Stale);
            }
            rest = later;
        }
        Ok(rest)
    }

    /// Returns false if the state has changed; then nothing was written.
    async fn insert_piece(
        &self,
        connection: &mut SqliteConnection,
        epoch: u32,
        id: Uuid,
        piece: Piece<'_>,
    ) -> sqlx::Result<bool> {
        // After a failure, the whole entry may exist already.
        const SQL: &str = "INSERT INTO unfinished (statistics_id)
            SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM statistics WHERE id = ?1) ON CONFLICT (statistics_id) DO NOTHING";
        let id = id.to_string();
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if !is_present(&mut transaction, (&self.state, epoch)).await? {
            return Ok(false);
        }
        sqlx::query(SQL).bind(&id).execute(&mut *transaction).await?;
        insert_entries(&mut transaction, &id, piece).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Writes reports with their entries, of the first one only the last piece. Returns false if the state has changed; then nothing was written.
    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        epoch: u32,
        reports: &[&StatisticsReport],
        last: Piece<'_>,
        write: Write,
    ) -> sqlx::Result<bool> {
        const SQL: &str = "INSERT INTO statistics (id, received_at, pingback_id, pi, extra)
            VALUES (?1, ?2, (SELECT id FROM pings WHERE id = ?3), ?4, ?5)";
        const REPLAY: &str = "INSERT INTO statistics (id, received_at, pingback_id, pi, extra)
            VALUES (?1, ?2, (SELECT id FROM pings WHERE id = ?3), ?4, ?5) ON CONFLICT (id) DO NOTHING";
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if !is_present(&mut transaction, (&self.state, epoch)).await? {
            return Ok(false);
        }
        let mut fresh = Vec::with_capacity(reports.len());
        for (index, report) in reports.iter().enumerate() {
            let id = report.id.to_string();
            let insert = sqlx::query(if write == Write::New { SQL } else { REPLAY });
            let insert = insert.bind(&id).bind(text(report.received_at));
            let insert = insert.bind(report.pingback.map(|id| id.to_string())).bind(&report.pi).bind(&*report.extra);
            if insert.execute(&mut *transaction).await?.rows_affected() > 0 {
                fresh.push(report.id);
                let entries = if index == 0 { last } else { Piece::from(*report) };
                insert_entries(&mut transaction, &id, entries).await?;
            }
        }
        if last.len() < Piece::from(reports[0]).len() {
            let finished = sqlx::query("DELETE FROM unfinished WHERE statistics_id = ?1");
            finished.bind(reports[0].id.to_string()).execute(&mut *transaction).await?;
        }
        note(&mut transaction, "statistics", fresh.into_iter()).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

async fn insert_entries(connection: &mut SqliteConnection, id: &str, piece: Piece<'_>) -> sqlx::Result<()> {
    let channels = sqlx::query(include_str!("../sql/sqlite_channels.sql")).bind(id).bind(json(piece.channels)?);
    channels.execute(&mut *connection).await?;
    let facilities = sqlx::query(include_str!("../sql/sqlite_facilities.sql")).bind(id).bind(json(piece.facilities)?);
    facilities.execute(connection).await.map(drop)
}

/// Removes entries of reports that were never finished, except of this one.
pub(super) async fn forget_unfinished(connection: &mut SqliteConnection, but: Option<Uuid>) -> sqlx::Result<()> {
    const UNFINISHED: &str = "SELECT statistics_id FROM unfinished WHERE statistics_id IS NOT ?1";
    let but = but.map(|id| id.to_string());
    for id in sqlx::query_scalar::<_, String>(UNFINISHED).bind(but).fetch_all(&mut *connection).await? {
        let mut transaction = connection.begin().await?;
        for sql in [
            "DELETE FROM channel_statistics WHERE statistics_id = ?1",
            "DELETE FROM facility_statistics WHERE statistics_id = ?1",
            "DELETE FROM unfinished WHERE statistics_id = ?1",
        ] {
            sqlx::query(sql).bind(&id).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}
