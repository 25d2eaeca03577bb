//! How a search goes on: a function of what has become of its training jobs.

use super::{IN_PROGRESS, request::Search};

/// Failed training jobs, with none that went well, after which a search is given up.
const HOPELESS: usize = 5;

/// What has become of a training job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    /// It waits or runs.
    Open,
    /// It has a value.
    Scored(f64),
    /// It went well, and said no value.
    Silent,
    /// It failed, or was stopped.
    Failed,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// The training job of this number is made.
    Launch(u32),
    /// A training job has to end first.
    Wait,
    /// All training jobs are told to end, and waited for.
    Stop,
    /// Nothing: the search has this status from now on, and failed for this reason.
    End(&'static str, Option<String>),
}

/// What comes next for a search with this status, its training jobs in the order of their numbers.
pub(super) fn next(search: &Search, status: &str, is_late: bool, fates: &[Fate]) -> Next {
    let open = fates.iter().filter(|fate| **fate == Fate::Open).count();
    let ended = if status == IN_PROGRESS && !is_late {
        let is_whole = fates.len() >= search.most as usize;
        if !is_whole && !is_enough(search, fates) && !is_hopeless(fates) {
            return if open < search.parallel as usize {
                Next::Launch(u32::try_from(fates.len()).unwrap_or(u32::MAX))
            } else {
                Next::Wait
            };
        }
        if is_whole && open > 0 && !is_enough(search, fates) {
            return Next::Wait;
        }
        "Completed"
    } else {
        "Stopped"
    };
    match failure(fates).filter(|_| ended == "Completed") {
        _ if open > 0 => Next::Stop,
        Some(reason) => Next::End("Failed", Some(reason)),
        None => Next::End(ended, None),
    }
}

fn is_hopeless(fates: &[Fate]) -> bool {
    fates.iter().filter(|fate| matches!(fate, Fate::Failed | Fate::Silent)).count() >= HOPELESS
        && !fates.iter().any(|fate| matches!(fate, Fate::Scored(_)))
}

/// Whether what is asked for has been found, or nothing better is found any more.
fn is_enough(search: &Search, fates: &[Fate]) -> bool {
    let mut best: Option<f64> = None;
    let mut since = 0;
    for fate in fates.iter().filter(|fate| **fate != Fate::Open) {
        match fate {
            Fate::Scored(value)
                if best.is_none_or(|best| search.objective.is_better(*value, best)) =>
            {
                (best, since) = (Some(*value), 0);
            }
            _ => since += 1,
        }
    }
    let Some(best) = best else { return false };
    search.target.is_some_and(|target| !search.objective.is_better(target, best))
        || search.not_improving.is_some_and(|most| since >= most)
}

/// Why a search has found nothing, if it has not.
fn failure(fates: &[Fate]) -> Option<String> {
    if fates.iter().any(|fate| matches!(fate, Fate::Scored(_))) {
        return None;
    }
    let count = fates.iter().filter(|fate| **fate != Fate::Open).count();
    Some(if fates.contains(&Fate::Silent) {
        format!(
            "ClientError: No objective metrics found after running {count} training jobs. Please \
             ensure that the custom algorithm is emitting the objective metric as defined by the \
             regular expression provided."
        )
    } else {
        format!(
            "ClientError: No training job succeeded after {count} attempts. Please take a look at \
             the training job failures to get more details."
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{STOPPING, request::tests::request},
        *,
    };

    fn search(criteria: serde_json::Value) -> Search {
        let mut request = request();
        request["HyperParameterTuningJobConfig"]["TuningJobCompletionCriteria"] = criteria;
        request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] =
            json!(8);
        Search::of(&request).unwrap()
    }

    #[test]
    fn a_search_makes_all_its_jobs_a_few_at_once_and_then_ends() {
        let search = search(json!({}));
        let next = |fates: &[Fate]| next(&search, IN_PROGRESS, false, fates);
        assert_eq!(next(&[]), Next::Launch(0));
        assert_eq!(next(&[Fate::Open]), Next::Launch(1));
        assert_eq!(next(&[Fate::Open, Fate::Open]), Next::Wait);
        assert_eq!(next(&[Fate::Failed, Fate::Open]), Next::Launch(2));
        let mut all = vec![Fate::Scored(1.0); 8];
        assert_eq!(next(&all), Next::End("Completed", None));
        all[7] = Fate::Open;
        assert_eq!(next(&all), Next::Wait);
    }

    #[test]
    fn a_search_that_finds_nothing_is_given_up() {
        let search = search(json!({}));
        let next = |fates: &[Fate]| next(&search, IN_PROGRESS, false, fates);
        let mut fates = vec![Fate::Failed; 5];
        let Next::End("Failed", Some(reason)) = next(&fates) else { panic!("it is not given up") };
        assert!(reason.contains("No training job succeeded after 5 attempts"), "{reason}");
        fates.push(Fate::Open);
        assert_eq!(next(&fates), Next::Stop);
        fates[0] = Fate::Scored(1.0);
        assert_eq!(next(&fates), Next::Launch(6));
        let Next::End("Failed", Some(reason)) = next(&[Fate::Silent; 5]) else {
            panic!("it goes on")
        };
        assert!(reason.contains("No objective metrics found"), "{reason}");
    }

    #[test]
    fn a_search_ends_when_it_is_stopped_late_or_has_what_it_sought() {
        let plain = search(json!({}));
        let fates = [Fate::Scored(2.0), Fate::Open];
        assert_eq!(next(&plain, STOPPING, false, &fates), Next::Stop);
        assert_eq!(next(&plain, STOPPING, false, &fates[..1]), Next::End("Stopped", None));
        assert_eq!(next(&plain, IN_PROGRESS, true, &fates), Next::Stop);
        assert_eq!(next(&plain, STOPPING, false, &[]), Next::End("Stopped", None));
        // The request is to minimize.
        let target = search(json!({ "TargetObjectiveMetricValue": 2.0 }));
        assert_eq!(next(&target, IN_PROGRESS, false, &[Fate::Scored(2.1)]), Next::Launch(1));
        assert_eq!(next(&target, IN_PROGRESS, false, &fates), Next::Stop);
        assert_eq!(next(&target, IN_PROGRESS, false, &fates[..1]), Next::End("Completed", None));
        let patient = search(json!({
            "BestObjectiveNotImproving": { "MaxNumberOfTrainingJobsNotImproving": 2 },
        }));
        let fates = [3.0, 1.0, 2.0, 1.0].map(Fate::Scored);
        assert_eq!(next(&patient, IN_PROGRESS, false, &fates[..3]), Next::Launch(3));
        assert_eq!(next(&patient, IN_PROGRESS, false, &fates), Next::End("Completed", None));
    }
}
