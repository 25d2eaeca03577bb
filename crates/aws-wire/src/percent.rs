//! Percent-encoding as AWS's signatures and protocols have it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, for whole paths.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// `bytes` with all but unreserved characters encoded, in upper-case hex.
pub(crate) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED).to_string()
}

/// Like [`encode`], with slashes left as they are.
pub(crate) fn encode_path(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED_IN_PATH).to_string()
}

/// `text` without its percent-encoding. What is no valid escape stays as it is.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    percent_decode(text.as_bytes()).collect()
}

/// A name or value of a query or form: a plus sign is a space.
///
/// Signatures and the decoding of parameters both use this, so that no two spellings of a query
/// have one signature and two meanings.
pub(crate) fn decode_form(text: &str) -> Vec<u8> {
    let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&spaced).collect()
}

/// The parameters of a query or form, in their order. A name without `=` has an empty value.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(name), decode_form(value))
    })
}
