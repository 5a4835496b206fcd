use super::*;

fn settings(url: &str) -> Settings {
    Settings { ca: Some(authority().into_bytes()), ..Settings::new(url) }
}

fn authority() -> String {
    rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap().cert.pem()
}

fn client() -> (Vec<u8>, Secret) {
    let made = rcgen::generate_simple_self_signed(vec!["cardwatch".to_owned()]).unwrap();
    (made.cert.pem().into_bytes(), Secret::new(made.signing_key.serialize_pem().into_bytes()))
}

/// Settings and messages of what is wrong.
fn problems(settings: &Settings) -> Vec<(&'static str, String)> {
    let problems = Target::new(settings, &SystemRoots::none()).err().unwrap_or_default();
    problems.into_iter().map(|problem| (problem.setting, problem.to_string())).collect()
}

#[track_caller]
fn refused(settings: &Settings, setting: &str, says: &str) {
    let problems = problems(settings);
    assert!(
        problems.len() == 1 && problems[0].0 == setting && problems[0].1.contains(says),
        "{setting} should say {says:?}: {problems:?}"
    );
}

#[test]
fn plain_settings_are_taken() {
    let (chain, key) = client();
    for settings in [
        settings("https://a.example/x"),
        Settings { allow_insecure: true, ..Settings::new("http://a.example/x") },
        Settings { client_certificate: Some(chain), client_key: Some(key), ..settings("https://a.example/") },
        Settings { allow_networks: vec!["10.0.0.0/8".to_owned()], ..settings("https://10.1.2.3/") },
        Settings {
            proxy: Some("http://127.0.0.1:3128".to_owned()),
            proxy_credentials: Some(Secret::new(b"me:secret\n".to_vec())),
            ..settings("https://a.example/")
        },
    ] {
        assert_eq!(problems(&settings), []);
    }
}

#[test]
fn https_only_unless_http_is_meant() {
    refused(&Settings::new("http://a.example/"), "url", "allow_insecure = true");
}

#[test]
fn an_address_in_the_url_is_judged_at_once() {
    for text in
        ["127.0.0.1", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "[::1]", "[64:ff9b::a00:1]"]
    {
        refused(&settings(&format!("https://{text}/")), "url", "write allow_networks = [");
    }
    for text in ["2130706433", "0x7f.1", "0177.1"] {
        refused(&settings(&format!("https://{text}/")), "url", "four decimal numbers");
    }
}

#[test]
fn behind_a_proxy_localhost_is_nobody() {
    let behind =
        |url: &str| Settings { proxy: Some("http://proxy.example:3128".to_owned()), ..settings(url) };
    refused(&behind("https://localhost/"), "url", "the proxy's own machine");
    refused(&behind("https://a.LOCALHOST./"), "url", "the proxy's own machine");
    refused(&behind("https://10.0.0.1/"), "url", "a private address");
}

#[test]
fn a_proxy_is_plain_and_has_no_credentials_in_its_url() {
    for (proxy, says) in [
        ("https://proxy.example:3128", "http://HOST:PORT"),
        ("http://proxy.example:3128/x", "http://HOST:PORT"),
        ("http://me:secret@proxy.example", "take it out"),
        ("proxy.example:3128", "does not begin with"),
    ] {
        refused(&Settings { proxy: Some(proxy.to_owned()), ..settings("https://a.example/") }, "proxy", says);
    }
    let credentials = |text: &str| Settings {
        proxy: Some("http://proxy.example:3128".to_owned()),
        proxy_credentials: Some(Secret::new(text.as_bytes().to_vec())),
        ..settings("https://a.example/")
    };
    for text in ["secret", "me:sec\nret", "", "me:\u{0}"] {
        refused(&credentials(text), "proxy_credentials", "USER:PASSWORD");
    }
    let alone = Settings { proxy: None, ..credentials("me:secret") };
    refused(&alone, "proxy_credentials", "without `proxy`");
}

#[test]
fn material_for_tls_is_read_at_once() {
    let (chain, key) = client();
    let (_, other_key) = client();
    let with = |chain: &[u8], key: &Secret| Settings {
        client_certificate: Some(chain.to_vec()),
        client_key: Some(key.clone()),
        ..settings("https://a.example/")
    };
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(&with(&chain, &other_key), "client_key", "not that of the client certificate");
    refused(&with(&chain, &Secret::new(encrypted.to_vec())), "client_key", "openssl pkey");
    refused(&with(&chain, &Secret::new(b"nonsense".to_vec())), "client_key", "BEGIN PRIVATE KEY");
    refused(&with(b"nonsense", &key), "client_certificate", "BEGIN CERTIFICATE");
    let half = Settings { client_key: None, ..with(&chain, &key) };
    refused(&half, "client_certificate", "set both, or neither");
    let half = Settings { client_certificate: None, ..with(&chain, &key) };
    refused(&half, "client_key", "set both, or neither");
    refused(&Settings { ca: None, ..settings("https://a.example/") }, "ca", "install ca-certificates");
    let ca =
        |pem: &str| Settings { ca: Some(pem.as_bytes().to_vec()), ..Settings::new("https://a.example/") };
    refused(&ca("nonsense"), "ca", "has no certificate");
    let broken = format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", authority());
    refused(&ca(&broken), "ca", "certificate 2");
    let plain = Settings { allow_insecure: true, ..settings("http://a.example/") };
    refused(&plain, "ca", "over http no certificate is shown or checked");
}

#[test]
fn every_mistake_is_reported_at_once_and_no_secret_with_them() {
    let settings = Settings {
        url: "http://10.0.0.1/SECRET".to_owned(),
        proxy: Some("http://me:SECRET@proxy/".to_owned()),
        proxy_credentials: Some(Secret::new(b"SECRET".to_vec())),
        allow_networks: Vec::new(),
        client_certificate: Some(b"SECRET".to_vec()),
        timeout: Duration::ZERO,
        ..Settings::new("")
    };
    let problems = Target::new(&settings, &SystemRoots::none()).unwrap_err();
    let named: Vec<&str> = problems.iter().map(|problem| problem.setting).collect();
    assert_eq!(named, ["url", "url", "proxy_credentials", "proxy", "timeout", "client_certificate"]);
    assert!(!format!("{problems:?} {settings:?}").contains("SECRET"));
    assert!(!problems.iter().any(|problem| problem.to_string().contains("SECRET")));
}

#[test]
fn a_target_shows_scheme_host_and_port() {
    let target = Target::new(&settings("https://a.example/SECRET?SECRET"), &SystemRoots::none()).unwrap();
    assert_eq!(format!("{target} {target:?}"), "https://a.example:443 Target(https://a.example:443)");
}
