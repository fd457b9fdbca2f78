//! A client with very little overhead: it sends the same request repeatedly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// The read timeout: longer than any response takes unless something hangs.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends `request` `count` times over `connections` at once, and checks that each response is a 200 with the body
/// `wanted`. It does not pipeline requests, since Envoy treats many of them as a flood.
///
/// # Errors
/// At the first other response.
pub(super) fn drive(address: SocketAddr, request: &[u8], count: usize, connections: usize, wanted: &str) -> Result<()> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(connect(address)?);
    }
    let mut left = count;
    while left > 0 {
        let now = left.min(open.len());
        for socket in open.iter_mut().take(now) {
            socket.write_all(request)?;
        }
        for socket in open.iter_mut().take(now) {
            read(socket, wanted)?;
        }
        left -= now;
    }
    Ok(())
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(READ_TIMEOUT))?;
    socket.set_write_timeout(Some(READ_TIMEOUT))?;
    Ok(socket)
}

/// Reads one response and checks that no byte follows it.
fn read(socket: &mut TcpStream, wanted: &str) -> Result<()> {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        let (received, room) = buffer.split_at_mut(filled);
        if let Some(length) = answer(received, wanted)? {
            ensure!(length == filled, "the server sent more than one response");
            return Ok(());
        }
        let read = socket.read(room)?;
        ensure!(read > 0, "the connection was closed after {filled} bytes of a response");
        filled += read;
    }
}

/// The length of the response at the start of `received`; `None` while a part is missing.
fn answer(received: &[u8], wanted: &str) -> Result<Option<usize>> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = received.split_at(end + 4);
    let head = str::from_utf8(head).context("the response head is not UTF-8")?;
    let mut lines = head.split("\r\n");
    ensure!(lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 200")), "answered {head}");
    let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let Some(length) = length else { bail!("the response has no content-length: {head}") };
    let Some(body) = rest.get(..length) else { return Ok(None) };
    ensure!(body == wanted.as_bytes(), "the response body is `{}`, expected `{wanted}`", String::from_utf8_lossy(body));
    Ok(Some(head.len() + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nserver: x\r\n\r\ncell-b";

    #[test]
    fn a_response_is_taken_when_it_is_complete() {
        let mut two = GOOD.repeat(2);
        assert_eq!(answer(&two, "cell-b").unwrap(), Some(GOOD.len()));
        two.truncate(GOOD.len() - 1);
        assert_eq!(answer(&two, "cell-b").unwrap(), None);
        assert_eq!(answer(b"HTTP/1.1 2", "cell-b").unwrap(), None);
    }

    #[test]
    fn a_wrong_response_is_an_error() {
        assert!(answer(GOOD, "cell-c").is_err());
        assert!(answer(b"HTTP/1.1 421 Misdirected Request\r\ncontent-length: 0\r\n\r\n", "cell-b").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n", "cell-b").is_err());
    }
}
