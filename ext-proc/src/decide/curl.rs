//! The request of a curl command line, such as a browser's "Copy as cURL (bash)".

mod data;
mod draft;
mod form;
mod options;
mod shell_words;
#[cfg(test)]
mod tests;
mod url;

use std::io;

use super::{BadRequest, Request};
use draft::Draft;
use options::CurlArguments;
use shell_words::BadShellWords;

/// Reads a file that a command names with `@`.
type FileReader<'a> = &'a dyn Fn(&str) -> io::Result<Vec<u8>>;

/// The command line is not one that `decide` can read.
#[derive(Debug, thiserror::Error)]
pub enum BadCurl {
    /// It is not one simple command.
    #[error(transparent)]
    Shell(#[from] BadShellWords),
    /// The command is another one.
    #[error("expected a command line that begins with `curl`, found {0}")]
    NotCurl(String),
    /// It is written for Windows' cmd.
    #[error("`^` is a quote of Windows' command line: copy the request as cURL (bash)")]
    Windows,
    /// An option that changes the request in a way that is not read, or that does not exist.
    #[error("the option `{0}` of curl is not known here: remove it if the request is the same without it")]
    UnknownOption(String),
    /// An option at the end, without its value.
    #[error("the option `{0}` has no value: copy the whole command again")]
    NoValue(String),
    /// An argument that becomes part of the head is not UTF-8.
    #[error("`{0}` is not UTF-8: only data may have other bytes")]
    NotText(String),
    /// There is no URL.
    #[error("the command has no URL: add one, such as `http://api.example.com/orders`")]
    NoUrl,
    /// There is more than one URL.
    #[error(
        "the command has {0} URLs, so curl sends as many requests: keep one, and put arguments with spaces in quotes"
    )]
    Urls(usize),
    /// The URL is not one of HTTP.
    #[error("`{0}` is not a URL of HTTP: use for example `http://api.example.com/orders`")]
    Url(String),
    /// curl would send several requests.
    #[error("`{0}`: curl sends a request for each value in braces or brackets: keep one value, or add --globoff")]
    Glob(String),
    /// A header option is not a header.
    #[error("-H `{0}`: use `NAME: VALUE`; headers in a file are not read")]
    Header(String),
    /// The cookies are in a file.
    #[error("-b `{0}`: cookies in a file are not read: use `NAME=VALUE`")]
    CookieFile(String),
    /// curl would ask for the password.
    #[error("-u `{0}`: use `USER:PASSWORD`")]
    Password(String),
    /// A part of a form that is not read.
    #[error("-F `{0}`: use `NAME=TEXT`, `NAME=@FILE` or `NAME=<FILE`, with `;type=` and `;filename=` behind it")]
    Form(String),
    /// curl refuses these options together.
    #[error("curl sends no such request: use one of data, a form, --get with data, and --head")]
    Method,
    /// Data would come from stdin.
    #[error("`@-` is stdin: put the data into a file and name it")]
    Stdin,
    /// A file that the command names cannot be read.
    #[error("{file}: {error}: this is a file that the curl command sends")]
    File {
        /// The file.
        file: String,
        /// The error.
        error: io::Error,
    },
    /// The request that curl would send is not valid.
    #[error(transparent)]
    Request(#[from] BadRequest),
}

/// The request that a curl command sends.
#[derive(Debug)]
pub struct CurlCommand {
    /// The request.
    pub request: Request,
    /// The options that do not change it.
    pub ignored: Vec<String>,
}

impl CurlCommand {
    /// Reads a command line. `files` reads a file that it names with `@`.
    ///
    /// # Errors
    /// It is not one curl command, or it has an option that is not known, or curl would refuse it.
    pub fn read(text: &[u8], files: FileReader<'_>) -> Result<Self, BadCurl> {
        let quote = text.iter().position(|byte| matches!(byte, b'\'' | b'"')).and_then(|at| at.checked_sub(1));
        if quote.and_then(|before| text.get(before)) == Some(&b'^') {
            return Err(BadCurl::Windows);
        }
        let mut words = shell_words::split(text)?.into_iter();
        let program = words.next().unwrap_or_default();
        if program.rsplit(|byte| *byte == b'/').next() != Some(b"curl") {
            let found = String::from_utf8_lossy(&program);
            let found = if program.is_empty() { "nothing".to_owned() } else { format!("`{found}`") };
            return Err(BadCurl::NotCurl(found));
        }
        let CurlArguments { options, ignored } = CurlArguments::read(words)?;
        let mut draft = Draft::default();
        for (option, value) in options {
            draft.take(option, &value, files)?;
        }
        Ok(Self { request: Request::from_parts(draft.parts()?)?, ignored })
    }
}

fn text(value: &[u8]) -> Result<&str, BadCurl> {
    std::str::from_utf8(value).map_err(|_| BadCurl::NotText(String::from_utf8_lossy(value).into_owned()))
}
