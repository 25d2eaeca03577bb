//! AWS Batch: what jobs are described by, and jobs, which run on this machine.

mod container;
mod definitions;
mod describe;
mod end;
mod environments;
mod error;
mod list;
mod page;
mod policies;
mod queues;
mod request;
mod resource;
mod retry;
mod service_environments;
mod service_jobs;
mod shares;
mod submit;
mod tags;

use bessemer_aws_wire::{Call, ServiceError};
use bessemer_domain::Asked;
use serde_json::Value;

use crate::{caller::Caller, decode::decode, platform::Platform, server::unsupported};
pub use request::BatchRequest;
pub use retry::exit_of;
pub use shares::weigh_shares;

/// Answers a call.
pub(crate) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<Value, ServiceError> {
    let input = &call.input;
    let answered = match call.operation.name() {
        "CreateComputeEnvironment" => environments::create(platform, caller, input).await,
        "UpdateComputeEnvironment" => environments::update(platform, input).await,
        "DescribeComputeEnvironments" => environments::describe(platform, input).await,
        "DeleteComputeEnvironment" => environments::delete(platform, input).await,
        "CreateServiceEnvironment" => service_environments::create(platform, caller, input).await,
        "UpdateServiceEnvironment" => service_environments::update(platform, input).await,
        "DescribeServiceEnvironments" => service_environments::describe(platform, input).await,
        "DeleteServiceEnvironment" => service_environments::delete(platform, input).await,
        "CreateJobQueue" => queues::create(platform, caller, input).await,
        "UpdateJobQueue" => queues::update(platform, input).await,
        "DescribeJobQueues" => queues::describe(platform, input).await,
        "DeleteJobQueue" => queues::delete(platform, input).await,
        "CreateSchedulingPolicy" => policies::create(platform, caller, input).await,
        "UpdateSchedulingPolicy" => policies::update(platform, input).await,
        "DescribeSchedulingPolicies" => policies::describe(platform, input).await,
        "ListSchedulingPolicies" => policies::list(platform, input).await,
        "DeleteSchedulingPolicy" => policies::delete(platform, input).await,
        "RegisterJobDefinition" => definitions::register(platform, caller, input).await,
        "DeregisterJobDefinition" => definitions::deregister(platform, input).await,
        "DescribeJobDefinitions" => definitions::describe(platform, decode(call)?).await,
        "SubmitJob" => submit::submit(platform, caller, decode(call)?).await,
        "DescribeJobs" => describe::describe(platform, decode(call)?).await,
        "ListJobs" => list::list(platform, decode(call)?).await,
        "CancelJob" => end::end(platform, Asked::Cancel, decode(call)?).await,
        "TerminateJob" => end::end(platform, Asked::Terminate, decode(call)?).await,
        "SubmitServiceJob" => service_jobs::submit(platform, caller, input).await,
        "DescribeServiceJob" => service_jobs::describe(platform, decode(call)?).await,
        "ListServiceJobs" => service_jobs::list(platform, input).await,
        "TerminateServiceJob" => service_jobs::terminate(platform, decode(call)?).await,
        "TagResource" => tags::add(platform, decode(call)?).await,
        "UntagResource" => tags::remove(platform, decode(call)?).await,
        "ListTagsForResource" => tags::list(platform, decode(call)?).await,
        other => return Err(unsupported("batch", other)),
    };
    answered.map_err(|error| error.answer(call.service))
}
