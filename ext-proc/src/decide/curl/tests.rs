//! Requests of curl commands, compared with those that curl 7.88.1 sent to a listener when bash 5.2 ran the commands.
//!
//! `tests/fixtures/curl/` has the commands and the recorded requests. `chromium*.sh` and `firefox.sh` are written as the
//! developer tools of these browsers write them.

use std::path::PathBuf;

use super::*;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/curl")
}

fn read(command: &str) -> Result<CurlCommand, BadCurl> {
    CurlCommand::read(command.as_bytes(), &|file| std::fs::read(fixtures().join(file)))
}

/// The value of a header, if there is one.
fn header(command: &str, name: &str) -> Option<String> {
    let fields = read(command).unwrap().request.fields;
    let field = fields.into_iter().find(|(field, _)| field == name);
    field.map(|(_, value)| String::from_utf8(value).unwrap())
}

/// Sorted, with curl's version and random boundary replaced by those of this crate.
fn comparable(mut request: Request) -> Request {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let content_type = request.fields.iter().find(|(name, _)| name == "content-type").map(|(_, value)| text(value));
    let boundary = content_type.as_deref().and_then(|value| value.split_once("boundary=-----------------"));
    if let Some((_, boundary)) = boundary {
        let random = boundary.trim_start_matches('-').to_owned();
        let replace = |bytes: &[u8]| {
            let replaced = text(bytes).replace(&random, "RANDOM");
            replaced.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect::<Vec<u8>>()
        };
        request.body = replace(&request.body);
        request.fields.iter_mut().for_each(|(_, value)| *value = replace(value));
    }
    for (name, value) in &mut request.fields {
        if name == "user-agent" && value == b"curl/7.88.1" {
            *value = b"curl".to_vec();
        }
    }
    request.fields.sort();
    request
}

#[test]
fn requests_are_those_that_curl_sent() {
    let mut compared = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let command = entry.unwrap().path();
        if command.extension().is_none_or(|extension| extension != "sh") {
            continue;
        }
        let sent = Request::from_message(&std::fs::read(command.with_extension("http")).unwrap()).unwrap();
        let read = read(&std::fs::read_to_string(&command).unwrap()).unwrap();
        assert_eq!(comparable(read.request), comparable(sent), "{}", command.display());
        compared += 1;
    }
    assert_eq!(compared, 15);
}

#[test]
fn options_without_effect_are_listed() {
    let read = read("/usr/bin/curl -sSkLo out.json --http2 --max-time 5 -- http://h/ ").unwrap();
    assert_eq!(read.ignored, ["-s", "-S", "-k", "-L", "-o", "--http2", "--max-time"]);
}

#[test]
fn the_boundary_is_in_no_part() {
    let boundary = format!("{:-<24}{:016x}", "", 0);
    let content_type = header(&format!("curl -F 'a={boundary}' http://h/"), "content-type");
    assert_eq!(content_type, Some(format!("multipart/form-data; boundary={:-<24}{:016x}", "", 1)));
}

#[test]
fn a_header_option_replaces_the_header_that_curl_adds() {
    assert_eq!(header("curl -u a:b -H 'authorization: x' http://h/", "authorization").as_deref(), Some("x"));
    assert_eq!(header("curl -H 'Host:' http://h/", ":authority"), None);
    assert_eq!(header("curl -H 'user-agent;' http://h/", "user-agent").as_deref(), Some(""));
}

/// A command of any bytes is read or refused.
mod any_command {
    use super::*;

    proptest::proptest! {
        #[test]
        fn is_read_or_refused(tail in "[ -~\n\r\u{e9}]{0,60}", bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let nothing = |_: &str| Ok(Vec::new());
            let _result = CurlCommand::read(format!("curl http://h/ {tail}").as_bytes(), &nothing);
            let _result = CurlCommand::read(&[b"curl $'", bytes.as_slice()].concat(), &nothing);
            let _result = CurlCommand::read(&bytes, &nothing);
        }
    }
}
