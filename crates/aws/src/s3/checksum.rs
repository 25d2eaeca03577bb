//! Checksums: computing what a client claims or asks for, and comparing.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use bessemer_objects::buckets::{Part, Record};
use http::HeaderMap;
use s3s::{
    S3Result,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto::Checksum,
    s3_error,
};

/// A checksum's algorithm, by S3's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(super) fn parse(name: &str) -> S3Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found
            .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))
    }

    /// The header that holds its value.
    fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }
}

/// What a client says of the content that it sends.
#[derive(Debug, Default)]
pub(super) struct Claims {
    values: BTreeMap<Algorithm, String>,
    md5: Option<String>,
    wanted: BTreeSet<Algorithm>,
}

impl Claims {
    /// Takes the checksums of a request's headers, the algorithm that it names, and the checksums
    /// that it announces to follow the content.
    pub(super) fn new(
        values: Checksum,
        algorithm: Option<&str>,
        md5: Option<String>,
        headers: &HeaderMap,
    ) -> S3Result<Self> {
        let values = values_of(values);
        let mut wanted: BTreeSet<Algorithm> = values.keys().copied().collect();
        wanted.extend(algorithm.map(Algorithm::parse).transpose()?);
        for trailer in headers.get_all("x-amz-trailer") {
            let announced = Algorithm::ALL.into_iter().filter(|algorithm| {
                trailer.as_bytes().eq_ignore_ascii_case(algorithm.header().as_bytes())
            });
            wanted.extend(announced);
        }
        if values.len() > 1 {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are \
                           not allowed.";
            return Err(s3_error!(InvalidRequest, "{message}"));
        }
        Ok(Self { values, md5, wanted })
    }

    /// Has one more checksum computed.
    pub(super) fn want(&mut self, algorithm: Option<&str>) -> S3Result<()> {
        self.wanted.extend(algorithm.map(Algorithm::parse).transpose()?);
        Ok(())
    }

    pub(super) fn digests(&self) -> Digests {
        Digests::new(self.wanted.iter().copied())
    }

    /// Adds the checksums that followed the content.
    pub(super) fn add_trailers(&mut self, trailers: &HeaderMap) {
        for algorithm in Algorithm::ALL {
            let value = trailers.get(algorithm.header().as_str());
            if let Some(value) = value.and_then(|value| value.to_str().ok()) {
                self.values.insert(algorithm, value.to_owned());
            }
        }
    }

    /// Whether what was received is what was claimed.
    pub(super) fn verify(&self, received: &Received) -> S3Result<()> {
        if let Some(claimed) = &self.md5 {
            let Some(claimed) = BASE64_STANDARD.decode(claimed).ok().filter(|md5| md5.len() == 16)
            else {
                return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."));
            };
            if hex(&claimed) != received.md5 {
                let message = "The Content-MD5 you specified did not match what we received.";
                return Err(s3_error!(BadDigest, "{message}"));
            }
        }
        for (algorithm, claimed) in &self.values {
            if received.checksums.get(algorithm.name()) != Some(claimed) {
                let name = algorithm.name();
                return Err(s3_error!(
                    BadDigest,
                    "The {name} you specified did not match the calculated checksum."
                ));
            }
        }
        Ok(())
    }
}

/// Checksums in the making.
pub(super) struct Digests {
    md5: Md5,
    others: ChecksumHasher,
}

/// Checksums of content.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    /// In hex.
    pub(super) md5: String,
    /// In base64, by algorithm.
    pub(super) checksums: BTreeMap<String, String>,
}

impl Digests {
    pub(super) fn new(algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let mut others = ChecksumHasher::default();
        for algorithm in algorithms {
            match algorithm {
                Algorithm::Crc32 => others.crc32 = Some(Crc32::new()),
                Algorithm::Crc32c => others.crc32c = Some(Crc32c::new()),
                Algorithm::Crc64Nvme => others.crc64nvme = Some(Crc64Nvme::new()),
                Algorithm::Sha1 => others.sha1 = Some(Sha1::new()),
                Algorithm::Sha256 => others.sha256 = Some(Sha256::new()),
            }
        }
        Self { md5: Md5::new(), others }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.others.update(bytes);
    }

    pub(super) fn finish(self) -> Received {
        let values = values_of(self.others.finalize());
        let named = |(algorithm, value): (Algorithm, String)| (algorithm.name().to_owned(), value);
        Received {
            md5: hex(self.md5.finalize().as_ref()),
            checksums: values.into_iter().map(named).collect(),
        }
    }
}

/// The ETag of an object made of parts: the MD5 of their MD5s, and how many there are.
pub(super) fn etag_of_parts(parts: &[Part]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&unhex(&part.info.record.etag));
    }
    format!("{}-{}", hex(md5.finalize().as_ref()), parts.len())
}

/// The checksum of an object made of parts: that of their checksums, and how many there are.
pub(super) fn checksum_of_parts(algorithm: Algorithm, parts: &[Part]) -> Option<String> {
    let mut digests = Digests::new([algorithm]);
    for part in parts {
        let value = part.info.record.checksums.get(algorithm.name())?;
        digests.update(&BASE64_STANDARD.decode(value).ok()?);
    }
    let value = digests.finish().checksums.remove(algorithm.name())?;
    Some(format!("{value}-{}", parts.len()))
}

/// The checksums of a record as S3's answers hold them.
pub(super) fn of_record(record: &Record) -> Checksum {
    let get = |algorithm: Algorithm| record.checksums.get(algorithm.name()).cloned();
    let kind = if record.composite { "COMPOSITE" } else { "FULL_OBJECT" };
    Checksum {
        checksum_crc32: get(Algorithm::Crc32),
        checksum_crc32c: get(Algorithm::Crc32c),
        checksum_crc64nvme: get(Algorithm::Crc64Nvme),
        checksum_sha1: get(Algorithm::Sha1),
        checksum_sha256: get(Algorithm::Sha256),
        checksum_type: (!record.checksums.is_empty()).then(|| kind.to_owned().into()),
    }
}

/// The values that are there, by algorithm.
pub(super) fn values_of(checksum: Checksum) -> BTreeMap<Algorithm, String> {
    let all = [
        (Algorithm::Crc32, checksum.checksum_crc32),
        (Algorithm::Crc32c, checksum.checksum_crc32c),
        (Algorithm::Crc64Nvme, checksum.checksum_crc64nvme),
        (Algorithm::Sha1, checksum.checksum_sha1),
        (Algorithm::Sha256, checksum.checksum_sha256),
    ];
    all.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?))).collect()
}

/// The checksum members that many of S3's inputs have.
macro_rules! checksums_of {
    ($input:expr) => {
        ::s3s::dto::Checksum {
            checksum_crc32: $input.checksum_crc32.clone(),
            checksum_crc32c: $input.checksum_crc32c.clone(),
            checksum_crc64nvme: $input.checksum_crc64nvme.clone(),
            checksum_sha1: $input.checksum_sha1.clone(),
            checksum_sha256: $input.checksum_sha256.clone(),
            checksum_type: None,
        }
    };
}
pub(super) use checksums_of;

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.filter_map(byte).collect()
}
