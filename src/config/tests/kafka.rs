use std::fmt::Write as _;

use super::super::kafka::REFUSED;
use super::{environment, problems, project, read};

/// What stands before and behind the list in docs/kafka.md.
const MARKS: [&str; 2] = ["<!-- refused: begin -->\n", "<!-- refused: end -->\n"];

#[test]
fn what_is_refused_is_refused_with_its_own_reason_and_listed() {
    let mut list = String::from("| property | why |\n|---|---|\n");
    for (name, reason) in REFUSED {
        let found = problems(&format!("[kafka.properties]\n\"{name}\" = \"1\"\n"), &[]);
        assert!(found.len() == 1 && found[0].contains(reason), "{name}: {found:?}");
        writeln!(list, "| `{name}` | {reason} |").unwrap();
    }
    assert!(REFUSED.is_sorted_by(|one, other| one.0 < other.0));
    let path = project("docs/kafka.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (found, after) = rest.split_once(MARKS[1]).unwrap();
    if environment().any(|(name, _)| name == "UPDATE_REFERENCE") {
        std::fs::write(&path, [before, MARKS[0], &list, MARKS[1], after].concat()).unwrap();
    } else {
        assert!(found == list, "run UPDATE_REFERENCE=1 cargo test --lib config::");
    }
}

#[test]
fn two_names_of_one_property_are_one() {
    let settings = read("[kafka.properties]\n\"compression.codec\" = \"zstd\"\n", &[]).unwrap();
    assert_eq!(settings.kafka.properties.get("compression.type"), Some("zstd"));
    let twice = "[kafka.properties]\n\"compression.codec\" = \"zstd\"\n\"compression.type\" = \"gzip\"\n";
    let found = problems(twice, &[]);
    assert!(found.len() == 1 && found[0].contains("says again what another property says"), "{found:?}");
}

#[test]
fn what_the_client_does_not_take_is_told_before_it_is_started() {
    for (property, want) in [
        ("\"linger.m\" = 5", "is no property of librdkafka"),
        ("\"linger.ms\" = \"soon\"", "is not a value that the client takes"),
        ("\"client.rack_file\" = \"x\"", "is no secret"),
        ("\"https.ca.location\" = \"x\"", "is not built in"),
    ] {
        let found = problems(&format!("[kafka.properties]\n{property}\n"), &[]);
        let want = if cfg!(feature = "tls") { want } else { want.trim_start_matches("is not built in") };
        assert!(found.len() == 1 && found[0].contains(want), "{property}: {found:?}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_a_configuration_that_wants_it_is_refused() {
    let found = problems("[kafka.properties]\n\"security.protocol\" = \"ssl\"\n", &[]);
    assert!(found[0].contains("built without TLS and SASL (--no-default-features)"), "{found:?}");
}

#[cfg(feature = "tls")]
#[test]
fn properties_that_do_nothing_for_want_of_others_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    crate::files::private::create(&secret, b"hunter2\n").unwrap();
    let secret = secret.display();
    let scram = "\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"SCRAM-SHA-512\"\n";
    let oauth = "\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"OAUTHBEARER\"\n";
    for (properties, before, want) in [
        (
            "\"ssl.ca.location\" = \"ca.pem\"",
            "",
            &["ssl.ca.location: does nothing: security.protocol is plaintext"][..],
        ),
        ("\"sasl.username\" = \"u\"", "", &["write \"security.protocol\" = \"sasl_plaintext\" as well"]),
        ("\"security.protocol\" = \"sasl_ssl\"", "", &["Kerberos, which is not built in"]),
        (
            "\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"GSSAPI\"",
            "",
            &["is not built in, or not so written"],
        ),
        (scram, "", &["needs sasl.password; write \"sasl.password_file\" as well", "needs sasl.username"]),
        (oauth, "", &["kafka.oauth.token_file: is not set"]),
        ("", "token_file = \"t\"", &["kafka.oauth.token_file: does nothing"]),
        (
            oauth,
            "token_file = \"t\"\ntoken_command = [\"t\"]",
            &["comes from kafka.oauth.token_command as well"],
        ),
        (oauth, "token_command = [\"t\"]", &[]),
        (
            &format!("\"security.protocol\" = \"ssl\"\n\"ssl.key.location\" = \"{secret}\""),
            "",
            &["ssl.key.location: needs ssl.certificate.location"],
        ),
        (
            "\"security.protocol\" = \"ssl\"\n\"ssl.key.location\" = \"no/such\"",
            "",
            &["cannot read", "needs"][..1],
        ),
    ] {
        let found = problems(&format!("[kafka.oauth]\n{before}\n[kafka.properties]\n{properties}\n"), &[]);
        assert_eq!(found.len(), want.len(), "{properties}: {found:?}");
        for want in want {
            assert!(found.iter().any(|text| text.contains(want)), "{want}: {found:?}");
        }
    }
}

#[test]
fn what_travels_as_plain_text_is_remarked() {
    let found = |properties: &str| {
        let settings = read(&format!("[input]\nstart = \"latest\"\n[kafka.properties]\n{properties}\n"), &[]);
        settings.map(|settings| settings.remarks().join("\n")).unwrap_or_default()
    };
    assert_eq!(found("\"client.rack\" = \"a\""), "");
    if cfg!(feature = "tls") {
        let told =
            found("\"security.protocol\" = \"ssl\"\n\"ssl.endpoint.identification.algorithm\" = \"none\"");
        assert!(told.contains("can pass for a broker"), "{told}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_secret_is_read_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    crate::files::private::create(&path, b"hunter2\n").unwrap();
    let name = path.to_str().unwrap();
    let text = "[kafka.properties]\n\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanisms\" = \"PLAIN\"\n\
                \"sasl.username\" = \"cardwatch\"\n";
    let variables = [("CARDWATCH_KAFKA__PROPERTIES__SASL_PASSWORD_FILE", name)];
    let settings = read(text, &variables).unwrap();
    let properties = &settings.kafka.properties;
    assert_eq!(
        (properties.get("sasl.password"), properties.get("sasl.mechanism")),
        (Some("hunter2"), Some("PLAIN"))
    );
    // Others may read it: so it may be known.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let found = problems(text, &variables);
    assert!(
        found.iter().any(|text| text.contains("chmod 600")) && !found.join("").contains("hunter2"),
        "{found:?}"
    );
    let found = problems("[kafka.properties]\n\"sasl.password\" = \"x\"\n", &[]);
    assert!(
        found[0].ends_with("write \"sasl.password_file\" and the path of a file that holds it"),
        "{found:?}"
    );
}
