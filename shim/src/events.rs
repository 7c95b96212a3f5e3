//! [`Events`]: tells containerd what happens to tasks, in order, over its ttrpc socket. While containerd is away events wait in
//! a bounded queue; the oldest are dropped when it is full.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use containerd_shim_protos::{
    api::ForwardRequest,
    protobuf::{MessageDyn, MessageField, well_known_types::any::Any, well_known_types::timestamp::Timestamp},
    shim::event::Envelope,
    shim_async::{Client, EventsClient},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
};
use ttrpc::context;

use crate::message::timestamp;

/// Events kept while containerd is away: some for each of a pod's containers, with room to spare.
const MAX_QUEUED: usize = 512;
/// Tries for one event before it is given up: containerd restarts within these.
const TRIES: u32 = 60;
const RETRY_PAUSE: Duration = Duration::from_millis(500);
const CALL_TIMEOUT_NANOS: i64 = 5_000_000_000;

/// The sending side. Clones feed the same queue.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    queue: UnboundedSender<Event>,
}

#[derive(Debug)]
struct Event {
    topic: &'static str,
    body: Any,
    at: Timestamp,
}

/// The task that sends; it ends once all senders are gone and the queue is empty.
#[derive(Debug)]
pub(crate) struct Publisher {
    task: JoinSet<()>,
}

impl Events {
    /// Sends to `address`, containerd's ttrpc socket; nothing is sent where it is empty.
    pub(crate) fn start(address: &str, namespace: &str) -> (Self, Publisher) {
        let (queue, waiting) = unbounded_channel();
        let mut task = JoinSet::new();
        let address = match address {
            "" => String::new(),
            path if path.starts_with("unix://") => path.to_owned(),
            path => format!("unix://{path}"),
        };
        task.spawn(forward(waiting, address, namespace.to_owned()));
        (Self { queue }, Publisher { task })
    }

    /// Queues an event.
    pub(crate) fn publish(&self, topic: &'static str, event: &dyn MessageDyn) {
        let body = Any {
            type_url: event.descriptor_dyn().full_name().to_owned(),
            // Writing to memory fails for messages over 2 GiB only.
            value: event.write_to_bytes_dyn().unwrap_or_default(),
            ..Any::default()
        };
        let at = timestamp(std::time::SystemTime::now());
        // The publisher goes last; when it is gone nobody listens any more.
        let _ = self.queue.send(Event { topic, body, at });
    }
}

impl Publisher {
    /// Waits until everything is sent, for `patience` at most. All [`Events`] must be gone, or it waits that long.
    pub(crate) async fn flush(mut self, patience: Duration) {
        let done = async { while self.task.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, done).await.is_err() {
            tracing::warn!("some events could not be sent");
        }
    }
}

async fn forward(mut waiting: UnboundedReceiver<Event>, address: String, namespace: String) {
    let mut queue = VecDeque::new();
    let mut client = None;
    let mut tries = 0;
    loop {
        if queue.is_empty() {
            match waiting.recv().await {
                Some(event) => queue.push_back(event),
                None => return,
            }
        }
        while let Ok(event) = waiting.try_recv() {
            if queue.len() == MAX_QUEUED {
                queue.pop_front();
            }
            queue.push_back(event);
        }
        let Some(event) = queue.front() else { continue };
        if address.is_empty() || send(&mut client, &address, &namespace, event).await {
            tries = 0;
            queue.pop_front();
            continue;
        }
        client = None;
        tries += 1;
        if tries > TRIES {
            tracing::warn!(topic = event.topic, "an event was given up");
            tries = 0;
            queue.pop_front();
        } else {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// Whether containerd has the event.
async fn send(client: &mut Option<Arc<EventsClient>>, address: &str, namespace: &str, event: &Event) -> bool {
    let connected = match client {
        Some(client) => Arc::clone(client),
        None => match Client::connect(address).await {
            Ok(connection) => Arc::clone(client.insert(Arc::new(EventsClient::new(connection)))),
            Err(error) => {
                tracing::debug!(address, %error, "containerd does not answer");
                return false;
            }
        },
    };
    let request = ForwardRequest {
        envelope: MessageField::some(Envelope {
            timestamp: MessageField::some(event.at.clone()),
            namespace: namespace.to_owned(),
            topic: event.topic.to_owned(),
            event: MessageField::some(event.body.clone()),
            ..Envelope::default()
        }),
        ..ForwardRequest::default()
    };
    match connected
        .forward(context::with_timeout(CALL_TIMEOUT_NANOS), &request)
        .await
    {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(topic = event.topic, %error, "an event was not taken");
            false
        }
    }
}
