mod auth;
mod desk;
mod incidents;
mod webhooks;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::domain::time::Timestamp;
use crate::stop::Reason;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

struct Running {
    server: Server,
    registry: Registry,
    health: Health,
    clock: Arc<ManualClock>,
    stop: Stop,
}

fn running() -> Running {
    serving(None)
}

fn serving(api: Option<Api>) -> Running {
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let (registry, stop) = (Registry::new(), Stop::new());
    let health = Health::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site { registry: registry.clone(), health: health.clone(), api };
    let server = Server::start(listener, site, stop.clone()).unwrap();
    Running { server, registry, health, clock, stop }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn ask(running: &Running, path: &str) -> (u16, String, String) {
    let mut response = agent().get(format!("http://{}{path}", running.server.address())).call().unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn metrics_are_served_as_prometheus_reads_them() {
    let running = running();
    let frontier = prometheus::IntGauge::new("cardwatch_refresh_frontier", "A frontier.").unwrap();
    frontier.set(17);
    running.registry.register(Box::new(frontier)).unwrap();
    let (status, kind, body) = ask(&running, "/metrics");
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(body.contains("\ncardwatch_refresh_frontier 17\n"), "{body}");
}

#[test]
fn readiness_names_every_condition() {
    let running = running();
    assert_eq!(ask(&running, "/health/ready").0, 503);
    let condition = running.health.condition("refresh", "reading the exposed list");
    let (status, kind, body) = ask(&running, "/health/ready");
    assert_eq!((status, kind.as_str()), (503, "application/json"));
    assert_eq!(
        body,
        r#"{"ok":false,"checks":[{"name":"refresh","ok":false,"reason":"reading the exposed list"}]}"#
    );
    condition.ready();
    let (status, _, body) = ask(&running, "/health/ready");
    assert_eq!((status, body.as_str()), (200, r#"{"ok":true,"checks":[{"name":"refresh","ok":true}]}"#));
}

#[test]
fn a_loop_that_stands_still_is_not_alive() {
    let running = running();
    let heartbeat = running.health.heartbeat("sight/0", Duration::from_secs(30));
    assert_eq!(ask(&running, "/health/live").0, 200);
    running.clock.set(Timestamp(31_000));
    let (status, _, body) = ask(&running, "/health/live");
    assert_eq!(status, 503);
    assert!(body.contains("no turn of the loop for 31 s"), "{body}");
    heartbeat.beat();
    assert_eq!(ask(&running, "/health/live").0, 200);
}

#[test]
fn nothing_else_is_served_and_nothing_can_be_changed() {
    let running = running();
    for path in ["/", "/health", "/metrics/", "/v1/alerts"] {
        assert_eq!(ask(&running, path).0, 404, "{path}");
    }
    let url = format!("http://{}/metrics", running.server.address());
    assert_eq!(agent().post(url).send_empty().unwrap().status().as_u16(), 405);
}

#[test]
fn it_stops_when_asked_even_under_a_client_that_never_finishes() {
    let running = running();
    let address = running.server.address();
    let mut silent = TcpStream::connect(address).unwrap();
    silent.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut idle = TcpStream::connect(address).unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    running.stop.ask(Reason::Asked);
    let (done, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(running.server.join()));
    stopped.recv_timeout(Duration::from_secs(5)).unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err());
}
