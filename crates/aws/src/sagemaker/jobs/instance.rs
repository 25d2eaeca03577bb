//! What an instance type has: AWS's table, from EC2's `DescribeInstanceTypes` (`ml.m5.xlarge` is
//! an `m5.xlarge`).

use bessemer_jobs::Resources;

use super::super::error::Error;

const GIB: u64 = 1 << 30;

/// Families in which all sizes have the same memory a core, in GiB, and an `xlarge` four cores.
const FAMILIES: [(u64, &[&str]); 4] = [
    (
        2,
        &[
            "c5", "c5d", "c6g", "c6gd", "c6gn", "c6i", "c6id", "c6in", "c7g", "c7i", "c7i-flex",
            "c8g", "c8i", "c8i-flex", "inf1",
        ],
    ),
    (
        4,
        &[
            "m4", "m5", "m5d", "m6g", "m6gd", "m6i", "m6id", "m7g", "m7i", "m7i-flex", "m8g",
            "m8i", "m8i-flex", "t2", "t3", "g4dn", "g5", "g6", "g7", "inf2", "trn1", "trn1n",
        ],
    ),
    (
        8,
        &[
            "r5", "r5d", "r6g", "r6gd", "r6i", "r6id", "r7g", "r7i", "r8g", "r8i", "r8i-flex",
            "g6e", "g7e", "p3dn",
        ],
    ),
    (12, &["p4d", "p4de"]),
];

/// Types that are not as their family is: cores and quarters of GiB.
const OTHERS: [(&str, u32, u64); 27] = [
    ("c4.xlarge", 4, 30),
    ("c4.2xlarge", 8, 60),
    ("c4.4xlarge", 16, 120),
    ("c4.8xlarge", 36, 240),
    ("c5n.xlarge", 4, 42),
    ("c5n.2xlarge", 8, 84),
    ("c5n.4xlarge", 16, 168),
    ("c5n.9xlarge", 36, 384),
    ("c5n.18xlarge", 72, 768),
    ("g7e.12xlarge", 48, 2048),
    ("g7e.24xlarge", 96, 4096),
    ("g7e.48xlarge", 192, 8192),
    ("p2.xlarge", 4, 244),
    ("p2.8xlarge", 32, 1952),
    ("p2.16xlarge", 64, 2928),
    ("p3.2xlarge", 8, 244),
    ("p3.8xlarge", 32, 976),
    ("p3.16xlarge", 64, 1952),
    ("p5.4xlarge", 16, 1024),
    ("p5.48xlarge", 192, 8192),
    ("p5e.48xlarge", 192, 8192),
    ("p5en.48xlarge", 192, 8192),
    ("p6-b200.48xlarge", 192, 8192),
    ("p6-b300.48xlarge", 192, 16384),
    ("p6e-gb200.36xlarge", 144, 3840),
    ("trn2.48xlarge", 192, 8192),
    ("t3.medium", 2, 16),
];

/// Cores and memory of `count` instances of `kind`, such as `ml.m5.xlarge`.
pub(in super::super) fn resources(kind: &str, count: u32) -> Result<Resources, Error> {
    known(kind, count)
        .ok_or_else(|| Error::Validation(format!("There is no instance type '{kind}'")))
}

fn known(kind: &str, count: u32) -> Option<Resources> {
    let kind = kind.strip_prefix("ml.")?;
    let other = OTHERS.iter().find(|(known, ..)| *known == kind);
    let (cores, memory) = match other {
        Some((_, cores, quarters)) => (*cores, quarters * GIB / 4),
        None => of_family(kind)?,
    };
    Some(Resources {
        cores: cores.saturating_mul(count),
        memory: memory.saturating_mul(u64::from(count)),
    })
}

fn of_family(kind: &str) -> Option<(u32, u64)> {
    let (family, size) = kind.split_once('.')?;
    let (gib, _) = FAMILIES.iter().find(|(_, families)| families.contains(&family))?;
    let cores = match size {
        "large" => 2,
        "xlarge" => 4,
        size => size.strip_suffix("xlarge")?.parse::<u32>().ok()?.checked_mul(4)?,
    };
    Some((cores, u64::from(cores) * gib * GIB))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn sizes_are_those_of_awss_table() {
        for (kind, cores, mebibytes) in [
            ("ml.t3.medium", 2, 4 << 10),
            ("ml.t3.2xlarge", 8, 32 << 10),
            ("ml.m5.large", 2, 8 << 10),
            ("ml.m5.24xlarge", 96, 384 << 10),
            ("ml.c5.9xlarge", 36, 72 << 10),
            ("ml.c4.xlarge", 4, 7680),
            ("ml.c4.8xlarge", 36, 60 << 10),
            ("ml.c5n.xlarge", 4, 10752),
            ("ml.r6i.2xlarge", 8, 64 << 10),
            ("ml.p3.2xlarge", 8, 61 << 10),
            ("ml.p4d.24xlarge", 96, 1152 << 10),
            ("ml.g4dn.xlarge", 4, 16 << 10),
            ("ml.g6e.48xlarge", 192, 1536 << 10),
            ("ml.trn1.32xlarge", 128, 512 << 10),
        ] {
            let memory = mebibytes << 20;
            assert_eq!(known(kind, 1), Some(Resources { cores, memory }), "{kind}");
            let two = Resources { cores: 2 * cores, memory: 2 * memory };
            assert_eq!(known(kind, 2), Some(two), "{kind}");
        }
        for unknown in ["", "local", "m5.large", "ml.m5", "ml.m5.huge", "ml.x9.large"] {
            assert_eq!(known(unknown, 1), None, "{unknown}");
        }
    }

    #[test]
    fn every_type_that_jobs_may_ask_for_is_known() {
        let model = include_str!("../../../../aws-wire/models/sagemaker.json");
        let model: Value = serde_json::from_str(model).unwrap();
        for shape in ["TrainingInstanceType", "ProcessingInstanceType", "TransformInstanceType"] {
            let kinds = model["shapes"][shape]["enum"].as_array().unwrap();
            assert!(kinds.len() > 30, "{shape}");
            for kind in kinds {
                assert!(known(kind.as_str().unwrap(), 1).is_some(), "{kind}");
            }
        }
    }
}
