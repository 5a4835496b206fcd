use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use cardwatch::domain::delivery::{Answer, Failure};
use cardwatch::webhook::post::{Bytes, Post as _, Request};
use cardwatch::webhook::resolve::{Resolve, Resolving};
use cardwatch::webhook::slot::Slot;
use cardwatch::webhook::target::{Settings, Target};
use cardwatch::webhook::tls::SystemRoots;

/// A resolver that says what it is told, one answer after the other, the last for ever.
#[derive(Debug)]
pub struct Told {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Told {
    pub fn new(answers: &[&[&str]]) -> Arc<Told> {
        let answers = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect());
        Arc::new(Told { answers: Mutex::new(answers.collect()), asked: Mutex::default() })
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Told {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async { Ok(answer.unwrap_or_default()) })
    }
}

/// `http://receiver.example:PORT/hook`, with loopback let through.
pub fn plain(port: u16) -> Settings {
    Settings {
        allow_insecure: true,
        allow_networks: vec!["127.0.0.0/8".to_owned()],
        ..Settings::new(format!("http://receiver.example:{port}/hook?key=SECRET"))
    }
}

pub fn slot(settings: &Settings, resolve: Arc<dyn Resolve>) -> Slot {
    let target = Target::new(settings, &SystemRoots::none()).expect("sound settings");
    Slot::new(Arc::new(target), resolve)
}

/// A slot to a receiver on loopback.
pub fn slot_to(port: u16) -> Slot {
    slot(&plain(port), Told::new(&[&["127.0.0.1"]]))
}

pub fn request(id: &str) -> Request {
    let body = format!("{{\"id\":\"{id}\"}}");
    Request::new("application/json", [("webhook-id", id)], Bytes::from(body)).unwrap()
}

pub fn answered(status: u16) -> Result<Answer, Failure> {
    Ok(Answer { status, retry_after: None })
}

/// Asserts a failure, and that neither the slot nor its words show the URL.
#[track_caller]
pub fn failed(slot: &Slot, result: &Result<Answer, Failure>, failure: Failure, says: &str) {
    let detail = slot.detail().unwrap_or_default();
    assert_eq!(*result, Err(failure), "{detail}");
    assert!(detail.contains(says), "should say {says:?}: {detail}");
    assert!(!format!("{detail} {slot:?} {result:?}").contains("SECRET"));
}
