//! ShopFlow events on RabbitMQ: the topology, a publisher that believes only confirms, and a
//! consumer that forgets a message only when its outcome is recorded.

mod asyncapi;
mod backoff;
mod channel;
mod connection;
mod consumer;
mod dead_letters;
mod headers;
mod publisher;
mod queues;
pub mod topology;

pub use asyncapi::asyncapi;
pub use backoff::Backoff;
pub use connection::{UrlError, check_url};
pub use consumer::{Consumer, ConsumerStatus};
pub use dead_letters::AmqpDeadLetters;
pub use publisher::AmqpPublisher;
pub use queues::AmqpQueues;
