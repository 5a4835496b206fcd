use std::sync::Arc;

use cardwatch::domain::delivery::Failure;
use cardwatch::webhook::resolve::SystemResolver;
use cardwatch::webhook::slot::Slot;
use cardwatch::webhook::target::{Settings, Target};
use cardwatch::webhook::tls::SystemRoots;

use crate::receiver::{Behaviour, Receiver};
use crate::stage::{Told, answered, failed, plain, request, slot};

/// As [`plain`], with nothing let through.
fn guarded(port: u16) -> Settings {
    Settings { allow_networks: Vec::new(), ..plain(port) }
}

#[tokio::test]
async fn a_name_that_comes_to_a_forbidden_address_is_not_connected_to() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    for (addresses, says) in [
        (&["127.0.0.1"][..], "receiver.example is 127.0.0.1, a loopback address"),
        (&["::ffff:127.0.0.1"], "a loopback address"),
        (&["::1"], "a loopback address"),
        (&["169.254.169.254"], "metadata service"),
        (&["10.0.0.1"], "10.0.0.1, a private address"),
        (&["8.8.8.8", "127.0.0.1"], "127.0.0.1, a loopback address"),
        (&["127.0.0.1", "8.8.8.8"], "127.0.0.1, a loopback address"),
    ] {
        let mut slot = slot(&guarded(receiver.address.port()), Told::new(&[addresses]));
        let result = slot.post(request("a-1")).await;
        failed(&slot, &result, Failure::Forbidden, says);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_mixed_answer_is_refused_where_part_of_it_is_let_through() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let told = Told::new(&[&["127.0.0.1", "10.0.0.1"]]);
    let mut slot = slot(&plain(receiver.address.port()), told);
    let result = slot.post(request("a-1")).await;
    failed(&slot, &result, Failure::Forbidden, "10.0.0.1");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn what_was_judged_is_what_is_connected_to() {
    // Looked up once more, the name would come to an address that is forbidden, and to nobody.
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let told = Told::new(&[&["127.0.0.1"], &["127.0.0.9"]]);
    let settings =
        Settings { allow_networks: vec!["127.0.0.1".to_owned()], ..plain(receiver.address.port()) };
    let mut slot = slot(&settings, told.clone());
    assert_eq!(slot.post(request("a-1")).await, answered(200));
    assert_eq!(slot.post(request("a-2")).await, answered(200));
    assert_eq!(told.asked(), ["receiver.example"], "one look-up for a connection");
    // A new connection is judged anew.
    receiver.behave(Behaviour::Close);
    assert_eq!(slot.post(request("a-3")).await, Err(Failure::Protocol));
    let result = slot.post(request("a-4")).await;
    failed(&slot, &result, Failure::Forbidden, "127.0.0.9");
    assert_eq!((told.asked().len(), receiver.connections()), (2, 1));
}

#[tokio::test]
async fn names_of_this_machine_are_judged_by_their_address() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let port = receiver.address.port();
    for host in ["localhost", "LOCALHOST"] {
        let settings =
            Settings { allow_insecure: true, ..Settings::new(format!("http://{host}:{port}/SECRET")) };
        let target = Arc::new(Target::new(&settings, &SystemRoots::none()).unwrap());
        let mut slot = Slot::new(target, Arc::new(SystemResolver));
        let result = slot.post(request("a-1")).await;
        failed(&slot, &result, Failure::Forbidden, "a loopback address");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn the_system_resolves_a_name_that_is_let_through() {
    let receiver = Receiver::start(Behaviour::status(200), None).await;
    let settings = Settings {
        allow_insecure: true,
        allow_networks: vec!["127.0.0.0/8".to_owned(), "::1".to_owned()],
        ..Settings::new(format!("http://localhost:{}/", receiver.address.port()))
    };
    let target = Arc::new(Target::new(&settings, &SystemRoots::none()).unwrap());
    assert_eq!(Slot::new(target, Arc::new(SystemResolver)).post(request("a-1")).await, answered(200));
}
