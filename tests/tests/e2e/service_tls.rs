//! Envoy and the service with TLS in both directions, by the cluster of `examples/envoy/cluster-tls.yaml`.

use std::path::PathBuf;

use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{arrived, connection_manager, key_first, key_last, wait_for_metric};

const CLUSTER: &str = include_str!("../../../examples/envoy/cluster-tls.yaml");

/// The identities of the example.
const ENVOY: &str = "spiffe://example.com/envoy";
const SERVICE: &str = "spiffe://example.com/cellgate";

/// Certificates of both sides, in files.
struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Pki {
    /// Certificates for these identities.
    fn new(envoy: &str, service: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { authority, directory: tempfile::tempdir().unwrap() };
        std::fs::write(pki.path("ca.crt"), pki.authority.pem()).unwrap();
        pki.issue("envoy", envoy);
        pki.issue("service", service);
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a certificate and its key.
    fn issue(&self, name: &str, id: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        for (ending, text) in [("crt", certificate.pem()), ("key", key.serialize_pem())] {
            let draft = self.path("draft");
            std::fs::write(&draft, text).unwrap();
            std::fs::rename(draft, self.path(&format!("{name}.{ending}"))).unwrap();
        }
    }

    /// The stack of the example, with its cluster.
    fn example(&self) -> Options {
        self.service(Options::default().example()).adjust(self.cluster("cellgate"))
    }

    /// The service alone decides every request.
    fn service_alone(&self) -> Options {
        self.service(Options::default().chain(Chain::Service(BodyMode::Buffered))).adjust(self.cluster("ext-proc"))
    }

    fn service(&self, options: Options) -> Options {
        let file = |name: &str| self.path(name).to_str().unwrap().to_owned();
        options
            .service_option("--tls-cert", &file("service.crt"))
            .service_option("--tls-key", &file("service.key"))
            .service_option("--tls-client-ca", &file("ca.crt"))
            .service_option("--tls-client-san", ENVOY)
    }

    /// For [`Options::adjust`]: the transport of the example's cluster, with the files of this test.
    fn cluster(&self, name: &'static str) -> impl FnOnce(&mut Value) + Send + 'static {
        let text = CLUSTER
            .replace("/etc/envoy/ca.crt", self.path("ca.crt").to_str().unwrap())
            .replace("/etc/envoy/tls.", self.path("envoy.").to_str().unwrap());
        let example: Value = serde_saphyr::from_str(&text).unwrap();
        move |bootstrap| {
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
            let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == name).unwrap();
            for field in ["transport_socket", "typed_extension_protocol_options"] {
                cluster[field] = example[field].clone();
            }
        }
    }
}

fn handshakes(result: &str) -> String {
    format!("cellgate_tls_handshakes_total{{result=\"{result}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_verify_each_other_by_spiffe_id() {
    let pki = Pki::new(ENVOY, SERVICE);
    for options in [pki.example(), pki.service_alone()] {
        let stack = Stack::start(options).await;
        let body = key_last("acme", 200_000);
        assert_eq!(stack.post_json("/", body.clone()).await.cell(), "cell-b");
        wait_for_metric(&stack, &handshakes("ok"), 1.0).await;
        // Renewed files end no connection.
        pki.issue("service", SERVICE);
        wait_for_metric(&stack, r#"cellgate_tls_reloads_total{result="ok"}"#, 1.0).await;
        assert_eq!(stack.post_json("/", body).await.cell(), "cell-b");
        assert_eq!(stack.ext_proc().metric(&handshakes("ok")).await.unwrap(), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_with_another_certificate_is_refused_and_the_log_says_why() {
    let pki = Pki::new("spiffe://example.com/other", SERVICE);
    let stack = Stack::start(pki.example()).await;
    let answer = stack.post_json("/", key_last("acme", 200_000)).await;
    assert_eq!((answer.status.as_u16(), arrived(&stack)), (503, 0));
    wait_for_metric(&stack, &handshakes("san_not_admitted"), 1.0).await;
    let line = stack.ext_proc().logged(&["connection_refused"]).await.unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let fields = if line["fields"].is_object() { &line["fields"] } else { &line };
    assert_eq!(fields["reason"], "san_not_admitted", "{line}");
    assert_eq!(fields["error"], "no name of the client's certificate is admitted: spiffe://example.com/other");
    assert!(fields["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    // The filter decides the others.
    assert_eq!(stack.post_json("/", key_first("acme", 100)).await.cell(), "cell-b");
}

/// With `failure_mode_allow`, the request continues without a cell, and no cell's route matches it.
#[tokio::test(flavor = "multi_thread")]
async fn with_failure_mode_allow_a_refused_envoy_routes_nothing() {
    let pki = Pki::new("spiffe://example.com/other", SERVICE);
    let stack = Stack::start(pki.service_alone().adjust(|bootstrap| {
        connection_manager(bootstrap)["http_filters"][0]["typed_config"]["failure_mode_allow"] = json!(true);
    }))
    .await;
    let answer = stack.post_json("/", key_first("acme", 100)).await;
    assert_eq!((answer.status.as_u16(), arrived(&stack)), (421, 0));
    wait_for_metric(&stack, &handshakes("san_not_admitted"), 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_refuses_another_service() {
    let pki = Pki::new(ENVOY, "spiffe://example.com/other");
    let stack = Stack::start(pki.service_alone()).await;
    let answer = stack.post_json("/", key_first("acme", 100)).await;
    assert_eq!((answer.status.as_u16(), arrived(&stack)), (503, 0));
    wait_for_metric(&stack, &handshakes("refused_by_client"), 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_speaks_plain_text_is_refused() {
    let pki = Pki::new(ENVOY, SERVICE);
    let stack = Stack::start(pki.service(Options::default().chain(Chain::Service(BodyMode::Buffered)))).await;
    let answer = stack.post_json("/", key_first("acme", 100)).await;
    assert_eq!((answer.status.as_u16(), arrived(&stack)), (503, 0));
    wait_for_metric(&stack, &handshakes("plain_text"), 1.0).await;
}

/// Envoy offers at most TLS 1.2 to a cluster, unless it is told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_with_its_default_versions_is_refused_or_needs_tls_1_2() {
    let pki = Pki::new(ENVOY, SERVICE);
    let default_versions = || {
        pki.service_alone().adjust(|bootstrap| {
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
            let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "ext-proc").unwrap();
            let tls = cluster["transport_socket"]["typed_config"]["common_tls_context"].as_object_mut().unwrap();
            assert!(tls.remove("tls_params").is_some());
        })
    };
    let stack = Stack::start(default_versions()).await;
    let answer = stack.post_json("/", key_first("acme", 100)).await;
    assert_eq!((answer.status.as_u16(), arrived(&stack)), (503, 0));
    wait_for_metric(&stack, &handshakes("version"), 1.0).await;
    stack.ext_proc().logged(&["tls_maximum_protocol_version: TLSv1_3"]).await.unwrap();

    let stack = Stack::start(default_versions().service_option("--tls-min-version", "1.2")).await;
    assert_eq!(stack.post_json("/", key_first("acme", 100)).await.cell(), "cell-b");
}
