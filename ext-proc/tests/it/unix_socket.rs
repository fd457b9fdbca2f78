//! The service on a Unix socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Barrier};

use cellgate_ext_proc::{SocketFileError, UnixSocket};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};

use crate::peer::{Peer, cell, head};
use crate::support::Service;

async fn channel(path: &Path) -> Channel {
    let path = path.to_owned();
    let connect = move |_| {
        let path = path.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(tokio::net::UnixStream::connect(path).await?)) }
    };
    Endpoint::from_static("http://localhost").connect_with_connector(tower::service_fn(connect)).await.unwrap()
}

#[tokio::test]
async fn it_serves_with_its_permissions_and_is_removed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ext-proc.sock");
    let service = Service::start_on(UnixSocket::bind(&path, 0o640).unwrap()).await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
    let mut peer = Peer::over(channel(&path).await).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    drop(peer);
    service.stop();
    service.ended().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_a_crash_left_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ext-proc.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = UnixSocket::bind(&path, 0o660).unwrap();
    assert!(UnixStream::connect(&path).is_ok());
    drop(socket);
    assert!(!path.exists());
}

/// Each of two starts took the socket of the other for stale and removed it, so that both ran and one was unreachable.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_starts_at_once_one_wins() {
    const STARTS: usize = 8;
    let directory = tempfile::tempdir().unwrap();
    for round in 0..30 {
        let path = directory.path().join(format!("{round}.sock"));
        drop(UnixListener::bind(&path).unwrap());
        let together = Arc::new(Barrier::new(STARTS));
        let starts: Vec<_> = (0..STARTS)
            .map(|_| {
                let (path, together, runtime) = (path.clone(), Arc::clone(&together), Handle::current());
                std::thread::spawn(move || {
                    let _entered = runtime.enter();
                    together.wait();
                    UnixSocket::bind(&path, 0o660)
                })
            })
            .collect();
        let (won, lost): (Vec<_>, Vec<_>) =
            starts.into_iter().map(|start| start.join().unwrap()).partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}: {won:?} {lost:?}");
        assert!(lost.iter().all(|lost| matches!(lost, Err(SocketFileError::InUse))), "{lost:?}");
        assert!(UnixStream::connect(&path).is_ok());
    }
}

#[tokio::test]
async fn a_directory_that_another_process_locks_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let lock = std::fs::File::open(directory.path()).unwrap();
    lock.lock().unwrap();
    let path = directory.path().join("ext-proc.sock");
    let error = UnixSocket::bind(&path, 0o660).unwrap_err();
    assert!(error.to_string().starts_with("another process keeps a lock on "), "{error}");
    drop(lock);
    assert!(UnixSocket::bind(&path, 0o660).is_ok());
}

#[tokio::test]
async fn a_socket_in_use_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ext-proc.sock");
    let _other = UnixListener::bind(&path).unwrap();
    assert!(matches!(UnixSocket::bind(&path, 0o660), Err(SocketFileError::InUse)));
    assert!(UnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn anything_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    assert!(matches!(UnixSocket::bind(&file, 0o660), Err(SocketFileError::NotASocket)));
    assert!(matches!(UnixSocket::bind(directory.path(), 0o660), Err(SocketFileError::NotASocket)));
    // A link could lead to a socket that another user made.
    let (socket, link) = (directory.path().join("socket"), directory.path().join("link"));
    drop(UnixListener::bind(&socket).unwrap());
    std::os::unix::fs::symlink(&socket, &link).unwrap();
    assert!(matches!(UnixSocket::bind(&link, 0o660), Err(SocketFileError::NotASocket)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    let missing = directory.path().join("nowhere").join("a.sock");
    assert!(matches!(UnixSocket::bind(&missing, 0o660), Err(SocketFileError::NoDirectory { .. })));
    let long = directory.path().join("a".repeat(108));
    assert!(matches!(UnixSocket::bind(&long, 0o660), Err(SocketFileError::TooLong { .. })));
}

#[tokio::test]
async fn a_file_that_took_its_place_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ext-proc.sock");
    let first = UnixSocket::bind(&path, 0o660).unwrap();
    std::fs::rename(&path, directory.path().join("moved")).unwrap();
    let _second = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
}
