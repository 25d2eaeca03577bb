//! Tree ensembles in our own kernels.
