//! Names that are made for steps: the same for the same attempt, whoever makes them.

use sha2::{Digest, Sha256};

use super::state::Facts;

/// Letters of an id, a token or a suffix.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The characters that a name of a job or a model may have.
const LENGTH: usize = 63;

/// `count` letters that stand for `parts`.
fn letters(parts: &[&str], count: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    digest.iter().take(count).map(letter).collect()
}

/// The name of what an attempt at a step makes.
pub(super) fn of_attempt(facts: &Facts, step: &str, attempt: u32) -> String {
    let suffix = letters(&[&facts.arn, step, &attempt.to_string()], 10);
    let begin = format!("pipelines-{}-", facts.id);
    let room = LENGTH.saturating_sub(begin.len() + suffix.len() + 1);
    let plain: String = step.chars().map(|one| if one == '_' { '-' } else { one }).collect();
    let short = &plain[..plain.len().min(room)];
    format!("{begin}{}-{suffix}", short.trim_matches('-'))
}

/// The token that an attempt at a callback is answered by.
pub(super) fn token(facts: &Facts, step: &str, attempt: u32) -> String {
    letters(&["callback", &facts.arn, step, &attempt.to_string()], 10)
}
