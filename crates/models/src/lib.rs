//! Model runtimes behind `bessemer_transform::model::Model`: ONNX in process, tree ensembles, HTTP
//! containers, Python handlers, and the archives that hold any of them.

pub mod archive;
pub mod http;
pub mod onnx;
pub mod python;
pub mod trees;
