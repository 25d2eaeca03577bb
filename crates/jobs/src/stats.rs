//! Figures of jobs that have ended. Pure.

use std::collections::BTreeMap;

use bessemer_domain::{FailureClass, JobKind, Phase};
use bessemer_store::EndedJob;

const DAY_MILLIS: u64 = 86_400_000;

/// Which jobs to count, and how to group them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsQuery {
    /// Of this kind only.
    pub kind: Option<JobKind>,
    /// Those that ended at this instant or later (milliseconds since 1970).
    pub since: u64,
    /// The groups.
    pub group: GroupBy,
}

/// What jobs are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// Their names, without the numbers and times at their ends: `churn-2026-05-01-7` is of `churn`.
    Name,
    /// The values of a tag; jobs without it are of the empty one.
    Tag(String),
    /// The days on which they ended, in UTC, as `2026-05-01`.
    Day,
}

/// The figures of a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Jobs that ended.
    pub jobs: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that were stopped.
    pub stopped: u64,
    /// Attempts beyond each job's first.
    pub retries: u64,
    /// How the failed ones failed.
    pub classes: BTreeMap<FailureClass, u64>,
    /// From the submit to the first run of the code, in milliseconds.
    pub queued_millis: Spread,
    /// How long the code ran, all attempts together and the time between them left out, in
    /// milliseconds.
    pub run_millis: Spread,
}

/// How values are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half of the values are not greater.
    pub median: u64,
    /// Nine of ten values are not greater.
    pub ninety: u64,
    /// The greatest.
    pub max: u64,
}

impl GroupBy {
    /// The tag that jobs are grouped by.
    pub(crate) fn tag(&self) -> Option<&str> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Name | Self::Day => None,
        }
    }

    fn group_of(&self, job: &EndedJob) -> String {
        match self {
            Self::Name => base_name(&job.name).to_owned(),
            Self::Tag(_) => job.tag.clone().unwrap_or_default(),
            Self::Day => day(job.ended_at),
        }
    }
}

impl Figures {
    /// The share of those that succeeded among those that were not stopped; none if there are none.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let ended = self.succeeded + self.failed;
        (ended > 0).then(|| self.succeeded as f64 / ended as f64)
    }

    fn of(jobs: &[&EndedJob]) -> Self {
        let count = |phase| jobs.iter().filter(|job| job.phase == phase).count() as u64;
        let mut classes = BTreeMap::new();
        for class in jobs.iter().filter_map(|job| job.class) {
            *classes.entry(class).or_default() += 1;
        }
        let queued =
            jobs.iter().filter_map(|job| Some(job.started_at?.saturating_sub(job.created_at)));
        let run = jobs.iter().filter_map(|job| job.started_at.map(|_| job.run_millis));
        Self {
            jobs: jobs.len() as u64,
            succeeded: count(Phase::Completed),
            failed: count(Phase::Failed),
            stopped: count(Phase::Stopped),
            retries: jobs.iter().map(|job| u64::from(job.attempts.saturating_sub(1))).sum(),
            classes,
            queued_millis: Spread::of(queued.collect()),
            run_millis: Spread::of(run.collect()),
        }
    }
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or_default()
        };
        Self { median: at(50), ninety: at(90), max: at(100) }
    }
}

/// The figures by group, in the order of the groups' names.
pub(crate) fn figures(jobs: &[EndedJob], group: &GroupBy) -> Vec<(String, Figures)> {
    let mut groups: BTreeMap<String, Vec<&EndedJob>> = BTreeMap::new();
    for job in jobs {
        groups.entry(group.group_of(job)).or_default().push(job);
    }
    groups.into_iter().map(|(group, jobs)| (group, Figures::of(&jobs))).collect()
}

/// A group over time: its figures, those of the time before that was as long, and those of each day.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// The group.
    pub group: String,
    /// Since the instant that was asked for.
    pub now: Figures,
    /// In as long a time before it.
    pub before: Figures,
    /// By the days that it has had jobs on, in order.
    pub days: Vec<(String, Figures)>,
}

/// The groups over time, in the order of their names. Jobs that ended before `since` are of the
/// time before; groups that have no others are left out.
pub(crate) fn trends(jobs: Vec<EndedJob>, group: &GroupBy, since: u64) -> Vec<Trend> {
    let (now, before): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.ended_at >= since);
    let mut before: BTreeMap<String, Figures> = figures(&before, group).into_iter().collect();
    let mut groups: BTreeMap<String, Vec<EndedJob>> = BTreeMap::new();
    for job in now {
        groups.entry(group.group_of(&job)).or_default().push(job);
    }
    let trend = |(group, jobs): (String, Vec<EndedJob>)| Trend {
        now: Figures::of(&jobs.iter().collect::<Vec<_>>()),
        before: before.remove(&group).unwrap_or_default(),
        days: figures(&jobs, &GroupBy::Day),
        group,
    };
    groups.into_iter().map(trend).collect()
}

/// A name without the numbers at its end.
fn base_name(name: &str) -> &str {
    let mut base = name;
    while let Some((head, last)) = base.rsplit_once('-')
        && !head.is_empty()
        && last.bytes().all(|byte| byte.is_ascii_digit())
    {
        base = head;
    }
    base
}

/// The day of an instant in UTC. Years are counted from March, so that the leap day comes last.
fn day(millis: u64) -> String {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // 1970-01-01 is this many days after 0000-03-01.
    let days = millis / DAY_MILLIS + 719_468;
    let (cycle, rest) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let leap_days = rest / 1_460 - rest / 36_524 + rest / (DAYS_OF_400_YEARS - 1);
    let year = (rest - leap_days) / 365;
    let of_year = rest - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", cycle * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_the_numbers_at_their_ends() {
        let names = ["churn-2026-05-01-10-20-30-123", "churn", "v2-7", "-7", "7", "a-b2"];
        assert_eq!(names.map(base_name), ["churn", "churn", "v2", "-7", "7", "a-b2"]);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let instants = [0, 951_782_399_999, 951_782_400_000, 951_868_800_000, 1_798_761_599_000];
        let days = ["1970-01-01", "2000-02-28", "2000-02-29", "2000-03-01", "2026-12-31"];
        assert_eq!(instants.map(day), days);
    }

    #[test]
    fn figures_count_ends_retries_and_times() {
        let job = |phase, class, attempts, run: u64| EndedJob {
            name: "a-1".into(),
            tag: None,
            phase,
            class,
            attempts,
            created_at: 1_000,
            started_at: Some(1_500),
            run_millis: run,
            // It may have waited between its attempts.
            ended_at: 1_500 + u64::from(attempts) * run,
        };
        let failed = Some(FailureClass::Algorithm);
        let mut jobs: Vec<_> = (1..=8).map(|run| job(Phase::Completed, None, 1, run)).collect();
        jobs.push(job(Phase::Failed, failed, 3, 90));
        jobs.push(EndedJob { started_at: None, ..job(Phase::Stopped, None, 0, 0) });
        let rows = figures(&jobs, &GroupBy::Name);
        assert_eq!(rows.len(), 1);
        let (group, figures) = &rows[0];
        assert_eq!((group.as_str(), figures.jobs, figures.retries), ("a", 10, 2));
        assert_eq!((figures.succeeded, figures.failed, figures.stopped), (8, 1, 1));
        assert_eq!(figures.success_rate(), Some(8.0 / 9.0));
        assert_eq!(figures.classes, BTreeMap::from([(FailureClass::Algorithm, 1)]));
        assert_eq!(figures.queued_millis, Spread { median: 500, ninety: 500, max: 500 });
        assert_eq!(figures.run_millis, Spread { median: 5, ninety: 90, max: 90 });
        let earlier = EndedJob { name: "b-1".into(), ended_at: 5, ..jobs[0].clone() };
        let late = EndedJob { ended_at: 2 * DAY_MILLIS, ..jobs[0].clone() };
        jobs.extend([earlier, EndedJob { ended_at: 7, ..late.clone() }, late]);
        let trends = trends(jobs, &GroupBy::Name, 1_000);
        assert_eq!(trends.len(), 1, "b has no jobs since");
        let Trend { group, now, before, days } = &trends[0];
        assert_eq!((group.as_str(), now.jobs, before.jobs), ("a", 11, 1));
        let days: Vec<_> = days.iter().map(|(day, of)| (day.as_str(), of.jobs)).collect();
        assert_eq!(days, [("1970-01-01", 10), ("1970-01-03", 1)]);
    }
}
