//! The model registry: groups of model packages, and packages.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    pipelines::{Page, in_order, number, one_more, page, within},
    row::{Columns, signed},
    store::Store,
    tags::{self, Tag},
};

/// A group of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageGroup {
    /// Its number.
    pub id: i64,
    /// Its name, unique.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// What it is for, in words.
    pub description: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
}

/// A model package. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its number.
    pub id: i64,
    /// Its ARN, unique; tags go by it.
    pub arn: String,
    /// Its name; of a version, that of its group.
    pub name: String,
    /// Its group, if it is a version.
    pub group: Option<String>,
    /// Counts a group's packages from 1.
    pub version: Option<u32>,
    /// Whether it may be used, in AWS's words.
    pub approval: Option<String>,
    /// The token of the call that made it.
    pub token: Option<String>,
    /// The request that made it, as JSON, with later changes.
    pub request: String,
    /// When it was made.
    pub created_at: u64,
    /// When it was changed, if it was.
    pub modified_at: Option<u64>,
}

/// Which groups or packages to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageQuery {
    /// With this text in the name.
    pub name_contains: Option<String>,
    /// Packages of this group.
    pub group: Option<String>,
    /// Only packages that are versions, or only those that are none.
    pub versioned: Option<bool>,
    /// Only with this approval.
    pub approval: Option<String>,
    /// Made at this instant or later.
    pub created_after: Option<u64>,
    /// Made at this instant or earlier.
    pub created_before: Option<u64>,
    /// Ordered by name, not by when they were made.
    pub by_name: bool,
    /// The greatest first.
    pub descending: bool,
    /// How many on a page, at most.
    pub limit: u32,
    /// Where to go on.
    pub page: Option<String>,
}

/// The tables of packages and their groups.
pub struct PackageTable<'s>(pub(crate) &'s Store);

impl PackageTable<'_> {
    /// Keeps a group and its tags. Its name must be new.
    pub async fn create_group(
        &self,
        group: PackageGroup,
        with: Vec<Tag>,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO model_package_groups (name, arn, description, created_at)
                   VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query(sql).bind(&group.name).bind(&group.arn);
                let query = query.bind(&group.description).bind(signed(group.created_at));
                if query.execute(&mut *conn).await?.rows_affected() == 0 {
                    let what = "model package group".to_owned();
                    return Err(StoreError::AlreadyExists { what, name: group.name });
                }
                tags::insert(conn, &group.arn, &with).await
            })
        });
        write.await
    }

    /// The group of that name.
    pub async fn group(&self, name: &str) -> Result<Option<PackageGroup>, StoreError> {
        let query = sqlx::query("SELECT * FROM model_package_groups WHERE name = ?").bind(name);
        let row = query.fetch_optional(self.0.readers()).await?;
        row.as_ref().map(group).transpose()
    }

    /// Forgets a group. Returns whether there was one; one with packages is left as it is.
    pub async fn delete_group(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let held = "SELECT count(*) FROM model_packages WHERE package_group = ?";
                let held: i64 = sqlx::query_scalar(held).bind(&name).fetch_one(&mut *conn).await?;
                if held > 0 {
                    let what = "model package group".to_owned();
                    return Err(StoreError::InProgress { what, name });
                }
                let tags = "DELETE FROM tags WHERE arn =
                            (SELECT arn FROM model_package_groups WHERE name = ?)";
                sqlx::query(tags).bind(&name).execute(&mut *conn).await?;
                let query = sqlx::query("DELETE FROM model_package_groups WHERE name = ?");
                Ok(query.bind(&name).execute(conn).await?.rows_affected() > 0)
            })
        });
        write.await
    }

    /// A page of groups.
    pub async fn groups(&self, query: &PackageQuery) -> Result<Page<PackageGroup>, StoreError> {
        let sql = QueryBuilder::new("SELECT * FROM model_package_groups WHERE 1");
        let mut sql = ordered(sql, query, "name")?;
        let rows = sql.build().fetch_all(self.0.readers()).await?;
        let token = |group: &PackageGroup| {
            if query.by_name { group.name.clone() } else { group.id.to_string() }
        };
        page(&rows, query.limit, group, token)
    }

    /// Keeps a package and its tags. A version gets its number, and its ARN the number's end; the
    /// same call again gives the package that it made.
    pub async fn create(&self, package: Package, with: Vec<Tag>) -> Result<Package, StoreError> {
        self.0.write(move |conn| Box::pin(async move { create(conn, package, &with).await })).await
    }

    /// The package of that ARN, or that is no version and has this name.
    pub async fn get(&self, arn_or_name: &str) -> Result<Option<Package>, StoreError> {
        let sql = "SELECT * FROM model_packages WHERE arn = ?1 OR (name = ?1 AND version IS NULL)";
        let row = sqlx::query(sql).bind(arn_or_name).fetch_optional(self.0.readers()).await?;
        row.as_ref().map(package).transpose()
    }

    /// Keeps a package's approval and request as they are now.
    pub async fn update(&self, package: Package) -> Result<(), StoreError> {
        let sql =
            "UPDATE model_packages SET approval = ?, request = ?, modified_at = ? WHERE id = ?";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query(sql).bind(&package.approval).bind(&package.request);
                let query = query.bind(package.modified_at.map(signed)).bind(package.id);
                query.execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }

    /// Forgets a package and its tags.
    pub async fn delete(&self, package: &Package) -> Result<(), StoreError> {
        let (id, arn) = (package.id, package.arn.clone());
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                sqlx::query("DELETE FROM tags WHERE arn = ?").bind(arn).execute(&mut *conn).await?;
                let query = sqlx::query("DELETE FROM model_packages WHERE id = ?").bind(id);
                query.execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }

    /// A page of packages.
    pub async fn list(&self, query: &PackageQuery) -> Result<Page<Package>, StoreError> {
        let mut sql = QueryBuilder::new("SELECT * FROM model_packages WHERE 1");
        if let Some(group) = &query.group {
            sql.push(" AND package_group = ").push_bind(group.clone());
        }
        if let Some(approval) = &query.approval {
            sql.push(" AND approval = ").push_bind(approval.clone());
        }
        match query.versioned {
            Some(true) => sql.push(" AND version IS NOT NULL"),
            Some(false) => sql.push(" AND version IS NULL"),
            None => &mut sql,
        };
        // The ARN of a version begins with its group's, and is unique.
        let mut sql = ordered(sql, query, "arn")?;
        let rows = sql.build().fetch_all(self.0.readers()).await?;
        let token = |package: &Package| {
            if query.by_name { package.arn.clone() } else { package.id.to_string() }
        };
        page(&rows, query.limit, package, token)
    }
}

fn ordered(
    mut sql: QueryBuilder<Sqlite>,
    query: &PackageQuery,
    name: &str,
) -> Result<QueryBuilder<Sqlite>, StoreError> {
    if let Some(text) = &query.name_contains {
        sql.push(" AND instr(name, ").push_bind(text.clone()).push(") > 0");
    }
    within(&mut sql, query.created_after, query.created_before);
    if query.by_name {
        in_order(&mut sql, name, query.descending, query.page.clone());
    } else {
        in_order(&mut sql, "id", query.descending, number(query.page.as_deref())?);
    }
    sql.push(" LIMIT ").push_bind(one_more(query.limit));
    Ok(sql)
}

async fn create(
    conn: &mut SqliteConnection,
    mut new: Package,
    with: &[Tag],
) -> Result<Package, StoreError> {
    let sql = "SELECT * FROM model_packages WHERE token = ?";
    if let Some(row) = sqlx::query(sql).bind(&new.token).fetch_optional(&mut *conn).await? {
        return package(&row);
    }
    if let Some(group) = &new.group {
        let sql =
            "SELECT coalesce(max(version), 0) + 1 FROM model_packages WHERE package_group = ?";
        let version: u32 = sqlx::query_scalar(sql).bind(group).fetch_one(&mut *conn).await?;
        new.arn = format!("{}/{version}", new.arn);
        new.version = Some(version);
    }
    let sql = "INSERT INTO model_packages
                   (arn, name, package_group, version, approval, token, request, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (arn) DO NOTHING";
    let query = sqlx::query(sql).bind(&new.arn).bind(&new.name).bind(&new.group);
    let query = query.bind(new.version).bind(&new.approval).bind(&new.token).bind(&new.request);
    let done = query.bind(signed(new.created_at)).execute(&mut *conn).await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::AlreadyExists { what: "model package".to_owned(), name: new.name });
    }
    new.id = done.last_insert_rowid();
    tags::insert(conn, &new.arn, with).await?;
    Ok(new)
}

fn group(row: &SqliteRow) -> Result<PackageGroup, StoreError> {
    let columns = Columns::new(row, "model_package_groups", "id");
    Ok(PackageGroup {
        id: columns.get("id")?,
        name: columns.get("name")?,
        arn: columns.get("arn")?,
        description: columns.get("description")?,
        created_at: columns.count("created_at")?,
    })
}

fn package(row: &SqliteRow) -> Result<Package, StoreError> {
    let columns = Columns::new(row, "model_packages", "id");
    Ok(Package {
        id: columns.get("id")?,
        arn: columns.get("arn")?,
        name: columns.get("name")?,
        group: columns.get("package_group")?,
        version: columns.maybe_count("version")?,
        approval: columns.get("approval")?,
        token: columns.get("token")?,
        request: columns.get("request")?,
        created_at: columns.count("created_at")?,
        modified_at: columns.maybe_count("modified_at")?,
    })
}
