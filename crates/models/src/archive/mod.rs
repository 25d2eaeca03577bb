//! Opens a `model.tar.gz`.
