use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::config::Settings;

fn examine(text: &str) -> (Option<Settings>, Vec<String>) {
    let (settings, problems) = Settings::examine_text(Some((Path::new("c.toml"), text)), std::iter::empty());
    (settings, problems.iter().map(ToString::to_string).collect())
}

fn one(text: &str) -> Webhook {
    let (settings, problems) = examine(text);
    assert_eq!(problems, Vec::<String>::new());
    settings.unwrap().webhooks.0.remove(0)
}

const PLAIN: &str = "[[webhooks]]\nname = \"issuer\"\nurl = \"https://a.example/\"\nsecret_file = \"s\"\n";
const CHAT: &str = "[[webhooks]]\nname = \"desk\"\nurl_file = \"u\"\nbody = \"slack\"\n";

#[test]
fn what_is_left_out_has_the_default_of_the_reference() {
    let webhook = one(PLAIN);
    assert_eq!(webhook.filter, Filter::default());
    assert_eq!(webhook.schedule, Schedule::default());
    assert_eq!(webhook.retry_after(), Bounds::default());
    assert_eq!((webhook.batch(), webhook.show()), (None, Show::default()));
    let keys = &webhook.keys;
    assert_eq!((keys.concurrency, keys.rate, keys.since), (4, 100, Since::Now));
    assert_eq!(keys.timeout, crate::webhook::target::TIMEOUT);
    assert_eq!(keys.disable_after, Duration::from_secs(5 * 86_400));
    assert!(!keys.allow_insecure);
}

#[test]
fn what_is_written_is_taken() {
    let text = format!(
        "{CHAT}incidents = [\"shop-2026\"]\nseverity_at_least = \"high\"\nrules = [\"card-testing\"]\nkinds = [\"live\"]\n\
         when = 'score > 3'\nshow = [\"amount\"]\nlink = \"https://c.example/{{alert}}\"\nbatch_wait = \"2s\"\n\
         schedule = [\"0s\", \"1m\"]\njitter = 0\nretry_after_max = \"2h\"\nsince = 2026-04-01T00:00:00+09:00\n\
         allow_networks = [\"10.0.0.0/8\"]\nheaders = {{ X-Token = \"t\" }}\n"
    );
    let webhook = one(&text);
    assert!(webhook.filter.incidents.iter().any(|id| id.as_str() == "shop-2026"));
    assert_eq!(webhook.filter.severity_at_least, Some(Severity::High));
    assert_eq!(webhook.filter.kinds, [AlertKind::Live]);
    assert_eq!(webhook.filter.when, Some(When::parse("score > 3").unwrap()));
    assert_eq!(webhook.show(), Show { amount: true, ..Show::default() });
    assert_eq!(webhook.batch(), Some(Batch { max: 100, wait_ms: 2_000 }));
    assert_eq!(webhook.schedule, Schedule::new(vec![Duration::ZERO, Duration::from_mins(1)], 0.0).unwrap());
    assert_eq!(webhook.retry_after().most, Duration::from_hours(2));
    assert_eq!(webhook.keys.since, Since::At(Timestamp(1_774_969_200_000)));
    assert_eq!(webhook.keys.headers["X-Token"], Path::new("t"));
    let max = one(&format!("{CHAT}batch_max = 500\n"));
    assert_eq!(max.batch(), Some(Batch { max: 500, wait_ms: 5_000 }));
}

#[test]
fn every_mistake_is_told_at_its_line_with_what_to_write() {
    for (text, wanted) in [
        (
            "[[webhooks]]\nurl = \"u\"\nsecret_file = \"s\"\n".to_owned(),
            "c.toml:1: webhooks.name: is missing",
        ),
        (PLAIN.replace("issuer", "Issuer"), "c.toml:2: webhooks.name: is not such a name"),
        (format!("{PLAIN}{PLAIN}"), "c.toml:6: webhooks.name: is the name of another endpoint too"),
        (PLAIN.replace("url =", "uri ="), "c.toml:3: webhooks.uri: unknown key; write `url`"),
        (format!("{PLAIN}url_file = \"u\"\n"), "c.toml:5: webhooks.url_file: stands beside url"),
        (PLAIN.replace("secret_file = \"s\"\n", ""), "c.toml:1: webhooks.secret_file: is missing"),
        (format!("{PLAIN}body = \"mail\"\n"), "c.toml:5: webhooks.body: is not one of the words"),
        (format!("{PLAIN}show = [\"amount\"]\n"), "c.toml:5: webhooks.show: is for chats"),
        (format!("{PLAIN}link = \"https://a.example\"\n"), "c.toml:5: webhooks.link: is for chats"),
        (
            format!("{CHAT}show = [\"card\"]\n"),
            "c.toml:5: webhooks.show: holds something else than the words",
        ),
        (
            format!("{CHAT}link = \"cases\"\n"),
            "c.toml:5: webhooks.link: is no link: a link begins with https://",
        ),
        (format!("{CHAT}template_file = \"t\"\n"), "c.toml:5: webhooks.template_file: is for templates"),
        (format!("{CHAT}batch_max = 501\n"), "c.toml:5: webhooks.batch_max: is out of range"),
        (CHAT.replace("slack", "template"), "c.toml:1: webhooks.template_file: is missing"),
        (
            format!("{PLAIN}when = 'scor > 3'\n"),
            "c.toml:5: webhooks.when: no field is called `scor`: did you mean `score`?",
        ),
        (format!("{PLAIN}when = '''\nscore > 3 &&\nscor > 3'''\n"), "c.toml:7: webhooks.when: "),
        (format!("{PLAIN}when = 3\n"), "c.toml:5: webhooks.when: is not a text in quotes"),
        (format!("{PLAIN}schedule = []\n"), "c.toml:5: webhooks.schedule: a schedule has 1 to 64 delays"),
        (
            format!("{PLAIN}schedule = [\"0s\", \"5\"]\n"),
            "webhooks.schedule: is not a whole number with a unit in entry 2",
        ),
        (format!("{PLAIN}jitter = 1.5\n"), "c.toml:5: webhooks.jitter: is out of range"),
        (
            format!("{PLAIN}retry_after_min = \"2h\"\n"),
            "webhooks.retry_after_min: is longer than retry_after_max",
        ),
        (format!("{PLAIN}incidents = [\"A B\"]\n"), "webhooks.incidents: is not an incident's id in entry 1"),
        (format!("{PLAIN}kinds = [\"dead\"]\n"), "webhooks.kinds: holds something else than the words"),
        (format!("{PLAIN}headers = [\"a\"]\n"), "webhooks.headers: is not a table"),
        (format!("{PLAIN}[webhooks.headers]\nA = 1\n"), "webhooks.headers: holds something else than paths"),
        (format!("{PLAIN}concurrency = 65\n"), "webhooks.concurrency: is out of range"),
        (format!("{PLAIN}since = \"then\"\n"), "webhooks.since: is not a time to begin at"),
        ("webhooks = 3\n".to_owned(), "c.toml:1: webhooks: is not a list of tables"),
        ("[[webhook]]\nname = \"a\"\n".to_owned(), "c.toml:1: webhook: unknown key; write `webhooks`"),
    ] {
        let (_, problems) = examine(&text);
        assert!(problems.iter().any(|one| one.contains(wanted)), "{text}{problems:#?}");
        // A key that is missing because it is misspelt is told twice; nothing else is.
        let most = if wanted.contains("unknown key; write `url`") { 2 } else { 1 };
        assert!(problems.len() <= most, "{text}{problems:#?}");
    }
}

#[test]
fn every_mistake_of_every_endpoint_is_told_at_once() {
    let text = format!("{PLAIN}rate = 0\nwhen = 'x'\n{CHAT}show = 1\nproxi = \"p\"\n");
    let (settings, problems) = examine(&text);
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert_eq!(settings.unwrap().webhooks.0.len(), 2);
}

#[test]
fn more_endpoints_than_there_may_be_are_refused() {
    let endpoints = |count: usize| {
        let mut text = String::new();
        (0..count).for_each(|n| write!(text, "{}", PLAIN.replace("issuer", &format!("e{n}"))).unwrap());
        examine(&text).1
    };
    assert_eq!(endpoints(100), Vec::<String>::new());
    let problems = endpoints(101);
    assert!(problems.len() == 1 && problems[0].starts_with("c.toml:401: webhooks: "), "{problems:?}");
}

#[test]
fn neither_a_url_nor_a_value_is_ever_shown() {
    let secret = "hunter2hunter2";
    let webhook = one(&PLAIN.replace("https://a.example/", secret));
    assert!(!format!("{webhook:?}").contains(secret));
    for key in WebhookKeys::describe().keys {
        for value in
            [format!("\"{secret}\u{1}\""), format!("[\"{secret}\"]"), format!("{{ a = \"{secret}\" }}")]
        {
            let (_, problems) = examine(&format!("[[webhooks]]\n{} = {value}\n", key.name));
            assert!(!problems.iter().any(|text| text.contains(secret)), "{value} {problems:?}");
        }
    }
}

#[test]
fn the_forms_of_bodies_are_those_of_notices() {
    use crate::notice::body::Shape;
    let forms =
        [BodyForm::Alert, BodyForm::CloudEvents, BodyForm::Slack, BodyForm::Alertmanager, BodyForm::Template];
    assert_eq!(forms.map(BodyForm::as_str), Shape::NAMES);
    for (form, shape) in
        forms.iter().zip([Shape::Alert, Shape::CloudEvents, Shape::Slack, Shape::Alertmanager])
    {
        assert_eq!((form.as_str(), form.is_chat()), (shape.name(), shape.is_chat()));
    }
}
