//! A script with SageMaker's functions, which is given whole payloads.

use bessemer_transform::{
    model::CallError,
    payload::{PayloadLimits, PayloadModel},
};
use bytes::Bytes;

use super::{HandlerOptions, PythonError, PythonModel};

/// A Python handler that is given whole payloads, as in SageMaker's containers.
#[derive(Debug)]
pub struct PythonPayloads(PythonModel);

impl PythonPayloads {
    /// Starts the first worker. `None`: the script has none of SageMaker's functions, so it knows
    /// records and no payloads.
    pub fn open(options: &HandlerOptions) -> Result<Option<Self>, PythonError> {
        let options = HandlerOptions { payloads: true, ..options.clone() };
        let model = PythonModel::open(&options)?;
        Ok(model.is_sagemaker().then_some(Self(model)))
    }
}

impl PayloadModel for PythonPayloads {
    fn limits(&self) -> PayloadLimits {
        PayloadLimits { max_concurrent: Some(self.0.most()), ..PayloadLimits::default() }
    }

    fn invoke(&self, payload: &Bytes) -> Result<Bytes, CallError> {
        self.0.answer_payload(payload).map(Bytes::from)
    }
}
