//! Gateways, istiod, clusters and files that `doctor`, `probe` and `neighbours` cannot use.

use super::{Transcript, answering, answering_by_request, refusing};

const PLAN: &str = r#"{
    "release": "cellgate", "namespace": "cellgate", "name": "cellgate", "routing_header": "x-cell",
    "inspect_bytes": 32768, "istio_namespace": "istio-system"
}"#;

/// Servers that no command can use, with a word for each in the transcript.
fn servers(transcript: &mut Transcript) -> Vec<String> {
    [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 15\r\n\r\nnot found here\n", "NOT-FOUND"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "FORBIDDEN"),
        ("HTTP/1.1 503 Unavailable\r\ncontent-length: 13\r\n\r\n<html></html>", "UNAVAILABLE"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "EMPTY"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "TEXT"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "SHORT"),
        ("SSH-2.0-OpenSSH\r\n", "SSH"),
    ]
    .into_iter()
    .map(|(answer, word)| {
        let address = answering(answer);
        transcript.replace(&address, word);
        format!("http://{address}")
    })
    .collect()
}

#[test]
fn messages_about_gateways() {
    let mut transcript = Transcript::new();
    let (_socket, address) = refusing();
    transcript.replace(&address, "REFUSED");
    let mut servers = servers(&mut transcript);
    servers.insert(0, format!("http://{address}"));

    transcript.section("doctor: files");
    transcript.run("doctor --config-dump missing.json");
    for (name, content) in [("empty", ""), ("text", "hello"), ("other", "{\"configs\": []}"), ("list", "[]")] {
        let file = format!("{name}.json");
        transcript.file(&file, content);
        transcript.run(&format!("doctor --config-dump {file}"));
    }
    transcript.section("doctor: Envoy's admin port");
    for url in &servers {
        transcript.run(&format!("doctor --admin {url}"));
    }
    transcript.section("doctor: istiod");
    for url in &servers {
        transcript.run(&format!("doctor --istiod {url} --proxy gateway.istio-ingress"));
    }
    transcript.run(&format!("doctor --istiod {} --proxy gateway.istio-ingress --token missing", servers[0]));

    transcript.section("probe");
    for url in &servers {
        transcript.run(&format!("probe --config good.yaml --host probe.test --deadline 1ms --no-deferral --url {url}"));
    }
    transcript.check("gateways.txt");
}

#[test]
fn messages_about_clusters() {
    let mut transcript = Transcript::new();
    transcript.file("plan.json", PLAN);
    transcript.file("objects.json", "{\"items\": []}");
    transcript.section("Plans");
    transcript.run("neighbours --objects objects.json --plan missing.json");
    for (name, content) in [
        ("empty", ""),
        ("text", "hello"),
        ("incomplete", "{}"),
        ("unknown-field", "{\"colour\": \"red\"}"),
        ("wrong-type", "{\"release\": 1}"),
    ] {
        let file = format!("{name}.json");
        transcript.file(&file, content);
        transcript.run(&format!("neighbours --objects objects.json --plan {file}"));
    }
    transcript.section("Objects");
    for file in ["missing.json", "empty.json", "text.json", "incomplete.json"] {
        transcript.run(&format!("neighbours --plan plan.json --objects {}", file.replace("missing", "no-objects")));
    }
    transcript.section("The API server");
    let (_socket, address) = refusing();
    transcript.replace(&address, "REFUSED");
    let mut servers = servers(&mut transcript);
    servers.insert(0, format!("http://{address}"));
    let without_gateway_api = answering_by_request(|request| {
        if request.contains("/gateway.networking.k8s.io/") {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"items\":[]}"
        }
    });
    transcript.replace(&without_gateway_api, "WITHOUT-GATEWAY-API");
    servers.push(format!("http://{without_gateway_api}"));
    let unauthorized = answering("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    transcript.replace(&unauthorized, "UNAUTHORIZED");
    servers.push(format!("http://{unauthorized}"));
    for url in &servers {
        transcript.run(&format!("neighbours --plan plan.json --api {url}"));
    }
    transcript.section("The service account of a pod");
    transcript.run("neighbours --plan plan.json");
    std::fs::create_dir(transcript.directory.path().join("account")).unwrap();
    transcript.file("account/token", "token");
    let pod = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];
    let with_account = "neighbours --plan plan.json --service-account account";
    transcript.run_in(&pod, with_account);
    transcript.file("account/ca.crt", "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n");
    transcript.run_in(&pod, with_account);
    transcript.check("clusters.txt");
}
