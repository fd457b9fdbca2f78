//! Options and their values.

use super::Transcript;

#[test]
fn messages_about_the_command_line() {
    let mut transcript = Transcript::new();
    transcript.section("Commands");
    for arguments in ["", "frobnicate", "serv", "--colour", "check", "render", "render a.yaml b.yaml", "schema a.yaml"]
    {
        transcript.run(arguments);
    }

    transcript.section("Options of serve");
    transcript.run("serve");
    for option in [
        "--listen nowhere",
        "--listen :50051",
        "--listen unix:ext-proc.sock",
        "--listen unix:@cellgate",
        "--socket-mode 0o660",
        "--tls-client-san *.example.com",
        "--tls-client-san spiffe://Example.com/gateway",
        "--tls-client-san https://example.com/gateway",
        "--tls-min-version 1.1",
        "--admin 127.0.0.1",
        "--log-format xml",
        "--log-level ''",
        "--log-level warning",
        "--log-level info,cellgate",
        "--log-level info,==",
        "--log-level cellgate_ext_proc=loud",
        "--log-level off,[{client}]=off",
        "--decision-timeout soon",
        "--decision-timeout 10",
        "--decision-timeout 0s",
        "--drain-delay -1s",
        "--drain-timeout 1.5s",
        "--max-held-bytes 0",
        "--max-held-bytes 512MB",
        "--not-ready-above 101",
        "--not-ready-above +5",
        "--not-ready-above 80%",
        "--not-ready-after -1s",
        "--max-message-bytes 99999999999GiB",
        "--max-streams 0",
        "--max-streams many",
        "--limit-store-replicas 0",
        "--lease-term 999ms",
        "--lease-term 61s",
        "--lease-term soon",
        "--sync-interval 99ms",
        "--sync-interval 11s",
        "--sync-interval 1",
        "--plain-text --sync-interval 5s",
        "--plain-text --lease-term 1s --sync-interval 500ms",
        "--plain-text --otlp-endpoint collector:4317",
        "--plain-text --otlp-endpoint http://collector:0",
        "--plain-text --otlp-endpoint https://user:secret@collector",
        "--plain-text --otlp-endpoint https://collector/?token=secret",
        "--plain-text --otlp-endpoint http://collector --otlp-protocol http/json",
        "--trace-sample-percent 101",
        "--trace-sample-percent 1%",
    ] {
        transcript.run(&format!("serve --config good.yaml {option}"));
    }
    for variable in [
        ("CELLGATE_LISTEN", "nowhere"),
        ("CELLGATE_PLAIN_TEXT", "maybe"),
        ("CELLGATE_TLS_CLIENT_SAN", "gateway.example.com,"),
        ("CELLGATE_LOG_FORMAT", "xml"),
        ("CELLGATE_LOG_LEVEL", "warning"),
        ("CELLGATE_DRAIN_TIMEOUT", "30"),
        ("CELLGATE_MAX_STREAMS", "-1"),
    ] {
        transcript.run_in(&[variable], "serve --config good.yaml");
    }
    for variable in
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:secret@collector"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "secret")]
    {
        transcript.run_in(&[variable], "serve --config good.yaml --plain-text");
    }

    transcript.section("Options of decide");
    transcript.run("decide");
    for options in [
        "--request a.http --body b.json",
        "--first-chunk 0",
        "--output xml",
        "--request - --body -",
        "--config - --request -",
    ] {
        transcript.run(&format!("decide --config good.yaml {options}").replace("good.yaml --config ", ""));
    }

    transcript.section("Options of doctor");
    transcript.run("doctor");
    for options in [
        "--admin localhost:15000",
        "--admin https://localhost:15000",
        "--admin http://",
        "--admin http://localhost:15000/?pretty",
        "--admin http://localhost:15000 --config-dump dump.json",
        "--istiod http://localhost:15014",
        "--istiod http://localhost:15014 --proxy gateway",
        "--istiod http://localhost:15014 --proxy gate/way.istio-ingress",
        "--admin http://localhost:15000 --proxy gateway.istio-ingress",
        "--admin http://localhost:15000 --token token",
        "--config-dump dump.json --output xml",
    ] {
        transcript.run(&format!("doctor {options}"));
    }

    transcript.section("Options of inspect");
    transcript.run("inspect");
    for options in [
        "https://localhost:9902",
        "http://",
        "'localhost:9902/?pretty'",
        "'not a URL'",
        "localhost:9902 --timeout 0s",
        "localhost:9902 --json --output text",
        "localhost:9902 --output xml",
    ] {
        transcript.run(&format!("inspect {options}"));
    }

    transcript.section("Options of probe");
    transcript.run("probe");
    transcript.run("probe --config good.yaml --url http://localhost");
    for options in [
        "--url localhost:80",
        "--url https://gateway",
        "--url http://gateway/path",
        "--url http://gateway --header nothing",
        "--url http://gateway --header 'x y: 1'",
        "--url http://gateway --header 'X-Cell: cell-a'",
        "--url http://gateway --header 'x-cellgate-defer: 1'",
        "--url http://gateway --key cell-a",
        "--url http://gateway --key cell-z=acme",
        "--url http://gateway --key cell-a=acme",
        "--url http://gateway --deadline 0s",
        "--url http://gateway --deadline 1d",
    ] {
        transcript.run(&format!("probe --config good.yaml --host probe.test {options}"));
    }

    transcript.section("Options of neighbours");
    transcript.run("neighbours");
    for options in [
        "--api localhost:8001",
        "--api https://kubernetes",
        "--api http://localhost:8001 --objects objects.json",
        "--objects objects.json --service-account directory",
    ] {
        transcript.run(&format!("neighbours --plan plan.json {options}"));
    }

    transcript.section("Output that cannot be written");
    for arguments in ["schema", "render good.yaml", "check good.yaml", "decide --config good.yaml", "--help"] {
        transcript.run_to_full_device(arguments);
    }
    transcript.check("command-line.txt");
}
