//! Binds ports and Unix sockets. `[::]` accepts IPv6 and IPv4, whatever the system's default for IPv6 sockets is.

pub(crate) mod unix;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::socket;
use unix::UnixSocket;

/// The listen backlog: connections that the kernel keeps until the service accepts them. Tokio uses the same value.
const BACKLOG: i32 = 1024;

/// The error of `socket(2)` if the kernel has no IPv6 (`ipv6.disable=1`, or built without). It has no stable
/// [`io::ErrorKind`].
const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };

/// The address to which Envoy connects.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixSocket),
}

impl Listener {
    /// The address, for messages: `127.0.0.1:50051`, `unix:/run/cellgate.sock`.
    ///
    /// # Errors
    /// The system does not know it.
    pub fn address(&self) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Self::Unix(socket) => Ok(format!("unix:{}", socket.path().display())),
        }
    }

    pub(crate) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<socket::Socket>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                // Without it, a small reply waits for the acknowledgement of the previous one.
                let _best_effort = stream.set_nodelay(true);
                Poll::Ready(Ok(socket::Socket::Tcp(stream)))
            }
            Self::Unix(socket) => {
                let (stream, _) = ready!(socket.listener().poll_accept(context))?;
                Poll::Ready(Ok(socket::Socket::Unix(stream)))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixSocket> for Listener {
    fn from(socket: UnixSocket) -> Self {
        Self::Unix(socket)
    }
}

/// Listens on an address. `[::]` accepts IPv4 connections too. If the kernel has no IPv6, this listens on `0.0.0.0` instead
/// and logs a warning.
///
/// Must be called within a Tokio runtime.
///
/// # Errors
/// The address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_by(address, open)
}

fn bind_by<T>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match open(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && is_without_ipv6(&error) => {
            let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            tracing::warn!(event = "no_ipv6", %address, instead = %fallback, %error, "the kernel has no IPv6; listening on IPv4 only");
            open(fallback)
        }
        bound => bound,
    }
}

/// Whether the kernel has no IPv6. If `disable_ipv6` switches it off, `bind(2)` returns `EADDRNOTAVAIL`.
fn is_without_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // The default is the sysctl `net.ipv6.bindv6only`.
        socket.set_only_v6(false)?;
    }
    // Lets a restart bind while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Binds where IPv6 sockets fail with this error. Returns the addresses tried and the result.
    fn bind_without_ipv6(address: &str, error: fn() -> io::Error) -> (Vec<String>, io::Result<SocketAddr>) {
        let tried = RefCell::new(Vec::new());
        let bound = bind_by(address.parse().unwrap(), |address| {
            tried.borrow_mut().push(address.to_string());
            if address.is_ipv6() { Err(error()) } else { Ok(address) }
        });
        (tried.into_inner(), bound)
    }

    #[test]
    fn the_unspecified_address_falls_back_to_ipv4() {
        let errors: [fn() -> io::Error; 2] =
            [|| io::Error::from_raw_os_error(EAFNOSUPPORT), || io::ErrorKind::AddrNotAvailable.into()];
        for error in errors {
            let (tried, bound) = bind_without_ipv6("[::]:7", error);
            assert_eq!(tried, ["[::]:7", "0.0.0.0:7"]);
            assert_eq!(bound.unwrap().to_string(), "0.0.0.0:7");
        }
    }

    #[test]
    fn a_specific_address_is_not_replaced() {
        let (tried, bound) = bind_without_ipv6("[2001:db8::1]:7", || io::ErrorKind::AddrNotAvailable.into());
        assert_eq!((tried, bound.is_err()), (vec!["[2001:db8::1]:7".to_owned()], true));
        let (tried, bound) = bind_without_ipv6("[::]:7", || io::ErrorKind::AddrInUse.into());
        assert_eq!((tried, bound.is_err()), (vec!["[::]:7".to_owned()], true));
    }
}
