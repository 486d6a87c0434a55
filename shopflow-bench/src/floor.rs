//! Floors: the least program that could do the same, to hold the services against. A bare hyper server
//! that answers fixed bytes, after one call of a bare server and one prepared statement where the
//! service needs them. It checks nothing and keeps nothing else.

mod statement;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use statement::Database;
pub(crate) use statement::Statement;

/// A server that does no more than it must.
#[derive(Debug, clap::Args)]
pub(crate) struct Floor {
    /// Where to listen, on this machine
    #[arg(long)]
    port: u16,
    /// The status to answer with
    #[arg(long)]
    status: u16,
    /// What to answer
    #[arg(long)]
    body: String,
    /// A port on this machine to call first, at each request
    #[arg(long)]
    hop: Option<u16>,
    /// A database to run the statement on
    #[arg(long, requires = "statement")]
    database: Option<String>,
    /// The statement to run at each request
    #[arg(long, requires = "user")]
    statement: Option<Statement>,
    /// The customer whose orders the statement lists or makes
    #[arg(long)]
    user: Option<uuid::Uuid>,
}

struct Shared {
    status: StatusCode,
    body: Bytes,
    database: Option<Database>,
}

/// Serves until it is killed.
pub(crate) async fn serve(floor: &Floor) {
    let database = match (&floor.database, floor.statement, floor.user) {
        (Some(url), Some(statement), Some(user)) => {
            Some(Database::open(url, statement, user).await)
        }
        _ => None,
    };
    let shared = Arc::new(Shared {
        status: StatusCode::from_u16(floor.status).expect("a status"),
        body: floor.body.clone().into(),
        database,
    });
    let listener = TcpListener::bind(("127.0.0.1", floor.port)).await;
    let listener = listener.expect("the port is free");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, shared.clone(), floor.hop));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, hop: Option<u16>) {
    let _ = stream.set_nodelay(true);
    let hop = match hop {
        Some(port) => Some(Arc::new(Mutex::new(connect(port).await))),
        None => None,
    };
    let service = service_fn(move |request| {
        let (shared, hop) = (shared.clone(), hop.clone());
        async move { Ok::<_, Infallible>(answer(&shared, hop.as_deref(), request).await) }
    });
    let http = hyper::server::conn::http1::Builder::new();
    // A client that hangs up is its own affair.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

type Hop = Mutex<SendRequest<Full<Bytes>>>;

async fn connect(port: u16) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let stream = stream.expect("the hop listens");
    let _ = stream.set_nodelay(true);
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("a connection");
    tokio::spawn(connection);
    sender
}

async fn answer(
    shared: &Shared,
    hop: Option<&Hop>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    if let Some(hop) = hop {
        let mut call = Request::new(Full::default());
        *call.method_mut() = http::Method::POST;
        if let Some(token) = parts.headers.get(http::header::AUTHORIZATION) {
            let headers = call.headers_mut();
            headers.insert(http::header::AUTHORIZATION, token.clone());
        }
        let answer = hop.lock().await.send_request(call).await;
        let answer = answer.expect("the hop answers").into_body();
        answer.collect().await.expect("a whole answer");
    }
    if let Some(database) = &shared.database {
        database.run(parts.uri.path(), &body).await;
    }
    let mut answer = Response::new(Full::new(shared.body.clone()));
    *answer.status_mut() = shared.status;
    let json = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", json);
    answer
}
