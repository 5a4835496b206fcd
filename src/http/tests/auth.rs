//! Tokens and roles, through the server as a client meets it.

use super::*;
use crate::http::auth::{Caller, Role, TokenChange, TokenError, needs};
use crate::secret::Secret;
use axum::routing::{get, post};

const TOKENS: [(&str, Role, &str); 5] = [
    ("eyes", Role::Read, "read-0123456789abcdef0123456789abcdef"),
    ("desk", Role::Decide, "desk-0123456789abcdef0123456789abcdef"),
    ("feed", Role::Import, "feed-0123456789abcdef0123456789abcdef"),
    ("root", Role::Admin, "root-0123456789abcdef0123456789abcdef"),
    ("issuer", Role::Receive, "issu-0123456789abcdef0123456789abcdef"),
];

fn token(name: &str, role: Role, token: &str) -> (Caller, Secret) {
    let caller = Caller { name: name.to_owned(), role, endpoints: Default::default() };
    (caller, Secret::new(token.as_bytes().to_vec()))
}

fn tokens() -> Tokens {
    Tokens::new(TOKENS.map(|(name, role, secret)| token(name, role, secret)).to_vec()).unwrap()
}

/// A server with a route for each role, and one that forgot to say what it needs.
fn guarded(tokens: Tokens) -> Running {
    let ok = async |caller: Caller| caller.name;
    let mut routes = Router::new().route("/v1/forgotten", post(ok)).route("/v1/seen", get(ok));
    for role in Role::ALL {
        routes = routes.route(&format!("/v1/{role}"), needs(role, post(ok)));
    }
    serving(Some(Api::new(tokens).with(routes)))
}

struct Answer {
    status: u16,
    kind: String,
    challenge: Option<String>,
    body: String,
}

fn send(running: &Running, method: &str, path: &str, authorization: Option<&str>) -> Answer {
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", running.server.address()));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let mut response = agent().run(request.body(()).unwrap()).unwrap();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (kind, challenge) = (header("content-type").unwrap_or_default(), header("www-authenticate"));
    let status = response.status().as_u16();
    Answer { status, kind, challenge, body: response.body_mut().read_to_string().unwrap() }
}

fn with_token(running: &Running, method: &str, path: &str, token: &str) -> u16 {
    send(running, method, path, Some(&format!("Bearer {token}"))).status
}

/// Counted refusals, by reason.
fn refusals(running: &Running) -> Vec<(String, f64)> {
    let families = running.registry.gather();
    let family = families.iter().find(|family| family.name() == "cardwatch_http_refused_total").unwrap();
    let metrics = family.get_metric().iter();
    metrics
        .map(|metric| (metric.get_label()[0].value().to_owned(), metric.get_counter().get_value()))
        .collect()
}

#[test]
fn a_token_says_who_asks() {
    let running = guarded(tokens());
    for (name, role, secret) in TOKENS {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let answer = send(&running, "GET", "/v1/whoami", Some(&format!("{scheme} {secret}")));
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body, format!(r#"{{"name":"{name}","role":"{role}"}}"#));
        }
    }
}

#[test]
fn without_a_known_token_there_is_nothing_but_metrics_and_health() {
    let running = guarded(tokens());
    let long = format!("Bearer {}x", TOKENS[3].2);
    let short = format!("Bearer {}", &TOKENS[3].2[..36]);
    let basic = format!("Basic {}", TOKENS[3].2);
    for (authorization, code) in [
        (None, "no_token"),
        (Some("Bearer"), "no_token"),
        (Some(TOKENS[3].2), "no_token"),
        (Some(basic.as_str()), "no_token"),
        (Some("Bearer "), "no_token"),
        (Some("Bearer ROOT-0123456789abcdef0123456789abcdef"), "unknown_token"),
        (Some(long.as_str()), "unknown_token"),
        (Some(short.as_str()), "unknown_token"),
    ] {
        for path in ["/v1/whoami", "/v1/seen", "/v1/nothing", "/", "/metrics/", "/v1/admin"] {
            let answer = send(&running, "GET", path, authorization);
            assert_eq!((answer.status, answer.kind.as_str()), (401, "application/problem+json"), "{path}");
            let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(problem["code"], code, "{authorization:?} {path}");
            assert_eq!((&problem["status"], &problem["title"]), (&401.into(), &"Unauthorized".into()));
            assert!(answer.challenge.unwrap().starts_with("Bearer realm=\"cardwatch\""));
        }
        for path in ["/metrics", "/health/live"] {
            assert_eq!(send(&running, "GET", path, authorization).status, 200, "{path}");
        }
    }
    assert!(refusals(&running).contains(&("unknown_token".to_owned(), 18.0)), "{:?}", refusals(&running));
}

#[test]
fn two_headers_are_none() {
    let running = guarded(tokens());
    let bearer = format!("Bearer {}", TOKENS[3].2);
    let request = ureq::http::Request::builder()
        .uri(format!("http://{}/v1/whoami", running.server.address()))
        .header("authorization", &bearer)
        .header("authorization", &bearer);
    assert_eq!(agent().run(request.body(()).unwrap()).unwrap().status().as_u16(), 401);
}

#[test]
fn each_role_may_do_what_it_includes_and_no_more() {
    let running = guarded(tokens());
    for (name, role, secret) in TOKENS {
        for needed in Role::ALL {
            let may = match (role, needed) {
                // `read` changes nothing, so not even a POST that asks for no more; `receive` neither.
                (Role::Read | Role::Receive, _) => false,
                (Role::Admin, _) | (_, Role::Read) => true,
                (role, needed) => role == needed,
            };
            let answer = send(&running, "POST", &format!("/v1/{needed}"), Some(&format!("Bearer {secret}")));
            assert_eq!(answer.status, if may { 200 } else { 403 }, "{name} {needed}");
            if !may {
                assert_eq!(answer.kind, "application/problem+json");
                let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(problem["code"], "role");
                assert!(answer.challenge.unwrap().contains("insufficient_scope"));
            }
        }
    }
    assert!(refusals(&running).contains(&("role".to_owned(), 16.0)), "{:?}", refusals(&running));
}

#[test]
fn a_token_that_reads_changes_nothing_even_where_a_route_forgot_to_say_so() {
    let running = guarded(tokens());
    assert_eq!(with_token(&running, "POST", "/v1/forgotten", TOKENS[0].2), 403);
    assert_eq!(with_token(&running, "POST", "/v1/forgotten", TOKENS[1].2), 200);
    assert_eq!(with_token(&running, "GET", "/v1/seen", TOKENS[0].2), 200);
}

#[test]
fn a_receiver_is_let_to_what_it_is_told_and_to_nothing_else_whatever_routes_there_are() {
    let ok = async |caller: Caller| caller.name;
    let (seen, told) = ("/v1/seen", "/v1/deliveries");
    let routes = Router::new().route(seen, get(ok)).route(told, get(ok).post(ok));
    let running = serving(Some(Api::new(tokens()).with(routes)));
    for (method, path, status) in [
        ("GET", told, 200),
        ("GET", "/v1/whoami", 200),
        ("GET", "/v1/openapi.json", 200),
        ("POST", told, 403),
        ("GET", seen, 403),
        ("GET", "/v1/deliveries/", 403),
        ("GET", "/v1/deliveries/x", 403),
        ("GET", "/v1/Deliveries", 403),
        ("GET", "/v1/nothing", 403),
        ("GET", "/metrics", 200),
    ] {
        assert_eq!(with_token(&running, method, path, TOKENS[4].2), status, "{method} {path}");
    }
    let (caller, _) = token("issuer", Role::Receive, TOKENS[4].2);
    let issuer = "issuer".parse().unwrap();
    assert_eq!(caller.must_see(&issuer).unwrap_err().code(), "endpoint");
    let caller = Caller { endpoints: [issuer.clone()].into(), ..caller };
    assert!(caller.must_see(&issuer).is_ok());
    assert!(token("eyes", Role::Read, TOKENS[0].2).0.must_see(&issuer).is_ok());
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let running = guarded(tokens());
    for (method, path, status, code) in
        [("GET", "/v1/nothing", 404, "not_found"), ("DELETE", "/v1/seen", 405, "method")]
    {
        let answer = send(&running, method, path, Some(&format!("Bearer {}", TOKENS[3].2)));
        assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{path}");
        assert!(answer.body.contains(code), "{}", answer.body);
    }
}

#[test]
fn tokens_are_replaced_while_it_runs_or_kept() {
    let tokens = tokens();
    let running = guarded(tokens.clone());
    let new = "next-0123456789abcdef0123456789abcdef";
    tokens.prepare(vec![token("next", Role::Read, "short")]).unwrap_err();
    assert_eq!(with_token(&running, "GET", "/v1/whoami", TOKENS[0].2), 200);
    let prepared = tokens.prepare(vec![token("next", Role::Read, new)]).unwrap();
    assert_eq!(with_token(&running, "GET", "/v1/whoami", new), 401);
    tokens.put(prepared);
    assert_eq!(with_token(&running, "GET", "/v1/whoami", TOKENS[0].2), 401);
    assert_eq!(with_token(&running, "GET", "/v1/whoami", new), 200);
}

#[test]
fn what_changes_for_whom_is_told_and_never_the_token() {
    let tokens = tokens();
    let [eyes, desk, feed, root, issuer] = TOKENS;
    let new = "next-0123456789abcdef0123456789abcdef";
    let told = |list: Vec<(Caller, Secret)>| {
        let prepared = tokens.prepare(list).unwrap();
        assert!(!format!("{prepared:?}").contains("0123456789abcdef"));
        let line = |change: &TokenChange| {
            format!("{} {:?} {:?} {}", change.name, change.before, change.after, change.words().join("+"))
        };
        prepared.changes().iter().map(line).collect::<Vec<String>>()
    };
    let same = |(name, role, secret)| token(name, role, secret);
    assert_eq!(told([issuer, root, feed, desk, eyes].map(same).to_vec()), [""; 0]);
    let other = |name: &str| {
        let (mut caller, secret) = same(issuer);
        caller.endpoints.insert(name.parse().unwrap());
        (caller, secret)
    };
    let list = || [root, feed, desk, eyes].map(same).into_iter();
    assert_eq!(
        told(list().chain([other("issuer")]).collect()),
        ["issuer Some(Receive) Some(Receive) endpoints_changed"]
    );
    let list = vec![
        same(desk),
        same(issuer),
        token("feed", Role::Import, new),
        token("root", Role::Read, root.2),
        token("next", Role::Decide, eyes.2),
    ];
    let want = [
        "eyes Some(Read) None removed",
        "feed Some(Import) Some(Import) replaced",
        "root Some(Admin) Some(Read) role_changed",
        "next None Some(Decide) added",
    ];
    assert_eq!(told(list), want);
    let list =
        [eyes, feed, root, issuer].map(same).into_iter().chain([token("desk", Role::Admin, new)]).collect();
    assert_eq!(told(list), ["desk Some(Decide) Some(Admin) role_changed+replaced"]);
}

#[test]
fn where_there_are_no_tokens_nobody_is_let_in() {
    let running = guarded(Tokens::new(Vec::new()).unwrap());
    let answer = send(&running, "GET", "/v1/whoami", Some("Bearer x"));
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("[[http.tokens]]"), "{}", answer.body);
}

#[test]
fn a_token_that_could_be_guessed_or_told_apart_by_nobody_is_refused() {
    let good = TOKENS[0].2;
    let refused = |secrets: &[&str]| {
        let tokens =
            secrets.iter().enumerate().map(|(n, secret)| token(&format!("t{n}"), Role::Read, secret));
        Tokens::new(tokens.collect()).unwrap_err()
    };
    assert_eq!(refused(&["0123456789abcdef0123456789abcde"]), TokenError::Weak("t0".to_owned()));
    assert_eq!(refused(&[&"abcdefg".repeat(10)]), TokenError::Weak("t0".to_owned()));
    assert_eq!(refused(&[good, ""]), TokenError::Weak("t1".to_owned()));
    assert_eq!(refused(&["0123456789abcdef 0123456789abcdef"]), TokenError::Letters("t0".to_owned()));
    assert_eq!(refused(&[&good.repeat(20)]), TokenError::Letters("t0".to_owned()));
    let longest = good.repeat(20)[..512].to_owned();
    assert!(Tokens::new(vec![token("t0", Role::Read, &longest)]).is_ok());
    assert_eq!(refused(&[&format!("{longest}x")]), TokenError::Letters("t0".to_owned()));
    for letter in ["*", "\"", "\u{e9}", "\u{0}"] {
        assert_eq!(refused(&[&format!("{good}{letter}")]), TokenError::Letters("t0".to_owned()));
    }
    assert_eq!(refused(&[good, good]), TokenError::Same("t0".to_owned(), "t1".to_owned()));
    let shown = format!("{:?} {}", tokens(), refused(&[good, good]));
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}
