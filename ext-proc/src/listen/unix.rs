//! A Unix socket: its file is made when the service starts, and removed when it stops accepting connections.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use super::BACKLOG;

/// The longest path, in bytes: `sun_path` without its last zero.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// How often a lock is tried, and the wait after each time: 2 s altogether. A start holds it for less than a millisecond.
const LOCK_TRIES: u32 = 200;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// A Unix socket that accepts connections.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// A Unix socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketFileError {
    /// The path does not fit into an address.
    #[error("the path has {bytes} bytes: use one with at most {MAX_PATH}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The directory does not exist.
    #[error("there is no directory {}: create it, or mount a volume there", .directory.display())]
    NoDirectory {
        /// Its path.
        directory: PathBuf,
    },
    /// Something else has this name.
    #[error("the file exists and is not a socket: remove it, or use another path")]
    NotASocket,
    /// A process accepts connections on it.
    #[error("another process accepts connections on this socket: stop it, or use another path")]
    InUse,
    /// Another process keeps the lock of the directory.
    #[error("another process keeps a lock on {}: use a directory that only the service uses", .directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The system refuses.
    #[error("cannot bind the socket: {0}")]
    System(#[from] io::Error),
}

/// The file of a socket. Dropping it removes the file, unless another one has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and number of the file.
    id: (u64, u64),
}

impl UnixSocket {
    /// Makes a socket with these permissions, such as `0o660`, and listens on it. A socket that a crashed process left is
    /// replaced.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// See [`SocketFileError`].
    pub fn bind(path: &Path, mode: u32) -> Result<Self, SocketFileError> {
        let bytes = path.as_os_str().as_bytes().len();
        if bytes > MAX_PATH {
            return Err(SocketFileError::TooLong { bytes });
        }
        // Until the socket accepts connections: two starts at once would each remove the socket of the other as stale.
        let _lock = lock_directory(path, LOCK_TRIES)?;
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?).map_err(|error| match path.parent() {
            Some(directory) if error.kind() == io::ErrorKind::NotFound => {
                SocketFileError::NoDirectory { directory: directory.to_owned() }
            }
            _ => SocketFileError::System(error),
        })?;
        let file = SocketFile { path: path.to_owned(), id: id(path)? };
        // Nobody can connect before `listen`, so the permissions hold from the first connection on.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Self { listener, file })
    }

    /// The path of its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another start may be about to replace the socket. Without the lock, the worst is a file that stays.
        let Ok(_lock) = lock_directory(&self.path, 1) else { return };
        let is_ours = id(&self.path).is_ok_and(|id| id == self.id);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(event = "socket_not_removed", path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// Locks the directory of a path (flock) until the file is dropped, with so many tries. `None` if its file system has no
/// locks, or if there is no directory, which `bind` reports.
#[allow(clippy::disallowed_methods, reason = "more than one try is made before any stream is open")]
fn lock_directory(path: &Path, tries: u32) -> Result<Option<File>, SocketFileError> {
    let Some(directory) = path.parent() else { return Ok(None) };
    let file = match File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    for number in 1..=tries {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if number == tries => {}
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_WAIT),
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    Err(SocketFileError::Locked { directory: directory.to_owned() })
}

/// Device and number of a file.
fn id(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Removes a socket on which nobody accepts connections.
fn remove_stale(path: &Path) -> Result<(), SocketFileError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        // The caller's `bind` finds out why.
        Err(_) => return Ok(()),
    };
    if !found.file_type().is_socket() {
        return Err(SocketFileError::NotASocket);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full backlog would block.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error.into()),
        _ => Err(SocketFileError::InUse),
    }
}
