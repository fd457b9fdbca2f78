//! Writes the requests of the end-to-end tests' corpus as inputs of the fuzz targets: `seeds DIRECTORY`.
//!
//! Each target gets a folder. A request whose body is in none of the targets' formats is an input of `decide` only.

// The data of the tests: it is the same file, so that a new case is a new seed.
#[allow(dead_code, rustdoc::broken_intra_doc_links, reason = "only the requests are used")]
#[path = "../../tests/src"]
mod harness {
    pub(crate) mod corpus;
}

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use harness::corpus::{self, Case};

/// Larger inputs make a run slow, and a fuzzer finds nothing more in them.
const LARGEST: usize = 4096;

/// The length of a chunk, for the targets that read it from their input.
const CHUNK: u8 = 7;

/// A byte for each of the codings of `encoded`.
const CODINGS: [(&str, u8); 4] = [("gzip", 0x10), ("deflate", 0x11), ("br", 0x12), ("zstd", 0x13)];

/// A byte for each of the media types of `protobuf`.
const PROTOBUF: [(&str, u8); 4] =
    [("application/grpc-web-text", 3), ("application/grpc-web", 2), ("application/grpc", 1), ("protobuf", 0)];

/// The inputs of each target. Equal ones are one.
type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: seeds DIRECTORY")?;
    let mut seeds = Seeds::new();
    for case in corpus::all().into_iter().flat_map(|corpus| corpus.cases) {
        for (target, input) in inputs(&case) {
            let known = seeds.entry(target).or_default();
            if input.len() <= LARGEST && !known.contains(&input) {
                known.push(input);
            }
        }
    }
    for (target, inputs) in seeds {
        let folder = Path::new(&directory).join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, input) in inputs.iter().enumerate() {
            std::fs::write(folder.join(format!("request-{number:04}")), input)?;
        }
        println!("{target}: {}", inputs.len());
    }
    Ok(())
}

/// A request as an input of each target that can use it.
fn inputs(case: &Case) -> Vec<(&'static str, Vec<u8>)> {
    let field = |name: &str| {
        let found = case.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).to_ascii_lowercase()).unwrap_or_default()
    };
    let mut inputs = vec![("decide", decide(case))];
    if let Some((_, value)) = case.headers.iter().find(|(name, _)| name == "authorization" || name == "x-context") {
        inputs.push(("templates", [b"t-acme.eu.example.com\n", value.as_slice()].concat()));
    }
    let Some(body) = case.body.as_deref() else { return inputs };
    let with = |first: &[u8]| [first, body].concat();
    let (media_type, coding) = (field("content-type"), field("content-encoding"));
    if let Some((_, number)) = CODINGS.iter().find(|(name, _)| coding == *name) {
        inputs.push(("encoded", with(&[*number, CHUNK])));
        return inputs;
    }
    if let Some((_, number)) = PROTOBUF.iter().find(|(name, _)| media_type.contains(name)) {
        inputs.push(("protobuf", with(&[*number])));
    } else if media_type.contains("ndjson") || media_type.contains("jsonl") || media_type.contains("json-seq") {
        inputs.push(("ndjson", with(b"\n")));
    } else if media_type.contains("json") {
        inputs.push(("json", with(b"\n")));
    } else if media_type.contains("x-www-form-urlencoded") {
        inputs.push(("form", body.to_vec()));
    } else if media_type.contains("multipart") {
        inputs.push(("multipart", with_boundary(&media_type, body)));
    } else if media_type.contains("xml") {
        inputs.push(("xml", body.to_vec()));
    } else if media_type.contains("cbor") {
        inputs.push(("cbor", with(&[0])));
    } else if media_type.contains("msgpack") {
        inputs.push(("msgpack", with(&[0])));
    }
    inputs
}

/// Fields as lines, an empty line, and the body.
fn decide(case: &Case) -> Vec<u8> {
    let pseudo = [(":method", case.method.as_bytes()), (":path", case.path.as_bytes())];
    let fields = case.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    let mut input = vec![CHUNK];
    for (name, value) in pseudo.into_iter().chain(fields) {
        input.extend([name.as_bytes(), b": ", value, b"\n"].concat());
    }
    input.push(b'\n');
    input.extend(case.body.as_deref().unwrap_or_default());
    input
}

/// The body with the boundary of the target, which is `b`.
fn with_boundary(media_type: &str, body: &[u8]) -> Vec<u8> {
    let boundary = media_type.split("boundary=").nth(1).unwrap_or_default();
    let boundary = boundary.split(';').next().unwrap_or_default().trim_matches(['"', ' ']);
    let text = String::from_utf8_lossy(body);
    match boundary {
        "" => body.to_vec(),
        boundary => text.replace(&format!("--{boundary}"), "--b").into_bytes(),
    }
}
