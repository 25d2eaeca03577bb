//! ONNX models in process, through ONNX Runtime.
