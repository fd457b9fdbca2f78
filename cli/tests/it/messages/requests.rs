//! Requests for `decide` that cannot be read.

use super::Transcript;

#[test]
fn messages_about_requests() {
    let mut transcript = Transcript::new();
    transcript.section("Options");
    transcript.file("body.json", "{}");
    for options in [
        "--body missing.json",
        "--method 'PO ST'",
        "--method ''",
        "--path orders",
        "--path '/a b'",
        "-H 'no colon'",
        "-H ': no name'",
        "-H 'content-length: many' --body body.json",
        "-H 'content-length: 3' --body body.json",
        "-H 'content-length: 2' -H 'content-length: 2' --body body.json",
        "-H 'content-length: 2' -H 'transfer-encoding: chunked' --body body.json",
        "-H 'transfer-encoding: gzip' --body body.json",
    ] {
        transcript.run(&format!("decide --config good.yaml {options}"));
    }
    transcript.section("Claims");
    transcript.run("decide --config good.yaml --claims missing.json");
    for (name, claims) in
        [("empty", ""), ("no-json", "{"), ("null", "null"), ("list", "[]"), ("token", "\"eyJhbGciOi\"")]
    {
        let file = format!("{name}.json");
        transcript.file(&file, claims);
        transcript.run(&format!("decide --config good.yaml --claims {file}"));
    }
    transcript.section("Messages in a file");
    transcript.run("decide --config good.yaml --request missing.http");
    for (name, message) in [
        ("empty", ""),
        ("no-version", "POST /\n\n"),
        ("no-path", "POST  HTTP/1.1\n\n"),
        ("bad-method", "PO(ST / HTTP/1.1\nHost: h\n\n"),
        ("bad-path", "POST orders HTTP/1.1\nHost: h\n\n"),
        ("bad-header", "GET / HTTP/1.1\nHost: h\nno colon\n\n"),
        ("folded-header", "GET / HTTP/1.1\nHost: h\nx-a: 1\n b: 2\n\n"),
        ("no-host", "GET / HTTP/1.1\n\n"),
        ("two-hosts", "GET / HTTP/1.1\nHost: a\nHost: b\n\n"),
        ("unannounced", "POST / HTTP/1.1\nHost: h\n\n{\"tenant\":1}"),
        ("short", "POST / HTTP/1.1\nHost: h\nContent-Length: 9\n\n{}"),
        ("both", "POST / HTTP/1.1\nHost: h\nContent-Length: 2\nTransfer-Encoding: chunked\n\n{}"),
        ("bad-length", "POST / HTTP/1.1\nHost: h\nContent-Length: +2\n\n{}"),
        ("bad-encoding", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip\n\n{}"),
        ("bad-chunk", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n2\n{}\nx\n"),
    ] {
        let file = format!("{name}.http");
        transcript.file(&file, message);
        transcript.run(&format!("decide --config good.yaml --request {file}"));
    }
    transcript.check("requests.txt");
}
