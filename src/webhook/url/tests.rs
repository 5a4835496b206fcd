use proptest::prelude::*;

use super::*;

#[test]
fn a_url_is_taken_apart() {
    for (text, shown, host_header, path) in [
        ("https://a.example.com", "https://a.example.com:443", "a.example.com", "/"),
        ("HTTPS://A.Example.COM:443/x?y=z", "https://a.example.com:443", "a.example.com", "/x?y=z"),
        ("http://a.example.com:8080/x", "http://a.example.com:8080", "a.example.com:8080", "/x"),
        ("https://a.example.com./x", "https://a.example.com:443", "a.example.com", "/x"),
        ("http://203.0.113.9", "http://203.0.113.9:80", "203.0.113.9", "/"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443", "/"),
        ("https://[::ffff:127.0.0.1]/", "https://[::ffff:127.0.0.1]:443", "[::ffff:127.0.0.1]", "/"),
        ("https://my_host/", "https://my_host:443", "my_host", "/"),
        ("https://a.example.com?x=1", "https://a.example.com:443", "a.example.com", "/?x=1"),
        ("https://127.0.0.1./", "https://127.0.0.1:443", "127.0.0.1", "/"),
    ] {
        let url: Url = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((url.to_string().as_str(), url.host_header().as_str()), (shown, host_header), "{text}");
        assert_eq!(url.path.as_str(), path, "{text}");
    }
    let dotted: Url = "https://a.example.com./".parse().unwrap();
    assert_eq!(dotted.host, Host::Name("a.example.com.".to_owned()), "looked up as it stands");
}

#[test]
fn what_is_no_url_of_a_receiver_is_refused() {
    use UrlError::{Characters, Credentials, Empty, Fragment, Host, Long, Number, Port, Scheme};
    let long = format!("https://a/{}", "x".repeat(LONGEST));
    let long_name = format!("https://{}/", ["a"; 128].join("."));
    for (text, error) in [
        ("", Empty),
        (long.as_str(), Long),
        ("https://a/ b", Characters),
        ("https://bücher.example/", Characters),
        ("https://a\\@b/", Characters),
        ("https://a/\r\nX: y", Characters),
        ("a.example.com/x", Scheme),
        ("ftp://a.example.com/", Scheme),
        ("//a.example.com/", Scheme),
        ("https://user:secret@a.example.com/", Credentials),
        ("https://a.example.com@127.0.0.1/", Credentials),
        ("https://a.example.com/x#y", Fragment),
        ("https://a.example.com#@b/", Fragment),
        ("https:///x", Host),
        ("https://./x", Host),
        ("https://a..b/x", Host),
        ("https://-a.example/x", Host),
        (long_name.as_str(), Host),
        ("https://2130706433/", Number),
        ("https://127.1/", Number),
        ("https://0x7f.1/", Number),
        ("https://0x7f000001/", Number),
        ("https://0177.0.0.1/", Number),
        ("https://1.2.3.4.5/", Number),
        ("https://a.example.0x10/", Number),
        ("https://a:0/", Port),
        ("https://a:/", Port),
        ("https://a:65536/", Port),
        ("https://a:x/", Port),
    ] {
        assert_eq!(text.parse::<Url>(), Err(error), "{text}");
    }
    for text in
        ["https://[fe80::1%25eth0]/", "https://[::1", "https://::1/", "https://[v1.x]/", "https://a[::1]/"]
    {
        assert!(text.parse::<Url>().is_err(), "{text}");
    }
}

#[test]
fn localhost_is_known_in_every_spelling() {
    for text in ["http://localhost/", "http://LocalHost./", "http://a.localhost:1/"] {
        assert!(text.parse::<Url>().unwrap().host.is_localhost(), "{text}");
    }
    assert!(!"http://localhost.example.com/".parse::<Url>().unwrap().host.is_localhost());
}

/// Pieces that URLs are made of and quarrelled about.
fn any_url() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "https://",
        "http://",
        "a.example",
        "127.0.0.1",
        "0x7f",
        "::1",
        "[",
        "]",
        ":",
        "@",
        "/",
        "?",
        "#",
        "\\",
        ".",
        "%2f",
        "443",
        "0",
        "localhost",
        "é",
        " ",
        "\u{0}",
        "//",
        "user:pass@",
        "%00",
        "-",
        "_",
        "x",
    ]);
    let pieces = prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    prop_oneof![pieces.clone(), pieces.prop_map(|rest| format!("https://{rest}")), any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_taken_reads_back_the_same(text in any_url()) {
        let Ok(url) = text.parse::<Url>() else { return Ok(()) };
        let again: Url = format!("{url}{}", url.path).parse().unwrap();
        prop_assert_eq!((again.secure, again.port, &again.path), (url.secure, url.port, &url.path));
        prop_assert_eq!(again.host.to_string(), url.host.to_string());
        prop_assert_eq!(again.to_string(), url.to_string());
    }

    #[test]
    fn a_host_is_an_address_exactly_if_a_resolver_would_read_one(text in any_url()) {
        // Of the host that is taken for a name, no reading as a number is left.
        if let Ok(Url { host: Host::Name(name), .. }) = text.parse::<Url>() {
            prop_assert!(name.parse::<IpAddr>().is_err());
            let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_owned();
            prop_assert!(!last.bytes().all(|byte| byte.is_ascii_digit()), "{}", name);
            prop_assert!(!last.starts_with("0x") || u64::from_str_radix(&last[2..], 16).is_err(), "{}", name);
        }
    }
}

#[test]
fn the_path_is_never_shown() {
    let url: Url = "https://hooks.example.com/services/T0/SECRET?token=SECRET".parse().unwrap();
    assert!(!format!("{url} {url:?}").contains("SECRET"));
    for text in
        ["https://u:SECRET@a/", "https://a/SECRET#x", "ftp://a/SECRET", "https://a/SECRET é", "SECRET"]
    {
        let error = text.parse::<Url>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }
}
