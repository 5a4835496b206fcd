//! Access control lists, written by the protocol itself: a run of Kafka's own command takes two seconds each.

use std::io::{Read, Write};
use std::net::TcpStream;

/// CreateAcls, in the version that is not compact (Kafka's protocol guide).
const CREATE_ACLS: [i16; 2] = [30, 1];

/// One right of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    pub principal: String,
    pub resource: &'static str,
    pub name: String,
    pub prefixed: bool,
    pub operation: String,
}

/// Gives these rights.
pub fn allow(bootstrap: &str, acls: &[Acl]) {
    let mut body = Vec::new();
    CREATE_ACLS.iter().for_each(|number| body.extend(number.to_be_bytes()));
    body.extend(1i32.to_be_bytes());
    text(&mut body, "tests");
    body.extend(count(acls.len()).to_be_bytes());
    for acl in acls {
        body.push(match acl.resource {
            "topic" => 2,
            "group" => 3,
            "transactional-id" => 5,
            other => panic!("no such resource: {other}"),
        });
        text(&mut body, &acl.name);
        body.push(if acl.prefixed { 4 } else { 3 });
        text(&mut body, &acl.principal);
        text(&mut body, "*");
        body.push(match acl.operation.as_str() {
            "Read" => 3,
            "Write" => 4,
            "Create" => 5,
            "Describe" => 8,
            "DescribeConfigs" => 10,
            other => panic!("no such operation: {other}"),
        });
        const ALLOW: u8 = 3;
        body.push(ALLOW);
    }
    let mut stream = TcpStream::connect(bootstrap).expect("the broker listens");
    stream.write_all(&count(body.len()).to_be_bytes()).expect("sent");
    stream.write_all(&body).expect("sent");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut answer).expect("an answer");
    // Correlation id, throttle time, how many; then of each an error code and an empty text or none.
    let results: &[u8] = &answer[12..];
    assert_eq!(results.len(), acls.len() * 4, "{}", String::from_utf8_lossy(results));
    assert!(results.chunks(4).all(|result| result[..2] == [0, 0]), "{results:?}");
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend(i16::try_from(text.len()).expect("a short text").to_be_bytes());
    to.extend(text.as_bytes());
}

fn count(number: usize) -> i32 {
    i32::try_from(number).expect("a small number")
}
