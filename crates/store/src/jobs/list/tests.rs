//! That lists are answered from their indices.

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::*;
use crate::{Store, StoreOptions};

async fn plan(conn: &mut SqliteConnection, query: &JobQuery) -> Vec<String> {
    let sql = statement(query).expect("the query is valid").into_string();
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::query(explain).fetch_all(conn).await.expect("the statement is valid");
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn no_list_is_sorted_or_reads_rows_beside_its_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&StoreOptions::new(directory.path())).await.expect("a store");
    let mut conn = store.readers().acquire().await.expect("a connection");
    let everything = JobQuery {
        kind: Some(JobKind::Training),
        name_contains: Some("a".into()),
        created_after: Some(1),
        created_before: Some(1),
        modified_after: Some(1),
        modified_before: Some(1),
        limit: 10,
        ..JobQuery::default()
    };
    let pages = [
        (JobSort::Created, "c", "5"),
        (JobSort::Name, "n", "name"),
        (JobSort::Status, "s", "5.failed"),
    ];
    for (sort, head, rest) in pages {
        for descending in [false, true] {
            let order = if descending { "d" } else { "a" };
            let page = Some(format!("{head}{order}.7.{rest}"));
            let plain = JobQuery { sort, descending, page, ..JobQuery::default() };
            let filtered = JobQuery { sort, descending, ..everything.clone() };
            let of_phase = JobQuery { phase: Some(Phase::Failed), ..filtered.clone() };
            let of_status = JobQuery { status: Some(Phase::Failed), ..filtered.clone() };
            let of_state = JobQuery { state: Some(StateName::Backoff), ..filtered.clone() };
            for query in [plain, filtered, of_phase, of_status, of_state] {
                let mut plan = plan(&mut conn, &query).await;
                // The tags of the rows that are answered, by their key.
                let of_tags =
                    ["CORRELATED SCALAR SUBQUERY 1", "SEARCH tags USING PRIMARY KEY (arn=?)"];
                plan.retain(|step| !of_tags.contains(&step.as_str()));
                assert_eq!(plan.len(), 1, "{query:?} is sorted: {plan:?}");
                assert!(plan[0].contains("jobs USING INDEX jobs_by_"), "{query:?}: {plan:?}");
                if query.page.is_some()
                    || (query.phase.is_some() && sort == JobSort::Created)
                    || (query.status.is_some() && sort != JobSort::Name)
                {
                    assert!(plan[0].starts_with("SEARCH"), "{query:?} starts over: {plan:?}");
                }
            }
        }
    }
}
