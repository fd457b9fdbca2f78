//! Loopback addresses for special needs. The servers of this crate bind port 0 and report their port.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::net::TcpSocket;

/// Any free port of the loopback interface.
pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// An address that refuses connections while this value lives: the port is bound, but nothing listens on it.
#[derive(Debug)]
pub struct ClosedPort {
    socket: TcpSocket,
}

impl ClosedPort {
    /// Takes a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub fn take() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(ANY)?;
        Ok(Self { socket })
    }

    /// The address.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

/// An address that is reserved for one program between its starts: no other program gets the port.
#[derive(Debug)]
pub struct KeptPort {
    // Linux allows the program to bind the address too: both sockets have SO_REUSEADDR, and this one never listens.
    socket: TcpSocket,
}

impl KeptPort {
    /// Takes a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub fn take() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(ANY)?;
        Ok(Self { socket })
    }

    /// The address to listen on.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let closed = ClosedPort::take().unwrap();
        let refused = tokio::net::TcpStream::connect(closed.address().unwrap()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }

    // Once: the listener of this process may live on for a moment in a child that another test is starting. That a
    // program can listen again is what the tests that restart the service show.
    #[tokio::test]
    async fn a_kept_port_can_be_listened_on() {
        let kept = KeptPort::take().unwrap();
        let listener = tokio::net::TcpListener::bind(kept.address().unwrap()).await.unwrap();
        let (client, accepted) =
            tokio::join!(tokio::net::TcpStream::connect(kept.address().unwrap()), listener.accept());
        client.unwrap();
        accepted.unwrap();
    }
}
