//! What the server counts, in Prometheus's text format.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bessemer_domain::Phase;

/// Counters of requests.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<Counted, u64>>,
}

/// What requests are counted by. All values come from closed sets, so that no client can make more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counted {
    pub(super) service: &'static str,
    /// The operation, or nothing if it is not known.
    pub(super) operation: &'static str,
    /// The HTTP status.
    pub(super) code: u16,
}

impl Metrics {
    pub(super) fn count(&self, counted: Counted) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(counted).or_default() += 1;
    }

    /// All counters and `jobs`, the number of jobs by phase.
    pub(super) fn text(&self, jobs: &[(Phase, u64)]) -> String {
        let mut text = String::from(
            "# HELP bessemer_requests_total Requests answered.\n\
             # TYPE bessemer_requests_total counter\n",
        );
        for (counted, count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let Counted { service, operation, code } = counted;
            text.push_str(&format!(
                "bessemer_requests_total{{service=\"{service}\",operation=\"{operation}\",\
                 code=\"{code}\"}} {count}\n"
            ));
        }
        text.push_str("# HELP bessemer_jobs Jobs by phase.\n# TYPE bessemer_jobs gauge\n");
        for (phase, count) in jobs {
            text.push_str(&format!("bessemer_jobs{{phase=\"{phase}\"}} {count}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_were_and_how_they_ended() {
        let metrics = Metrics::default();
        let counted = |code| Counted { service: "sts", operation: "GetCallerIdentity", code };
        metrics.count(counted(200));
        metrics.count(counted(200));
        metrics.count(counted(403));
        let text = metrics.text(&[(Phase::Failed, 3)]);
        let line = "bessemer_requests_total{service=\"sts\",operation=\"GetCallerIdentity\",code=";
        assert!(text.contains(&format!("{line}\"200\"}} 2\n{line}\"403\"}} 1\n")), "{text}");
        assert!(text.ends_with("bessemer_jobs{phase=\"failed\"} 3\n"), "{text}");
    }
}
