//! Threads that serve connections, each one by itself.
//!
//! All streams of a connection are served by the thread that reads it: handing a stream to another one would cost more
//! than most requests take. Envoy opens a connection for each of its own workers, so that there is something for all.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tonic::transport::server::Connected;

/// The threads. Dropping it ends them, and with them every connection.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
    /// Closed when the last thread has ended.
    ended: mpsc::Receiver<Infallible>,
    /// Ends the threads when it is dropped.
    _alive: watch::Sender<()>,
}

#[derive(Debug)]
struct Worker {
    connections: mpsc::UnboundedSender<Given>,
    open: Arc<AtomicUsize>,
}

/// On its way from the thread that accepted it.
#[derive(Debug)]
struct Given {
    stream: std::net::TcpStream,
    open: Open,
}

/// The connections that a thread is given.
#[derive(Debug)]
pub struct Connections(mpsc::UnboundedReceiver<Given>);

/// A connection of a thread.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _open: Open,
}

/// Counts a connection while it lives.
#[derive(Debug)]
struct Open(Arc<AtomicUsize>);

/// What a thread holds on to and is held by.
#[derive(Clone)]
struct Ties {
    alive: watch::Receiver<()>,
    _running: mpsc::Sender<Infallible>,
}

impl Workers {
    /// Starts `count` threads, at least one. Each runs what `serve` makes of the connections that it is given. Their end
    /// means that no more are to come.
    ///
    /// # Errors
    /// The system has no thread, or nothing to wait for events with.
    pub fn start<S, F>(count: usize, serve: S) -> io::Result<Self>
    where
        S: Fn(Connections) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (_running, ended) = mpsc::channel(1);
        let (_alive, alive) = watch::channel(());
        let ties = Ties { alive, _running };
        let workers = (0..count.max(1)).map(|number| Worker::start(number, serve.clone(), ties.clone()));
        Ok(Self { workers: workers.collect::<io::Result<_>>()?, ended, _alive })
    }

    /// Gives a connection to the thread that has the fewest.
    ///
    /// # Errors
    /// It cannot be given away; it is closed.
    pub fn give(&self, connection: TcpStream) -> io::Result<()> {
        let stream = connection.into_std()?;
        let least = self.workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        let given = least.is_some_and(|worker| {
            let given = Given { stream, open: Open::one_more(&worker.open) };
            worker.connections.send(given).is_ok()
        });
        if given { Ok(()) } else { Err(io::Error::other("the thread has ended")) }
    }

    /// Waits until the last connection is closed. Dropping the future closes those that are left.
    pub async fn finish(mut self) {
        self.workers.clear();
        // Nothing is ever sent.
        let _closed = self.ended.recv().await;
    }
}

impl Worker {
    fn start<S, F>(number: usize, serve: S, mut ties: Ties) -> io::Result<Self>
    where
        S: Fn(Connections) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (connections, given) = mpsc::unbounded_channel();
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(Connections(given)) => {}
                    _ = ties.alive.changed() => {}
                }
            });
            // What is left, which runs beside this, ends before it is said that all is over.
            drop(runtime);
            drop(ties);
        })?;
        Ok(Self { connections, open: Arc::default() })
    }
}

impl Connections {
    /// The next connection. None if no more are to come.
    pub async fn next(&mut self) -> Option<Connection> {
        loop {
            let Given { stream, open } = self.0.recv().await?;
            match TcpStream::from_std(stream) {
                Ok(stream) => return Some(Connection { stream, _open: open }),
                Err(error) => tracing::warn!(%error, "cannot serve a connection"),
            }
        }
    }
}

impl Connection {
    /// Looks at the first bytes that came, and leaves them there.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(bytes).await
    }
}

impl Open {
    fn one_more(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// Opens a connection to threads that say who they are and then wait for the end. Gives what was said.
    async fn open(listener: &TcpListener, workers: &Workers) -> (TcpStream, String) {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        workers.give(listener.accept().await.unwrap().0).unwrap();
        let mut name = [0; 8];
        client.read_exact(&mut name).await.unwrap();
        (client, String::from_utf8(name.to_vec()).unwrap())
    }

    async fn name_themselves(mut connections: Connections) {
        let mut served = JoinSet::new();
        while let Some(mut connection) = connections.next().await {
            served.spawn(async move {
                let name = thread::current().name().unwrap_or_default().to_owned();
                connection.write_all(name.as_bytes()).await.unwrap();
                let _ended = connection.read(&mut [0]).await;
            });
        }
        served.join_all().await;
    }

    #[tokio::test]
    async fn connections_are_spread_and_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let workers = Workers::start(3, name_themselves).unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(open(&listener, &workers).await);
        }
        let names: BTreeSet<_> = clients.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["worker-0", "worker-1", "worker-2"].into());
        let mut finished = std::pin::pin!(workers.finish());
        let waits = tokio::select! { biased; () = &mut finished => false, () = std::future::ready(()) => true };
        assert!(waits);
        drop(clients);
        finished.await;
    }

    #[tokio::test]
    async fn what_is_left_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let workers = Workers::start(1, name_themselves).unwrap();
        let (mut client, _) = open(&listener, &workers).await;
        drop(workers);
        // An end or an error: closed.
        let _end = client.read_to_end(&mut Vec::new()).await;
    }
}
