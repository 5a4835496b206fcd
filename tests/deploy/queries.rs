//! Every query of every dashboard, put to a real Prometheus that scrapes a running demo and a running service.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use crate::boards::{Query, boards, list, project, text, word};
use crate::deployment::{Deployment, lines, ok};
use crate::support::load::card_number;
use crate::support::ports::free_port;
use crate::support::program::{Ended, Signal, get};
use crate::support::receiver::{Behaviour, Receiver};
use crate::support::tool::tool;
use crate::support::{Program, wait};

const WITHIN: Duration = Duration::from_secs(120);
/// How long the queries may take to have data, all of them.
const DATA: Duration = Duration::from_secs(180);
/// Alerts on every sighting, so that there is something to see.
const RULES: &str = "[[rule]]\nname = \"every\"\nwhen = \"true\"\nscore = 100\ntext = \"a sighting\"\n";

/// A Prometheus of the test's own.
struct Prometheus {
    program: Program,
    port: u16,
    _home: TempDir,
}

impl Prometheus {
    /// Scrapes these ports every second, and evaluates the rules of the project.
    fn start(binary: &str, ports: &[u16]) -> Prometheus {
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let targets: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let rules = ["rules", "alerts"].map(|name| project(&format!("deploy/prometheus/{name}.yml")));
        let config = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "2s"},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "cardwatch", "static_configs": [{"targets": targets}]}],
        });
        let file = home.path().join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        let port = free_port();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", home.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let mut program = Program::other(binary, &arguments.each_ref().map(String::as_str)).start();
        program.await_http(&format!("http://127.0.0.1:{port}/-/ready"), WITHIN, |status, _| status == 200);
        Prometheus { program, port, _home: home }
    }

    /// An answer of the API; panics where a query is refused.
    #[track_caller]
    fn ask(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let (status, body) = wait::until("Prometheus answers", WITHIN, || get(&url));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What a query answers now.
    #[track_caller]
    fn query(&self, expr: &str) -> Vec<Value> {
        let answer = self.ask(&format!("query?query={}", utf8_percent_encode(expr, NON_ALPHANUMERIC)));
        list(&answer, "/data/result").to_vec()
    }

    /// Whether a query answers a number now.
    #[track_caller]
    fn has_data(&self, expr: &str) -> bool {
        let is_number =
            |series: &Value| word(series, "/value/1").parse::<f64>().is_ok_and(|value| !value.is_nan());
        self.query(expr).iter().any(is_number)
    }
}

/// An expression as Grafana sends it: with everything chosen, and a rate over ten seconds.
fn filled(expr: &str) -> String {
    let filled = expr
        .replace("$__rate_interval", "10s")
        .replace("$job", ".+")
        .replace("$instance", ".+")
        .replace("$incident", "shop");
    assert!(!filled.contains('$'), "{filled}");
    filled
}

/// Panels that have no data while all is well, with the reason.
fn without_data() -> BTreeMap<String, String> {
    let file: toml::Table = toml::from_str(&text("deploy/grafana/without-data.toml")).unwrap();
    file.into_iter().map(|(place, reason)| (place, reason.as_str().expect("a reason").to_owned())).collect()
}

/// A transaction, of which now and then one is a trouble.
fn transaction(number: usize) -> String {
    let card = card_number(number % 8);
    let at = jiff::Timestamp::now();
    let (amount, name) = match number % 20 {
        7 => ("a lot", "Shop".to_owned()),
        13 => ("12.50", card.clone()),
        17 => return "{".to_owned(),
        _ => ("12.50", "Shop".to_owned()),
    };
    let outcome = if number % 5 == 4 { "declined" } else { "approved" };
    format!(
        r#"{{"id":"t{number}","at":"{at}","card":"{card}","kind":"authorization","outcome":"{outcome}","amount":"{amount}","currency":"EUR","merchant":{{"id":"m1","name":"{name}","country":"NL"}},"channel":"ecom"}}"#
    )
}

/// The service with everything switched on, and an endpoint that takes what it is told.
fn service(deployment: &Deployment, receiver: &Receiver) -> Program {
    let rules = deployment.file("rules.toml", RULES);
    let secret = deployment.private("hooks.secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    deployment.run_with(&format!(
        "[alerts]\nrules = \"{rules}\"\n[dead_letters]\nstop_at = 1.0\n[[webhooks]]\nname = \"issuer\"\n\
         url = \"http://{}/hook\"\nallow_insecure = true\nallow_networks = [\"127.0.0.0/8\"]\nsecret_file = \"{secret}\"\n",
        receiver.address
    ))
}

#[test]
fn every_query_of_a_dashboard_returns_data_or_says_why_not() {
    let Some(binary) = tool("prometheus", "the queries of dashboards") else { return };
    let Some(deployment) = Deployment::new("dashboards") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let receiver = runtime.block_on(Receiver::start(Behaviour::status(204), None));
    let list_file = deployment.file("list", lines(0..10));
    ok(deployment.open("shop", &["--list", &list_file]));
    let mut service = service(&deployment, &receiver);
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut demo = Program::with(&["demo", "--seconds", "600", "--seed", "7", "--http", &address]).start();
    demo.await_http(&format!("http://{address}/health/ready"), WITHIN, |status, _| status == 200);
    let prometheus = Prometheus::start(&binary.display().to_string(), &[deployment.http, port]);

    deployment.send((0..40).map(transaction));
    let alerts = deployment.await_records("alerts", 20);
    let alert = alerts[0].json()["id"].as_str().unwrap().to_owned();
    ok(deployment.command(&["outcome", &alert, "fraud", "--note", "not mine"]));

    let excused = without_data();
    let mut queries: Vec<Query> = boards().iter().flat_map(|board| board.queries()).collect();
    for board in boards() {
        for (asked, label) in board.asked_by_variables() {
            queries.push(Query { expr: format!("group by ({label}) ({})", asked.expr), place: asked.place });
        }
    }
    for place in excused.keys() {
        assert!(queries.iter().any(|query| query.place == *place), "{place} is excused and is no query");
    }
    let all = queries.len();
    assert!(all > 100, "{all} queries");
    let mut sent = 40;
    let done = wait::poll(DATA, || {
        deployment.send((sent..sent + 20).map(transaction));
        sent += 20;
        queries.retain(|query| !prometheus.has_data(&filled(&query.expr)));
        queries.iter().all(|query| excused.contains_key(&query.place)).then_some(())
    });
    let missing: Vec<String> = queries
        .iter()
        .filter(|query| !excused.contains_key(&query.place))
        .map(|query| format!("{}: {}", query.place, filled(&query.expr)))
        .collect();
    assert!(done.is_some(), "{} of {all} queries have no data:\n{}", missing.len(), missing.join("\n"));
    rules_are_well(&prometheus);

    assert!(demo.signal(Signal::INT));
    assert_eq!(service.terminate(WITHIN), Ended::Code(0), "{}", service.transcript());
    assert_eq!(demo.await_end(WITHIN), Ended::Code(0), "{}", demo.transcript());
    let mut prometheus = prometheus.program;
    assert_eq!(prometheus.terminate(WITHIN), Ended::Code(0), "{}", prometheus.transcript());
}

/// Recording and alerting rules were evaluated without a fault, and nothing fires at a service that is well.
fn rules_are_well(prometheus: &Prometheus) {
    wait::until("every rule is evaluated", WITHIN, || {
        let answer = prometheus.ask("rules");
        let rules = list(&answer, "/data/groups").iter().flat_map(|group| list(group, "/rules"));
        let mut known = 0;
        for rule in rules {
            assert_ne!(rule["health"], "err", "{rule}");
            known += usize::from(rule["health"] == "ok");
        }
        (known == 43).then_some(())
    });
    // But for what a slow machine makes true as well.
    let firing = prometheus.query(r#"ALERTS{alertstate="firing",alertname!="CardwatchAlertsLate"}"#);
    assert!(firing.is_empty(), "{firing:?}");
    for record in ["job_line:cardwatch_records:rate5m", "job:cardwatch_alerts_late:ratio_rate5m"] {
        wait::until(record, WITHIN, || prometheus.has_data(record).then_some(()));
    }
}
