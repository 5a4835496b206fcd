use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::scoring::rules::DEFAULT_RULES;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Files of endpoints, each for its owner alone.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        home.write("s", KEY);
        home.write("u", "https://chat.example/services/hunter2");
        home.write("one.jinja", "{\"id\": {{ alert.id }}}");
        home.write(
            "all.jinja",
            "[{% for alert in alerts %}{{ alert.id }}{% if not loop.last %},{% endif %}{% endfor %}]",
        );
        home
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// The settings of a text in which `@` stands for the directory.
    fn settings(&self, text: &str) -> Settings {
        let text = text.replace('@', &format!("{}/", self.0.path().display()));
        Settings::read(Some((Path::new("c.toml"), &text)), std::iter::empty()).unwrap()
    }

    fn endpoints(&self, text: &str) -> Result<Endpoints, Vec<String>> {
        let rules = RuleSet::parse(DEFAULT_RULES, "rules").unwrap();
        let endpoints = endpoints(&self.settings(text), Some(&rules));
        endpoints.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }
}

const PLAIN: &str = "[[webhooks]]\nname = \"issuer\"\nurl = \"https://issuer.example/in\"\nsecret_file = \"@s\"\nca_file = \"@ca\"\n";

fn plain() -> String {
    PLAIN.replace("ca_file = \"@ca\"\n", "")
}

fn chat() -> String {
    "[[webhooks]]\nname = \"desk\"\nurl_file = \"@u\"\nbody = \"slack\"\n".to_owned()
}

fn template(file: &str) -> String {
    chat().replace("slack\"", &format!("template\"\ntemplate_file = \"@{file}\""))
}

#[test]
fn every_mistake_in_a_file_is_told_at_the_key_that_names_it() {
    let home = Home::new();
    home.write("short", "whsec_AAECAwQF");
    home.write("open", KEY);
    let open = home.0.path().join("open");
    std::fs::set_permissions(open, PermissionsExt::from_mode(0o644)).unwrap();
    home.write("broken.jinja", "{\n{{ alert.nothing }}\n}");
    home.write("lines", "a\nb");
    for (text, wanted) in [
        (plain().replace("@s", "@none"), ":4: webhooks.secret_file: cannot read"),
        (plain().replace("@s", "@short"), "short:1: the key has 6 bytes"),
        (plain().replace("@s", "@open"), "may be read or changed by others"),
        (plain().replace("https", "http"), ":3: webhooks.url: alerts would go over http"),
        (
            plain().replace("issuer.example", "10.1.2.3"),
            ":3: webhooks.url: the URL names a private address (10.1.2.3)",
        ),
        (chat().replace("@u", "@s"), ":3: webhooks.url_file: the URL does not begin with"),
        (
            plain() + "rules = [\"card-testin\"]\n",
            ":5: webhooks.rules: there is no rule `card-testin`: did you mean",
        ),
        (plain() + "when = '\"nothing\" in rules'\n", ":5: webhooks.when: there is no rule `nothing`"),
        (plain() + "allow_networks = [\"10.0.0.1/8\"]\n", ":5: webhooks.allow_networks: "),
        (plain() + "proxy = \"https://p.example:1\"\n", ":5: webhooks.proxy: "),
        (
            plain() + "proxy_credentials_file = \"@s\"\n",
            ":5: webhooks.proxy_credentials_file: without `proxy`",
        ),
        (PLAIN.to_owned(), ":5: webhooks.ca_file: cannot read"),
        (
            PLAIN.replace("@ca", "@s"),
            ":5: webhooks.ca_file: the file of certificate authorities has no certificate",
        ),
        (
            plain() + "client_key_file = \"@s\"\n",
            ":5: webhooks.client_key_file: a client certificate and its key",
        ),
        (
            plain() + "headers = { Host = \"@s\" }\n",
            ":5: webhooks.headers: the header `Host` is set by cardwatch",
        ),
        (
            plain() + "headers = { Webhook-Id = \"@s\" }\n",
            ":5: webhooks.headers: `Webhook-Id` is none of yours",
        ),
        (plain() + "headers = { X-Token = \"@lines\" }\n", ":5: webhooks.headers: the value of `X-Token`"),
        (template("broken.jinja"), "broken.jinja:2: "),
        (template("one.jinja") + "batch_max = 5\n", ":6: webhooks.batch_max: asks for batches"),
    ] {
        let told = home.endpoints(&text).unwrap_err();
        assert!(told.len() == 1 && told[0].contains(wanted), "{text}{told:#?}");
        assert!(!told[0].contains("hunter2") && !told[0].contains("AAEC"), "{told:?}");
    }
    let told = home.endpoints(&(plain().replace("@s", "@none") + &template("none"))).unwrap_err();
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn what_is_right_becomes_an_endpoint_that_shows_no_secret() {
    let home = Home::new();
    let text =
        plain() + "headers = { Authorization = \"@s\" }\n" + &template("all.jinja") + "batch_max = 5\n";
    let endpoints = home.endpoints(&text).unwrap();
    assert_eq!(endpoints.names().iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["issuer", "desk"]);
    assert!(endpoints.0[0].signer.load().is_some() && endpoints.0[1].signer.load().is_none());
    assert_eq!(endpoints.0[0].headers[0].0, "Authorization");
    let shown = format!("{endpoints:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("MfKQ"), "{shown}");
}

#[test]
fn what_leaves_the_house_is_said_and_nothing_else() {
    let home = Home::new();
    for (text, wanted) in [
        (plain(), Some("webhooks issuer: whole alerts (body = \"alert\")")),
        (chat(), None),
        (
            chat() + "show = [\"merchant\"]\n",
            Some(
                "webhooks desk: of transactions (show): merchant, leave the house, to https://chat.example:443",
            ),
        ),
        (template("all.jinja"), None),
        (template("all.jinja") + "show = [\"amount\"]\n", Some("of transactions (show): amount")),
        (chat().replace("url_file = \"@u\"", "url = \"https://chat.example/x\""), Some("url_file")),
        (chat() + "schedule = [\"5s\", \"1s\"]\n", Some("grow shorter")),
    ] {
        let settings = home.settings(&text);
        let told = remarks(&settings, &home.endpoints(&text).unwrap());
        assert_eq!(told.len(), usize::from(wanted.is_some()), "{text}{told:?}");
        assert!(wanted.is_none_or(|wanted| told[0].contains(wanted)), "{told:?}");
        assert!(told.iter().all(|told| !told.contains("hunter2")));
    }
    let settings = home.settings(&(chat() + "[lines]\nenabled = [\"sight\"]\n"));
    let told = remarks(&settings, &home.endpoints(&chat()).unwrap());
    assert!(told.len() == 1 && told[0].starts_with("lines.enabled: "), "{told:?}");
}

#[test]
fn what_signs_is_told_apart_by_keys_and_ends_alone() {
    let key = |text: &str| Some(Signer::parse(text).unwrap());
    assert_eq!(signing(&key(KEY)), signing(&key(&format!("# again\n{KEY}\n"))));
    assert_ne!(signing(&key(KEY)), signing(&key(OTHER)));
    let (open, ended) = (format!("{OTHER}\n{KEY}"), format!("{OTHER}\n{KEY} until=2026-12-01T00:00:00Z"));
    assert_ne!(signing(&key(&open)), signing(&key(&ended)));
    assert_ne!(signing(&None), signing(&key(KEY)));
}
