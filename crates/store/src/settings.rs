//! The server's own settings: values by name.

use crate::{error::StoreError, store::Store};

/// The table of settings.
pub struct Settings<'s>(pub(crate) &'s Store);

impl Settings<'_> {
    /// The value of `name`, if it was ever set.
    pub async fn get(&self, name: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE name = ?").bind(name);
        Ok(query.fetch_optional(self.0.readers()).await?)
    }

    /// Gives `name` a value in place of the one it had.
    pub async fn set(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let sql = "INSERT INTO settings (name, value) VALUES (?, ?)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                sqlx::query(sql).bind(name).bind(value).execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }
}
