//! Accepting connections, and letting go of them.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::edge::Edge;
use crate::figures;
use crate::ops::Ops;
use crate::pipeline::{self, Api};

/// More than a balancer opens, few enough that their buffers fit.
const MAX_CONNECTIONS: usize = 4096;

/// A request head must be here by then; an idle connection is closed by then too, so clients that
/// keep connections must let go of them sooner.
const HEAD_DEADLINE: Duration = Duration::from_secs(20);

/// After accepting failed (out of descriptors, say), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A service on its way to being served.
pub struct Server<A: ?Sized> {
    /// Where connections come from.
    pub listener: TcpListener,
    /// The service.
    pub api: Arc<A>,
    /// Its operators' side.
    pub ops: Ops,
    /// What lies between it and its callers.
    pub edge: Edge,
    /// How long requests in flight may take to finish once it stops.
    pub grace: Duration,
}

/// Serves until `stop` is done, then finishes what is in flight.
///
/// HTTP/1.1 only: the callers are a balancer and our own services, and HTTP/2 would bring its
/// denial-of-service classes along.
pub async fn serve<A: Api + ?Sized>(server: Server<A>, stop: impl Future<Output = ()>) {
    let Server {
        listener,
        api,
        ops,
        edge,
        grace,
    } = server;
    figures::expect();
    let edge = Arc::new(edge);
    let graceful = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut http = http1::Builder::new();
    // Answers are small: head and body go out as one piece.
    http.timer(TokioTimer::new())
        .writev(false)
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(64 * 1024)
        .max_headers(64);
    tokio::pin!(stop);
    loop {
        let accepted = async {
            // Never closed, so this only waits.
            let permit = free.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (stream, peer, permit) = tokio::select! {
            accepted = accepted => match accepted {
                (Ok((stream, peer)), permit) => (stream, peer.ip(), permit),
                (Err(error), _) => {
                    tracing::warn!(error = %error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let connection = http.serve_connection(io(stream), {
            let (api, ops, edge) = (api.clone(), ops.clone(), edge.clone());
            service_fn(move |request: Request<Incoming>| {
                let (api, ops, edge) = (api.clone(), ops.clone(), edge.clone());
                async move {
                    let reply = pipeline::handle(&*api, &ops, &edge, request, peer).await;
                    Ok::<_, Infallible>(reply)
                }
            })
        });
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that hangs up or sends rubbish is its own affair.
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("stopped with requests still in flight");
    }
}

fn io(stream: TcpStream) -> TokioIo<TcpStream> {
    // Answers are small; waiting to fill a packet only delays them. Where it cannot be set, the
    // connection works all the same.
    let _ = stream.set_nodelay(true);
    TokioIo::new(stream)
}
