//! A receiver of OTLP over HTTP that accepts all traces and keeps none. It runs beside the client, so that it costs the service
//! nothing.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// A running receiver. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct TraceSink {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl TraceSink {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(accept_all(connection));
            }
        });
        Ok(Self { address, serving })
    }

    /// The options of `cellgate serve` that send it the traces of 1 % of the requests.
    pub(crate) fn options(&self) -> Vec<String> {
        let endpoint = format!("--otlp-endpoint=http://{}", self.address);
        vec![endpoint, "--otlp-protocol=http/protobuf".to_owned(), "--trace-sample-percent=1".to_owned()]
    }
}

impl Drop for TraceSink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers the requests of a connection until it ends.
async fn accept_all(connection: TcpStream) -> Result<()> {
    let mut connection = BufReader::new(connection);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end().to_ascii_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse()?,
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        body.resize(length, 0);
        connection.read_exact(&mut body).await?;
        connection.write_all(ANSWER).await?;
        connection.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_request_of_a_connection_is_accepted() {
        let sink = TraceSink::start().await.unwrap();
        let mut connection = TcpStream::connect(sink.address).await.unwrap();
        for body in ["abc", ""] {
            let request =
                format!("POST /v1/traces HTTP/1.1\r\nhost: sink\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            connection.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; ANSWER.len()];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, ANSWER);
        }
    }
}
