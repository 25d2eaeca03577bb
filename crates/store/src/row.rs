//! Reading columns, with an error that names the row.

use std::str::FromStr;

use sqlx::{Decode, Row, Sqlite, Type, sqlite::SqliteRow};

use crate::error::StoreError;

/// A row of a table, and how to name it.
pub(crate) struct Columns<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    id: String,
}

impl<'r> Columns<'r> {
    pub(crate) fn new(row: &'r SqliteRow, table: &'static str, id: &str) -> Self {
        let number = row.try_get::<i64, _>(id).map(|id| id.to_string());
        let id = number.or_else(|_| row.try_get::<String, _>(id)).unwrap_or_default();
        Self { row, table, id }
    }

    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|_| self.bad(column))
    }

    /// A count, size or instant, which SQLite holds as a signed number.
    pub(crate) fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        T::try_from(self.get::<i64>(column)?).map_err(|_| self.bad(column))
    }

    pub(crate) fn maybe_count<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let value = self.get::<Option<i64>>(column)?;
        value.map(|value| T::try_from(value).map_err(|_| self.bad(column))).transpose()
    }

    pub(crate) fn parse<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.get::<&str>(column)?.parse().map_err(|_| self.bad(column))
    }

    pub(crate) fn maybe_parse<T: FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let value = self.get::<Option<&str>>(column)?;
        value.map(|value| value.parse().map_err(|_| self.bad(column))).transpose()
    }

    /// What must be there in the row's state.
    pub(crate) fn required<T>(
        &self,
        column: &'static str,
        value: Option<T>,
    ) -> Result<T, StoreError> {
        value.ok_or_else(|| self.bad(column))
    }

    pub(crate) fn bad(&self, column: &'static str) -> StoreError {
        StoreError::BadRow { table: self.table, column, id: self.id.clone() }
    }
}

/// A count, size or instant as SQLite holds it. What is past its range is as good as its end.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
