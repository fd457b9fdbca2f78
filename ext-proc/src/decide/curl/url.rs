//! The URL of a curl command: host, path and user.

use super::BadCurl;

/// The parts of a URL that a request has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CurlUrl {
    /// The value of the Host header.
    pub(super) host: String,
    /// Path and query.
    pub(super) target: String,
    /// `USER:PASSWORD`, percent-decoded.
    pub(super) user: Option<Vec<u8>>,
}

impl CurlUrl {
    /// Reads a URL of HTTP, with or without its scheme.
    pub(super) fn read(url: &str, globoff: bool, path_as_is: bool) -> Result<Self, BadCurl> {
        let bad = || BadCurl::Url(url.to_owned());
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let is_secure = scheme.eq_ignore_ascii_case("https");
        if !is_secure && !scheme.eq_ignore_ascii_case("http") {
            return Err(bad());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(percent_decode(user)), host),
            None => (None, authority),
        };
        let default_port = if is_secure { ":443" } else { ":80" };
        let host = host.strip_suffix(default_port).unwrap_or(host);
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}') {
            return Err(bad());
        }
        if !globoff && target.contains(['{', '}', '[', ']']) {
            return Err(BadCurl::Glob(url.to_owned()));
        }
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let path = if path_as_is { path.to_owned() } else { without_dot_segments(path) };
        let slash = if path.is_empty() { "/" } else { "" };
        Ok(Self { host: host.to_owned(), target: [slash, &path, query].concat(), user })
    }

    /// Adds text to the query.
    pub(super) fn add_query(&mut self, text: &str) {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(text);
    }
}

/// RFC 3986, 5.2.4, for a path that is empty or begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let Some(path) = path.strip_prefix('/') else { return String::new() };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digit = |index: usize| after.get(index).and_then(|byte| char::from(*byte).to_digit(16));
        match (*byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, String, Option<String>) {
        let CurlUrl { host, target, user } = CurlUrl::read(url, false, false).unwrap();
        (host, target, user.map(|user| String::from_utf8(user).unwrap()))
    }

    #[test]
    fn host_path_and_user_are_curls() {
        for (url, host, target, user) in [
            ("https://a.example:443/x?y#z", "a.example", "/x?y", None),
            ("HTTP://a:8080", "a:8080", "/", None),
            ("a.example/x", "a.example", "/x", None),
            ("http://a:443?x=/../", "a:443", "/?x=/../", None),
            ("http://[::1]:80/a/../b/./c/..", "[::1]", "/b/", None),
            ("http://u:p%40w@a/..", "a", "/", Some("u:p@w")),
            ("http://a//b/../", "a", "//", None),
        ] {
            assert_eq!(read(url), (host.to_owned(), target.to_owned(), user.map(str::to_owned)), "{url}");
        }
        assert_eq!(CurlUrl::read("http://a/../{b}", true, true).unwrap().target, "/../{b}");
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "ftp://a/", "http:///x", "http://a b/", "http://{a,b}/"] {
            assert!(matches!(CurlUrl::read(url, false, false), Err(BadCurl::Url(bad)) if bad == url), "{url}");
        }
        for url in ["http://a/{b,c}", "http://a/?x=[1-3]"] {
            assert!(matches!(CurlUrl::read(url, false, false), Err(BadCurl::Glob(bad)) if bad == url), "{url}");
        }
    }
}
