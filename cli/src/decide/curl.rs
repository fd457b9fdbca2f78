//! The request of a curl command line, such as a browser's "Copy as cURL (bash)".

mod data;
mod form;
mod options;
mod shell_words;
#[cfg(test)]
mod tests;
mod url;

use std::io;

use super::{BadRequest, Parts, Request};
use form::FormPart;
use options::{CurlArguments, CurlOption};
use shell_words::BadShellWords;
use url::CurlUrl;

/// Reads a file that a command names with `@`.
type FileReader<'a> = &'a dyn Fn(&str) -> io::Result<Vec<u8>>;

/// The command line is not one that `decide` can read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadCurl {
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
pub(crate) struct CurlCommand {
    /// The request.
    pub(crate) request: Request,
    /// The options that do not change it.
    pub(crate) ignored: Vec<String>,
}

/// What the options of a command say.
#[derive(Default)]
struct Draft {
    urls: Vec<String>,
    method: Option<String>,
    headers: Vec<String>,
    cookies: Vec<String>,
    user_agent: Option<String>,
    referer: Option<String>,
    range: Option<String>,
    user: Option<Vec<u8>>,
    bearer: Option<String>,
    data: Option<Vec<u8>>,
    parts: Vec<FormPart>,
    queries: Vec<String>,
    target: Option<String>,
    is_json: bool,
    is_get: bool,
    is_head: bool,
    is_compressed: bool,
    globoff: bool,
    path_as_is: bool,
}

impl CurlCommand {
    /// Reads a command line. `files` reads a file that it names with `@`.
    ///
    /// # Errors
    /// It is not one curl command, or it has an option that is not known, or curl would refuse it.
    pub(crate) fn read(text: &[u8], files: FileReader<'_>) -> Result<Self, BadCurl> {
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

impl Draft {
    fn take(&mut self, option: CurlOption, value: &[u8], files: FileReader<'_>) -> Result<(), BadCurl> {
        match option {
            CurlOption::Url => self.urls.push(text(value)?.to_owned()),
            CurlOption::Request => self.method = Some(text(value)?.to_owned()),
            CurlOption::Header => self.headers.push(text(value)?.to_owned()),
            CurlOption::Cookie if value.contains(&b'=') => self.cookies.push(text(value)?.to_owned()),
            CurlOption::Cookie => return Err(BadCurl::CookieFile(String::from_utf8_lossy(value).into_owned())),
            CurlOption::UserAgent => self.user_agent = Some(text(value)?.to_owned()),
            CurlOption::Referer => {
                let referer = text(value)?;
                self.referer = Some(referer.strip_suffix(";auto").unwrap_or(referer).to_owned());
            }
            CurlOption::Range => self.range = Some(text(value)?.to_owned()),
            CurlOption::User if value.contains(&b':') => self.user = Some(value.to_vec()),
            CurlOption::User => return Err(BadCurl::Password(String::from_utf8_lossy(value).into_owned())),
            CurlOption::Bearer => self.bearer = Some(text(value)?.to_owned()),
            CurlOption::UrlQuery => {
                let query =
                    value.strip_prefix(b"+").map_or_else(|| data::urlencode(value, files), |raw| Ok(raw.to_vec()));
                self.queries.push(text(&query?)?.to_owned());
            }
            CurlOption::RequestTarget => self.target = Some(text(value)?.to_owned()),
            CurlOption::Data
            | CurlOption::DataRaw
            | CurlOption::DataBinary
            | CurlOption::DataUrlencode
            | CurlOption::Json => {
                self.is_json |= option == CurlOption::Json;
                data::add(&mut self.data, option, value, files)?;
            }
            CurlOption::Form | CurlOption::FormString => self.parts.push(FormPart::read(option, value, files)?),
            CurlOption::Get => self.is_get = true,
            CurlOption::Head => self.is_head = true,
            CurlOption::Compressed => self.is_compressed = true,
            CurlOption::Globoff => self.globoff = true,
            CurlOption::PathAsIs => self.path_as_is = true,
        }
        Ok(())
    }

    /// The request, with the headers that curl adds.
    fn parts(mut self) -> Result<Parts, BadCurl> {
        let [url] = self.urls.as_slice() else {
            return Err(if self.urls.is_empty() { BadCurl::NoUrl } else { BadCurl::Urls(self.urls.len()) });
        };
        let mut url = CurlUrl::read(url, self.globoff, self.path_as_is)?;
        let is_form = !self.parts.is_empty();
        if is_form && (self.data.is_some() || self.is_get)
            || self.is_head && !self.is_get && (is_form || self.data.is_some())
        {
            return Err(BadCurl::Method);
        }
        if self.is_get
            && let Some(data) = self.data.take()
        {
            // curl then leaves out --url-query.
            url.add_query(text(&data)?);
            self.queries.clear();
        }
        for query in &self.queries {
            url.add_query(query);
        }
        let method = self.method.take().or_else(|| self.is_head.then(|| "HEAD".to_owned()));
        let (body, content_type) = if is_form {
            let media_type = self.take_content_type().unwrap_or_else(|| "multipart/form-data".to_owned());
            let (body, boundary) = form::body(&self.parts, &media_type);
            (Some(body), Some(format!("{media_type}; boundary={boundary}")))
        } else {
            let form = self.data.as_ref().map(|_| "application/x-www-form-urlencoded".to_owned());
            (self.data.take(), form)
        };
        let json = self.is_json.then(|| "application/json".to_owned());
        let user = self.user.take().or_else(|| url.user.take());
        let authorization = self.bearer.take().map(|token| format!("Bearer {token}"));
        let added = [
            ("Host", Some(url.host)),
            (
                "User-Agent",
                self.user_agent.take().or_else(|| Some("curl".to_owned())).filter(|agent| !agent.is_empty()),
            ),
            ("Accept", json.clone().or_else(|| Some("*/*".to_owned()))),
            ("Content-Type", json.filter(|_| body.is_some()).or(content_type)),
            ("Accept-Encoding", self.is_compressed.then(|| "deflate, gzip, br, zstd".to_owned())),
            ("Authorization", authorization.or_else(|| user.map(|user| format!("Basic {}", base64(&user))))),
            ("Referer", self.referer.take().filter(|referer| !referer.is_empty())),
            ("Range", self.range.take().map(|range| format!("bytes={range}"))),
            ("Cookie", Some(self.cookies.join(";")).filter(|cookies| !cookies.is_empty())),
        ];
        let mut headers = Vec::new();
        for (name, value) in added {
            let is_set =
                self.headers.iter().any(|header| name_of(header).is_some_and(|set| set.eq_ignore_ascii_case(name)));
            headers.extend(value.filter(|_| !is_set).map(|value| format!("{name}: {value}")));
        }
        for header in &self.headers {
            headers.extend(sent(header)?);
        }
        let path = Some(self.target.unwrap_or(url.target));
        Ok(Parts { method, path, headers, body, chunked: false })
    }

    /// A form's type is the one of a header, with the boundary.
    fn take_content_type(&mut self) -> Option<String> {
        let is_type = |header: &String| name_of(header).is_some_and(|name| name.eq_ignore_ascii_case("content-type"));
        let index = self.headers.iter().position(is_type)?;
        let header = self.headers.remove(index);
        header.split_once(':').map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
    }
}

/// The name in `NAME: VALUE`, `NAME:` or `NAME;`.
fn name_of(header: &str) -> Option<&str> {
    header.split_once(':').map(|(name, _)| name).or_else(|| header.strip_suffix(';')).map(str::trim)
}

/// The header that is sent for a header option: none for `NAME:`, which only removes one, and an empty one for `NAME;`.
fn sent(header: &str) -> Result<Option<String>, BadCurl> {
    match (header.split_once(':'), header.strip_suffix(';')) {
        _ if header.starts_with(['@', ':']) => Err(BadCurl::Header(header.to_owned())),
        (Some((_, value)), _) => Ok((!value.trim().is_empty()).then(|| header.to_owned())),
        (None, Some(name)) => Ok(Some(format!("{name}:"))),
        (None, None) => Err(BadCurl::Header(header.to_owned())),
    }
}

fn text(value: &[u8]) -> Result<&str, BadCurl> {
    std::str::from_utf8(value).map_err(|_| BadCurl::NotText(String::from_utf8_lossy(value).into_owned()))
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS.get((bits >> shift & 63) as usize).map_or('=', |digit| char::from(*digit));
            text.push(if index > group.len() { '=' } else { digit });
        }
    }
    text
}
