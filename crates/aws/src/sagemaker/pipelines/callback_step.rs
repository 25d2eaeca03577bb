//! Callback steps: messages to a queue, for whoever answers by a token.

use bessemer_pipelines::{Exception, Failure, Task};
use bessemer_queues::{Message, QueueError, Queues, name_of_url};
use serde_json::{Value, json};

/// Tells whoever works on a callback how it stands: `Executing` asks for the work, `Stopping` for its
/// end. Returns what the step is known by.
pub(super) async fn send(queues: &Queues, task: &Task, status: &str) -> Result<Value, Failure> {
    let url = task.order.target.as_deref().unwrap_or_default();
    let token = task.order.token.as_deref().unwrap_or_default();
    let refused = |exception: Exception, why: &str| Failure {
        exception,
        reason: format!("ClientError: Failed to send a message to the queue {url}: {why}"),
    };
    let name = name_of_url(url);
    let name = name.ok_or_else(|| refused(Exception::Failure, "it is no URL of a queue"))?;
    let body = json!({
        "token": token,
        "pipelineExecutionArn": task.facts.arn,
        "arguments": task.order.arguments,
        "status": status,
    });
    let is_fifo = name.strip_suffix(".fifo").is_some();
    let message = Message {
        body: body.to_string(),
        // A queue that keeps an order keeps that of an execution, and passes over what comes again.
        group: is_fifo.then(|| task.facts.id.clone()),
        deduplication_id: is_fifo.then(|| format!("{token}-{status}")),
        sender: "pipelines".to_owned(),
        ..Message::default()
    };
    let sent = queues.send(name, vec![message]).await;
    let sent = sent.and_then(|sent| sent.into_iter().collect::<Result<Vec<_>, QueueError>>());
    match sent {
        Ok(_) => Ok(json!({ "Callback": {
            "CallbackToken": token, "SqsQueueUrl": url, "OutputParameters": [],
        }})),
        Err(QueueError::Store(error)) => Err(refused(Exception::ServiceFault, &error.to_string())),
        Err(error) => Err(refused(Exception::Failure, &error.to_string())),
    }
}
