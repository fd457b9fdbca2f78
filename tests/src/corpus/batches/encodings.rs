//! Bodies with a Content-Encoding. This corpus decodes every coding, and several members.

use super::Case;

const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xabV*H,J\xcc-V\xb2\xaaV*I\xcdK\xcc+Q\xb2RJL\xceMU\xaa\xad\x05\x00\xdfH\x13\xdd\x1c\x00\x00\x00";
const DEFLATE: &[u8] = b"x\x9c\xabV*H,J\xcc-V\xb2\xaaV*I\xcdK\xcc+Q\xb2RJL\xceMU\xaa\xad\x05\x00\x8fJ\t\xd5";
const RAW_DEFLATE: &[u8] = b"\xabV*H,J\xcc-V\xb2\xaaV*I\xcdK\xcc+Q\xb2RJL\xceMU\xaa\xad\x05\x00";
const BROTLI: &[u8] = b"\x83\r\x80{\"params\":{\"tenant\":\"acme\"}}\x03";
const ZSTD: &[u8] = b"(\xb5/\xfd \x1c\xe1\x00\x00{\"params\":{\"tenant\":\"acme\"}}";
const BROTLI_OF_GZIP: &[u8] = b"\x83\x17\x80\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xabV*H,J\xcc-V\xb2\xaaV*I\xcdK\xcc+Q\xb2RJL\xceMU\xaa\xad\x05\x00\xdfH\x13\xdd\x1c\x00\x00\x00\x03";
const GZIP_OF_GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x93\xef\xe6`\x00\x83\xff\xab\xc3\xb4<t\xbc\xce\xe8\x86mZ\x15\xa6\xe5y\xd6\xfb\x8cv\xe0\xa6 /\x9fs\xbe\xa1\xab\xd6\xb22\xdc\xf7\x10\xbe+\xc3\xc0\xc0\x00\x00\xbf\xc0\xbf\x890\x00\x00\x00";
const GZIP_TWO_KEYS: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xabV*H,J\xcc-V\xb2\xaaV*I\xcdK\xcc+Q\xb2RJL\xceMU\xd2A\xf0\xd3s\xf2\x93R+\x94jk\x01\xbaa\xd4V.\x00\x00\x00";
const FIRST_HALF: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xabV*H,J\xcc-V\xb2\xaa\x06\x00v\x91\x0eh\x0b\x00\x00\x00";
const SECOND_HALF: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffS*I\xcdK\xcc+Q\xb2RJL\xceMU\xaa\xad\x05\x005\xfa\xd6X\x11\x00\x00\x00";
const ONE_KEY: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xabV*H,J\xcc-V\xb2\xaaV*I\xcdK\xcc+Q\xb2RJL\xceMU\xaa\x05\x004f^\x11\x1b\x00\x00\x00";
const ANOTHER_KEY: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xd3Q*H,J\xcc-V\xb2\xaaV*I\xcdK\xcc+Q\xb2RJ\xcf\xc9OJ\xadP\xaa\xad\x05\x00\x86\xe1\x19\xcc\x1e\x00\x00\x00";
const GZIP_NDJSON: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xabV*I\xcdK\xcc+Q\xb2\xaaV\xcaLQ\xb2RJL\xceMU\xaa\xad\xe5\xaaF\x97H\xcf\xc9OJ\xad\x00I\x01\x00\xf5\xe2\xb0o4\x00\x00\x00";
const GZIP_CBOR: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff[\x98V\x92\x9a\x97\x98W\xb20)3%-=\'?)\xb5\x02\x00\xda\x1f=\xef\x13\x00\x00\x00";
const GZIP_GRPC: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffc```\xe0\xe0b\xe3bIL\xceM\x05\x00\xec-\'6\r\x00\x00\x00";
/// 700 KiB of spaces.
const BROTLI_BOMB: &[u8] = b"\xa3\xff\xff\x03@\x02$\x1e\x0b$\xf7\xfe\xa0\xfe\xdf\x05\x80\x04@\x1c\x16\x80\xee\xb9\x00";

const MALFORMED: &str = "400 body_encoding_malformed";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = BODIES
        .iter()
        .map(|(name, encoding, body, expect)| {
            encoded(name, encoding).of_type("application/json", body).expecting(expect)
        })
        .collect();
    for (encoding, body) in [("gzip", GZIP), ("deflate", DEFLATE), ("br", BROTLI), ("zstd", ZSTD)] {
        for end in [1, body.len() / 2, body.len() - 1] {
            let cut = encoded(&format!("{encoding}, cut after {end} bytes"), encoding);
            cases.push(cut.of_type("application/json", &body[..end]).expecting(MALFORMED));
        }
        let more = encoded(&format!("{encoding}, and a byte behind it"), encoding);
        cases.push(more.of_type("application/json", [body, b"x"].concat()).expecting(MALFORMED));
        // As raw deflate, a JSON text decodes to something that is no JSON text.
        let reason = if encoding == "deflate" { "400 body_malformed" } else { MALFORMED };
        let plain = encoded(&format!("{encoding}, but plain"), encoding);
        cases.push(plain.of_type("application/json", br#"{"params":{"tenant":"acme"}}"#).expecting(reason));
    }
    cases.extend([
        encoded("two members", "gzip")
            .of_type("application/json", [FIRST_HALF, SECOND_HALF].concat())
            .expecting("cell-a exact"),
        encoded("a second key in a second member", "gzip")
            .of_type("application/json", [ONE_KEY, ANOTHER_KEY].concat())
            .expecting("400 key_duplicated"),
        encoded("a whole document in each member", "gzip")
            .of_type("application/json", [GZIP, GZIP].concat())
            .expecting("400 body_malformed"),
        encoded("records that disagree", "gzip")
            .of_type("application/x-ndjson", GZIP_NDJSON)
            .expecting("400 key_conflict"),
        encoded("CBOR", "gzip").of_type("application/cbor", GZIP_CBOR).expecting("cell-b exact"),
        encoded("messages of a call", "gzip").of_type("application/grpc", GZIP_GRPC).expecting("cell-a exact"),
        encoded("a wrong checksum", "gzip").of_type("application/json", with_wrong_checksum(GZIP)).expecting(MALFORMED),
    ]);
    cases
}

const BODIES: &[(&str, &str, &[u8], &str)] = &[
    ("gzip", "gzip", GZIP, "cell-a exact"),
    ("x-gzip", "x-gzip", GZIP, "cell-a exact"),
    ("deflate", "deflate", DEFLATE, "cell-a exact"),
    ("deflate without its wrapper", "deflate", RAW_DEFLATE, "cell-a exact"),
    ("br", "br", BROTLI, "cell-a exact"),
    ("zstd", "zstd", ZSTD, "cell-a exact"),
    ("br of gzip", "gzip, br", BROTLI_OF_GZIP, "cell-a exact"),
    ("br of gzip in the wrong order", "br, gzip", BROTLI_OF_GZIP, MALFORMED),
    ("gzip of gzip", "gzip, gzip", GZIP_OF_GZIP, "cell-a exact"),
    ("gzip of gzip, announced once", "gzip", GZIP_OF_GZIP, "400 body_malformed"),
    ("three codings", "gzip, gzip, gzip", GZIP_OF_GZIP, "415 body_encoded"),
    ("an unknown coding", "compress", GZIP, "415 body_encoded"),
    ("an unknown coding below", "aws-chunked, gzip", GZIP, "415 body_encoded"),
    ("a parameter", "gzip;q=1", GZIP, "415 body_encoded"),
    ("two keys", "gzip", GZIP_TWO_KEYS, "400 key_duplicated"),
    ("zlib that is called gzip", "gzip", DEFLATE, MALFORMED),
    ("gzip that is called deflate", "deflate", GZIP, MALFORMED),
    ("a bomb", "br", BROTLI_BOMB, "413 body_decoded_ratio"),
];

fn encoded(name: &str, encoding: &str) -> Case {
    Case::new(format!("encoded: {name}"), "400 key_missing").header("content-encoding", encoding)
}

fn with_wrong_checksum(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    let at = body.len() - 8;
    body[at] ^= 1;
    body
}

impl Case {
    fn expecting(self, expect: &str) -> Self {
        Self { expect: Case::new("", expect).expect, ..self }
    }
}
