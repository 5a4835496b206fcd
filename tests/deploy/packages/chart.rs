//! The chart: rendered by Helm, held against Kubernetes' schemas, and what it sets against cardwatch itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use cardwatch::config::Settings;
use serde_json::Value;

use super::{ask, is_pinned, parses, python, read, root, texts};
use crate::support::Program;
use crate::support::program::{Ended, write_private};

const CHART: &str = "deploy/helm/cardwatch";
const EXAMPLES: [Option<&str>; 3] = [None, Some("examples/split.yaml"), Some("examples/everything.yaml")];

/// What Helm makes of the chart with a file of values.
fn render(python: &Path, values: Option<&Path>) -> Result<Vec<Value>, String> {
    let chart = root().join(CHART);
    let mut arguments = vec!["chart", chart.to_str().unwrap()];
    arguments.extend(values.map(|path| path.to_str().unwrap()));
    Ok(ask(python, &arguments)?.as_array().unwrap().clone())
}

/// Each way to render it that the repository shows.
fn rendered(python: &Path) -> Vec<Vec<Value>> {
    let of = |example: &Option<&str>| {
        let values = example.map(|example| root().join(CHART).join(example));
        render(python, values.as_deref()).unwrap_or_else(|error| panic!("{example:?}: {error}"))
    };
    EXAMPLES.iter().map(of).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The specification of every pod.
fn pods(objects: &[Value]) -> Vec<&Value> {
    let of = |object: &'_ Value| match object["kind"].as_str().unwrap() {
        "StatefulSet" | "Job" => Some("/spec/template/spec"),
        "Pod" => Some("/spec"),
        _ => None,
    };
    objects.iter().filter_map(|object| object.pointer(of(object)?)).collect()
}

#[test]
fn helm_lints_and_kubernetes_takes_what_it_renders() {
    let Some(python) = python("the Helm chart") else { return };
    for objects in rendered(&python) {
        let kinds: BTreeSet<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        for kind in
            ["StatefulSet", "PodDisruptionBudget", "NetworkPolicy", "Service", "ServiceAccount", "ConfigMap"]
        {
            assert!(kinds.contains(kind), "{kind}: {kinds:?}");
        }
    }
}

#[test]
fn values_that_nothing_reads_are_refused() {
    let Some(python) = python("the schema of the chart's values") else { return };
    let home = tempfile::tempdir().unwrap();
    for (values, named) in [
        ("replicas: 3", "replicas"),
        ("image: { tag: latest }", "image/tag"),
        ("terminationGracePeriodSeconds: 3", "terminationGracePeriodSeconds"),
        (
            "workloads: { watch: { lines: [sights], replicas: 1, resources: { requests: {}, limits: {} } } }",
            "lines",
        ),
    ] {
        let file = home.path().join("values.yaml");
        std::fs::write(&file, values).unwrap();
        let refused = render(&python, Some(&file)).unwrap_err();
        assert!(refused.contains(named), "{values}: {refused}");
    }
}

#[test]
fn every_pod_is_closed() {
    let Some(python) = python("what the chart's pods may do") else { return };
    for objects in rendered(&python) {
        assert!(!pods(&objects).is_empty());
        for pod in pods(&objects) {
            // The service `cardwatch` would be told of as CARDWATCH_PORT and the like, which are no settings: exit 78.
            assert_eq!(pod["enableServiceLinks"], false);
            assert_eq!(pod["automountServiceAccountToken"], false);
            let security = &pod["securityContext"];
            assert_eq!(
                (&security["runAsNonRoot"], &security["seccompProfile"]["type"]),
                (&true.into(), &"RuntimeDefault".into())
            );
            // The files of secrets belong to root and this group, which is what cardwatch accepts.
            assert_eq!(security["fsGroup"], security["runAsUser"]);
            for volume in pod["volumes"].as_array().unwrap() {
                assert!(volume.get("secret").is_none_or(|secret| secret["defaultMode"] == 0o440), "{volume}");
            }
            for container in pod["containers"].as_array().unwrap() {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true);
                assert_eq!(security["allowPrivilegeEscalation"], false);
                assert_eq!(texts(&security["capabilities"]["drop"]), ["ALL"]);
                assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
                parses(&texts(&container["args"]));
            }
        }
    }
}

#[test]
fn the_key_goes_where_cards_are_recognised_and_nowhere_else() {
    let Some(python) = python("who is given the key") else { return };
    let mut without = 0;
    for objects in rendered(&python) {
        for set in of_kind(&objects, "StatefulSet") {
            let pod = &set["spec"]["template"]["spec"];
            let environment = pod["containers"][0]["env"].as_array().unwrap();
            let lines = environment.iter().find(|entry| entry["name"] == "CARDWATCH_LINES__ENABLED").unwrap();
            let sight = lines["value"].as_str().unwrap().split(',').any(|line| line == "sight");
            let key = pod["volumes"].as_array().unwrap().iter().any(|volume| volume["name"] == "keys");
            assert_eq!(sight, key, "{set}");
            without += usize::from(!key);
        }
    }
    assert_eq!(without, 2, "examples/split.yaml has two workloads without the key");
}

#[test]
fn pods_are_asked_where_cardwatch_answers_and_given_time_to_drain() {
    let Some(python) = python("the chart's probes") else { return };
    let routes = read("src/http/open.rs");
    for objects in rendered(&python) {
        for set in of_kind(&objects, "StatefulSet") {
            let pod = &set["spec"]["template"]["spec"];
            let container = &pod["containers"][0];
            for (probe, path) in [
                ("startupProbe", "/health/live"),
                ("livenessProbe", "/health/live"),
                ("readinessProbe", "/health/ready"),
            ] {
                assert_eq!(container[probe]["httpGet"]["path"], path);
                assert!(routes.contains(&format!("\"{path}\"")), "{path} is not served");
            }
            let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
            assert!(Duration::from_secs(grace) > cardwatch::app::STOP_TIMEOUT * 2, "{grace}");
            let labels = &set["spec"]["template"]["metadata"]["labels"];
            for (name, wanted) in set["spec"]["selector"]["matchLabels"].as_object().unwrap() {
                assert_eq!(&labels[name], wanted);
            }
        }
    }
}

#[test]
fn dashboards_and_rules_are_those_of_the_repository() {
    let Some(python) = python("the chart's dashboards and rules") else { return };
    let values = root().join(CHART).join("examples/everything.yaml");
    let objects = render(&python, Some(&values)).unwrap();
    let files = |directory: &str, extension: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root().join(directory)).unwrap().flatten();
        let paths = entries.map(|entry| format!("{directory}/{}", entry.file_name().display()));
        paths.filter(|path| path.ends_with(extension)).collect()
    };
    let dashboards = files("deploy/grafana/dashboards", ".json");
    let shown: Vec<&Value> =
        objects.iter().filter(|object| object["metadata"]["labels"]["grafana_dashboard"] == "1").collect();
    assert_eq!(shown.len(), dashboards.len());
    for path in dashboards {
        let name = path.rsplit('/').next().unwrap();
        assert!(shown.iter().any(|map| map["data"][name] == read(&path)), "{path}");
    }
    let rules = files("deploy/prometheus", ".yml").into_iter().filter(|path| {
        let file = ask(&python, &["yaml", root().join(path).to_str().unwrap()]).unwrap();
        file.get("groups").is_some() && file.get("tests").is_none()
    });
    assert_eq!(of_kind(&objects, "PrometheusRule").len(), rules.count());
    assert!(is_pinned(pods(&objects)[0]["containers"][0]["image"].as_str().unwrap()));
}

/// cardwatch's own judgement of the configuration that a pod is given, with the files that its secrets would have.
#[test]
fn cardwatch_takes_every_setting_of_every_pod() {
    let Some(python) = python("the settings of the chart's pods") else { return };
    for (objects, example) in rendered(&python).iter().zip(EXAMPLES) {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let here = |text: &str| {
            text.replace("/run/secrets/cardwatch", home.path().to_str().unwrap())
                .replace("/etc/cardwatch", home.path().to_str().unwrap())
        };
        for directory in ["tokens", "webhooks", "keys"] {
            std::fs::create_dir(home.path().join(directory)).unwrap();
        }
        let secret = home.path().join("webhooks/issuer.secret");
        write_private(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr\n");
        let token = home.path().join("tokens/fraud-desk.token").display().to_string();
        let made = ["token", "new", "fraud-desk", "--role", "decide", "--file", &token];
        assert_eq!(
            Program::with(&made).config("[audit]\nfile = \"audit.jsonl\"\n").run(Duration::from_secs(60)).0,
            Ended::Code(0)
        );

        let map = of_kind(objects, "ConfigMap")
            .into_iter()
            .find(|map| map["metadata"]["name"] == "cw-cardwatch")
            .unwrap();
        for (name, text) in map["data"].as_object().unwrap() {
            std::fs::write(home.path().join(name), here(text.as_str().unwrap())).unwrap();
        }
        let config = home.path().join("cardwatch.toml");
        for pod in pods(objects) {
            let environment = pod["containers"][0]["env"].as_array().unwrap().iter().map(|entry| {
                let value = entry["value"].as_str().unwrap_or("cw-cardwatch-watch-0");
                (entry["name"].as_str().unwrap().to_owned(), here(value))
            });
            let environment: Vec<(String, String)> = environment.collect();
            let settings = Settings::load(Some(&config), environment.clone().into_iter());
            let settings = settings.unwrap_or_else(|problems| panic!("{example:?}: {problems}"));
            assert_eq!(settings.audit.file, None, "{example:?}");
            let mut check = Program::with(&["check", "--config", config.to_str().unwrap()]);
            for (name, value) in &environment {
                check = check.env(name, value);
            }
            let (ended, program) = check.run(Duration::from_secs(60));
            assert_eq!(ended, Ended::Code(0), "{example:?}\n{}", program.transcript());
        }
    }
}
