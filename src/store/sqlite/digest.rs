//! The digest in SQLite: small steps, between which pings are written.

use sqlx::Connection;

use super::{Sqlite, books::SqliteBooks};
use crate::store::{
    StoreError,
    digest::{Digested, Whose, own_step, step},
};

/// Rows of one step: the writer is not held for longer than by a batch of pings or two.
const ROWS: usize = 1_000;

impl Sqlite {
    pub(in crate::store) async fn digest(&self, whose: Whose) -> Result<Digested, StoreError> {
        let result = self.step(whose).await;
        self.fresh.after(whose, result)
    }

    pub(in crate::store) async fn much_to_digest(&self) {
        self.fresh.many().await;
    }

    async fn step(&self, whose: Whose) -> Result<Digested, StoreError> {
        let mut waiting = self.waiting.lock().await;
        let Whose::Others { age } = whose else {
            if self.fresh.is_empty() {
                return Ok(Digested::default());
            }
            return self.transaction(async |books| own_step(books, self.fresh.take(ROWS), ROWS).await).await;
        };
        let mut taken = Vec::new();
        let result = self
            .transaction(async |books| step(books, (ROWS, age), self.fresh.batches(), &mut waiting, &mut taken).await)
            .await;
        waiting.after(taken, result)
    }

    async fn transaction(
        &self,
        work: impl AsyncFnOnce(&mut SqliteBooks<'_>) -> sqlx::Result<Digested>,
    ) -> Result<Digested, StoreError> {
        let mut writer = self.writer().await?;
        let result = async {
            let mut books = SqliteBooks(writer.begin_with("BEGIN IMMEDIATE").await?);
            let done = work(&mut books).await?;
            books.0.commit().await?;
            Ok(done)
        }
        .await;
        writer.settle(result)
    }
}
