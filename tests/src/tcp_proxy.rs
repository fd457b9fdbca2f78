//! A TCP proxy between a client and a server, for connections that are slow, silent, cut, or lead elsewhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ports;

/// A proxy on a port of the loopback interface. Dropping it ends it, with its connections.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
    task: JoinHandle<()>,
}

/// The treatment of the server's bytes. The bytes of the client always pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// They pass.
    Pass,
    /// They pass after this time.
    Delay(Duration),
    /// They are held back, as in a partition of the network: no error, no answer.
    Hold,
}

#[derive(Debug)]
struct ProxyState {
    server: Mutex<SocketAddr>,
    traffic: watch::Sender<Traffic>,
    /// Raised to cut all connections.
    cuts: watch::Sender<u64>,
    /// Connections so far.
    accepted: watch::Sender<u64>,
}

impl TcpProxy {
    /// A proxy in front of a server.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(ProxyState {
            server: Mutex::new(server),
            traffic: watch::Sender::new(Traffic::Pass),
            cuts: watch::Sender::new(0),
            accepted: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to the bytes of the server, also on connections that exist.
    pub fn set_traffic(&self, traffic: Traffic) {
        self.state.traffic.send_replace(traffic);
    }

    /// Leads connections to another server from now on, as a changed DNS record does, and cuts those that exist.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.state.server() = server;
        self.cut();
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        *self.state.accepted.borrow()
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl ProxyState {
    fn server(&self) -> MutexGuard<'_, SocketAddr> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, state: Arc<ProxyState>) {
    while let Ok((client, _)) = listener.accept().await {
        state.accepted.send_modify(|accepted| *accepted += 1);
        tokio::spawn(relay(client, Arc::clone(&state)));
    }
}

/// Carries the bytes of one connection until a side closes it, or all are cut.
async fn relay(client: TcpStream, state: Arc<ProxyState>) {
    let mut cuts = state.cuts.subscribe();
    let server = *state.server();
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        _ = cuts.changed() => {}
        () = copy(from_client, to_server, None) => {}
        () = copy(from_server, to_client, Some(state.traffic.subscribe())) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut traffic: Option<watch::Receiver<Traffic>>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        if let Some(traffic) = &mut traffic {
            pause(traffic).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Waits until the bytes may pass.
async fn pause(traffic: &mut watch::Receiver<Traffic>) {
    let Ok(current) = traffic.wait_for(|traffic| *traffic != Traffic::Hold).await.map(|traffic| *traffic) else {
        return;
    };
    if let Traffic::Delay(delay) = current {
        #[expect(clippy::disallowed_methods, reason = "the delay is what a test asks for")]
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(ports::ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        address
    }

    async fn ask(client: &mut TcpStream) -> std::io::Result<u8> {
        client.write_u8(7).await?;
        client.read_u8().await
    }

    #[tokio::test]
    async fn bytes_pass_are_held_and_end() {
        let proxy = TcpProxy::start(echo().await).await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut client).await.unwrap(), 7);

        proxy.set_traffic(Traffic::Hold);
        client.write_u8(8).await.unwrap();
        tokio::time::timeout(Duration::from_millis(50), client.read_u8()).await.unwrap_err();
        proxy.set_traffic(Traffic::Pass);
        assert_eq!(client.read_u8().await.unwrap(), 8);

        proxy.cut();
        ask(&mut client).await.unwrap_err();
        assert_eq!(proxy.accepted(), 1);
    }
}
