//! SQS over `bessemer_queues`, in JSON and, for older clients, in the query protocol.

mod batches;
mod checksums;
mod error;
mod messages;
mod moves;
mod queues;

use std::borrow::Cow;

use bessemer_aws_wire::{Call, ServiceError};
use bessemer_queues::{Queues, name_of_url};
use http::{header, request::Parts};
use serde_json::{Value, json};

use crate::{
    caller::Caller,
    decode::decode,
    platform::{ACCOUNT, Platform},
    server::unsupported,
};
use error::Error;

/// What handlers answer calls with.
struct Site<'a> {
    queues: &'a Queues,
    caller: &'a Caller,
    /// The host that the caller knows the server by.
    host: &'a str,
}

impl Site<'_> {
    fn url(&self, name: &str) -> String {
        format!("http://{}/{ACCOUNT}/{name}", self.host)
    }
}

/// Answers a call.
pub(crate) async fn call(
    platform: &Platform,
    caller: &Caller,
    parts: &Parts,
    call: &Call<'_>,
) -> Result<Value, ServiceError> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| Some(parts.uri.authority()?.as_str())).unwrap_or("localhost");
    let site = Site { queues: &platform.queues, caller, host };
    let answered = match call.operation.name() {
        "CreateQueue" => queues::create(&site, decode(call)?).await,
        "GetQueueUrl" => queues::url(&site, &decode(call)?),
        "ListQueues" => queues::list(&site, &decode(call)?),
        "DeleteQueue" => queues::delete(&site, &decode(call)?).await,
        "PurgeQueue" => queues::purge(&site, &decode(call)?).await,
        "GetQueueAttributes" => queues::attributes(&site, decode(call)?).await,
        "SetQueueAttributes" => queues::set_attributes(&site, &decode(call)?).await,
        "ListDeadLetterSourceQueues" => queues::dead_letter_sources(&site, &decode(call)?),
        "AddPermission" => queues::add_permission(&site, &decode(call)?).await,
        "RemovePermission" => queues::remove_permission(&site, &decode(call)?).await,
        "TagQueue" => queues::tag(&site, decode(call)?).await,
        "UntagQueue" => queues::untag(&site, decode(call)?).await,
        "ListQueueTags" => queues::tags(&site, &decode(call)?).await,
        "SendMessage" => messages::send(&site, decode(call)?).await,
        "ReceiveMessage" => messages::receive(&site, decode(call)?).await,
        "DeleteMessage" => messages::delete(&site, decode(call)?).await,
        "ChangeMessageVisibility" => messages::change_visibility(&site, decode(call)?).await,
        "SendMessageBatch" => batches::send(&site, decode(call)?).await,
        "DeleteMessageBatch" => batches::delete(&site, decode(call)?).await,
        "ChangeMessageVisibilityBatch" => batches::change_visibility(&site, decode(call)?).await,
        "StartMessageMoveTask" => moves::start(&site, &decode(call)?).await,
        "CancelMessageMoveTask" => moves::cancel(&site, &decode(call)?).await,
        "ListMessageMoveTasks" => moves::list(&site, &decode(call)?).await,
        other => return Err(unsupported("sqs", other)),
    };
    answered.map_err(|error| error.answer(call))
}

/// The query of a request, with the queue whose URL it was sent to: old clients may name it nowhere
/// else.
pub(crate) fn query(parts: &Parts) -> Cow<'_, str> {
    let query = parts.uri.query().unwrap_or_default();
    match name_of_url(parts.uri.path()) {
        Some(_) => Cow::Owned(format!("QueueUrl={}&{query}", parts.uri.path())),
        None => Cow::Borrowed(query),
    }
}

/// The name of the queue that a URL stands for.
fn name(url: &str) -> Result<&str, Error> {
    name_of_url(url).ok_or_else(|| Error::Address(url.to_owned()))
}

fn nothing() -> Value {
    json!({})
}
