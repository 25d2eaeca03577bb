//! Receipt handles: which receive of which message of which queue.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bessemer_store::Receipt;
use sha2::{Digest, Sha256};

/// Bytes that tell a handle from other text.
const CHECK: usize = 4;

/// The handle of a receipt of the queue with that number.
pub(crate) fn handle(queue: i64, receipt: Receipt) -> String {
    let mut bytes = Vec::with_capacity(24);
    bytes.extend(queue.to_be_bytes());
    bytes.extend(receipt.number.to_be_bytes());
    bytes.extend(receipt.receives.to_be_bytes());
    let check = Sha256::digest(&bytes);
    bytes.extend(&check[..CHECK]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The receipt that a handle stands for, if it is one of that queue.
pub(crate) fn receipt(queue: i64, handle: &str) -> Option<Receipt> {
    let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
    let (bytes, check) = bytes.split_at_checked(20)?;
    if check != &Sha256::digest(bytes)[..CHECK] || bytes[..8] != queue.to_be_bytes() {
        return None;
    }
    Some(Receipt {
        number: i64::from_be_bytes(bytes[8..16].try_into().ok()?),
        receives: u32::from_be_bytes(bytes[16..].try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_good_for_its_queue_alone() {
        let taken = Receipt { number: 77, receives: 3 };
        let handle = handle(5, taken);
        assert_eq!(receipt(5, &handle), Some(taken));
        assert_eq!(receipt(6, &handle), None);
        assert_eq!(receipt(5, &handle[1..]), None);
        assert_eq!(receipt(5, "not a handle"), None);
        assert_eq!(receipt(5, ""), None);
    }
}
