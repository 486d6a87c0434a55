use shopflow_testkit::{Proxy, postgres, rabbitmq};
use sqlx::{Connection, PgConnection};
use std::{io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const SHORT: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_secs(5);

/// A server that sends everything back.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"ping").await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"ping");
    Ok(())
}

#[tokio::test]
async fn a_cut_resets_and_refuses_until_it_is_healed() {
    let proxy = Proxy::start(&echo().await);
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    ping(&mut stream).await.unwrap();

    proxy.cut();
    assert_eq!(
        ping(&mut stream).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let refused = TcpStream::connect(proxy.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    proxy.heal();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    ping(&mut stream).await.unwrap();
}

#[tokio::test]
async fn a_black_hole_freezes_connections() {
    let proxy = Proxy::start(&echo().await);
    let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
    ping(&mut old).await.unwrap();

    proxy.black_hole();
    let mut new = TcpStream::connect(proxy.addr())
        .await
        .expect("it still accepts");
    old.write_all(b"pong").await.unwrap();
    assert!(timeout(SHORT, old.read_u8()).await.is_err());
    assert!(timeout(SHORT, ping(&mut new)).await.is_err());

    proxy.heal();
    let mut answer = [0; 4];
    timeout(SOON, old.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"pong");
    timeout(SOON, new.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"ping");
}

#[tokio::test]
async fn a_black_hole_can_be_cut_and_follow_a_cut() {
    let proxy = Proxy::start(&echo().await);
    proxy.black_hole();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.cut();
    assert!(timeout(SOON, stream.read_u8()).await.unwrap().is_err());
    proxy.black_hole();
    TcpStream::connect(proxy.addr())
        .await
        .expect("it accepts again");
}

#[tokio::test]
async fn servers_are_reached_through_a_proxied_url() {
    let url = postgres().await.database().await;
    let proxy = Proxy::for_url(&url);
    let through = proxy.proxied_url(&url);
    let mut connection = PgConnection::connect(&through).await.unwrap();
    connection.ping().await.unwrap();
    proxy.cut();
    assert!(connection.ping().await.is_err());
    assert!(PgConnection::connect(&through).await.is_err());
    proxy.heal();
    PgConnection::connect(&through).await.unwrap();

    let vhost = rabbitmq().await.vhost().await;
    let proxy = Proxy::start(vhost.addr());
    let through = proxy.proxied_url(vhost.url());
    let properties = lapin::ConnectionProperties::default();
    lapin::Connection::connect(&through, properties)
        .await
        .unwrap();
}
