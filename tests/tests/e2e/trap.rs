//! A trap of the filter fails the open requests of its worker, and Envoy reloads the VM once.
//!
//! No client can cause a trap, so another filter does: it adds a header whose name is not UTF-8, and the proxy-wasm SDK
//! panics on it.

use cellgate_tests::client::Request;
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::json;

use crate::support::{connection_manager, counted, read_by_envoy};

const ACME: &str = r#"{"tenant":{"id":"acme"}}"#;

/// A Lua filter that adds the header. The name has a part that logs must not show.
const HOSTILE: &str = r#"
function envoy_on_request(handle)
  if handle:headers():get("x-trap") then
    handle:headers():add("s3cr3t-\255", "v")
  end
end
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_fails_open_requests_and_causes_one_reload() {
    let options = Options::default().chain(Chain::Filter).adjust(|bootstrap| {
        let lua = json!({
            "name": "hostile",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": HOSTILE},
            },
        });
        connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap().insert(0, lua);
    });
    let stack = Stack::start(options).await;
    stack.envoy().process().may_crash();
    assert_eq!(stack.post_json("/", ACME).await.cell(), "cell-b");
    counted(&stack, "decisions.cell.exact", 1).await;

    // A request that waits for the rest of its body.
    let mut held = stack.connect().await;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        ACME.len()
    );
    let before = crate::support::bytes_read(&stack).await;
    held.write([head.as_bytes(), &ACME.as_bytes()[..5]].concat()).await.unwrap();
    read_by_envoy(&stack, before + head.len() + 5).await;

    assert_eq!(stack.send(&Request::post("/").header("x-trap", "1").json(ACME)).await.status, 503);
    held.write(&ACME.as_bytes()[5..]).await.unwrap();
    assert_eq!(held.response("POST").await.unwrap().status, 503);

    // Envoy answers 503 until the back-off before the reload is over.
    let decided = || async {
        let answer = stack.post_json("/", ACME).await;
        assert!([200, 503].contains(&answer.status.as_u16()), "{answer:?}");
        Ok((answer.status == 200).then_some(answer))
    };
    assert_eq!(wait::until("the VM to be reloaded", decided).await.unwrap().cell(), "cell-b");
    assert_eq!(stack.admin().stat("wasm.cellgate.vm_reload_success").await.unwrap(), 1);
    assert_eq!(stack.admin().stat("wasm.cellgate.vm_reload_failure").await.unwrap(), 0);
    // The counts that the old VM published remain, and the new VM adds to them.
    counted(&stack, "decisions.cell.exact", 2).await;
    assert_eq!(stack.cell("cell-b").complete(), 2);

    let log = stack.envoy().process().log();
    assert!(log.contains("cellgate: panicked at ") && log.contains("message not shown"), "{log}");
    assert!(!log.contains("s3cr3t"), "{log}");
}
