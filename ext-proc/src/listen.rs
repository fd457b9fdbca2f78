//! Binding ports: `[::]` serves IPv6 and IPv4, whatever the system's default for IPv6 sockets is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the kernel has accepted and we have not, at most. Tokio's own.
const BACKLOG: i32 = 1024;

/// `socket(2)`: the kernel has no IPv6 (`ipv6.disable=1`, or built without). [`io::ErrorKind`] has no stable name for it.
const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };

/// Listens on an address. `[::]` takes IPv4 connections too; where the kernel has no IPv6, it is `0.0.0.0`, and a line in
/// the log says so.
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
            let instead = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            tracing::warn!(event = "no_ipv6", %address, %instead, %error, "the kernel has no IPv6: listening on IPv4 only");
            open(instead)
        }
        bound => bound,
    }
}

/// `EADDRNOTAVAIL` is what `bind(2)` says where IPv6 is built in and switched off by `disable_ipv6`.
fn is_without_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // The default is the sysctl `net.ipv6.bindv6only`.
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for connections in TIME_WAIT.
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

    /// The addresses tried, and what came of it, where IPv6 sockets fail with this error.
    fn bind_without_ipv6(address: &str, error: fn() -> io::Error) -> (Vec<String>, io::Result<SocketAddr>) {
        let tried = RefCell::new(Vec::new());
        let bound = bind_by(address.parse().unwrap(), |address| {
            tried.borrow_mut().push(address.to_string());
            if address.is_ipv6() { Err(error()) } else { Ok(address) }
        });
        (tried.into_inner(), bound)
    }

    #[test]
    fn without_ipv6_the_unspecified_address_is_that_of_ipv4() {
        let errors: [fn() -> io::Error; 2] =
            [|| io::Error::from_raw_os_error(EAFNOSUPPORT), || io::ErrorKind::AddrNotAvailable.into()];
        for error in errors {
            let (tried, bound) = bind_without_ipv6("[::]:7", error);
            assert_eq!(tried, ["[::]:7", "0.0.0.0:7"]);
            assert_eq!(bound.unwrap().to_string(), "0.0.0.0:7");
        }
    }

    #[test]
    fn an_address_that_was_asked_for_is_not_replaced() {
        let (tried, bound) = bind_without_ipv6("[2001:db8::1]:7", || io::ErrorKind::AddrNotAvailable.into());
        assert_eq!((tried, bound.is_err()), (vec!["[2001:db8::1]:7".to_owned()], true));
        let (tried, bound) = bind_without_ipv6("[::]:7", || io::ErrorKind::AddrInUse.into());
        assert_eq!((tried, bound.is_err()), (vec!["[::]:7".to_owned()], true));
    }
}
