//! What an instance type has, of AWS's table of instance types.

use bessemer_jobs::Resources;

/// Cores and memory of `count` instances of `kind`, such as `ml.m5.xlarge`. A kind that is not known
/// has what an `ml.m5.large` has.
pub(in super::super) fn resources(kind: &str, count: u32) -> Resources {
    let one = instance(kind);
    Resources {
        cores: one.cores.saturating_mul(count),
        memory: one.memory.saturating_mul(u64::from(count)),
    }
}

fn instance(kind: &str) -> Resources {
    let mut parts = kind.trim_start_matches("ml.").split('.');
    let (family, size) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let cores = cores(family, size);
    // GiB a core, times eight.
    let eighths: u64 = match family.as_bytes() {
        [b'c', b'4', ..] => 15,
        [b'c', ..] => 16,
        [b'r', ..] => 64,
        [b'p', ..] => 122,
        _ => 32,
    };
    Resources { cores, memory: u64::from(cores) * eighths * (1 << 30) / 8 }
}

fn cores(family: &str, size: &str) -> u32 {
    // The first sizes of `c4`, `c5`'s larger ones and `p2` are not multiples of four cores.
    match (family, size) {
        ("c4", "8xlarge") | ("c5", "9xlarge") => return 36,
        ("c5", "18xlarge") => return 72,
        _ => {}
    }
    match size {
        "large" | "medium" => 2,
        "xlarge" => 4,
        size => {
            size.strip_suffix("xlarge").and_then(|n| n.parse::<u32>().ok()).map_or(2, |n| n * 4)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_awss_table() {
        let gib = 1_u64 << 30;
        for (kind, cores, memory) in [
            ("ml.m5.large", 2, 8 * gib),
            ("ml.m5.4xlarge", 16, 64 * gib),
            ("ml.c5.xlarge", 4, 8 * gib),
            ("ml.c4.8xlarge", 36, 135 * gib / 2),
            ("ml.c5.9xlarge", 36, 72 * gib),
            ("ml.r6i.2xlarge", 8, 64 * gib),
            ("ml.p3.2xlarge", 8, 122 * gib),
            ("ml.g4dn.xlarge", 4, 16 * gib),
            ("local", 2, 8 * gib),
        ] {
            assert_eq!(instance(kind), Resources { cores, memory }, "{kind}");
        }
    }
}
