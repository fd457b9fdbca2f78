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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Opens a connection to threads that say who they are and then wait for the end. Gives what was said.
    async fn open(listener: &TcpListener, workers: &Workers) -> (TcpStream, String) {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        workers.give(listener.accept().await.unwrap().0).unwrap();
        let mut name = [0; 8];
        client.read_exact(&mut name).await.unwrap();
        (client, String::from_utf8(name.to_vec()).unwrap())
    }

    async fn name_itself(mut connection: TcpStream) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        connection.write_all(name.as_bytes()).await.unwrap();
        let _ended = connection.read(&mut [0]).await;
    }

    #[tokio::test]
    async fn connections_are_spread_and_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let workers = Workers::start(3, name_itself).unwrap();
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
        let workers = Workers::start(1, name_itself).unwrap();
        let (mut client, _) = open(&listener, &workers).await;
        drop(workers);
        // An end or an error: closed.
        let _end = client.read_to_end(&mut Vec::new()).await;
    }
}
