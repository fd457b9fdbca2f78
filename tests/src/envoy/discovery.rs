//! Delivers the filter's configuration: a discovery response in a file that is replaced by rename.
//!
//! This is extension configuration discovery without a control plane. Envoy watches the directory and loads the new
//! configuration while requests run.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::FILTER;
use crate::artifacts;
use crate::options::Options;

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The file and its contents.
#[derive(Debug)]
pub(super) struct FilterDiscovery {
    directory: PathBuf,
    module: PathBuf,
    version: AtomicU64,
}

impl FilterDiscovery {
    /// Writes the first version.
    pub(super) fn new(options: &Options, run: &Path) -> Result<Self> {
        let module = options.module.clone().map_or_else(artifacts::wasm, Ok)?;
        let module = module.canonicalize().with_context(|| format!("{}", module.display()))?;
        let directory = run.join("discovery");
        std::fs::create_dir_all(&directory)?;
        let discovery = Self { directory, module, version: AtomicU64::new(0) };
        discovery.publish(&options.effective_config().to_string())?;
        Ok(discovery)
    }

    /// The entry for the filter in the list of HTTP filters.
    pub(super) fn http_filter(&self) -> Value {
        json!({
            "name": FILTER,
            "config_discovery": {
                "config_source": {
                    "path_config_source": {
                        "path": self.file(),
                        "watched_directory": {"path": self.directory},
                    },
                    "resource_api_version": "V3",
                },
                "type_urls": [WASM],
            },
        })
    }

    /// Replaces the filter's configuration.
    pub(super) fn publish(&self, config: &str) -> Result<()> {
        let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
        let response = json!({
            "version_info": version.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": FILTER,
                "typed_config": self.filter(config),
            }],
        });
        let draft = self.directory.join("draft");
        std::fs::write(&draft, response.to_string())?;
        std::fs::rename(&draft, self.file())?;
        Ok(())
    }

    fn filter(&self, config: &str) -> Value {
        json!({
            "@type": WASM,
            "config": {
                "name": FILTER,
                "allow_on_headers_stop_iteration": true,
                // By default, Envoy answers 503 forever after one trap.
                "failure_policy": "FAIL_RELOAD",
                "reload_config": {"backoff": {"base_interval": "0.05s"}},
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": config},
                "vm_config": {
                    "vm_id": FILTER,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": self.module}},
                },
            },
        })
    }

    fn file(&self) -> PathBuf {
        self.directory.join("filter.json")
    }
}
