//! Values of options. clap prefixes each error with the option and the value.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cellgate_config::parse_bytes;
use cellgate_ext_proc::logging::level::{BadLogLevel, LogLevel, MAX_TIME};
use hyper::header::HeaderName;

use crate::http_client::{BadUrl, Server};

/// Where Envoy connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// An IP address and a port, or `unix:` and an absolute path.
pub(super) fn listen_address(text: &str) -> Result<ListenAddress, &'static str> {
    let Some(path) = text.strip_prefix("unix:") else {
        return text.parse().map(ListenAddress::Tcp).map_err(|_| {
            "use an IP address and a port, such as `[::]:50051` or `127.0.0.1:9902`, or a Unix socket, such as `unix:/run/cellgate/ext-proc.sock`"
        });
    };
    // gRPC also writes `unix:///PATH`.
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.starts_with('/') && !path.ends_with('/') && !path.contains('\0') {
        Ok(ListenAddress::Unix(PathBuf::from(path)))
    } else {
        Err(
            "use `unix:` and the absolute path of a file, such as `unix:/run/cellgate/ext-proc.sock`; abstract sockets have no permissions",
        )
    }
}

/// An option without a value, as a variable.
pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "use `true` or `false`")
}

/// Permissions of a file: three octal digits, with or without a zero in front.
pub(super) fn socket_mode(text: &str) -> Result<u32, &'static str> {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    let is_octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|_| is_octal)
        .ok_or("use three octal digits, such as `0660` for the socket's user and group, or `0600`")
}

/// An IP address and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "use an IP address and a port, such as `[::]:50051` or `127.0.0.1:9902`")
}

/// A request id as it is in a header. One with a control character would change the terminal.
pub(super) fn request_id(text: &str) -> Result<String, &'static str> {
    let is_id = !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control);
    if is_id { Ok(text.to_owned()) } else { Err("use the value of the request's `x-request-id`, 1 to 1024 bytes") }
}

/// An IP address without a port.
pub(super) fn ip_address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "use an IP address without a port, such as `192.0.2.1` or `2001:db8::1`")
}

/// A log level, or a list of directives.
pub(super) fn log_level(text: &str) -> Result<LogLevel, BadLogLevel> {
    text.parse()
}

/// A number of bytes above 0: `4096`, `32KiB`, `512MiB`, `1GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, &'static str> {
    parse_bytes(text)
        .ok()
        .filter(|bytes| *bytes > 0)
        .ok_or("use a number of bytes above 0, such as `4096`, `32KiB`, `512MiB` or `1GiB`")
}

/// A duration: `500ms`, `10s`, `2m`, `1h`. Zero is allowed.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let milliseconds = units.iter().find_map(|(unit, scale)| {
        let number = text.strip_suffix(unit)?;
        // `u64::from_str` also accepts a plus sign.
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(*scale)
    });
    milliseconds
        .map(Duration::from_millis)
        .ok_or("use a whole number with a unit, such as `500ms`, `10s`, `2m` or `1h`")
}

/// A duration above zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, &'static str> {
    match duration(text)? {
        Duration::ZERO => Err("use a duration longer than zero, such as `500ms` or `10s`"),
        time => Ok(time),
    }
}

/// The time for which a log level is changed.
pub(super) fn log_level_time(text: &str) -> Result<Duration, &'static str> {
    let time = duration(text)?;
    let is_allowed = (Duration::from_secs(1)..=MAX_TIME).contains(&time);
    if is_allowed { Ok(time) } else { Err("use a duration from `1s` to `24h`") }
}

/// The term of leases.
pub(super) fn lease_term(text: &str) -> Result<Duration, &'static str> {
    let term = duration(text)?;
    let is_allowed = (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&term);
    if is_allowed { Ok(term) } else { Err("use a duration from `1s` to `60s`") }
}

/// The time between two reports of a filter.
pub(super) fn sync_interval(text: &str) -> Result<Duration, &'static str> {
    let interval = duration(text)?;
    let is_allowed = (Duration::from_millis(100)..=Duration::from_secs(10)).contains(&interval);
    if is_allowed { Ok(interval) } else { Err("use a duration from `100ms` to `10s`") }
}

/// A number of streams or replicas above 0.
pub(super) fn above_zero(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("use a whole number from 1 to 4294967295")
}

/// A number of limit keys: at most 2³², which take about 400 GB.
pub(super) fn limit_keys(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|number| (1..=1 << 32).contains(number));
    number.and_then(|number: u64| usize::try_from(number).ok()).ok_or("use a whole number from 1 to 4294967296")
}

/// A share in percent, from 0 to 100.
pub(super) fn percent(text: &str) -> Result<u8, &'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|percent| digits && *percent <= 100).ok_or("use a whole number from 0 to 100")
}

/// A server, as a URL or as HOST:PORT.
pub(super) fn admin_port(text: &str) -> Result<Server, BadUrl> {
    if text.contains("://") { Server::parse(text) } else { Server::parse(&format!("http://{text}")) }
}

pub(super) fn server(text: &str) -> Result<Server, BadUrl> {
    Server::parse(text)
}

/// A server without a path: the probe compares its own paths with the rules of the configuration.
pub(super) fn gateway(text: &str) -> Result<Server, String> {
    let server = server(text).map_err(|error| error.to_string())?;
    if server.target("").is_empty() {
        Ok(server)
    } else {
        Err("a gateway's URL has no path: use `http://HOST:PORT`".to_owned())
    }
}

/// The name of a pod and its namespace. The characters need no encoding in a query.
pub(super) fn proxy(text: &str) -> Result<String, &'static str> {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    match text.rsplit_once('.') {
        Some((name, namespace)) if is_name(name) && is_name(namespace) => Ok(text.to_owned()),
        _ => Err("use POD.NAMESPACE, as `istioctl proxy-status` lists it"),
    }
}

pub(super) fn header(text: &str) -> Result<String, &'static str> {
    let is_name = |name: &str| HeaderName::from_bytes(name.as_bytes()).is_ok();
    match text.split_once(':') {
        Some((name, value)) if is_name(name.trim()) && !value.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err("use `NAME: VALUE`, with a valid header name and without control characters"),
    }
}

pub(super) fn cell_key(text: &str) -> Result<(String, String), &'static str> {
    let halves = text.split_once('=').filter(|(cell, key)| !cell.is_empty() && !key.is_empty());
    halves.map(|(cell, key)| (cell.to_owned(), key.to_owned())).ok_or("use CELL=KEY, such as `cell-a=acme`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("32KiB"), Ok(32 * 1024));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        for bad in ["", "KiB", "-1", "+1", "1kb", "1 KiB", "0", "1.5MiB", "99999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_a_port_or_a_socket() {
        assert_eq!(listen_address("[::]:50051"), Ok(ListenAddress::Tcp("[::]:50051".parse().unwrap())));
        for text in ["unix:/run/a.sock", "unix:///run/a.sock"] {
            assert_eq!(listen_address(text), Ok(ListenAddress::Unix("/run/a.sock".into())));
        }
        for bad in ["", "unix:", "unix:a.sock", "unix:@a", "unix://a/b", "unix:/run/", "/run/a.sock", "UNIX:/a", ":1"] {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn permissions_are_octal() {
        assert_eq!((socket_mode("0660"), socket_mode("600"), socket_mode("0000")), (Ok(0o660), Ok(0o600), Ok(0)));
        for bad in ["", "0", "66", "0o660", "660 ", "0680", "1660", "00660", "+660", "rw-rw----"] {
            assert!(socket_mode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(positive_duration("0s").is_err() && positive_duration("1ms").is_ok());
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "10", "s", "-1s", "1.5s", "1d", "99999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
