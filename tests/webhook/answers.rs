use std::time::Duration;

use cardwatch::domain::delivery::{Answer, Failure};
use tokio::time::Instant;

use crate::receiver::{Behaviour, Receiver};
use crate::stage::{Told, answered, failed, plain, request, slot, slot_to};

#[tokio::test]
async fn a_post_says_what_it_must() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let port = receiver.address.port();
    assert_eq!(slot_to(port).post(request("a-1")).await, answered(200));
    let received = receiver.received().remove(0);
    assert_eq!(received.line, "POST /hook?key=SECRET HTTP/1.1");
    assert_eq!(received.header("host"), Some(format!("receiver.example:{port}").as_str()));
    assert_eq!(received.header("user-agent"), Some(concat!("cardwatch/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("content-length"), Some("12"));
    assert_eq!(received.header("webhook-id"), Some("a-1"));
    assert_eq!(received.body, br#"{"id":"a-1"}"#);
}

#[tokio::test]
async fn the_status_is_told_whatever_it_is_and_the_connection_kept() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let mut slot = slot_to(receiver.address.port());
    for status in [200, 202, 204, 299, 302, 400, 410, 429, 500, 503] {
        receiver.behave(Behaviour::status(status));
        assert_eq!(slot.post(request("a-1")).await, answered(status));
    }
    assert_eq!(receiver.connections(), 1);
    assert_eq!(receiver.received().len(), 10);
}

#[tokio::test]
async fn of_the_headers_retry_after_alone_is_kept_and_cut() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let mut slot = slot_to(receiver.address.port());
    for (said, kept) in [
        ("120".to_owned(), Some("120".to_owned())),
        ("Fri, 27 Nov 2026 17:00:00 GMT".to_owned(), Some("Fri, 27 Nov 2026 17:00:00 GMT".to_owned())),
        ("9".repeat(1000), Some("9".repeat(64))),
        ("\u{e9}".to_owned(), None),
    ] {
        receiver.behave(Behaviour::Answer(429, vec![("retry-after", said), ("x-other", "1".to_owned())]));
        assert_eq!(slot.post(request("a-1")).await, Ok(Answer { status: 429, retry_after: kept }));
    }
}

#[tokio::test]
async fn redirects_are_answers_and_nobody_follows() {
    let inner = Receiver::start(Behaviour::status(200), None).await;
    let to = format!("http://{}/inside", inner.address);
    for status in [301, 302, 303, 307, 308] {
        let outer = Receiver::start(Behaviour::Answer(status, vec![("location", to.clone())]), None).await;
        assert_eq!(slot_to(outer.address.port()).post(request("a-1")).await, answered(status));
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let receiver = Receiver::start(Behaviour::Informational, None).await;
    let mut slot = slot_to(receiver.address.port());
    for _ in 0..2 {
        assert_eq!(slot.post(request("a-1")).await, answered(200));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn what_breaks_or_is_not_http_is_a_failure() {
    for behaviour in [
        Behaviour::Close,
        Behaviour::CloseInHead,
        Behaviour::Garbage,
        Behaviour::LargeHeader(200_000),
        Behaviour::ManyHeaders(101),
    ] {
        let receiver = Receiver::start(behaviour.clone(), None).await;
        let mut slot = slot_to(receiver.address.port());
        let result = slot.post(request("a-1")).await;
        failed(&slot, &result, Failure::Protocol, "");
        assert_eq!(receiver.received().len(), 1, "{behaviour:?}: what may have arrived is not sent again");
        // And the slot is as good as new.
        receiver.behave(Behaviour::status(200));
        assert_eq!(slot.post(request("a-1")).await, answered(200), "{behaviour:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    // Bound and not listening: nobody else gets the port, and nobody answers there.
    let bound = tokio::net::TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = bound.local_addr().unwrap().port();
    let mut slot = slot_to(port);
    let result = slot.post(request("a-1")).await;
    failed(&slot, &result, Failure::Connect, "refused");
    let mut slot = crate::stage::slot(&plain(port), Told::new(&[&[]]));
    let result = slot.post(request("a-1")).await;
    failed(&slot, &result, Failure::Resolve, "receiver.example has no address");
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let told = Told::new(&[&["127.0.0.2", "127.0.0.3", "127.0.0.1"]]);
    assert_eq!(slot(&plain(receiver.address.port()), told).post(request("a-1")).await, answered(200));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_stands_over_the_whole() {
    for behaviour in [Behaviour::Hang, Behaviour::DripHead] {
        let receiver = Receiver::start(behaviour.clone(), None).await;
        let mut slot = slot_to(receiver.address.port());
        let start = Instant::now();
        let result = slot.post(request("a-1")).await;
        failed(&slot, &result, Failure::Timeout, "15000 ms passed while waiting for the answer");
        assert_eq!(start.elapsed().as_secs(), 15, "{behaviour:?}");
    }
}

#[tokio::test]
async fn an_answer_counts_when_its_head_is_there() {
    // The second is a real one for what drips; what is too large costs nothing.
    for behaviour in [Behaviour::Drip, Behaviour::Endless, Behaviour::CloseInBody, Behaviour::Body(100_000)] {
        let receiver = Receiver::start(behaviour.clone(), None).await;
        let mut slot = slot_to(receiver.address.port());
        let start = Instant::now();
        assert_eq!(slot.post(request("a-1")).await, answered(200), "{behaviour:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{behaviour:?}");
        receiver.behave(Behaviour::status(200));
        assert_eq!(slot.post(request("a-2")).await, answered(200));
        assert_eq!(receiver.connections(), 2, "{behaviour:?}: such a connection is not used again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_is_left_after_a_second() {
    let receiver = Receiver::start(Behaviour::Drip, None).await;
    let mut slot = slot_to(receiver.address.port());
    let start = Instant::now();
    assert_eq!(slot.post(request("a-1")).await, answered(200));
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn a_body_within_the_cap_costs_no_connection() {
    let receiver = Receiver::start(Behaviour::Body(64 * 1024), None).await;
    let mut slot = slot_to(receiver.address.port());
    for _ in 0..3 {
        assert_eq!(slot.post(request("a-1")).await, answered(200));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let receiver = Receiver::start(Behaviour::CloseAfter, None).await;
    let mut slot = slot_to(receiver.address.port());
    for _ in 0..5 {
        assert_eq!(slot.post(request("a-1")).await, answered(200));
        // Until the end of the connection is here: on loopback a few turns.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((receiver.connections(), receiver.received().len()), (5, 5));
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_request_is_a_failure() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let mut slot = slot_to(receiver.address.port());
    assert_eq!(slot.post(request("a-1")).await, answered(200));
    receiver.behave(Behaviour::Close);
    let result = slot.post(request("a-2")).await;
    failed(&slot, &result, Failure::Protocol, "");
    let ids: Vec<_> =
        receiver.received().iter().map(|received| received.header("webhook-id").map(str::to_owned)).collect();
    assert_eq!(ids, [Some("a-1".to_owned()), Some("a-2".to_owned())], "it is not sent twice in one attempt");
}

#[tokio::test(start_paused = true)]
async fn connections_are_renewed_so_that_dns_is_followed() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let told = Told::new(&[&["127.0.0.1"]]);
    let mut slot = slot(&plain(receiver.address.port()), told.clone());
    for (minutes, looked_up) in [(0, 1), (1, 1), (3, 1), (2, 2), (1, 2)] {
        tokio::time::advance(Duration::from_mins(minutes)).await;
        assert_eq!(slot.post(request("a-1")).await, answered(200));
        assert_eq!(
            (told.asked().len(), receiver.connections()),
            (looked_up, looked_up),
            "after {minutes} min more"
        );
    }
}

#[tokio::test]
async fn a_post_that_is_dropped_leaves_a_slot_that_works() {
    let receiver = Receiver::start(Behaviour::Hang, None).await;
    let mut slot = slot_to(receiver.address.port());
    tokio::select! {
        biased;
        result = slot.post(request("a-1")) => panic!("{result:?}"),
        () = async { while receiver.received().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    receiver.behave(Behaviour::status(200));
    assert_eq!(slot.post(request("a-2")).await, answered(200));
    assert_eq!(receiver.connections(), 2);
}
