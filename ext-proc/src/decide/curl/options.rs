//! curl's options: which of them `decide` reads, which it leaves out, and their values.

use super::BadCurl;

/// An option that changes the request, or a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CurlOption {
    Url,
    Request,
    Header,
    Cookie,
    UserAgent,
    Referer,
    Data,
    DataRaw,
    DataBinary,
    DataUrlencode,
    Json,
    Form,
    FormString,
    User,
    Bearer,
    Range,
    UrlQuery,
    RequestTarget,
    Get,
    Head,
    Compressed,
    Globoff,
    PathAsIs,
}

/// Long name, short name, option; the first ones take a value.
const VALUES: [(&str, Option<u8>, CurlOption); 19] = [
    ("url", None, CurlOption::Url),
    ("request", Some(b'X'), CurlOption::Request),
    ("header", Some(b'H'), CurlOption::Header),
    ("cookie", Some(b'b'), CurlOption::Cookie),
    ("user-agent", Some(b'A'), CurlOption::UserAgent),
    ("referer", Some(b'e'), CurlOption::Referer),
    ("data", Some(b'd'), CurlOption::Data),
    ("data-ascii", None, CurlOption::Data),
    ("data-raw", None, CurlOption::DataRaw),
    ("data-binary", None, CurlOption::DataBinary),
    ("data-urlencode", None, CurlOption::DataUrlencode),
    ("json", None, CurlOption::Json),
    ("form", Some(b'F'), CurlOption::Form),
    ("form-string", None, CurlOption::FormString),
    ("user", Some(b'u'), CurlOption::User),
    ("oauth2-bearer", None, CurlOption::Bearer),
    ("range", Some(b'r'), CurlOption::Range),
    ("url-query", None, CurlOption::UrlQuery),
    ("request-target", None, CurlOption::RequestTarget),
];

const FLAGS: [(&str, Option<u8>, CurlOption); 5] = [
    ("get", Some(b'G'), CurlOption::Get),
    ("head", Some(b'I'), CurlOption::Head),
    ("compressed", None, CurlOption::Compressed),
    ("globoff", Some(b'g'), CurlOption::Globoff),
    ("path-as-is", None, CurlOption::PathAsIs),
];

/// Options without a value that do not change the request which Envoy decides.
const IGNORED_FLAGS: [(&str, Option<u8>); 37] = [
    ("insecure", Some(b'k')),
    ("silent", Some(b's')),
    ("show-error", Some(b'S')),
    ("location", Some(b'L')),
    ("location-trusted", None),
    ("verbose", Some(b'v')),
    ("include", Some(b'i')),
    ("show-headers", None),
    ("fail", Some(b'f')),
    ("fail-with-body", None),
    ("fail-early", None),
    ("http1.1", None),
    ("http2", None),
    ("http2-prior-knowledge", None),
    ("http3", None),
    ("http3-only", None),
    ("ipv4", Some(b'4')),
    ("ipv6", Some(b'6')),
    ("no-buffer", Some(b'N')),
    ("progress-bar", Some(b'#')),
    ("no-progress-meter", None),
    ("tlsv1", Some(b'1')),
    ("tlsv1.2", None),
    ("tlsv1.3", None),
    ("ssl-reqd", None),
    ("tcp-nodelay", None),
    ("tcp-fastopen", None),
    ("no-keepalive", None),
    ("no-alpn", None),
    ("no-sessionid", None),
    ("basic", None),
    ("remote-name", Some(b'O')),
    ("remote-header-name", Some(b'J')),
    ("create-dirs", None),
    ("retry-all-errors", None),
    ("retry-connrefused", None),
    ("disable", Some(b'q')),
];

/// Options with a value that do not change the request which Envoy decides.
const IGNORED_VALUES: [(&str, Option<u8>); 39] = [
    ("output", Some(b'o')),
    ("output-dir", None),
    ("max-time", Some(b'm')),
    ("connect-timeout", None),
    ("keepalive-time", None),
    ("expect100-timeout", None),
    ("write-out", Some(b'w')),
    ("cookie-jar", Some(b'c')),
    ("dump-header", Some(b'D')),
    ("stderr", None),
    ("trace", None),
    ("trace-ascii", None),
    ("cacert", None),
    ("capath", None),
    ("crlfile", None),
    ("cert", Some(b'E')),
    ("cert-type", None),
    ("key", None),
    ("key-type", None),
    ("pass", None),
    ("pinnedpubkey", None),
    ("ciphers", None),
    ("tls13-ciphers", None),
    ("tls-max", None),
    ("curves", None),
    ("resolve", None),
    ("connect-to", None),
    ("unix-socket", None),
    ("interface", None),
    ("proxy", Some(b'x')),
    ("proxy-user", Some(b'U')),
    ("noproxy", None),
    ("retry", None),
    ("retry-delay", None),
    ("retry-max-time", None),
    ("limit-rate", None),
    ("max-redirs", None),
    ("max-filesize", None),
    ("proto", None),
];

/// What an option is to `decide`.
enum Known {
    Value(CurlOption),
    Flag(CurlOption),
    IgnoredValue,
    IgnoredFlag,
}

/// The arguments of a curl command, in their order.
#[derive(Debug, Default)]
pub(super) struct CurlArguments {
    /// Options and URLs. A flag has an empty value.
    pub(super) options: Vec<(CurlOption, Vec<u8>)>,
    /// The options that are left out, as they were written.
    pub(super) ignored: Vec<String>,
}

impl CurlArguments {
    /// Reads the words behind `curl`.
    pub(super) fn read(words: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, BadCurl> {
        let mut read = Self::default();
        let mut words = words.into_iter();
        let mut only_urls = false;
        while let Some(word) = words.next() {
            match word.as_slice() {
                b"--" if !only_urls => only_urls = true,
                [b'-', b'-', name @ ..] if !only_urls => read.long(name, &mut words)?,
                [b'-', letters @ ..] if !only_urls && !letters.is_empty() => read.short(letters, &mut words)?,
                _ => read.options.push((CurlOption::Url, word)),
            }
        }
        Ok(read)
    }

    fn long(&mut self, name: &[u8], words: &mut impl Iterator<Item = Vec<u8>>) -> Result<(), BadCurl> {
        let shown = format!("--{}", String::from_utf8_lossy(name));
        let known = find(|long, _| long.as_bytes() == name).ok_or_else(|| BadCurl::UnknownOption(shown.clone()))?;
        self.take(&known, shown, || words.next())
    }

    /// Letters may be joined. The rest behind one that takes a value is its value.
    fn short(&mut self, letters: &[u8], words: &mut impl Iterator<Item = Vec<u8>>) -> Result<(), BadCurl> {
        let mut rest = letters;
        while let Some((letter, after)) = rest.split_first() {
            let shown = format!("-{}", char::from(*letter));
            let known = find(|_, short| short == Some(*letter)).ok_or_else(|| BadCurl::UnknownOption(shown.clone()))?;
            rest = match known {
                Known::Value(_) | Known::IgnoredValue => &[],
                Known::Flag(_) | Known::IgnoredFlag => after,
            };
            self.take(&known, shown, || if after.is_empty() { words.next() } else { Some(after.to_vec()) })?;
        }
        Ok(())
    }

    fn take(&mut self, known: &Known, shown: String, value: impl FnOnce() -> Option<Vec<u8>>) -> Result<(), BadCurl> {
        match known {
            Known::Flag(option) => self.options.push((*option, Vec::new())),
            Known::IgnoredFlag => self.ignored.push(shown),
            Known::Value(option) => {
                let value = value().ok_or(BadCurl::NoValue(shown))?;
                self.options.push((*option, value));
            }
            Known::IgnoredValue => {
                value().ok_or_else(|| BadCurl::NoValue(shown.clone()))?;
                self.ignored.push(shown);
            }
        }
        Ok(())
    }
}

fn find(is_named: impl Fn(&str, Option<u8>) -> bool) -> Option<Known> {
    let named = |options: &[(&str, Option<u8>, CurlOption)]| {
        options.iter().find(|(long, short, _)| is_named(long, *short)).map(|(_, _, option)| *option)
    };
    let is_in = |options: &[(&str, Option<u8>)]| options.iter().any(|(long, short)| is_named(long, *short));
    named(&VALUES)
        .map(Known::Value)
        .or_else(|| named(&FLAGS).map(Known::Flag))
        .or_else(|| is_in(&IGNORED_FLAGS).then_some(Known::IgnoredFlag))
        .or_else(|| is_in(&IGNORED_VALUES).then_some(Known::IgnoredValue))
}
