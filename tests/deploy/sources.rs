//! Dashboards against their sources, and against the types that Grafana publishes.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::boards::{Board, NAMES, boards, project, word};
use crate::environment;
use crate::libraries;
use crate::support::tool::tool;

/// The version of Grafana whose dashboards these are. Its types are those of dashboards of schema 42.
const GRAFANA: &str = "13.2.3";

/// What is installed to read Grafana's types with.
const TYPES: [&str; 2] = ["@grafana/schema@13.2.3", "typescript@5.9.3"];

#[test]
fn dashboards_are_what_their_sources_render() {
    let Some(jsonnet) = tool("jsonnet", "whether dashboards are what their sources render") else { return };
    let update = environment("UPDATE_REFERENCE").is_some();
    for name in NAMES {
        let source = project(&format!("deploy/grafana/src/{name}.jsonnet"));
        let rendered = Command::new(&jsonnet).arg(source).output().unwrap();
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        let committed = project(&format!("deploy/grafana/dashboards/{name}.json"));
        if update {
            std::fs::write(&committed, &rendered.stdout).unwrap();
        }
        // Values and not bytes: renderers differ in how they lay them out.
        let rendered: Value = serde_json::from_slice(&rendered.stdout).unwrap();
        let file: Value = serde_json::from_slice(&std::fs::read(&committed).unwrap()).unwrap();
        assert!(rendered == file, "{name}: run UPDATE_REFERENCE=1 cargo test --test deploy dashboards_are");
    }
}

/// The types of a panel's options and of a field's custom settings.
fn types_of(kind: &str) -> [(&'static str, &'static str); 2] {
    match kind {
        "stat" => [("stat/panelcfg/x/types.gen", "Options"), ("", "{}")],
        "bargauge" => [("bargauge/panelcfg/x/types.gen", "Options"), ("", "{}")],
        "timeseries" => [
            ("timeseries/panelcfg/x/types.gen", "Options"),
            ("timeseries/panelcfg/x/types.gen", "FieldConfig"),
        ],
        "table" => [("table/panelcfg/x/types.gen", "Options"), ("", "common.TableFieldOptions")],
        other => panic!("no types are known for a panel of the kind {other}"),
    }
}

/// A module that compiles if the dashboard has the types that Grafana gives it.
fn typed(board: &Board) -> String {
    let raw = "./node_modules/@grafana/schema/dist/types/raw";
    let mut module = format!(
        "import type {{ Dashboard, AnnotationQuery }} from '{raw}/dashboard/x/types.gen';\n\
         import type * as common from './node_modules/@grafana/schema/dist/types/common/common.gen';\n\
         // Words in place of the members of an enumeration, which JSON cannot name.\n\
         type Plain<T> = T extends string ? `${{T}}` : T extends number | boolean | null | undefined ? T :\n\
           T extends (infer U)[] ? Plain<U>[] : T extends object ? {{ [K in keyof T]: Plain<T[K]> }} : T;\n\
         // What the data source of Prometheus adds to an annotation.\n\
         type Asked = AnnotationQuery & {{ expr: string, step: string, titleFormat: string, textFormat: string,\n\
           tagKeys: string, useValueForTime: 'on' }};\n\
         type Whole = Omit<Dashboard, 'annotations'> & {{ annotations: {{ list: Asked[] }} }};\n\
         export const dashboard: Plain<Whole> = {};\n",
        board.json
    );
    for (number, panel) in board.panels().enumerate() {
        let [options, custom] = types_of(word(panel, "/type"));
        let parts = [("options", options, "/options"), ("custom", custom, "/fieldConfig/defaults/custom")];
        for (part, (file, name), pointer) in parts {
            let Some(value) = panel.pointer(pointer) else { continue };
            let path = if file.is_empty() {
                name.to_owned()
            } else {
                format!("import('{raw}/composable/{file}').{name}")
            };
            writeln!(module, "export const {part}{number}: Plain<Partial<{path}>> = {value};").unwrap();
        }
    }
    module
}

/// What the compiler says of a module; empty where it compiles.
fn compiled(compiler: &[std::path::PathBuf; 2], module: &str) -> String {
    let [node, modules] = compiler;
    let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(home.path().join("dashboard.ts"), module).unwrap();
    std::os::unix::fs::symlink(modules, home.path().join("node_modules")).unwrap();
    let options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext"];
    let ended = Command::new(node)
        .arg(modules.join("typescript/bin/tsc"))
        .args(options)
        .args(["--moduleResolution", "bundler", "dashboard.ts"])
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() == said.is_empty(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    said
}

#[test]
fn dashboards_have_the_types_of_grafana() {
    assert!(TYPES[0].ends_with(&format!("@{GRAFANA}")));
    let untested = "whether dashboards have the types of Grafana";
    let Some((node, modules)) = libraries::node_with("grafana", &TYPES, untested) else { return };
    let compiler = [node, modules];
    for board in boards() {
        assert_eq!(board.json["schemaVersion"], 42);
        let said = compiled(&compiler, &typed(&board));
        assert_eq!(said, "", "{}", board.name);
    }
    // And it would tell: of a word that no option has, and of an option that does not exist.
    let mut wrong = boards().remove(0);
    let panels = wrong.json["panels"].as_array_mut().unwrap();
    let stat = panels.iter_mut().find(|panel| panel["type"] == "stat").unwrap();
    stat["options"]["graphMode"] = "mountains".into();
    stat["describtion"] = "".into();
    let said = compiled(&compiler, &typed(&wrong));
    assert!(said.contains("mountains") && said.contains("describtion"), "{said}");
}
