//! Hand-made models.
