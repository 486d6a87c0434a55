//! A bucket's stand-in: as much of Amazon S3 as storing and reading objects takes.

use crate::runtime::runtime;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{net::TcpListener, task::AbortHandle, task::JoinSet};

#[derive(Debug, Default)]
struct Memory {
    objects: BTreeMap<String, Bytes>,
    damages: bool,
}

/// A server on 127.0.0.1 that keeps objects in memory, by their path with the bucket in front
/// (`bucket/key`), for whoever signs a request at all. It stops when dropped.
#[derive(Debug)]
pub struct FakeS3 {
    endpoint: String,
    memory: Arc<Mutex<Memory>>,
    server: AbortHandle,
}

impl FakeS3 {
    /// Starts the server on a free port.
    #[must_use]
    pub fn start() -> Self {
        let _inside = runtime().enter();
        let listener = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .expect("a fake bucket can listen on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let memory = Arc::<Mutex<Memory>>::default();
        let server = tokio::spawn(serve(listener, memory.clone())).abort_handle();
        Self {
            endpoint: format!("http://{address}"),
            memory,
            server,
        }
    }

    /// The variables by which a program finds it.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL_S3", self.endpoint.clone()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ]
    }

    /// From now on a byte in the middle of whatever is stored becomes another one, or not any more.
    pub fn damage(&self, damages: bool) {
        self.memory().damages = damages;
    }

    /// All objects, by their path with the bucket in front.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        self.memory().objects.clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory
        .lock()
        .expect("nothing panics while it holds the memory")
}

async fn serve(listener: TcpListener, memory: Arc<Mutex<Memory>>) {
    // Aborting this task drops the set, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let memory = memory.clone();
                connections.spawn(async move {
                    let answer = service_fn(|request| answer(memory.clone(), request));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    memory: Arc<Mutex<Memory>>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let name = parts.uri.path().trim_start_matches('/').to_owned();
    let mut response = Response::new(Full::default());
    let mut memory = lock(&memory);
    match parts.method {
        _ if !parts.headers.contains_key(header::AUTHORIZATION) => {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        Method::PUT => {
            let stored = if memory.damages { damaged(&body) } else { body };
            memory.objects.insert(name, stored);
        }
        Method::GET => match memory.objects.get(&name) {
            Some(object) => *response.body_mut() = Full::new(object.clone()),
            None => *response.status_mut() = StatusCode::NOT_FOUND,
        },
        _ => *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED,
    }
    let modified = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT");
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static("\"tag\""));
    headers.insert(header::LAST_MODIFIED, modified);
    Ok(response)
}

fn damaged(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}
