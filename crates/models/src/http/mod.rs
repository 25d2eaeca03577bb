//! Servers that speak the SageMaker container contract.
