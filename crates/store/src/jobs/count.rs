//! How many jobs there are.

use bessemer_domain::{JobKind, Phase};
use sqlx::SqlitePool;

use crate::{error::StoreError, row::Columns};

/// The number of jobs of each kind in each phase, in the order of [`JobKind::ALL`], then of
/// [`Phase::ALL`].
pub(super) async fn by_phase(
    readers: &SqlitePool,
) -> Result<Vec<(JobKind, Phase, u64)>, StoreError> {
    let sql = "SELECT kind, phase, count(*) AS jobs FROM jobs INDEXED BY jobs_by_phase
               GROUP BY phase, kind";
    let rows = sqlx::query(sql).fetch_all(readers).await?;
    let all = JobKind::ALL.iter().flat_map(|kind| Phase::ALL.map(|phase| (*kind, phase, 0)));
    let mut counts: Vec<(JobKind, Phase, u64)> = all.collect();
    for row in &rows {
        let columns = Columns::new(row, "jobs", "phase");
        let (kind, phase): (JobKind, Phase) = (columns.parse("kind")?, columns.parse("phase")?);
        let jobs = columns.count("jobs")?;
        for known in counts.iter_mut().filter(|known| (known.0, known.1) == (kind, phase)) {
            known.2 = jobs;
        }
    }
    Ok(counts)
}
