//! What the server counts, in Prometheus's text format.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bessemer_domain::{JobKind, Phase};
use bessemer_jobs::Room;

/// Counters of requests.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<Counted, u64>>,
    durations: Mutex<BTreeMap<&'static str, Durations>>,
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

/// How long a service's requests took, up to the head of the answer.
#[derive(Debug, Default)]
struct Durations {
    /// How many took no longer than the bound of [`BOUNDS`] at the same place.
    within: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

/// Seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// What is measured when somebody looks.
pub(super) struct Gauges {
    /// The number of jobs by kind and phase.
    pub(super) jobs: Vec<(JobKind, Phase, u64)>,
    pub(super) room: Room,
    /// Events that a consumer of the outbox has yet to take.
    pub(super) outbox_lag: u64,
    /// Receives that wait for a message.
    pub(super) waiting_receives: usize,
}

impl Metrics {
    pub(super) fn count(&self, counted: Counted, took: Duration) {
        let mut all = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let durations = all.entry(counted.service).or_default();
        durations.count += 1;
        durations.seconds += took.as_secs_f64();
        for (bound, within) in BOUNDS.iter().zip(&mut durations.within) {
            *within += u64::from(took.as_secs_f64() <= *bound);
        }
        drop(all);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(counted).or_default() += 1;
    }

    /// All counters and `gauges`.
    pub(super) fn text(&self, gauges: &Gauges) -> String {
        let mut text = Text::default();
        text.family("bessemer_requests_total", "counter", "Requests answered.");
        for (counted, count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let Counted { service, operation, code } = counted;
            text.value(
                &format!("{{service=\"{service}\",operation=\"{operation}\",code=\"{code}\"}}"),
                count,
            );
        }
        self.durations(&mut text);
        text.family("bessemer_jobs", "gauge", "Jobs by kind and phase.");
        for (kind, phase, count) in &gauges.jobs {
            text.value(&format!("{{kind=\"{kind}\",phase=\"{phase}\"}}"), count);
        }
        let room = &gauges.room;
        text.gauge("bessemer_queue_jobs", "Jobs that wait for room.", room.waiting);
        text.gauge("bessemer_cores", "Cores for jobs.", room.total.cores);
        text.gauge("bessemer_cores_free", "Cores that no job has.", room.free.cores);
        text.gauge("bessemer_memory_bytes", "Memory for jobs.", room.total.memory);
        text.gauge("bessemer_memory_free_bytes", "Memory that no job has.", room.free.memory);
        let help = "Events that the slowest consumer of the outbox has yet to take.";
        text.gauge("bessemer_outbox_lag_events", help, gauges.outbox_lag);
        let help = "Receives that wait for a message.";
        text.gauge("bessemer_waiting_receives", help, gauges.waiting_receives);
        if let Some(bytes) = resident() {
            text.gauge("process_resident_memory_bytes", "Memory of the server.", bytes);
        }
        text.text
    }

    fn durations(&self, text: &mut Text) {
        let help = "Time to the head of an answer.";
        text.family("bessemer_request_duration_seconds", "histogram", help);
        for (service, durations) in &*self.durations.lock().unwrap_or_else(PoisonError::into_inner)
        {
            for (bound, within) in BOUNDS.iter().zip(durations.within) {
                text.value(&format!("_bucket{{service=\"{service}\",le=\"{bound}\"}}"), within);
            }
            let Durations { count, seconds, .. } = durations;
            text.value(&format!("_bucket{{service=\"{service}\",le=\"+Inf\"}}"), count);
            text.value(&format!("_sum{{service=\"{service}\"}}"), seconds);
            text.value(&format!("_count{{service=\"{service}\"}}"), count);
        }
    }
}

/// The text, family by family.
#[derive(Default)]
struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A value of the family, with what follows its name.
    fn value(&mut self, rest: &str, value: impl Display) {
        self.text.push_str(&format!("{}{rest} {value}\n", self.family));
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.value("", value);
    }
}

/// Bytes of memory that the process holds.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use bessemer_jobs::Resources;

    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_were_and_how_they_ended() {
        let metrics = Metrics::default();
        let counted = |code| Counted { service: "sts", operation: "GetCallerIdentity", code };
        metrics.count(counted(200), Duration::from_millis(3));
        metrics.count(counted(200), Duration::from_secs(20));
        metrics.count(counted(403), Duration::ZERO);
        let room = Room {
            free: Resources { cores: 1, memory: 5 },
            total: Resources { cores: 2, memory: 9 },
            waiting: 7,
        };
        let jobs = vec![(JobKind::Transform, Phase::Failed, 3)];
        let text = metrics.text(&Gauges { jobs, room, outbox_lag: 4, waiting_receives: 2 });
        for line in [
            "bessemer_requests_total{service=\"sts\",operation=\"GetCallerIdentity\",code=\"200\"} 2",
            "bessemer_requests_total{service=\"sts\",operation=\"GetCallerIdentity\",code=\"403\"} 1",
            "bessemer_request_duration_seconds_bucket{service=\"sts\",le=\"0.001\"} 1",
            "bessemer_request_duration_seconds_bucket{service=\"sts\",le=\"10\"} 2",
            "bessemer_request_duration_seconds_bucket{service=\"sts\",le=\"+Inf\"} 3",
            "bessemer_request_duration_seconds_count{service=\"sts\"} 3",
            "bessemer_jobs{kind=\"transform\",phase=\"failed\"} 3",
            "bessemer_queue_jobs 7",
            "bessemer_cores_free 1",
            "bessemer_memory_free_bytes 5",
            "bessemer_outbox_lag_events 4",
            "bessemer_waiting_receives 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
