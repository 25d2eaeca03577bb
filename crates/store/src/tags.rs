//! Tags by ARN.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use crate::{error::StoreError, row::Columns, store::Store};

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The tag's name, unique for an ARN.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
}

impl Tag {
    /// A tag of that key and value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// The table of tags.
pub struct Tags<'s>(pub(crate) &'s Store);

impl Tags<'_> {
    /// The tags of `arn`, in the order of their keys.
    pub async fn list(&self, arn: &str) -> Result<Vec<Tag>, StoreError> {
        let sql = "SELECT key, value FROM tags WHERE arn = ? ORDER BY key";
        let rows = sqlx::query(sql).bind(arn).fetch_all(self.0.readers()).await?;
        let tag = |row| {
            let columns = Columns::new(row, "tags", "key");
            Ok(Tag { key: columns.get("key")?, value: columns.get("value")? })
        };
        rows.iter().map(tag).collect()
    }

    /// Adds tags to `arn`; those whose keys it has get the new values.
    pub async fn add(&self, arn: &str, tags: Vec<Tag>) -> Result<(), StoreError> {
        let arn = arn.to_owned();
        self.0.write(move |conn| Box::pin(async move { insert(conn, &arn, &tags).await })).await
    }

    /// Takes the tags of these keys from `arn`; keys that it does not have are passed over.
    pub async fn remove(&self, arn: &str, keys: Vec<String>) -> Result<(), StoreError> {
        let arn = arn.to_owned();
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                for key in keys {
                    let query = sqlx::query("DELETE FROM tags WHERE arn = ? AND key = ?");
                    query.bind(&arn).bind(key).execute(&mut *conn).await?;
                }
                Ok(())
            })
        });
        write.await
    }
}

/// Tags as the table has them: a key's last value, in the order of the keys.
pub(crate) fn in_order(tags: &[Tag]) -> Vec<Tag> {
    let by_key: BTreeMap<&str, &str> =
        tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    by_key.into_iter().map(|(key, value)| Tag::new(key, value)).collect()
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    arn: &str,
    tags: &[Tag],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO tags (arn, key, value) VALUES (?, ?, ?)
               ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value";
    for tag in tags {
        sqlx::query(sql).bind(arn).bind(&tag.key).bind(&tag.value).execute(&mut *conn).await?;
    }
    Ok(())
}
