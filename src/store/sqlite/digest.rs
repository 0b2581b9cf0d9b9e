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
        let result = self.steps(whose).await;
        self.fresh.after(whose, &result);
        let done = Digested::or_refused(result)?;
        Ok(Digested { behind: self.fresh.is_behind(), ..done })
    }

    pub(in crate::store) async fn much_to_digest(&self) {
        self.fresh.many().await;
    }

    async fn steps(&self, whose: Whose) -> Result<Digested, StoreError> {
        let mut waiting = self.waiting.lock().await;
        let Whose::Others { age } = whose else {
            let own = self.fresh.take(ROWS);
            if own.is_empty() {
                return Ok(Digested::default());
            }
            return self.transaction(async |books| own_step(books, own, ROWS).await).await;
        };
        let mut taken = Vec::new();
        let mut result = self
            .transaction(async |books| step(books, (ROWS, age), self.fresh.batches(), &mut waiting, &mut taken).await)
            .await;
        if matches!(result, Err(StoreError::Rejected { .. })) && taken.len() > 1 {
            // It must not keep the others from it.
            taken.clear();
            result = self
                .transaction(async |books| step(books, (1, age), self.fresh.batches(), &mut waiting, &mut taken).await)
                .await;
        }
        if matches!(result, Err(StoreError::Rejected { .. })) {
            waiting.add(taken);
        }
        result
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
