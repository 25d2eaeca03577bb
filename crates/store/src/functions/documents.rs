//! Documents by name.

use sqlx::sqlite::SqliteRow;

use crate::{
    error::StoreError,
    row::Columns,
    store::Store,
    tags::{self, Tag},
};

/// What a document is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionDocument {
    /// A function with its versions, aliases and settings.
    Function,
    /// A layer with its versions.
    Layer,
    /// An event source mapping.
    Mapping,
}

impl FunctionDocument {
    fn table(self) -> &'static str {
        match self {
            Self::Function => "functions",
            Self::Layer => "layers",
            Self::Mapping => "event_source_mappings",
        }
    }

    fn select(self) -> &'static str {
        match self {
            Self::Function => "SELECT name, document FROM functions ORDER BY name",
            Self::Layer => "SELECT name, document FROM layers ORDER BY name",
            Self::Mapping => "SELECT name, document FROM event_source_mappings ORDER BY name",
        }
    }

    fn upsert(self) -> &'static str {
        match self {
            Self::Function => {
                "INSERT INTO functions (name, document) VALUES (?, ?)
                 ON CONFLICT (name) DO UPDATE SET document = excluded.document"
            }
            Self::Layer => {
                "INSERT INTO layers (name, document) VALUES (?, ?)
                 ON CONFLICT (name) DO UPDATE SET document = excluded.document"
            }
            Self::Mapping => {
                "INSERT INTO event_source_mappings (name, document) VALUES (?, ?)
                 ON CONFLICT (name) DO UPDATE SET document = excluded.document"
            }
        }
    }

    fn delete(self) -> &'static str {
        match self {
            Self::Function => "DELETE FROM functions WHERE name = ?",
            Self::Layer => "DELETE FROM layers WHERE name = ?",
            Self::Mapping => "DELETE FROM event_source_mappings WHERE name = ?",
        }
    }
}

/// The tables of functions, layers and mappings.
pub struct FunctionTable<'s>(pub(crate) &'s Store);

impl FunctionTable<'_> {
    /// All documents of a kind, with their names, in the order of these.
    pub async fn all(&self, kind: FunctionDocument) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query(kind.select()).fetch_all(self.0.readers()).await?;
        let read = |row: &SqliteRow| {
            let columns = Columns::new(row, kind.table(), "name");
            Ok((columns.get("name")?, columns.get("document")?))
        };
        rows.iter().map(read).collect()
    }

    /// Keeps a document in place of the one of that name, and adds tags to `arn`.
    pub async fn put(
        &self,
        kind: FunctionDocument,
        name: &str,
        document: String,
        (arn, with): (&str, Vec<Tag>),
    ) -> Result<(), StoreError> {
        let (name, arn) = (name.to_owned(), arn.to_owned());
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query(kind.upsert()).bind(name).bind(document);
                query.execute(&mut *conn).await?;
                tags::insert(conn, &arn, &with).await
            })
        });
        write.await
    }

    /// Forgets a document, the tags of `arn`, and if it is a function the invocations that wait for it.
    pub async fn delete(
        &self,
        kind: FunctionDocument,
        name: &str,
        arn: &str,
    ) -> Result<(), StoreError> {
        let (name, arn) = (name.to_owned(), arn.to_owned());
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                sqlx::query(kind.delete()).bind(&name).execute(&mut *conn).await?;
                let query = sqlx::query("DELETE FROM tags WHERE arn = ?").bind(arn);
                query.execute(&mut *conn).await?;
                if kind == FunctionDocument::Function {
                    let query = sqlx::query("DELETE FROM invocations WHERE function = ?");
                    query.bind(name).execute(conn).await?;
                }
                Ok(())
            })
        });
        write.await
    }
}
