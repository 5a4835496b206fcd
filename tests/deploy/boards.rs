//! Dashboards: their panels, variables and queries.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The dashboards, by the names of their sources.
pub const NAMES: [&str; 3] = ["overview", "incident", "operations"];

/// A dashboard.
#[derive(Debug, Clone)]
pub struct Board {
    pub name: &'static str,
    pub json: Value,
}

/// A query of a dashboard, and where it stands.
#[derive(Debug, Clone)]
pub struct Query {
    /// `board / panel A`.
    pub place: String,
    pub expr: String,
}

/// A file of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn boards() -> Vec<Board> {
    let read = |name| {
        let json = serde_json::from_str(&text(&format!("deploy/grafana/dashboards/{name}.json"))).unwrap();
        Board { name, json }
    };
    NAMES.map(read).to_vec()
}

/// An array within a value; empty where there is none.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text within a value; empty where there is none.
pub fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Board {
    /// Panels that show something: all but rows.
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.json, "/panels").iter().filter(|panel| word(panel, "/type") != "row")
    }

    pub fn variables(&self) -> &[Value] {
        list(&self.json, "/templating/list")
    }

    pub fn annotations(&self) -> &[Value] {
        list(&self.json, "/annotations/list")
    }

    /// Every query of panels and annotations.
    pub fn queries(&self) -> Vec<Query> {
        let of_panels = self.panels().flat_map(|panel| {
            list(panel, "/targets").iter().map(|target| Query {
                place: format!("{} / {} {}", self.name, word(panel, "/title"), word(target, "/refId")),
                expr: word(target, "/expr").to_owned(),
            })
        });
        let of_annotations = self.annotations().iter().map(|annotation| Query {
            place: format!("{} / annotation {}", self.name, word(annotation, "/name")),
            expr: word(annotation, "/expr").to_owned(),
        });
        of_panels.chain(of_annotations).collect()
    }

    /// The series that each variable of queries asks for: `label_values(SERIES, LABEL)`.
    pub fn asked_by_variables(&self) -> Vec<(Query, String)> {
        let asks = self.variables().iter().filter(|variable| word(variable, "/type") == "query");
        asks.map(|variable| {
            let definition = word(variable, "/query/query");
            let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (series, label) = inner.unwrap_or_else(|| panic!("{definition}")).rsplit_once(", ").unwrap();
            let place = format!("{} / variable {}", self.name, word(variable, "/name"));
            (Query { place, expr: series.to_owned() }, label.to_owned())
        })
        .collect()
    }
}

/// Names of metrics in an expression. A histogram is named by its family.
pub fn metrics_in(expr: &str) -> Vec<String> {
    let outside: String = expr.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    let words = outside.split(|character| !is_part(character));
    let ours = words.filter(|word| word.starts_with("cardwatch_") || word.starts_with("process_"));
    let family = |word: &str| {
        let histogram = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| word.strip_suffix(suffix));
        histogram.unwrap_or(word).to_owned()
    };
    ours.map(family).collect()
}

/// Names of metrics in the reference.
pub fn documented() -> Vec<String> {
    let reference = text("docs/metrics.md");
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let names = rows.map(|(name, _)| name.to_owned());
    names.filter(|name| name.starts_with("cardwatch_") || name.starts_with("process_")).collect()
}
