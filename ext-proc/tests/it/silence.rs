//! Connections on which nobody speaks.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Service};

#[tokio::test]
async fn who_does_not_begin_is_closed() {
    let service = Service::start_with(|settings| settings.preface_timeout = Duration::from_millis(200)).await;
    for said in ["", "PRI * HTTP/2.0"] {
        let mut connection = TcpStream::connect(service.grpc).await.unwrap();
        connection.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("still open");
        // What it had said was not read, so that it may be told of a reset instead.
        assert!(closed.is_err() || answer.is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn who_has_begun_may_be_silent() {
    let service = Service::start_with(|settings| settings.preface_timeout = Duration::from_millis(200)).await;
    let mut connection = TcpStream::connect(service.grpc).await.unwrap();
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // No SETTINGS of its own. The server's come, and then nothing: no end.
    let mut other = TcpStream::connect(service.grpc).await.unwrap();
    let ended = async {
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await
    };
    tokio::select! {
        ended = ended => panic!("closed: {ended:?}"),
        // One that was opened later has been closed for its silence.
        _ = async { other.read_to_end(&mut Vec::new()).await } => {}
    }
}
