//! The MD5s by which clients check what they sent and got.

use base64::{Engine, engine::general_purpose::STANDARD};
use bessemer_queues::MessageAttribute;
use md5::{Digest, Md5};

/// The MD5 of a message's body.
pub(super) fn body(text: &str) -> String {
    bessemer_domain::hex(&Md5::digest(text.as_bytes()))
}

/// The MD5 of attributes, which come in the order of their names; `None` of none. Each is its name,
/// its type, a byte that tells how its value is carried, and its value, with their lengths.
pub(super) fn attributes<'a>(
    attributes: impl Iterator<Item = (&'a String, &'a MessageAttribute)>,
) -> Option<String> {
    let mut md5 = Md5::new();
    let mut is_empty = true;
    for (name, attribute) in attributes {
        is_empty = false;
        part(&mut md5, name.as_bytes());
        part(&mut md5, attribute.data_type.as_bytes());
        if attribute.is_binary() {
            md5.update([2]);
            let value = attribute.binary_value.as_deref().unwrap_or_default();
            part(&mut md5, &STANDARD.decode(value).unwrap_or_default());
        } else {
            md5.update([1]);
            part(&mut md5, attribute.string_value.as_deref().unwrap_or_default().as_bytes());
        }
    }
    (!is_empty).then(|| bessemer_domain::hex(&md5.finalize()))
}

fn part(md5: &mut Md5, bytes: &[u8]) {
    md5.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    md5.update(bytes);
}
