//! The server behind every stand-in: what it has been told to answer, and what it has seen.

use super::{Provider, Received, Reply, json};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub(super) type State<P> = Arc<Mutex<Memory<<P as Provider>::Message, <P as Provider>::Rejection>>>;

#[derive(Debug)]
pub(super) struct Memory<M, R> {
    pub(super) general: Script<R>,
    pub(super) by_recipient: HashMap<String, Script<R>>,
    pub(super) received: Vec<Received<M>>,
}

/// The next replies, one a request, and the one after them.
#[derive(Debug)]
pub(super) struct Script<R> {
    pub(super) next: VecDeque<Reply<R>>,
    pub(super) then: Option<Reply<R>>,
}

impl<M, R> Default for Memory<M, R> {
    fn default() -> Self {
        Self {
            general: Script::default(),
            by_recipient: HashMap::new(),
            received: Vec::new(),
        }
    }
}

impl<R> Default for Script<R> {
    fn default() -> Self {
        Self {
            next: VecDeque::new(),
            then: None,
        }
    }
}

impl<R: Clone> Script<R> {
    fn take(&mut self) -> Option<Reply<R>> {
        self.next.pop_front().or_else(|| self.then.clone())
    }
}

pub(super) async fn serve<P: Provider>(listener: TcpListener, state: State<P>) {
    // Aborting this task drops the set, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve_connection::<P>(stream, state.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection<P: Provider>(stream: TcpStream, state: State<P>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| answer::<P>(state.clone(), request));
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// An error makes hyper close the connection without an answer.
async fn answer<P: Provider>(
    state: State<P>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if let Some(account) = P::account(&parts) {
        return about_account::<P>(&state, account).await;
    }
    let Some(message) = P::read(&parts, &body) else {
        let text = format!(
            "the test kit cannot read {} {}",
            parts.method,
            parts.uri.path()
        );
        return Ok(json(
            StatusCode::NOT_FOUND,
            &serde_json::json!({ "message": text }),
        ));
    };
    let (index, id, reply) = remember::<P>(&state, &message);
    let accept = || {
        state
            .lock()
            .expect("nothing panics while it holds the memory")
            .received[index]
            .accepted = true;
        P::accepted(&id, &message)
    };
    let closed = || io::Error::other("closed as scripted");
    Ok(match reply {
        Reply::Accept => accept(),
        Reply::Delay(time) => {
            tokio::time::sleep(time).await;
            accept()
        }
        Reply::Throttle => P::throttled(),
        Reply::ServerError => P::in_trouble(StatusCode::INTERNAL_SERVER_ERROR),
        Reply::Unavailable => P::in_trouble(StatusCode::SERVICE_UNAVAILABLE),
        Reply::BadCredentials => P::bad_credentials(),
        Reply::Reject(rejection) => P::rejected(&rejection),
        Reply::Hang => std::future::pending().await,
        Reply::AcceptThenReset => {
            accept();
            return Err(closed());
        }
        Reply::ResetBefore => return Err(closed()),
        Reply::Malformed => Response::new(Full::from("<html>no JSON</html>")),
    })
}

/// Who asks for the account uses up no script, and meets what lasts: wrong credentials or silence.
async fn about_account<P: Provider>(
    state: &State<P>,
    account: Response<Full<Bytes>>,
) -> io::Result<Response<Full<Bytes>>> {
    let lasting = state
        .lock()
        .expect("nothing panics while it holds the memory")
        .general
        .then
        .clone();
    Ok(match lasting {
        Some(Reply::BadCredentials) => P::bad_credentials(),
        Some(Reply::Hang) => std::future::pending().await,
        _ => account,
    })
}

fn remember<P: Provider>(
    state: &State<P>,
    message: &P::Message,
) -> (usize, String, Reply<P::Rejection>) {
    let mut memory = state
        .lock()
        .expect("nothing panics while it holds the memory");
    let index = memory.received.len();
    let id = P::id(index + 1);
    memory.received.push(Received {
        id: id.clone(),
        at: Instant::now(),
        accepted: false,
        message: message.clone(),
    });
    let own = memory
        .by_recipient
        .get_mut(P::recipient(message))
        .and_then(Script::take);
    let reply = own
        .or_else(|| memory.general.take())
        .unwrap_or(Reply::Accept);
    (index, id, reply)
}
