//! A trace as Jaeger's query API returns it, and as a tree of text.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// The tags that the tree shows: those of Cellgate, and the status.
const SHOWN: [&str; 2] = ["cellgate.", "http.status_code"];

/// The spans of one trace, the earliest first.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The trace id in hexadecimal, as `traceparent` has it.
    pub id: String,
    /// Its spans.
    pub spans: Vec<Span>,
}

/// A span.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// The span id in hexadecimal.
    pub id: String,
    /// The id of its parent, which need not be in the trace.
    pub parent: Option<String>,
    /// The name of the operation.
    pub name: String,
    /// The name of the service that reported it.
    pub service: String,
    /// Its start since the Unix epoch.
    pub start: Duration,
    /// How long it took.
    pub duration: Duration,
    /// Its tags, as text.
    pub tags: BTreeMap<String, String>,
}

impl Trace {
    /// The spans of a service.
    pub fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.service == service)
    }

    /// The only span that meets a condition.
    ///
    /// # Panics
    /// When there is none, or more than one. The message shows the trace.
    #[must_use]
    #[track_caller]
    pub fn only(&self, what: &str, is_met: impl Fn(&Span) -> bool) -> &Span {
        let found: Vec<&Span> = self.spans.iter().filter(|span| is_met(span)).collect();
        assert!(found.len() == 1, "{} spans are {what}:\n{self}", found.len());
        found[0]
    }

    /// The children of a span, the earliest first.
    pub fn children<'a>(&'a self, parent: &'a Span) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.parent.as_ref() == Some(&parent.id))
    }

    /// The spans whose parent is not in the trace.
    pub fn roots(&self) -> impl Iterator<Item = &Span> {
        let is_here = |id: &String| self.spans.iter().any(|span| span.id == *id);
        self.spans.iter().filter(move |span| !span.parent.as_ref().is_some_and(is_here))
    }

    /// Whether a span is below another one, by the ids of parents.
    #[must_use]
    pub fn is_below(&self, span: &Span, above: &Span) -> bool {
        let mut parent = span.parent.as_ref();
        // A chain of parents is no longer than the trace, unless it is a circle.
        for _ in &self.spans {
            let Some(id) = parent else { return false };
            if *id == above.id {
                return true;
            }
            parent = self.spans.iter().find(|span| span.id == *id).and_then(|span| span.parent.as_ref());
        }
        false
    }

    /// Appends a span and those below it to the lines of the tree.
    fn lines(&self, span: &Span, first: &str, others: &str, lines: &mut Vec<[String; 3]>) {
        let Span { service, name, duration, .. } = span;
        let took = format!("{:.1} ms", duration.as_secs_f64() * 1000.0);
        let tags = span.tags.iter().filter(|(tag, _)| SHOWN.iter().any(|shown| tag.starts_with(shown)));
        let tags: Vec<String> = tags.map(|(tag, value)| format!("{tag}={value}")).collect();
        lines.push([format!("{first}{service}: {name}"), took, tags.join("  ")]);
        let children: Vec<&Span> = self.children(span).collect();
        for (position, child) in children.iter().enumerate() {
            let (branch, rest) = if position + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.lines(child, &format!("{others}{branch}"), &format!("{others}{rest}"), lines);
        }
    }
}

/// The tree: service and name, duration, tags.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trace {}", self.id)?;
        let mut lines = Vec::new();
        for root in self.roots() {
            self.lines(root, "", "", &mut lines);
        }
        let width = lines.iter().map(|[span, ..]| span.chars().count()).max().unwrap_or_default();
        for [span, took, tags] in lines {
            writeln!(f, "{}", format!("{span:width$}  {took:>9}  {tags}").trim_end())?;
        }
        Ok(())
    }
}

/// The traces of an answer of the query API.
pub(super) fn read(answer: &Value) -> Vec<Trace> {
    answer["data"].as_array().into_iter().flatten().map(trace).collect()
}

fn trace(data: &Value) -> Trace {
    let service = |span: &Value| {
        let process = span["processID"].as_str().unwrap_or_default();
        text(&data["processes"][process]["serviceName"])
    };
    let spans = data["spans"].as_array().into_iter().flatten();
    let mut spans: Vec<Span> = spans.map(|data| span(data, service(data))).collect();
    spans.sort_by_key(|span| span.start);
    Trace { id: text(&data["traceID"]), spans }
}

fn span(data: &Value, service: String) -> Span {
    let references = data["references"].as_array().into_iter().flatten();
    let parent = references.into_iter().find(|reference| reference["refType"] == "CHILD_OF");
    let tags = data["tags"].as_array().into_iter().flatten();
    Span {
        id: text(&data["spanID"]),
        parent: parent.map(|parent| text(&parent["spanID"])),
        name: text(&data["operationName"]),
        service,
        start: Duration::from_micros(data["startTime"].as_u64().unwrap_or_default()),
        duration: Duration::from_micros(data["duration"].as_u64().unwrap_or_default()),
        tags: tags.map(|tag| (text(&tag["key"]), text(&tag["value"]))).collect(),
    }
}

/// A string as it is, and any other value as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: Option<&str>, process: &str, start: u64) -> Value {
        let references = parent.map(|parent| json!({"refType": "CHILD_OF", "traceID": "t", "spanID": parent}));
        json!({
            "spanID": id, "operationName": format!("span {id}"), "processID": process, "startTime": start,
            "duration": 1500, "references": references.into_iter().collect::<Vec<_>>(),
            "tags": [{"key": "cellgate.cell", "value": "cell-a"}, {"key": "other", "value": 1}],
        })
    }

    #[test]
    fn a_trace_is_a_tree_in_the_order_of_time() {
        let spans = [
            span("d", Some("b"), "p2", 4),
            span("c", Some("a"), "p1", 5),
            span("b", Some("a"), "p1", 2),
            span("a", Some("client"), "p1", 1),
        ];
        let processes = json!({"p1": {"serviceName": "gateway"}, "p2": {"serviceName": "cellgate"}});
        let traces = read(&json!({"data": [{"traceID": "t", "spans": spans, "processes": processes}]}));
        let tree = "\
trace t
gateway: span a            1.5 ms  cellgate.cell=cell-a
├─ gateway: span b         1.5 ms  cellgate.cell=cell-a
│  └─ cellgate: span d     1.5 ms  cellgate.cell=cell-a
└─ gateway: span c         1.5 ms  cellgate.cell=cell-a
";
        assert_eq!(traces[0].to_string(), tree);
        let [a, b, d, c] = [0, 1, 2, 3].map(|index| &traces[0].spans[index]);
        assert!(traces[0].is_below(d, a) && traces[0].is_below(d, b) && !traces[0].is_below(d, c));
        assert_eq!(traces[0].roots().map(|span| &*span.id).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_circle_of_parents_has_an_end() {
        let spans = [span("a", Some("b"), "p", 1), span("b", Some("a"), "p", 2), span("c", None, "p", 3)];
        let trace = &read(&json!({"data": [{"traceID": "t", "spans": spans, "processes": {}}]}))[0];
        assert!(!trace.is_below(&trace.spans[0], &trace.spans[2]));
        assert_eq!(trace.to_string().lines().count(), 2);
    }
}
