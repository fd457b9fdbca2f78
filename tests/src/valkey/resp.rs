//! Redis' protocol (RESP2), as much as a test needs.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// A connection.
pub(super) struct Connection {
    stream: BufStream<TcpStream>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self { stream: BufStream::new(TcpStream::connect(address).await?) })
    }

    pub(super) async fn command(&mut self, words: &[&str]) -> Result<String> {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await?;
        let mut open = 1;
        let mut values = Vec::new();
        while open > 0 {
            open -= 1;
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            let Some((kind, rest)) = line.trim_end().split_at_checked(1) else { bail!("the connection ended") };
            match kind {
                "+" | ":" => values.push(rest.to_owned()),
                "-" => bail!("the server answers {rest}"),
                "*" => open += rest.parse::<i64>()?.max(0),
                "$" => values.push(self.bulk(rest.parse()?).await?),
                _ => bail!("unknown reply {line:?}"),
            }
        }
        Ok(values.join(" "))
    }

    async fn bulk(&mut self, length: i64) -> Result<String> {
        let Ok(length) = usize::try_from(length) else { return Ok(String::new()) };
        let mut value = vec![0; length + 2];
        self.stream.read_exact(&mut value).await?;
        value.truncate(length);
        Ok(String::from_utf8_lossy(&value).into_owned())
    }
}
