//! Builds requests with a key, or without one, in a source of the configuration.

use cellgate_routing::source::{HostTemplate, Place, Source, Template};
use cellgate_routing::{Config, Decider, Format, HeadResult, Outcome, Scope, ValueRule, default_types};
use serde_json::Value;

use super::bodies::{FILLER, body, percent};
use cellgate_ext_proc::decide::{Parts, Request};

/// Stands for any text of a value. It has no character that ends a part.
const VALUE_FILLER: &str = "0";

/// Builds requests, and asks the decision core for their outcome.
pub(super) struct RequestBuilder<'a> {
    decider: &'a Decider,
    /// The host of every request, or a pattern of hosts.
    host: &'a str,
    headers: &'a [String],
    /// Whose `content_types` are read.
    json: &'a Value,
}

impl<'a> RequestBuilder<'a> {
    /// `host` is a host or a pattern such as `*.example.com`; `headers` are added to every request; `json` is the
    /// configuration as JSON.
    pub(super) fn new(decider: &'a Decider, host: &'a str, headers: &'a [String], json: &'a Value) -> Self {
        Self { decider, host, headers, json }
    }

    /// A media type that is read as this format.
    fn content_type(&self, format: Format) -> Option<String> {
        let written = self.json.get("content_types").and_then(|types| types.get(format.name())?.as_array());
        match written {
            Some(list) => list.iter().filter_map(Value::as_str).map(|kind| kind.replace('*', FILLER)).next(),
            None => default_types(format).first().map(|kind| (*kind).to_owned()),
        }
    }

    fn config(&self) -> &Config {
        self.decider.config()
    }

    /// A request with a key in a source.
    pub(super) fn with_key(&self, source: &Source, key: &str) -> Option<Parts> {
        let value = value(&source.rule, key)?;
        match &source.place {
            Place::Header(name) => self.without_body(&self.path()?, Some(format!("{name}: {value}"))),
            Place::Cookie(name) => {
                let value = if source.rule.then.is_some() { percent(&value) } else { value };
                self.without_body(&self.path()?, Some(format!("cookie: {name}={value}")))
            }
            Place::Query(name) => {
                self.without_body(&format!("{}?{}={}", self.path()?, percent(name), percent(&value)), None)
            }
            Place::Path(template) => self.without_body(&self.filled(template, &value)?, None),
            Place::Host(template) => {
                let host = self.filled_host(template, &value)?;
                Some(Parts { headers: self.headers(host), ..self.without_body(&self.path()?, None)? })
            }
            _ => self.with_body(source, &body(&source.place, &value, 0)?),
        }
    }

    /// As [`RequestBuilder::with_key`], with a body of about `size` bytes that ends with the key.
    pub(super) fn with_late_key(&self, source: &Source, key: &str, size: usize) -> Option<Parts> {
        self.with_body(source, &body(&source.place, &value(&source.rule, key)?, size)?)
    }

    /// A request of the same kind without a key.
    pub(super) fn without_key(&self, source: &Source) -> Option<Parts> {
        match source.place {
            Place::Json(_) => self.with_body(source, b"{}"),
            Place::Form(_) => self.with_body(source, FILLER.as_bytes()),
            _ => self.without_body(&self.path()?, None),
        }
    }

    /// The outcome of a request, by the decision core.
    pub(super) fn outcome(&self, parts: &Parts) -> Option<Outcome> {
        let request = Request::from_parts(parts.clone()).ok()?;
        let decision = match self.decider.open(request.fields.as_slice(), request.end_of_stream) {
            HeadResult::Decided(decision) => decision,
            HeadResult::NeedsBody(mut reading) => match reading.push(&request.body) {
                Ok(()) => reading.finish(),
                Err(decision) => decision,
            },
        };
        Some(decision.outcome)
    }

    fn with_body(&self, source: &Source, body: &[u8]) -> Option<Parts> {
        let mut headers = self.headers(self.any_host());
        let format = source.format()?;
        let boundary = if format == Format::Multipart { format!("; boundary={FILLER}") } else { String::new() };
        headers.push(format!("content-type: {}{boundary}", self.content_type(format)?));
        Some(Parts {
            method: Some(self.method(&["POST", "PUT", "PATCH"])?),
            path: Some(self.path()?),
            headers,
            body: Some(body.to_vec()),
            chunked: false,
        })
    }

    fn without_body(&self, path: &str, header: Option<String>) -> Option<Parts> {
        let headers = self.headers(self.any_host()).into_iter().chain(header).collect();
        let method = Some(self.method(&["GET", "POST", "PUT", "PATCH", "DELETE"])?);
        Some(Parts { method, path: Some(path.to_owned()), headers, body: None, chunked: false })
    }

    /// The headers of every request.
    fn headers(&self, host: String) -> Vec<String> {
        std::iter::once(format!("host: {host}")).chain(self.headers.iter().cloned()).collect()
    }

    fn any_host(&self) -> String {
        self.host.replace('*', FILLER)
    }

    /// A host of the template with the key, if there is one that the pattern of hosts has.
    fn filled_host(&self, template: &HostTemplate, key: &str) -> Option<String> {
        let text = template.to_string();
        let mut given = self.host.rsplit('.');
        let labels = text.rsplit('.').map(|label| match (label, given.next()) {
            ("*", Some(given)) if given != "*" => given.to_owned(),
            ("*", _) => FILLER.to_owned(),
            _ => label.replace("{key}", key),
        });
        let labels: Vec<_> = labels.collect();
        let host = labels.into_iter().rev().collect::<Vec<_>>().join(".");
        let hosts = Scope { hosts: vec![self.host.parse().ok()?], ..Scope::default() };
        hosts.lists(host.as_bytes()).then_some(host)
    }

    /// The first of these methods in scope, or any other method in scope whose response has a body.
    fn method(&self, preferred: &[&str]) -> Option<String> {
        let scope = &self.config().scope.methods;
        let in_scope = |method: &&&str| scope.is_empty() || scope.iter().any(|wanted| **wanted == ***method);
        let other = || scope.iter().map(|method| &**method).find(|method| !matches!(*method, "HEAD" | "CONNECT"));
        preferred.iter().find(in_scope).copied().or_else(other).map(str::to_owned)
    }

    /// A path in scope.
    fn path(&self) -> Option<String> {
        Some(match self.config().scope.paths.first() {
            None => format!("/{FILLER}"),
            Some(prefix) if prefix.ends_with('/') => format!("{prefix}{FILLER}"),
            Some(prefix) => prefix.to_string(),
        })
    }

    /// A path of the template with the key, in scope if there is one.
    fn filled(&self, template: &Template, key: &str) -> Option<String> {
        let text = template.to_string();
        let scope = &self.config().scope.paths;
        let prefixes = scope.iter().map(|prefix| &**prefix).chain([""]);
        let mut paths = prefixes.map(|prefix| {
            let mut given = prefix.split('/');
            let segments = text.split('/').map(|segment| {
                let given = given.next().filter(|given| !given.is_empty());
                match segment {
                    "{key}" => percent(key),
                    "*" => given.unwrap_or(FILLER).to_owned(),
                    literal => literal.to_owned(),
                }
            });
            segments.collect::<Vec<_>>().join("/")
        });
        paths.find(|path| scope.is_empty() || scope.iter().any(|prefix| path.starts_with(&**prefix)))
    }
}

/// A value from which the rule takes the key.
fn value(rule: &ValueRule, key: &str) -> Option<String> {
    let value = match &rule.part {
        None => key.to_owned(),
        Some(part) => part.to_string().replace('*', VALUE_FILLER).replace("{key}", key),
    };
    match &rule.then {
        None => Some(value),
        Some(place) => String::from_utf8(body(place, &value, 0)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_routing::{CellId, Tier};

    /// The line, the body and the outcome of the request for each source.
    fn made(key: &str, more: &str) -> Vec<(String, String, Option<Outcome>)> {
        made_for("probe.internal", "k 1", key, more)
    }

    fn made_for(host: &str, tenant: &str, key: &str, more: &str) -> Vec<(String, String, Option<Outcome>)> {
        let text =
            format!(r#"{{"routing_header":"x-cell","cells":["a"],"key":{key},"placement":{{"default":"a"}}{more}}}"#);
        let config = cellgate_config::from_json(&text, "test").unwrap_or_else(|error| panic!("{error}"));
        let decider = Decider::new(config, Tier::Service);
        let json = serde_json::from_str(&text).unwrap();
        let builder = RequestBuilder::new(&decider, host, &[], &json);
        let sources = decider.config().sources.clone();
        let requests = sources.iter().filter_map(|source| builder.with_key(source, tenant));
        requests
            .map(|parts| {
                let line = format!("{} {}", parts.method.clone().unwrap(), parts.path.clone().unwrap());
                let body = String::from_utf8_lossy(parts.body.as_deref().unwrap_or_default()).into_owned();
                (line, body, builder.outcome(&parts))
            })
            .collect()
    }

    #[test]
    fn the_core_reads_the_key_from_every_source() {
        let key = r#"[{"json":"/t/0/a~1b"},{"form":"t d"},{"header":"x-t"},{"query":"t d"},{"path":"/o/*/{key}/x"}]"#;
        let found = made(key, "");
        let lines: Vec<&str> = found.iter().map(|(line, _, _)| &**line).collect();
        assert_eq!(
            lines,
            [
                "POST /cellgate-probe",
                "POST /cellgate-probe",
                "GET /cellgate-probe",
                "GET /cellgate-probe?t%20d=k%201",
                "GET /o/cellgate-probe/k%201/x",
            ]
        );
        assert_eq!(found[0].1, r#"{"t":{"0":{"a/b":"k 1"}}}"#);
        assert_eq!(found[1].1, "t%20d=k%201");
        for (line, _, outcome) in &found {
            assert_eq!(*outcome, Some(Outcome::Cell(CellId(0))), "{line}");
        }
    }

    #[test]
    fn the_core_reads_the_key_from_bodies_of_every_format() {
        let made = |tenant: &str, key: &str| made_for("probe.internal", tenant, key, "");
        let key = r#"[{"ndjson":"/a/*/t"},{"multipart":"t d"},{"xml":"/{urn:a/b}o/*/{*}t"},{"xml":"/q/@{urn:c}t"},
            {"msgpack":"/a/[k=v]/t"},{"cbor":"/t/0"},{"protobuf":"1.16*.2"},{"multipart":"p","then":{"xml":"/r/@t"}}]"#;
        let found = made("k <&>\" 1", key);
        assert_eq!(found.len(), 8);
        for (line, body, outcome) in &found {
            assert_eq!(*outcome, Some(Outcome::Cell(CellId(0))), "{line} {body}");
        }
        for (tenant, key) in [
            (
                "-7",
                r#"[{"protobuf":"1:sint64"},{"protobuf":"2.1:int64"},{"protobuf":"3:sfixed32"},{"protobuf":"4:sfixed64"}]"#,
            ),
            (
                "300",
                r#"[{"protobuf":"1:uint32"},{"protobuf":"2:fixed32"},{"protobuf":"3:fixed64"},{"protobuf":"4:sint32"}]"#,
            ),
        ] {
            let found = made(tenant, key);
            assert_eq!(found.len(), 4);
            assert!(found.iter().all(|(_, _, outcome)| *outcome == Some(Outcome::Cell(CellId(0)))), "{found:?}");
        }
        assert_eq!(made("k", r#"[{"protobuf":"1:int64"},{"claim":"/t"}]"#), []);
    }

    #[test]
    fn requests_are_in_scope() {
        let more = r#","applies_to":{"methods":["DELETE","PUT"],"paths":["/api/v2/","/x"]}"#;
        let found = made(r#"[{"json":"/t"},{"path":"/*/*/{key}"}]"#, more);
        assert_eq!(found[0].0, "PUT /api/v2/cellgate-probe");
        assert_eq!(found[1].0, "PUT /api/v2/k%201");
        assert!(found.iter().all(|(_, _, outcome)| *outcome == Some(Outcome::Cell(CellId(0)))), "{found:?}");
    }

    #[test]
    fn a_key_with_a_slash_is_escaped_in_a_path() {
        let key = r#"[{"path":"/projects/{key}","escaped_slashes":"keep"},{"path":"/orgs/{key}"}]"#;
        let found = made_for("probe.internal", "group/name", key, "");
        assert_eq!(found[0].0, "GET /projects/group%2Fname");
        assert_eq!(found[0].2, Some(Outcome::Cell(CellId(0))));
        assert_eq!(found[1].0, "GET /orgs/group%2Fname");
        assert!(matches!(found[1].2, Some(Outcome::Reject(_))), "{:?}", found[1].2);
    }

    #[test]
    fn configured_media_types_are_sent() {
        let more = r#","content_types":{"json":["application/*+json"]}"#;
        assert_eq!(made(r#"[{"json":"/t"}]"#, more)[0].2, Some(Outcome::Cell(CellId(0))));
    }

    #[test]
    fn a_late_key_ends_its_body() {
        let pointer = "/t/id".parse().unwrap();
        let text = String::from_utf8(body(&Place::Json(pointer), "k", 1000).unwrap()).unwrap();
        assert!(text.len() > 1000 && text.ends_with(r#"p","t":{"id":"k"}}"#), "{text}");
        assert_eq!(body(&Place::Form("t".into()), "k", 3).unwrap(), b"cellgate-probe=ppp&t=k");
        assert_eq!(body(&Place::Json("".parse().unwrap()), "k", 3), None);
        assert_eq!(body(&Place::Xml("/t".parse().unwrap()), "k", 3).unwrap(), b"<!--ppp--><t xmlns=\"\">k</t>");
    }

    #[test]
    fn templates_are_filled() {
        let key = r#"[{"header":"authorization","value":"Bearer sk_{key}_*"},{"query":"user","value":"*@{key}"},
            {"path":"/o/{key}","value":"t-{key}"},{"json":"/arn","value":"arn:aws:*:*:{key}:*"},
            {"query":"p","then":{"json":"/t"},"value":"x:{key}"},{"cookie":"s","then":{"json":"/t"}},
            {"header":"x-c","then":{"form":"t"},"case":"lower"}]"#;
        let found = made(key, "");
        let lines: Vec<&str> = found.iter().map(|(line, _, _)| &**line).collect();
        assert_eq!(lines[1], "GET /cellgate-probe?user=0%40k%201");
        assert_eq!(lines[2], "GET /o/t-k%201");
        assert_eq!(found[3].1, r#"{"arn":"arn:aws:0:0:k 1:0"}"#);
        assert_eq!(lines[4], "GET /cellgate-probe?p=%7B%22t%22%3A%22x%3Ak%201%22%7D");
        assert_eq!(found.len(), 7);
        for (line, _, outcome) in &found {
            assert_eq!(*outcome, Some(Outcome::Cell(CellId(0))), "{line}");
        }
    }

    #[test]
    fn a_host_is_made_of_the_template_if_the_probe_may_use_it() {
        let hosts = |host: &str, template: &str| {
            let text = format!(
                r#"{{"routing_header":"x-cell","cells":["a"],"key":[{{"host":"{template}"}}],"placement":{{"default":"a"}}}}"#
            );
            let decider = Decider::new(cellgate_config::from_json(&text, "test").unwrap(), Tier::Service);
            let builder = RequestBuilder::new(&decider, host, &[], &Value::Null);
            let parts = builder.with_key(&decider.config().sources[0], "acme")?;
            assert_eq!(builder.outcome(&parts), Some(Outcome::Cell(CellId(0))));
            parts.headers.first().cloned()
        };
        let host = |name: &str| Some(format!("host: {name}"));
        assert_eq!(hosts("*.example.com", "{key}.example.com"), host("acme.example.com"));
        assert_eq!(hosts("*.example.com", "t-{key}.*.example.com"), host("t-acme.cellgate-probe.example.com"));
        assert_eq!(hosts("*.eu.example.com", "{key}.*.example.com"), host("acme.eu.example.com"));
        assert_eq!(hosts("acme.example.com", "{key}.example.com"), host("acme.example.com"));
        assert_eq!(hosts("cellgate-probe.internal", "{key}.example.com"), None);
    }
}
