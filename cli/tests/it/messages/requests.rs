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
    curl_commands(&mut transcript);
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

fn curl_commands(transcript: &mut Transcript) {
    transcript.section("curl commands");
    transcript.run("decide --config good.yaml --curl missing.sh");
    transcript.run("decide --config good.yaml --curl missing.sh --path /orders");
    for (name, command) in [
        ("empty", "\n"),
        ("other", "wget http://h/"),
        ("windows", "curl ^\"http://h/^\" ^\n  -H ^\"a: b^\""),
        ("open-single", "curl http://h/ \\\n  -d '{\"tenant\""),
        ("open-double", "curl http://h/ -d \"{"),
        ("open-ansi", "curl http://h/ -d $'it\\'s"),
        ("variable", "curl http://h/ \\\n  -H \"authorization: Bearer $TOKEN\""),
        ("substitution", "curl http://h/ -d \"`cat body.json`\""),
        ("pipe", "curl http://h/ | jq ."),
        ("ampersand", "curl http://h/?a=1&b=2"),
        ("second-line", "curl http://h/\n  -d '{}'"),
        ("nul", "curl http://h/ --data-raw $'a\\u0000b'"),
        ("surrogate", "curl http://h/ --data-raw $'a\\ud83d b'"),
        ("unknown-long", "curl --upload-file body.json http://h/"),
        ("unknown-short", "curl -skT body.json http://h/"),
        ("no-value", "curl http://h/ -H"),
        ("not-text", "curl http://h/ -H $'a: \\xff'"),
        ("no-url", "curl -d '{}'"),
        ("two-urls", "curl http://h/ -d a b"),
        ("ftp", "curl ftp://h/"),
        ("glob", "curl http://h/orders/{1,2}"),
        ("space", "curl 'http://h/a b'"),
        ("header", "curl http://h/ -H 'no colon'"),
        ("header-file", "curl http://h/ -H @headers.txt"),
        ("cookie-file", "curl http://h/ -b cookies.txt"),
        ("password", "curl http://h/ -u me"),
        ("form", "curl http://h/ -F tenant"),
        ("form-headers", "curl http://h/ -F 'a=b;headers=\"X: y\"'"),
        ("form-files", "curl http://h/ -F 'a=@b,c'"),
        ("form-and-data", "curl http://h/ -F a=b -d c"),
        ("head-and-data", "curl http://h/ -I -d c"),
        ("stdin", "curl http://h/ -d @-"),
        ("no-file", "curl http://h/ --data-binary @missing.json"),
        ("method", "curl http://h/ -X 'PO ST'"),
        ("length", "curl http://h/ -H 'content-length: 3' -d a"),
    ] {
        let file = format!("{name}.sh");
        transcript.file(&file, command);
        transcript.run(&format!("decide --config good.yaml --curl {file}"));
    }
}
