//! The reader of XGBoost's UBJSON.
#![no_main]

use bessemer_trees::Ensemble;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ensemble) = Ensemble::from_xgboost_ubjson(bytes) {
        bessemer_trees_fuzz::check(&ensemble);
    }
});
