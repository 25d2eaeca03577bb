//! The parts that both ways of signing share: the credential's scope and the signing date.

use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{AuthError, error::SKEW};

/// `AKID/20150830/us-east-1/service/aws4_request`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credential<'a> {
    pub(super) access_key: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl<'a> Credential<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, AuthError> {
        let mut parts = text.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let malformed = || {
            AuthError::Scope(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term"
                    .to_owned(),
            )
        };
        let (term, service) = (next().ok_or_else(malformed)?, next().ok_or_else(malformed)?);
        let (region, date) = (next().ok_or_else(malformed)?, next().ok_or_else(malformed)?);
        let access_key = next().ok_or_else(malformed)?;
        if term != "aws4_request" {
            return Err(AuthError::Scope(
                "Credential should be scoped with a valid terminator: 'aws4_request'.".to_owned(),
            ));
        }
        Ok(Self { access_key, date, region, service })
    }

    /// `20150830/us-east-1/service/aws4_request`.
    pub(super) fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }

    /// Whether S3's own rules hold.
    pub(super) fn is_s3(&self) -> bool {
        self.service == "s3"
    }
}

/// When a request was signed.
#[derive(Debug, Clone)]
pub(super) struct SigningDate {
    /// As it is signed: `20150830T123600Z`.
    pub(super) text: String,
    pub(super) time: DateTime<Utc>,
}

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

impl SigningDate {
    /// Reads `20150830T123600Z`, strictly.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 16
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b'T',
                15 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            });
        let time = NaiveDateTime::parse_from_str(text, FORMAT).ok().filter(|_| fits)?.and_utc();
        Some(Self { text: text.to_owned(), time })
    }

    /// Reads the `Date` header of HTTP, or the form of [`SigningDate::parse`].
    pub(super) fn parse_header(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| {
            let time = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
            Some(Self { text: time.format(FORMAT).to_string(), time })
        })
    }

    /// That the scope is of the same day.
    pub(super) fn check_scope(&self, credential: &Credential<'_>) -> Result<(), AuthError> {
        if self.text[..8] == *credential.date {
            return Ok(());
        }
        Err(AuthError::Scope(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{}' != '{}', from '{}'.",
            credential.date,
            &self.text[..8],
            self.text
        )))
    }

    /// That it lies no further ahead of `now` than clocks may differ.
    pub(super) fn check_not_ahead(&self, now: SystemTime) -> Result<(), AuthError> {
        let ahead = self.time - DateTime::<Utc>::from(now);
        if ahead.to_std().is_ok_and(|ahead| ahead > SKEW) {
            Err(self.skewed(now, false))
        } else {
            Ok(())
        }
    }

    /// That it lies no further back than clocks may differ.
    pub(super) fn check_not_behind(&self, now: SystemTime) -> Result<(), AuthError> {
        let behind = DateTime::<Utc>::from(now) - self.time;
        if behind.to_std().is_ok_and(|behind| behind > SKEW) {
            Err(self.skewed(now, true))
        } else {
            Ok(())
        }
    }

    fn skewed(&self, now: SystemTime, late: bool) -> AuthError {
        let now = DateTime::<Utc>::from(now).format(FORMAT).to_string();
        AuthError::Skewed { signed: self.text.clone(), now, late }
    }
}
