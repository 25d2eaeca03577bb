//! Tests of the bucket directory as a whole.

#[derive(Default)]
pub(super) struct Faults;
impl Faults {
    pub(super) fn reach(&self, _point: &'static str) -> Result<(), super::BucketError> {
        Ok(())
    }
    pub(super) fn is_killed(&self) -> bool {
        false
    }
}
