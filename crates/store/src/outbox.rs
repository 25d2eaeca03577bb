//! Events for whoever reacts to them, written with the change that they tell of. Each consumer
//! keeps its own position, so that it gets every event at least once.

use sqlx::SqliteConnection;
use tokio::sync::watch;

use crate::{
    error::StoreError,
    row::{Columns, signed},
    store::Store,
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    /// The event's number: later events have greater ones; some numbers are left out.
    pub seq: i64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What kind of thing it happened to, such as `job`.
    pub topic: String,
    /// Which one, such as `training/churn-7`.
    pub subject: String,
    /// What happened, as JSON.
    pub body: String,
}

/// The table of events.
pub struct Outbox<'s>(pub(crate) &'s Store);

impl Outbox<'_> {
    /// The events after number `position`, in order, `limit` at most.
    pub async fn after(&self, position: i64, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        let sql = "SELECT seq, at, topic, subject, body FROM outbox WHERE seq > ? ORDER BY seq
                   LIMIT ?";
        let query = sqlx::query(sql).bind(position).bind(limit);
        let rows = query.fetch_all(self.0.readers()).await?;
        let event = |row| {
            let columns = Columns::new(row, "outbox", "seq");
            Ok(OutboxEvent {
                seq: columns.get("seq")?,
                at: columns.count("at")?,
                topic: columns.get("topic")?,
                subject: columns.get("subject")?,
                body: columns.get("body")?,
            })
        };
        rows.iter().map(event).collect()
    }

    /// The number of the latest event on disk, whenever it changes.
    pub fn latest(&self) -> watch::Receiver<i64> {
        self.0.committed()
    }

    /// The last event that `consumer` is done with; 0 if it has none.
    pub async fn position(&self, consumer: &str) -> Result<i64, StoreError> {
        let sql = "SELECT position FROM outbox_consumers WHERE name = ?";
        let query = sqlx::query_scalar(sql).bind(consumer);
        Ok(query.fetch_optional(self.0.readers()).await?.unwrap_or(0))
    }

    /// The same, but a consumer that is new begins with what comes from now on.
    pub async fn join(&self, consumer: &str) -> Result<i64, StoreError> {
        let consumer = consumer.to_owned();
        let sql = "INSERT INTO outbox_consumers (name, position)
                   VALUES (?1, (SELECT coalesce(max(seq), 0) FROM outbox))
                   ON CONFLICT (name) DO UPDATE SET position = position RETURNING position";
        let write = self.0.write(move |conn| {
            Box::pin(
                async move { Ok(sqlx::query_scalar(sql).bind(consumer).fetch_one(conn).await?) },
            )
        });
        write.await
    }

    /// Forgets the consumers whose names begin with `prefix` and are not among `names`.
    pub async fn keep_only(&self, prefix: &str, names: Vec<String>) -> Result<(), StoreError> {
        let prefix = prefix.to_owned();
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let sql = "SELECT name FROM outbox_consumers";
                let known: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *conn).await?;
                let gone = known.iter().filter(|name| name.starts_with(&prefix));
                for name in gone.filter(|name| !names.contains(name)) {
                    let sql = "DELETE FROM outbox_consumers WHERE name = ?";
                    sqlx::query(sql).bind(name).execute(&mut *conn).await?;
                }
                Ok(())
            })
        });
        write.await
    }

    /// How many event numbers the slowest consumer is behind the latest event; 0 without consumers.
    pub async fn lag(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce((SELECT max(seq) FROM outbox)
                   - (SELECT min(position) FROM outbox_consumers), 0)";
        let lag: i64 = sqlx::query_scalar(sql).fetch_one(self.0.readers()).await?;
        Ok(u64::try_from(lag).unwrap_or(0))
    }

    /// Records that `consumer` is done with every event up to number `position`. A position never
    /// goes back.
    pub async fn done(&self, consumer: &str, position: i64) -> Result<(), StoreError> {
        let consumer = consumer.to_owned();
        let sql = "INSERT INTO outbox_consumers (name, position) VALUES (?, ?)
                   ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                sqlx::query(sql).bind(consumer).bind(position).execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }

    /// Deletes the events that were written before `before` (milliseconds since 1970) and that
    /// every consumer is done with. Returns how many.
    pub async fn trim(&self, before: u64) -> Result<u64, StoreError> {
        // The latest stays: it tells where the numbers go on.
        let sql = "DELETE FROM outbox WHERE at < ?
                   AND seq <= (SELECT coalesce(min(position), 9e18) FROM outbox_consumers)
                   AND seq < (SELECT max(seq) FROM outbox)";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let done = sqlx::query(sql).bind(signed(before)).execute(conn).await?;
                Ok(done.rows_affected())
            })
        });
        write.await
    }
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    at: u64,
    topic: &str,
    subject: &str,
    body: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO outbox (at, topic, subject, body) VALUES (?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(signed(at)).bind(topic).bind(subject).bind(body);
    query.execute(conn).await?;
    Ok(())
}
