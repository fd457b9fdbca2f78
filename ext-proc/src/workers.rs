//! Worker threads. Each has its own runtime and serves its own connections.
//!
//! The thread that reads a connection also handles its streams, because moving a stream to another thread would cost more
//! than most requests. Envoy opens a connection for each of its own workers, so that all threads have work.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::RuntimeMetrics;
use tokio::sync::{mpsc, watch};

use crate::socket::{DetachedSocket, Socket};

/// The worker threads. Dropping them closes all connections.
#[derive(Debug)]
pub(crate) struct Workers {
    workers: Vec<Worker>,
    /// Closed when the last thread has ended.
    ended: mpsc::Receiver<Infallible>,
    /// Dropping it ends the threads.
    _alive: watch::Sender<()>,
}

#[derive(Debug)]
struct Worker {
    connections: mpsc::UnboundedSender<DispatchedConnection>,
    open: Arc<AtomicUsize>,
    runtime: RuntimeMetrics,
}

/// A connection on its way to a worker.
#[derive(Debug)]
struct DispatchedConnection {
    socket: DetachedSocket,
    count: ConnectionCount,
}

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct Connections(mpsc::UnboundedReceiver<DispatchedConnection>);

/// A connection that has reached its worker.
#[derive(Debug)]
pub(crate) struct AcceptedConnection {
    /// The socket.
    pub socket: Socket,
    /// Kept as long as the connection is open.
    pub count: ConnectionCount,
}

/// Counts an open connection. Dropping it subtracts the connection.
#[derive(Debug)]
pub(crate) struct ConnectionCount(Arc<AtomicUsize>);

/// Ends a worker with its [`Workers`], and reports that it has ended.
#[derive(Clone)]
struct ShutdownLink {
    alive: watch::Receiver<()>,
    _running: mpsc::Sender<Infallible>,
}

impl Workers {
    /// Starts `count` threads, but at least one. Each runs `serve` with its connections. When the connections end, no more
    /// will come.
    ///
    /// # Errors
    /// The system cannot start a thread or a runtime.
    pub(crate) fn start<S, F>(count: usize, serve: S) -> io::Result<Self>
    where
        S: Fn(Connections) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (_running, ended) = mpsc::channel(1);
        let (_alive, alive) = watch::channel(());
        let link = ShutdownLink { alive, _running };
        let workers = (0..count.max(1)).map(|number| Worker::start(number, serve.clone(), link.clone()));
        Ok(Self { workers: workers.collect::<io::Result<_>>()?, ended, _alive })
    }

    /// The metrics of each worker's runtime.
    pub(crate) fn runtimes(&self) -> impl Iterator<Item = RuntimeMetrics> {
        self.workers.iter().map(|worker| worker.runtime.clone())
    }

    /// Passes a connection to the worker with the fewest.
    ///
    /// # Errors
    /// The worker has ended. The connection is closed.
    pub(crate) fn dispatch(&self, socket: Socket) -> io::Result<()> {
        let socket = socket.detach()?;
        let least = self.workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        let dispatched = least.is_some_and(|worker| {
            let dispatched = DispatchedConnection { socket, count: ConnectionCount::new(&worker.open) };
            worker.connections.send(dispatched).is_ok()
        });
        if dispatched { Ok(()) } else { Err(io::Error::other("the worker thread has ended")) }
    }

    /// Waits until the last connection is closed. Dropping the future closes the remaining ones.
    pub(crate) async fn closed(mut self) {
        self.workers.clear();
        // Returns when the last sender is dropped; nothing is ever sent.
        let _closed = self.ended.recv().await;
    }
}

impl Worker {
    fn start<S, F>(number: usize, serve: S, mut link: ShutdownLink) -> io::Result<Self>
    where
        S: Fn(Connections) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let metrics = runtime.handle().metrics();
        let (connections, accepted) = mpsc::unbounded_channel();
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(Connections(accepted)) => {}
                    _ = link.alive.changed() => {}
                }
            });
            // Drop the remaining tasks before reporting the end.
            drop(runtime);
            drop(link);
        })?;
        Ok(Self { connections, open: Arc::default(), runtime: metrics })
    }
}

impl Connections {
    /// The next connection. `None` if no more will come.
    pub(crate) async fn next(&mut self) -> Option<AcceptedConnection> {
        loop {
            let DispatchedConnection { socket, count } = self.0.recv().await?;
            match socket.attach() {
                Ok(socket) => return Some(AcceptedConnection { socket, count }),
                Err(error) => {
                    tracing::warn!(event = "connection_dropped", %error, "dropped a connection: cannot register it with the runtime")
                }
            }
        }
    }
}

impl ConnectionCount {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;

    use super::*;

    /// Connects to workers that run `send_thread_name`. Returns the connection and the name that it received.
    async fn open(listener: &TcpListener, workers: &Workers) -> (TcpStream, String) {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        workers.dispatch(Socket::Tcp(listener.accept().await.unwrap().0)).unwrap();
        let mut name = [0; 8];
        client.read_exact(&mut name).await.unwrap();
        (client, String::from_utf8(name.to_vec()).unwrap())
    }

    async fn send_thread_name(mut connections: Connections) {
        let mut served = JoinSet::new();
        while let Some(AcceptedConnection { mut socket, count }) = connections.next().await {
            served.spawn(async move {
                let name = thread::current().name().unwrap_or_default().to_owned();
                socket.write_all(name.as_bytes()).await.unwrap();
                let _ended = socket.read(&mut [0]).await;
                drop(count);
            });
        }
        served.join_all().await;
    }

    #[tokio::test]
    async fn connections_are_spread_over_the_workers_and_awaited() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let workers = Workers::start(3, send_thread_name).unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(open(&listener, &workers).await);
        }
        let names: BTreeSet<_> = clients.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["worker-0", "worker-1", "worker-2"].into());
        let mut closed = std::pin::pin!(workers.closed());
        let waiting = tokio::select! { biased; () = &mut closed => false, () = std::future::ready(()) => true };
        assert!(waiting);
        drop(clients);
        closed.await;
    }

    #[tokio::test]
    async fn dropping_the_workers_closes_their_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let workers = Workers::start(1, send_thread_name).unwrap();
        let (mut client, _) = open(&listener, &workers).await;
        drop(workers);
        // Both an end and an error mean closed.
        let _end = client.read_to_end(&mut Vec::new()).await;
    }
}
