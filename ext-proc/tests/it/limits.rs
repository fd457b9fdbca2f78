//! A service with rate limits and a token for its admin port.

use std::path::PathBuf;

use cellgate_ext_proc::Settings;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use serde_json::Value;

use crate::peer::{Peer, head};
use crate::support::{CONFIG, Service, request};

/// A token that must not appear in an answer or a log line.
pub(crate) const TOKEN: &str = "token-of-the-test-4711";

/// An API key that must not appear either.
pub(crate) const API_KEY: &str = "sk_live_0815";

pub(crate) const LIMITS: &str = "
rate_limits:
  - name: per-tenant
    key: [routing_key]
    limit: 100/h;burst=20
    plans: { pro: 1000/h }
    plan_of: { globex: pro }
    overrides: { sk_live_4242: 7/h }
  - name: per-key
    key: [cell, { header: x-api-key, case: lower }]
    limit: 3/d
    shadow: true
    when_store_fails: deny
  - name: by-plan
    key: [method]
    plans: { gold: 9/h }
    plan_from: { claim: /plan }
    limit: 100/h
  - name: carried
    key: []
    limit_from: { claim: /limit, at_most: 5/s }
    cost: { content_length: 64KiB, otherwise: 2 }
";

/// A service, and the file of its token.
pub(crate) struct LimitedService {
    pub(crate) service: Service,
    pub(crate) token_file: PathBuf,
}

impl LimitedService {
    pub(crate) async fn start() -> Self {
        Self::start_with(LIMITS, |_| {}).await
    }

    pub(crate) async fn start_with(limits: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut token_file = PathBuf::new();
        let service = Service::start_with(|settings| {
            std::fs::write(&settings.config, format!("{CONFIG}{limits}")).unwrap();
            token_file = settings.config.with_file_name("token");
            std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
            settings.admin_token = Some(token_file.clone());
            change(settings);
        })
        .await;
        Self { service, token_file }
    }

    /// A request to the admin port with a token.
    pub(crate) async fn ask(&self, method: &str, path: &str, token: &str) -> (u16, String) {
        let authorization = format!("Bearer {token}");
        let (status, head, body) =
            request(self.service.admin, method, path, &[("authorization", &authorization)]).await;
        for secret in [TOKEN, API_KEY, "sk_live_4242"] {
            assert!(!head.contains(secret) && !body.contains(secret), "{head}\n{body}");
        }
        (status, body)
    }

    /// The JSON document of a request that succeeds.
    pub(crate) async fn document(&self, method: &str, path: &str) -> Value {
        let (status, body) = self.ask(method, path, TOKEN).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A request of a tenant with an API key, through the service.
    pub(crate) async fn send(&self, tenant: &str, key: &str) {
        let mut peer = Peer::open(&self.service).await;
        peer.send(head(BodySendMode::None, &[("x-tenant-id", tenant), ("x-api-key", key)], true)).await;
        peer.response().await;
    }
}
