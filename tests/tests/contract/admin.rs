//! Envoy's admin interface and access log, as `cellgate doctor`, `cellgate explain`, the alerts and the dashboards read them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use cellgate_tests::artifacts;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};

use crate::record::{EnvoyVersion, Facts, Records, Subject, check};
use crate::reduce::{contains, reduced};
use crate::support::{counted, key_last};

pub(crate) const SUBJECT: Subject =
    Subject { name: "admin", title: "The admin interface and the access log, as Cellgate reads them" };

/// The part of `/config_dump?include_eds` on which a finding of `cellgate doctor` depends.
const DUMP: &str = "config_dump, without what no finding of doctor depends on";

/// The chart puts names together of this and an end.
const BEGINNING: &str = "envoy_http_ext_proc_cellgate";

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_interface_has_what_cellgate_reads() {
    let stack = Stack::start(Options::default().example()).await;
    // One request that the filter decides, and one that it defers.
    for (path, body, status) in
        [("/decided", key_last("acme", 100), 200), ("/deferred", key_last("acme", 200_000), 200)]
    {
        let answer = stack.post_json(path, body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    stack.send(&Request::get("/stripped").header("x-tenant-id", "acme").header("x-cell", "cell-c")).await;
    counted(&stack, "stripped_headers", 1).await;
    stack.admin().wait_for_stat("cluster.ext-proc.upstream_rq_active", |active| active == 0).await;

    let mut facts = Facts::default();
    let address = stack.admin().address();
    facts.add("findings of doctor --admin", findings(&["--admin", &format!("http://{address}")]));
    facts.add(DUMP, dump(&stack).await);
    facts.add("server_info", server_info(&get(&stack, "/server_info").await.json()));
    facts.add("statistics that doctor reads", statistics(&get(&stack, "/stats?format=json").await.json()));
    facts.add("series of the chart's alerts and dashboards", series(&get(&stack, "/stats/prometheus").await.text()));
    for path in ["/decided", "/deferred"] {
        facts.add(format!("access log of the example: {path}"), access_entry(&stack, path).await);
    }
    check(SUBJECT, &facts);
}

async fn get(stack: &Stack, path: &str) -> Response {
    let answer = stack.admin().get(path).await.unwrap();
    assert_eq!(answer.status, 200, "{path}");
    answer
}

/// The findings of the doctor, one a line.
fn findings(source: &[&str]) -> String {
    let mut command = Command::new(artifacts::cellgate().unwrap());
    let output = command.args(["doctor", "--output", "json"]).args(source).output().unwrap();
    // A reduced dump may be none.
    let report = without_path(&String::from_utf8_lossy(&output.stdout));
    let lines = report["findings"].as_array().into_iter().flatten().map(|finding| {
        let places: Vec<&str> = finding["places"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let [section, level, what] =
            ["section", "level", "what"].map(|name| finding[name].as_str().unwrap_or_default());
        format!("{level} {section} {}: {what}", places.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A document of JSON in which the path of the module, which is another one on each machine, is `MODULE`.
fn without_path(text: &str) -> Value {
    let path = artifacts::wasm().unwrap().canonicalize().unwrap();
    serde_json::from_str(&text.replace(path.to_str().unwrap(), "MODULE")).unwrap_or_default()
}

/// The findings for a dump in a file.
fn findings_of(dump: &Value, directory: &Path) -> String {
    let file = directory.join("dump.json");
    std::fs::write(&file, dump.to_string()).unwrap();
    findings(&["--config-dump", file.to_str().unwrap()])
}

/// The recorded part of the dump if Envoy still has it and the doctor still finds the same. Otherwise the part of now.
async fn dump(stack: &Stack) -> String {
    let mut live = without_path(&get(stack, "/config_dump?include_eds").await.text());
    sort(&mut live);
    let directory = tempfile::tempdir().unwrap();
    let expected = findings_of(&live, directory.path());
    assert!(expected.lines().count() > 10, "{expected}");
    let records = Records::read(artifacts::checkout(), SUBJECT).unwrap();
    let version = EnvoyVersion::under_test().unwrap();
    let facts = records.versions.get(&version).or_else(|| records.versions.values().next_back());
    let recorded = facts.and_then(|facts| facts.get(DUMP)).unwrap_or_default();
    let part: Value = serde_json::from_str(recorded).unwrap_or_default();
    if contains(&live, &part) && findings_of(&part, directory.path()) == expected {
        return recorded.to_owned();
    }
    // Hundreds of runs of the doctor.
    let part = reduced(live, &mut |changed| findings_of(changed, directory.path()) == expected);
    serde_json::to_string_pretty(&part).unwrap()
}

/// Sorts the resources of each type by name: Envoy keeps some in the order of a hash.
fn sort(dump: &mut Value) {
    for config in dump["configs"].as_array_mut().into_iter().flatten() {
        for list in config.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
            if let Value::Array(resources) = list {
                resources.sort_by_key(|resource| {
                    ["/cluster/name", "/endpoint_config/cluster_name", "/name"]
                        .map(|pointer| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned())
                });
            }
        }
    }
}

fn server_info(info: &Value) -> String {
    let version = info["version"].as_str().unwrap_or_default();
    let node = &info["node"]["id"];
    format!(
        "version: {} parts, the second is the version\nstate: {}\nnode.id: {node}",
        version.split('/').count(),
        info["state"]
    )
}

/// The names in which `cli/src/doctor/updates.rs` is interested.
fn statistics(stats: &Value) -> String {
    let names = stats["stats"].as_array().into_iter().flatten().filter_map(|stat| stat["name"].as_str());
    let is_read = |name: &&str| {
        [".update_rejected", ".config_fail", ".config_conflict"].iter().any(|end| name.ends_with(end))
            || name.starts_with("wasm.") && name.contains("cellgate.vm_reload_")
            || *name == "wasm.remote_load_fetch_failures"
            || name.starts_with("wasmcustom.cellgate.decisions.cell.exact")
    };
    names.filter(is_read).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

/// Each series of Envoy that the chart names, with its labels, or that this Envoy has it not.
fn series(metrics: &str) -> String {
    let lines = named_in_chart().into_iter().flat_map(|name| {
        let samples = metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let rest = line.strip_prefix(&*name)?;
            // A name that ends with `_` is the beginning of several.
            (rest.starts_with(['{', ' ']) || name.ends_with('_')).then(|| format!("{name}{}", labels(rest)))
        });
        let mut found: BTreeSet<String> = samples.collect();
        if found.is_empty() {
            found.insert(format!("{name}: none"));
        }
        found
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The names of labels behind the name of a series.
fn labels(rest: &str) -> String {
    let (name, labels) = rest.split_once('{').unwrap_or((rest.split(' ').next().unwrap_or_default(), ""));
    let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
    let names: Vec<&str> = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name).collect();
    format!("{name}{{{}}}", names.join(","))
}

/// Envoy's series in the chart's templates and dashboards, and the filter's counters, which Envoy exports as `cellgate_`.
fn named_in_chart() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["decisions", "stripped_headers"].map(|name| format!("cellgate_{name}")).into();
    for folder in ["templates", "dashboards"] {
        for entry in std::fs::read_dir(artifacts::checkout().join("charts/cellgate").join(folder)).unwrap() {
            // A folder is none of a template.
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            // The first is a field of a configuration.
            let words = words.filter(|word| word.starts_with("envoy_") && *word != "envoy_grpc");
            names.extend(words.map(|word| if word == BEGINNING { format!("{word}_") } else { word.to_owned() }));
        }
    }
    names
}

/// The entry that `cellgate explain` reads, with a placeholder for what each run has its own.
async fn access_entry(stack: &Stack, path: &str) -> String {
    let file = stack.envoy().example_log();
    let found = wait::until("the line of the example's access log", || async {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(lines.into_iter().find(|line| line["path"] == path))
    });
    let mut entry = found.await.unwrap();
    for (name, value) in entry.as_object_mut().unwrap() {
        if name.ends_with("_ms") && value.is_number() {
            *value = json!("a number");
        } else if ["time", "request_id", "upstream_host", "bytes_sent"].contains(&name.as_str()) && !value.is_null() {
            *value = json!(format!("a {}", if value.is_number() { "number" } else { "text" }));
        }
    }
    serde_json::to_string_pretty(&entry).unwrap()
}
