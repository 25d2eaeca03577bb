//! SageMaker models: what a name stands for when a job asks for it.

use sqlx::{QueryBuilder, Sqlite, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    row::{Columns, signed},
    store::Store,
    tags::{self, Tag},
};

/// A model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name, unique.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// The request that made it, as JSON.
    pub request: String,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
}

/// Which models to list. Instants are milliseconds since 1970 and belong to the range themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelQuery {
    /// With this text in the name.
    pub name_contains: Option<String>,
    /// Made at this instant or later.
    pub created_after: Option<u64>,
    /// Made at this instant or earlier.
    pub created_before: Option<u64>,
    /// Ordered by name, not by when they were made.
    pub by_name: bool,
    /// The greatest first.
    pub descending: bool,
    /// Models on a page, at most; 0 is taken for 1.
    pub limit: u32,
    /// Where to go on: [`ModelPage::next`] of the page before, with the same order.
    pub page: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPage {
    /// The models on it.
    pub models: Vec<Model>,
    /// Where the next page goes on, if there is one.
    pub next: Option<String>,
}

/// The table of models.
pub struct ModelTable<'s>(pub(crate) &'s Store);

impl ModelTable<'_> {
    /// Keeps a model and its tags. Its name must be new.
    pub async fn create(&self, model: Model, with: Vec<Tag>) -> Result<(), StoreError> {
        let sql = "INSERT INTO models (name, arn, request, created_at) VALUES (?, ?, ?, ?)
                   ON CONFLICT (name) DO NOTHING";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query(sql).bind(&model.name).bind(&model.arn);
                let query = query.bind(&model.request).bind(signed(model.created_at));
                if query.execute(&mut *conn).await?.rows_affected() == 0 {
                    let what = "model".to_owned();
                    return Err(StoreError::AlreadyExists { what, name: model.name });
                }
                tags::insert(conn, &model.arn, &with).await
            })
        });
        write.await
    }

    /// The model of that name.
    pub async fn get(&self, name: &str) -> Result<Option<Model>, StoreError> {
        let sql = "SELECT id, name, arn, request, created_at FROM models WHERE name = ?";
        let row = sqlx::query(sql).bind(name).fetch_optional(self.0.readers()).await?;
        Ok(row.as_ref().map(model).transpose()?.map(|(_, model)| model))
    }

    /// Forgets a model and its tags. Returns whether there was one.
    pub async fn delete(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let tags = "DELETE FROM tags WHERE arn = (SELECT arn FROM models WHERE name = ?)";
                sqlx::query(tags).bind(&name).execute(&mut *conn).await?;
                let query = sqlx::query("DELETE FROM models WHERE name = ?").bind(&name);
                Ok(query.execute(conn).await?.rows_affected() > 0)
            })
        });
        write.await
    }

    /// A page of the models that `query` is about.
    pub async fn list(&self, query: &ModelQuery) -> Result<ModelPage, StoreError> {
        let mut sql = statement(query)?;
        let rows = sql.build().fetch_all(self.0.readers()).await?;
        let limit = query.limit.max(1) as usize;
        let mut models = Vec::new();
        let mut next = None;
        for row in rows.iter().take(limit) {
            let (id, model) = model(row)?;
            next = (rows.len() > limit).then(|| token(&model, id, query));
            models.push(model);
        }
        Ok(ModelPage { models, next })
    }
}

fn statement(query: &ModelQuery) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let mut sql =
        QueryBuilder::new("SELECT id, name, arn, request, created_at FROM models WHERE 1");
    if let Some(text) = &query.name_contains {
        sql.push(" AND instr(name, ").push_bind(text.clone()).push(") > 0");
    }
    if let Some(instant) = query.created_after {
        sql.push(" AND created_at >= ").push_bind(signed(instant));
    }
    if let Some(instant) = query.created_before {
        sql.push(" AND created_at <= ").push_bind(signed(instant));
    }
    let (beyond, direction) = if query.descending { (" < ", " DESC") } else { (" > ", "") };
    if let Some(token) = &query.page {
        let bad = || StoreError::BadPageToken(token.clone());
        let (order, last) = token.split_once('.').ok_or_else(bad)?;
        if order != order_of(query) {
            return Err(bad());
        }
        if query.by_name {
            sql.push(" AND name").push(beyond).push_bind(last.to_owned());
        } else {
            let (created, id) = last.split_once('.').ok_or_else(bad)?;
            sql.push(" AND (created_at, id)").push(beyond).push("(");
            sql.push_bind(created.parse::<i64>().map_err(|_| bad())?).push(", ");
            sql.push_bind(id.parse::<i64>().map_err(|_| bad())?).push(")");
        }
    }
    if query.by_name {
        sql.push(" ORDER BY name").push(direction);
    } else {
        sql.push(" ORDER BY created_at").push(direction).push(", id").push(direction);
    }
    sql.push(" LIMIT ").push_bind(i64::from(query.limit.max(1)) + 1);
    Ok(sql)
}

/// The page token that stands for going on after `model`.
fn token(model: &Model, id: i64, query: &ModelQuery) -> String {
    let order = order_of(query);
    if query.by_name {
        format!("{order}.{}", model.name)
    } else {
        format!("{order}.{}.{id}", model.created_at)
    }
}

fn order_of(query: &ModelQuery) -> &'static str {
    match (query.by_name, query.descending) {
        (true, true) => "nd",
        (true, false) => "na",
        (false, true) => "cd",
        (false, false) => "ca",
    }
}

/// A row's number and its model.
fn model(row: &SqliteRow) -> Result<(i64, Model), StoreError> {
    let columns = Columns::new(row, "models", "id");
    let model = Model {
        name: columns.get("name")?,
        arn: columns.get("arn")?,
        request: columns.get("request")?,
        created_at: columns.count("created_at")?,
    };
    Ok((columns.get("id")?, model))
}
