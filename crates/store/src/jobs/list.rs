//! Lists of jobs: pages for callers, and what the dispatcher and figures go through.

use bessemer_domain::{JobId, JobKind, Phase, StateName};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqlitePool, sqlite::SqliteRow};

use super::{
    EndedJob, Job, JobPage, JobQuery, JobSort, WaitingJob,
    query::Position,
    record::{self, COLUMNS},
};
use crate::{
    error::StoreError,
    row::{Columns, signed},
};

pub(super) async fn page(readers: &SqlitePool, query: &JobQuery) -> Result<JobPage, StoreError> {
    let mut sql = statement(query)?;
    let rows = sql.build().fetch_all(readers).await?;
    let limit = query.limit.max(1) as usize;
    let jobs = rows.iter().take(limit).map(record::job).collect::<Result<Vec<Job>, _>>()?;
    let last = jobs.last().filter(|_| rows.len() > limit);
    let next = last.map(|job| Position::of(job, query.sort).token(query.descending));
    Ok(JobPage { jobs, next })
}

/// The statement of a page, which reads one job more than fits on it. The index is named: it holds
/// every column that is filtered or ordered by, so that neither sorting nor a look at rows that
/// don't match is ever needed.
pub(super) fn statement(query: &JobQuery) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let phase = query.phase.or(query.state.map(StateName::phase));
    let index = match query.sort {
        JobSort::Name => "jobs_by_name",
        JobSort::Status => "jobs_by_status",
        JobSort::Created if query.status.is_some() => "jobs_by_status",
        JobSort::Created if phase.is_some() => "jobs_by_phase",
        JobSort::Created => "jobs_by_created",
    };
    let mut sql =
        QueryBuilder::new(format!("SELECT {COLUMNS} FROM jobs INDEXED BY {index} WHERE 1"));
    if let Some(phase) = phase {
        sql.push(" AND phase = ").push_bind(phase.as_str());
    }
    if let Some(status) = query.status {
        sql.push(" AND status = ").push_bind(status.as_str());
    }
    if let Some(state) = query.state {
        sql.push(" AND state = ").push_bind(state.as_str());
    }
    if let Some(kind) = query.kind {
        sql.push(" AND kind = ").push_bind(kind.as_str());
    }
    if let Some(text) = &query.name_contains {
        sql.push(" AND instr(name, ").push_bind(text.clone()).push(") > 0");
    }
    let ranges = [
        (" AND created_at >= ", query.created_after),
        (" AND created_at <= ", query.created_before),
        (" AND modified_at >= ", query.modified_after),
        (" AND modified_at <= ", query.modified_before),
    ];
    for (condition, instant) in ranges {
        if let Some(instant) = instant {
            sql.push(condition).push_bind(signed(instant));
        }
    }
    let (beyond, direction) = if query.descending { (" < (", " DESC") } else { (" > (", "") };
    if let Some(token) = &query.page {
        go_on_after(&mut sql, Position::parse(token, query.sort, query.descending)?, beyond);
    }
    let order: &[&str] = match query.sort {
        JobSort::Created => &["created_at", "id"],
        JobSort::Name => &["name", "id"],
        JobSort::Status => &["status", "created_at", "id"],
    };
    for (index, column) in order.iter().enumerate() {
        sql.push(if index == 0 { " ORDER BY " } else { ", " }).push(column).push(direction);
    }
    sql.push(" LIMIT ").push_bind(i64::from(query.limit.max(1)) + 1);
    Ok(sql)
}

fn go_on_after(sql: &mut QueryBuilder<Sqlite>, position: Position, beyond: &str) {
    match position {
        Position::Created(created, id) => {
            sql.push(" AND (created_at, id)").push(beyond).push_bind(created);
            sql.push(", ").push_bind(id);
        }
        Position::Name(name, id) => {
            sql.push(" AND (name, id)").push(beyond).push_bind(name);
            sql.push(", ").push_bind(id);
        }
        Position::Status(phase, created, id) => {
            sql.push(" AND (status, created_at, id)").push(beyond).push_bind(phase.as_str());
            sql.push(", ").push_bind(created).push(", ").push_bind(id);
        }
    }
    sql.push(")");
}

pub(super) async fn waiting(readers: &SqlitePool) -> Result<Vec<WaitingJob>, StoreError> {
    let sql = "SELECT id, kind, name, instance_type, instance_count, state, priority, rank, share, cores,
                   memory, due_at,
                   (SELECT json_group_object(key, value) FROM tags WHERE tags.arn = jobs.arn) AS tags
               FROM jobs
               WHERE phase = ? AND state IN (?, ?) ORDER BY waiting_since, id";
    let query = sqlx::query(sql).bind(Phase::InProgress.as_str());
    let query = query.bind(StateName::Queued.as_str()).bind(StateName::Backoff.as_str());
    let rows = query.fetch_all(readers).await?;
    let job = |row| {
        let columns = Columns::new(row, "jobs", "id");
        Ok(WaitingJob {
            id: JobId(columns.get("id")?),
            kind: columns.parse("kind")?,
            name: columns.get("name")?,
            instance_type: columns.get("instance_type")?,
            instance_count: columns.count("instance_count")?,
            tags: record::tags(&columns)?,
            state: columns.parse("state")?,
            priority: columns.get("priority")?,
            rank: columns.get("rank")?,
            share: columns.get("share")?,
            cores: columns.count("cores")?,
            memory: columns.count("memory")?,
            due_at: columns.maybe_count("due_at")?,
        })
    };
    rows.iter().map(job).collect()
}

pub(super) async fn leased(readers: &SqlitePool) -> Result<Vec<Job>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE lease_owner IS NOT NULL ORDER BY id");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(readers).await?;
    rows.iter().map(record::job).collect()
}

pub(super) async fn ended(
    readers: &SqlitePool,
    kind: Option<JobKind>,
    since: u64,
    tag: Option<&str>,
) -> Result<Vec<EndedJob>, StoreError> {
    let sql = "SELECT id, name, tags.value AS tag, phase, class, number, created_at, started_at,
                   run_millis, ended_at
               FROM jobs INDEXED BY jobs_ended
               LEFT JOIN tags ON tags.arn = jobs.arn AND tags.key = ?1
               WHERE ended_at >= ?2 AND (?3 IS NULL OR kind = ?3) ORDER BY ended_at";
    let query = sqlx::query(sql).bind(tag).bind(signed(since)).bind(kind.map(JobKind::as_str));
    let rows = query.fetch_all(readers).await?;
    rows.iter().map(ended_job).collect()
}

fn ended_job(row: &SqliteRow) -> Result<EndedJob, StoreError> {
    let columns = Columns::new(row, "jobs", "id");
    Ok(EndedJob {
        name: columns.get("name")?,
        tag: columns.get("tag")?,
        phase: columns.parse("phase")?,
        class: columns.maybe_parse("class")?,
        attempts: columns.count("number")?,
        created_at: columns.count("created_at")?,
        started_at: columns.maybe_count("started_at")?,
        run_millis: columns.count("run_millis")?,
        ended_at: columns.count("ended_at")?,
    })
}

#[cfg(test)]
mod tests;
