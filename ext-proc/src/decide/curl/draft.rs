//! The request that a curl command describes, option by option, with the headers that curl adds.

use super::form::{self, FormPart};
use super::options::CurlOption;
use super::url::CurlUrl;
use super::{BadCurl, FileReader, data, text};
use crate::decide::Parts;

/// The options of a command, sorted.
#[derive(Default)]
pub(super) struct Draft {
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

impl Draft {
    /// Adds an option.
    pub(super) fn take(&mut self, option: CurlOption, value: &[u8], files: FileReader<'_>) -> Result<(), BadCurl> {
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
    pub(super) fn parts(mut self) -> Result<Parts, BadCurl> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("\u{ff}~?", "w79+Pw==")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
