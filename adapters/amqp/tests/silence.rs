//! A broker that lets one in and then answers nothing but heartbeats.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{RequestContext, SystemClock};
use core_notify::{Delivery, EventHandler, Outcome};
use shopflow_amqp::{Consumer, ConsumerStatus};
use shopflow_testkit::{Vhost, rabbitmq, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Much more than a consumer waits for an answer.
const SOON: Duration = Duration::from_secs(120);

struct Nobody;

#[async_trait]
impl EventHandler for Nobody {
    async fn handle(&self, _: Delivery<'_>, _: &RequestContext) -> Outcome {
        unreachable!("nothing is published here")
    }
}

#[tokio::test]
async fn a_consumer_that_gets_no_answer_asks_on_another_connection() {
    let vhost = rabbitmq().await.vhost().await;
    let url = deaf_at_first(&vhost).await;
    let status = ConsumerStatus::default();
    let consumer = Consumer::new(url, Arc::new(Nobody), Arc::new(SystemClock), status.clone());
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(async move { consumer.run(stopping).await });
    wait_until("it consumes", SOON, async || status.is_consuming()).await;
}

/// A way to the broker whose first connection loses every question asked on a channel.
async fn deaf_at_first(vhost: &Vhost) -> String {
    let broker = vhost.addr().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let url = vhost.url().replace(&broker, &here);
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(&broker).await.unwrap();
            if connection > 0 {
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
                continue;
            }
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut protocol = [0; 8];
                from_client.read_exact(&mut protocol).await?;
                to_server.write_all(&protocol).await?;
                loop {
                    // AMQP 0-9-1 §4.2.3: type, channel, size, payload, end.
                    let mut head = [0; 7];
                    from_client.read_exact(&mut head).await?;
                    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
                    let mut rest = vec![0; size as usize + 1];
                    from_client.read_exact(&mut rest).await?;
                    let is_of_the_connection = head[1..3] == [0, 0];
                    if is_of_the_connection {
                        to_server.write_all(&head).await?;
                        to_server.write_all(&rest).await?;
                    }
                }
                #[expect(unreachable_code, reason = "it names the error's type")]
                std::io::Result::Ok(())
            });
        }
    });
    url
}
