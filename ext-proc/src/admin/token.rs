//! The token of the admin port, from a file that may change while the service runs.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ring::hmac::{self, Key, Tag};
use ring::rand::SystemRandom;

use crate::watch;

/// The fewest bytes of a token.
const MIN_TOKEN: usize = 16;

/// The largest file, in bytes.
const MAX_FILE: u64 = 4096;

/// The token in force. The process keeps only its HMAC, with a key of this process.
///
/// Content that cannot be used leaves the last token in force. So a token is revoked by another one, not by removing the file.
pub(crate) struct AdminToken {
    file: PathBuf,
    key: Key,
    good: ArcSwap<Tag>,
    /// The last content or error, so that each change is logged once.
    last_read: Mutex<Result<Vec<u8>, String>>,
}

/// There is no token in the file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("{file}: {source}", file = .file.display())]
    Read {
        /// Its path.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The content is no token.
    #[error(
        "{file}: not a token: write one line of 16 to 4000 visible ASCII characters without spaces, such as the output of `openssl rand -hex 32`", file = .file.display()
    )]
    Invalid {
        /// The path of the file.
        file: PathBuf,
    },
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

impl AdminToken {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// The file cannot be read, or has no token.
    pub(crate) fn open(file: PathBuf) -> Result<Self, TokenError> {
        let key = Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| TokenError::Random)?;
        let tag = hmac::sign(&key, &read(&file)?);
        let last_read = Mutex::new(Ok(tag.as_ref().to_vec()));
        Ok(Self { file, key, good: ArcSwap::from_pointee(tag), last_read })
    }

    /// Whether this is the token. The time does not depend on how much of it is right.
    pub(crate) fn is(&self, token: &[u8]) -> bool {
        hmac::verify(&self.key, token, self.good.load().as_ref().as_ref()).is_ok()
    }

    /// Reads the file again on every change, until the future is dropped.
    pub(crate) async fn watch(self: Arc<Self>) {
        watch::on_change(&[&self.file], "admin token", || {
            let token = Arc::clone(&self);
            async move {
                if tokio::task::spawn_blocking(move || token.reload()).await.is_err() {
                    tracing::error!(
                        event = "reload_panicked",
                        files = "admin token",
                        "reading the admin token panicked; the last one stays in force"
                    );
                }
            }
        })
        .await;
    }

    fn reload(&self) {
        let read = read(&self.file).map(|token| hmac::sign(&self.key, &token)).map_err(|error| error.to_string());
        let content = read.as_ref().map(|tag| tag.as_ref().to_vec()).map_err(Clone::clone);
        let mut last_read = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
        if *last_read == content {
            return;
        }
        *last_read = content;
        match read {
            Ok(tag) => {
                self.good.store(Arc::new(tag));
                tracing::info!(event = "admin_token_reloaded", "admin token reloaded");
            }
            Err(error) => {
                tracing::error!(event = "admin_token_file_refused", %error, "admin token file refused; the last token stays in force");
            }
        }
    }
}

/// Hides the key and the tag.
impl std::fmt::Debug for AdminToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AdminToken").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The token in a file, without the end of its line.
fn read(file: &Path) -> Result<Vec<u8>, TokenError> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    opened.map_err(|source| TokenError::Read { file: file.to_owned(), source })?;
    let token = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let token = token.strip_suffix(b"\r").unwrap_or(token);
    let is_token = (MIN_TOKEN..=4000).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic);
    if is_token { Ok(token.to_vec()) } else { Err(TokenError::Invalid { file: file.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(content: &[u8]) -> Result<AdminToken, TokenError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, content).unwrap();
        AdminToken::open(file)
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        for content in ["0123456789abcdef", "0123456789abcdef\n", "0123456789abcdef\r\n"] {
            let token = open(content.as_bytes()).unwrap();
            assert!(token.is(b"0123456789abcdef"), "{content:?}");
            for other in ["", "0123456789abcde", "0123456789abcdef\n", "0123456789abcdeF", "0123456789abcdef0"] {
                assert!(!token.is(other.as_bytes()), "{other:?}");
            }
        }
    }

    #[test]
    fn other_content_is_no_token() {
        let long = [b'x'; 4001];
        for content in [&b""[..], b"\n", b"0123456789abcde\n", b"0123456789 abcdef", b"0123456789abcdef\n\n", &long] {
            assert!(matches!(open(content), Err(TokenError::Invalid { .. })), "{content:?}");
        }
        assert!(open(&long[1..]).is_ok());
        assert!(matches!(AdminToken::open("/nowhere/token".into()), Err(TokenError::Read { .. })));
    }

    #[test]
    fn a_changed_file_counts_and_a_bad_one_leaves_the_last_token() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "the-first-token-of-all").unwrap();
        let token = AdminToken::open(file.clone()).unwrap();
        std::fs::write(&file, "short").unwrap();
        token.reload();
        assert!(token.is(b"the-first-token-of-all"));
        std::fs::write(&file, "another-token-of-all").unwrap();
        token.reload();
        assert!(token.is(b"another-token-of-all") && !token.is(b"the-first-token-of-all"));
    }

    #[test]
    fn the_token_is_not_in_debug_output() {
        let token = open(b"0123456789abcdef").unwrap();
        assert!(!format!("{token:?}").contains("0123456789abcdef"));
    }
}
