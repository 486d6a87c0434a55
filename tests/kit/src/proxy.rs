//! A TCP proxy that can be broken on purpose.

use crate::{process::free_port, runtime::runtime, url::Url};
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A loopback port that leads to another server until the test cuts it.
///
/// It starts healthy and is closed when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    upstream: Arc<str>,
    mode: watch::Sender<Mode>,
    /// Ends, by being disconnected, once the port and all connections are closed. Nothing while cut.
    listening: Mutex<Option<Receiver<()>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Open,
    BlackHole,
    Cut,
}

impl Proxy {
    /// Opens a port that leads to `upstream`, given as `host:port`.
    #[must_use]
    pub fn start(upstream: &str) -> Self {
        let proxy = Self {
            port: free_port(),
            upstream: upstream.into(),
            mode: watch::Sender::new(Mode::Cut),
            listening: Mutex::new(None),
        };
        proxy.heal();
        proxy
    }

    /// Opens a port that leads to the server of a PostgreSQL, AMQP, Redis or HTTP URL.
    #[must_use]
    pub fn for_url(url: &str) -> Self {
        Self::start(&parse(url).host_port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same URL, leading through this proxy.
    #[must_use]
    pub fn proxied_url(&self, url: &str) -> String {
        Url {
            host_port: self.addr(),
            ..parse(url)
        }
        .to_string()
    }

    /// Resets all connections; new ones are refused as if nobody listened, from when this returns.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
        let listening = self.listening.lock().expect("nothing panics here").take();
        if let Some(listening) = listening {
            let _ = listening.recv_timeout(Duration::from_secs(5));
        }
    }

    /// Accepts connections but passes nothing on, either way; existing ones freeze. What is sent
    /// meanwhile arrives after [`Proxy::heal`].
    pub fn black_hole(&self) {
        self.open(Mode::BlackHole);
    }

    /// Works again, on the same port. Frozen connections go on; those that were cut are gone.
    pub fn heal(&self) {
        self.open(Mode::Open);
    }

    fn open(&self, mode: Mode) {
        self.mode.send_replace(mode);
        let mut listening = self.listening.lock().expect("nothing panics here");
        if listening.is_some() {
            return;
        }
        let _inside = runtime().enter();
        let listener = std::net::TcpListener::bind(("127.0.0.1", self.port))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .unwrap_or_else(|error| panic!("proxy cannot listen on {}: {error}", self.addr()));
        let (ended, receiver) = mpsc::channel();
        let (upstream, mode) = (self.upstream.clone(), self.mode.subscribe());
        tokio::spawn(async move {
            accept(listener, upstream, mode).await;
            drop(ended);
        });
        *listening = Some(receiver);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

fn parse(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("{error}"))
}

async fn accept(listener: TcpListener, upstream: Arc<str>, mode: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    let mut cut = mode.clone();
    loop {
        tokio::select! {
            () = until(&mut cut, |mode| mode == Mode::Cut) => break,
            Ok((client, _)) = listener.accept() => {
                connections.spawn(carry(client, upstream.clone(), mode.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn carry(mut client: TcpStream, upstream: Arc<str>, mut mode: watch::Receiver<Mode>) {
    let mut cut = mode.clone();
    let connect = async {
        until(&mut mode, |mode| mode == Mode::Open).await;
        TcpStream::connect(&*upstream).await.ok()
    };
    let server = tokio::select! {
        () = until(&mut cut, |mode| mode == Mode::Cut) => None,
        server = connect => server,
    };
    let Some(mut server) = server else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let was_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both = async {
            tokio::join!(
                pump(from_client, to_server, mode.clone()),
                pump(from_server, to_client, mode.clone()),
            )
        };
        tokio::select! {
            () = until(&mut cut, |mode| mode == Mode::Cut) => true,
            _ = both => false,
        }
    };
    if was_cut {
        // Closing such a socket sends a reset instead of a polite end.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        until(&mut mode, |mode| mode == Mode::Open).await;
        if count == 0 {
            let _ = to.shutdown().await;
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn until(mode: &mut watch::Receiver<Mode>, wanted: impl Fn(Mode) -> bool) {
    let _ = mode.wait_for(|mode| wanted(*mode)).await;
}
