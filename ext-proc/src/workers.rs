//! Threads that serve connections, each one by itself.
//!
//! All streams of a connection are served by the thread that reads it: handing a stream to another one would cost more
//! than most requests take. Envoy opens a connection for each of its own workers, so that there is something for all.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

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
    connections: mpsc::UnboundedSender<std::net::TcpStream>,
    open: Arc<AtomicUsize>,
}

/// What a thread holds on to and is held by.
#[derive(Clone)]
struct Ties {
    alive: watch::Receiver<()>,
    _running: mpsc::Sender<Infallible>,
}

/// Counts a connection while it lives.
struct Open(Arc<AtomicUsize>);

impl Workers {
    /// Starts `count` threads, at least one. Each connection given to them is served by what `serve` makes of it.
    ///
    /// # Errors
    /// The system has no thread, or nothing to wait for events with.
    pub fn start<S, F>(count: usize, serve: S) -> io::Result<Self>
    where
        S: Fn(TcpStream) -> F + Clone + Send + 'static,
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
        let connection = connection.into_std()?;
        let least = self.workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        let given = least.map(|worker| {
            worker.open.fetch_add(1, Ordering::Relaxed);
            worker.connections.send(connection)
        });
        match given {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(io::Error::other("the thread has ended")),
        }
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
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (connections, mut given) = mpsc::unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            runtime.block_on(async {
                let mut serving = JoinSet::new();
                loop {
                    tokio::select! {
                        connection = given.recv() => match connection {
                            Some(connection) => {
                                let open = Open(Arc::clone(&counted));
                                match TcpStream::from_std(connection) {
                                    Ok(connection) => drop(serving.spawn(counting(open, serve(connection)))),
                                    Err(error) => tracing::warn!(%error, "cannot serve a connection"),
                                }
                            }
                            None => break,
                        },
                        Some(_) = serving.join_next() => {}
                        _ = ties.alive.changed() => return,
                    }
                }
                tokio::select! {
                    () = async { while serving.join_next().await.is_some() {} } => {}
                    _ = ties.alive.changed() => {}
                }
            });
            // The streams of what is left, which runs beside its connection, end before it is said that all is over.
            drop(runtime);
            drop(ties);
        })?;
        Ok(Self { connections, open })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn counting(open: Open, served: impl Future<Output = ()>) {
    served.await;
    drop(open);
}
