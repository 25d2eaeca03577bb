//! How many jobs there are.

use bessemer_domain::Phase;
use sqlx::SqlitePool;

use crate::{error::StoreError, row::Columns};

/// The number of jobs in each phase, in the order of [`Phase::ALL`].
pub(super) async fn by_phase(readers: &SqlitePool) -> Result<Vec<(Phase, u64)>, StoreError> {
    let sql = "SELECT phase, count(*) AS jobs FROM jobs INDEXED BY jobs_by_phase GROUP BY phase";
    let rows = sqlx::query(sql).fetch_all(readers).await?;
    let mut counts = Phase::ALL.map(|phase| (phase, 0));
    for row in &rows {
        let columns = Columns::new(row, "jobs", "phase");
        let phase: Phase = columns.parse("phase")?;
        for (known, jobs) in &mut counts {
            if *known == phase {
                *jobs = columns.count("jobs")?;
            }
        }
    }
    Ok(counts.to_vec())
}
