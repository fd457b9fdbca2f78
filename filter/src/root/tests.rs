//! Valid and invalid configurations.

use std::rc::Rc;

use proxy_wasm::types::LogLevel;

use crate::fake::{CONFIG, Fake};
use crate::root::Root;

fn configure(host: &Fake, configuration: &[u8]) -> (Root<Fake>, bool) {
    host.world().configuration = Some(configuration.to_owned());
    let mut root = Root::new(host.clone(), Rc::default());
    let accepted = root.configure();
    (root, accepted)
}

#[test]
fn a_valid_configuration_is_logged_once() {
    let host = Fake::default();
    for _worker in 0..3 {
        let (root, accepted) = configure(&host, CONFIG.as_bytes());
        assert!(accepted);
        assert!(root.plugin.is_some());
    }
    let log = host.world().log.clone();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0].0, LogLevel::Info);
    for part in ["cellgate 0.", "build ", "test-1", "2 cells"] {
        assert!(log[0].1.contains(part), "{log:?}");
    }
}

#[test]
fn a_changed_configuration_is_logged_again_under_the_same_label() {
    let host = Fake::default();
    configure(&host, CONFIG.as_bytes());
    configure(&host, CONFIG.replace("globex", "initech").as_bytes());
    assert_eq!(host.world().log.len(), 2);
}

#[test]
fn an_invalid_configuration_is_refused_with_its_reason() {
    for (configuration, reason) in [
        (&b""[..], "plugin configuration"),
        (b"{\"cells\": \xff}", "not UTF-8 from byte 10 on"),
        (b"{", "plugin configuration:1:"),
        (CONFIG.replace("\"cells\"", "\"cels\"").as_bytes(), "cels"),
    ] {
        let host = Fake::default();
        let (root, accepted) = configure(&host, configuration);
        assert!(!accepted);
        assert!(root.plugin.is_none());
        let log = host.world().log.clone();
        assert!(log.iter().all(|(level, _)| *level == LogLevel::Error));
        assert!(log.iter().any(|(_, line)| line.contains("refused") && line.contains(reason)), "{log:?}");
        assert_eq!(host.counter("cellgate.config_rejected"), 1);
    }
}

/// Envoy's log shows a line for each problem, with the whole prefix.
#[test]
fn each_problem_of_a_configuration_is_one_line() {
    let host = Fake::default();
    let (_, accepted) = configure(&host, b"{\n\"routing-header\": \"x\",\n\"cells\": 7,\n\"shadw\": true\n}");
    assert!(!accepted);
    let log = host.world().log.clone();
    let lines: Vec<_> = log.iter().map(|(_, line)| line.rsplit_once(": ").unwrap().0).collect();
    assert_eq!(
        lines,
        [
            "cellgate: configuration refused: plugin configuration:1:1: key",
            "cellgate: configuration refused: plugin configuration:1:1: placement",
            "cellgate: configuration refused: plugin configuration:2:1: routing-header",
            "cellgate: configuration refused: plugin configuration:3:10: cells",
            "cellgate: configuration refused: plugin configuration:4:1: shadw",
        ]
    );
}

#[test]
fn a_refused_change_leaves_the_old_configuration_in_force() {
    let host = Fake::default();
    let (mut root, _) = configure(&host, CONFIG.as_bytes());
    host.world().configuration = Some(b"{}".into());
    assert!(!root.configure());
    assert!(root.plugin.is_some());
}
