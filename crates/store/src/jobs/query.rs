//! Which jobs a list is about, in which order, and where its pages go on.

use bessemer_domain::{JobId, JobKind, Phase, StateName};

use super::Job;
use crate::error::StoreError;

/// Which jobs to list. Instants are milliseconds since 1970 and belong to the range themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Of this kind only.
    pub kind: Option<JobKind>,
    /// With this text in the name.
    pub name_contains: Option<String>,
    /// In this phase.
    pub phase: Option<Phase>,
    /// Of this status, which is the phase but for [`Job::status`]'s exceptions.
    pub status: Option<Phase>,
    /// In this state.
    pub state: Option<StateName>,
    /// Submitted at this instant or later.
    pub created_after: Option<u64>,
    /// Submitted at this instant or earlier.
    pub created_before: Option<u64>,
    /// Last changed at this instant or later.
    pub modified_after: Option<u64>,
    /// Last changed at this instant or earlier.
    pub modified_before: Option<u64>,
    /// What to order by.
    pub sort: JobSort,
    /// The greatest first.
    pub descending: bool,
    /// Jobs on a page, at most; 0 is taken for 1.
    pub limit: u32,
    /// Where to go on: [`JobPage::next`] of the page before, with the same order.
    pub page: Option<String>,
}

/// What a list is ordered by; jobs that are equal in it come as they were submitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JobSort {
    /// When they were submitted.
    #[default]
    Created,
    /// Their names.
    Name,
    /// Their statuses, by name.
    Status,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPage {
    /// The jobs on it.
    pub jobs: Vec<Job>,
    /// Where the next page goes on, if there is one. It names the last job seen, so that jobs that
    /// are added meanwhile move nothing.
    pub next: Option<String>,
}

/// The last job of a page, by what the list is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    Created(i64, i64),
    Name(String, i64),
    Status(Phase, i64, i64),
}

impl Position {
    pub(super) fn of(job: &Job, sort: JobSort) -> Self {
        let JobId(id) = job.id;
        let created = crate::row::signed(job.created_at);
        match sort {
            JobSort::Created => Self::Created(created, id),
            JobSort::Name => Self::Name(job.name.clone(), id),
            JobSort::Status => Self::Status(job.status(), created, id),
        }
    }

    /// The position as a page token.
    pub(super) fn token(&self, descending: bool) -> String {
        let order = if descending { 'd' } else { 'a' };
        match self {
            Self::Created(created, id) => format!("c{order}.{id}.{created}"),
            Self::Name(name, id) => format!("n{order}.{id}.{name}"),
            Self::Status(phase, created, id) => format!("s{order}.{id}.{created}.{phase}"),
        }
    }

    pub(super) fn parse(token: &str, sort: JobSort, descending: bool) -> Result<Self, StoreError> {
        let read = || {
            let (head, rest) = token.split_once('.')?;
            let (id, rest) = rest.split_once('.')?;
            let id = id.parse().ok()?;
            let position = match (head.get(..1)?, sort) {
                ("c", JobSort::Created) => Self::Created(rest.parse().ok()?, id),
                ("n", JobSort::Name) => Self::Name(rest.to_owned(), id),
                ("s", JobSort::Status) => {
                    let (created, phase) = rest.split_once('.')?;
                    Self::Status(phase.parse().ok()?, created.parse().ok()?, id)
                }
                _ => return None,
            };
            (position.token(descending) == token).then_some(position)
        };
        read().ok_or_else(|| StoreError::BadPageToken(token.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_are_for_one_order() {
        let positions = [
            (Position::Created(17, 4), JobSort::Created),
            (Position::Name("a.b".into(), 4), JobSort::Name),
            (Position::Status(Phase::InProgress, 17, 4), JobSort::Status),
        ];
        for (position, sort) in positions {
            let token = position.token(true);
            assert_eq!(Position::parse(&token, sort, true).expect("it is one"), position);
            assert!(Position::parse(&token, sort, false).is_err());
        }
        for wrong in ["", "c", "ca.1", "ca.x.1", "ca.1.x", "xa.1.1", "é.1.1", "na.1.b"] {
            assert!(Position::parse(wrong, JobSort::Created, false).is_err(), "{wrong}");
        }
    }
}
