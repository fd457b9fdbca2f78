//! The lines that a user copies: those of docs/observe.md, and those that `helm install` prints.

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;
use cellgate_tests::mesh::collector::HOST;
use cellgate_tests::mesh::release::Release;
use serde_json::Value;

/// What the notes have for the collector, because the chart cannot know it.
const PLACEHOLDER: &str = "COLLECTOR.NAMESPACE.svc.cluster.local";

/// The YAML of "In Istio" in docs/observe.md.
pub(super) struct Documented {
    mesh_config: Value,
    pub(super) values: Value,
    /// The Telemetry of the cells' sidecars.
    pub(super) telemetry: Value,
}

impl Documented {
    pub(super) fn read() -> Result<Self> {
        let file = artifacts::checkout().join("docs/observe.md");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let section = text.split_once("### In Istio\n").context("docs/observe.md has no `### In Istio`")?.1;
        let section = section.split("\n## ").next().unwrap_or_default();
        let blocks = section.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
        let blocks: Vec<Value> = blocks
            .map(|block| serde_saphyr::from_str(block).with_context(|| block.to_owned()))
            .collect::<Result<_>>()?;
        let find = |what: &str, is_meant: &dyn Fn(&Value) -> bool| {
            let found = blocks.iter().find(|block| is_meant(block)).cloned();
            found.with_context(|| format!("docs/observe.md has no block with {what}"))
        };
        Ok(Self {
            mesh_config: find("extensionProviders", &|block| block["extensionProviders"].is_array())?,
            values: find("istio.telemetry", &|block| block["istio"]["telemetry"].is_object())?,
            telemetry: find("a Telemetry", &|block| block["kind"] == "Telemetry")?,
        })
    }

    /// Fails if the notes have another provider than the document, which shortens only the labels of the access log.
    pub(super) fn must_agree_with(&self, notes: &Value) -> Result<()> {
        let (mut shown, mut all) = (self.mesh_config.clone(), notes.clone());
        let labels =
            |lines: &mut Value| lines["extensionProviders"][1]["envoyFileAccessLog"]["logFormat"]["labels"].take();
        let (some, every) = (labels(&mut shown), labels(&mut all));
        ensure!(shown == all, "docs/observe.md has {shown}, and the notes have {all}");
        let some = some.as_object().context("docs/observe.md has no labels")?;
        ensure!(
            some.iter().all(|(name, value)| every[name] == *value),
            "the notes have other labels than docs/observe.md"
        );
        Ok(())
    }
}

/// The lines of MeshConfig in the notes of an installed release, with the collector of this mesh.
pub(super) async fn notes(release: &Release) -> Result<Value> {
    let printed = release.helm().run(&["get", "notes", release.name()]).await?;
    let (_, lines) = printed
        .split_once("which MeshConfig must have")
        .with_context(|| format!("the notes have no lines of MeshConfig:\n{printed}"))?;
    let lines = lines.lines().skip(1).skip_while(|line| line.is_empty()).take_while(|line| line.starts_with("  "));
    let lines = lines.collect::<Vec<_>>().join("\n");
    ensure!(lines.contains(PLACEHOLDER), "the notes do not name the collector as {PLACEHOLDER}:\n{lines}");
    serde_saphyr::from_str(&lines.replace(PLACEHOLDER, HOST)).context(lines)
}
