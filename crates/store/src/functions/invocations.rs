//! Asynchronous invocations, from acceptance to their end.

use sqlx::sqlite::SqliteRow;

use crate::{
    error::StoreError,
    row::{Columns, signed},
    store::Store,
};

/// An invocation to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvocation {
    /// The function's name.
    pub function: String,
    /// The request's id.
    pub request_id: String,
    /// What it is of, beside the payload, as JSON.
    pub document: String,
    /// What the function gets.
    pub payload: Vec<u8>,
    /// When it was accepted, in milliseconds since 1970; it is due then.
    pub accepted_at: u64,
}

/// An invocation that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its number, by which it is told apart here.
    pub id: i64,
    /// What was accepted.
    pub accepted: NewInvocation,
    /// How often it has been run.
    pub runs: u32,
    /// When it may run, in milliseconds since 1970.
    pub due_at: u64,
}

/// The table of invocations.
pub struct InvocationTable<'s>(pub(crate) &'s Store);

impl InvocationTable<'_> {
    /// Keeps an invocation. Returns its number.
    pub async fn accept(&self, new: NewInvocation) -> Result<i64, StoreError> {
        let sql = "INSERT INTO invocations
                   (function, request_id, document, payload, accepted_at, due_at)
                   VALUES (?, ?, ?, ?, ?, ?)";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let accepted = signed(new.accepted_at);
                let query = sqlx::query(sql).bind(new.function).bind(new.request_id);
                let query = query.bind(new.document).bind(new.payload);
                let done = query.bind(accepted).bind(accepted).execute(conn).await?;
                Ok(done.last_insert_rowid())
            })
        });
        write.await
    }

    /// The invocations that are due at `now`, those that are so for longest first, `most` at most.
    pub async fn due(&self, now: u64, most: usize) -> Result<Vec<Invocation>, StoreError> {
        let sql = "SELECT id, function, request_id, document, payload, accepted_at, runs, due_at
                   FROM invocations WHERE due_at <= ? ORDER BY due_at, id LIMIT ?";
        let query = sqlx::query(sql).bind(signed(now)).bind(signed(most as u64));
        let rows = query.fetch_all(self.0.readers()).await?;
        rows.iter().map(invocation).collect()
    }

    /// When the first invocation is due that isn't at `now`.
    pub async fn next_due(&self, now: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT min(due_at) FROM invocations WHERE due_at > ?";
        let query = sqlx::query_scalar(sql).bind(signed(now));
        let due: Option<i64> = query.fetch_one(self.0.readers()).await?;
        Ok(due.map(i64::unsigned_abs))
    }

    /// Notes that an invocation was run once more, or not, and is to be run again at `due_at`.
    pub async fn put_off(&self, id: i64, runs: u32, due_at: u64) -> Result<(), StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let sql = "UPDATE invocations SET runs = ?, due_at = ? WHERE id = ?";
                let query = sqlx::query(sql).bind(i64::from(runs)).bind(signed(due_at)).bind(id);
                query.execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }

    /// Forgets an invocation that has ended.
    pub async fn end(&self, id: i64) -> Result<(), StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                sqlx::query("DELETE FROM invocations WHERE id = ?").bind(id).execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }
}

fn invocation(row: &SqliteRow) -> Result<Invocation, StoreError> {
    let columns = Columns::new(row, "invocations", "id");
    Ok(Invocation {
        id: columns.get("id")?,
        accepted: NewInvocation {
            function: columns.get("function")?,
            request_id: columns.get("request_id")?,
            document: columns.get("document")?,
            payload: columns.get("payload")?,
            accepted_at: columns.count("accepted_at")?,
        },
        runs: columns.count("runs")?,
        due_at: columns.count("due_at")?,
    })
}
