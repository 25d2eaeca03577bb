//! How many instances there may be: counted in the transaction that adds some.

use bessemer_domain::JobKind;
use sqlx::SqliteConnection;

use super::NewJob;
use crate::error::StoreError;

/// A limit on the instances of the open jobs that it selects. Patterns are those of `SQLite`'s `GLOB`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaCheck {
    /// What it is called.
    pub label: String,
    /// Jobs of this kind.
    pub kind: Option<JobKind>,
    /// Jobs with a name of this pattern.
    pub name: Option<String>,
    /// Jobs with instances of a type of this pattern.
    pub instance_type: Option<String>,
    /// Jobs with this tag.
    pub tag: Option<(String, String)>,
    /// Only jobs that wait for room or for their next attempt.
    pub waiting_only: bool,
    /// Instances at most.
    pub limit: u32,
}

/// Checks each quota with `new` counted in, which has been put in place before.
pub(crate) async fn check(
    conn: &mut SqliteConnection,
    new: &NewJob,
    quotas: &[QuotaCheck],
) -> Result<(), StoreError> {
    let sql = "SELECT coalesce(sum(instance_count), 0) FROM jobs INDEXED BY jobs_open
               WHERE ended_at IS NULL AND (NOT ?1 OR state IN ('queued', 'backoff'))
               AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR name GLOB ?3)
               AND (?4 IS NULL OR instance_type GLOB ?4)
               AND (?5 IS NULL OR EXISTS (SELECT 1 FROM tags
                    WHERE tags.arn = jobs.arn AND key = ?5 AND value = ?6))";
    for quota in quotas {
        let (key, value) = quota.tag.as_ref().map(|(key, value)| (key, value)).unzip();
        let total: i64 = sqlx::query_scalar(sql)
            .bind(quota.waiting_only)
            .bind(quota.kind.map(JobKind::as_str))
            .bind(&quota.name)
            .bind(&quota.instance_type)
            .bind(key)
            .bind(value)
            .fetch_one(&mut *conn)
            .await?;
        let total = u32::try_from(total).unwrap_or(u32::MAX);
        if total > quota.limit {
            return Err(StoreError::LimitExceeded {
                label: quota.label.clone(),
                limit: quota.limit,
                current: total.saturating_sub(new.instance_count),
                delta: new.instance_count,
            });
        }
    }
    Ok(())
}
