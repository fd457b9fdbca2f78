//! A client that costs next to nothing: one connection, one request over and over, several of them in one write.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends `request` `count` times, `depth` at once, and checks that each answer is 200 with the body `wanted`.
///
/// # Errors
/// At the first other answer.
pub(super) fn drive(address: SocketAddr, request: &[u8], count: usize, depth: usize, wanted: &str) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let burst = request.repeat(depth);
    let mut received = Vec::with_capacity(depth * 512);
    let mut piece = vec![0; 64 * 1024];
    let mut left = count;
    while left > 0 {
        let now = left.min(depth);
        socket.write_all(burst.get(..now * request.len()).context("a burst")?)?;
        let mut missing = now;
        while missing > 0 {
            match answer(&received, wanted)? {
                Some(length) => {
                    received.drain(..length);
                    missing -= 1;
                }
                None => {
                    let read = socket.read(&mut piece)?;
                    ensure!(read > 0, "the connection ended");
                    received.extend_from_slice(piece.get(..read).context("a piece")?);
                }
            }
        }
        left -= now;
    }
    Ok(())
}

/// The length of the answer at the beginning of `received`, if it is there as a whole.
fn answer(received: &[u8], wanted: &str) -> Result<Option<usize>> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = received.split_at(end + 4);
    let head = str::from_utf8(head).context("an answer's head")?;
    let mut lines = head.split("\r\n");
    ensure!(lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 200")), "answered {head}");
    let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let Some(length) = length else { bail!("no content-length: {head}") };
    let Some(body) = rest.get(..length) else { return Ok(None) };
    ensure!(body == wanted.as_bytes(), "{} instead of {wanted}", String::from_utf8_lossy(body));
    Ok(Some(head.len() + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nserver: x\r\n\r\ncell-b";

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        let mut two = GOOD.repeat(2);
        assert_eq!(answer(&two, "cell-b").unwrap(), Some(GOOD.len()));
        two.truncate(GOOD.len() - 1);
        assert_eq!(answer(&two, "cell-b").unwrap(), None);
        assert_eq!(answer(b"HTTP/1.1 2", "cell-b").unwrap(), None);
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        assert!(answer(GOOD, "cell-c").is_err());
        assert!(answer(b"HTTP/1.1 421 Misdirected Request\r\ncontent-length: 0\r\n\r\n", "cell-b").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n", "cell-b").is_err());
    }
}
