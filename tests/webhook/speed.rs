use std::time::Duration;

use tokio::time::Instant;

use crate::receiver::{Behaviour, Receiver};
use crate::stage::{answered, request, slot_to};

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the number is for whoever asks with --nocapture")]
async fn slots_post_at_once_and_every_post_arrives() {
    const POSTS: usize = 1_000;
    for slots in [1, 8] {
        let receiver = Receiver::start(Behaviour::status(200), None).await;
        let start = Instant::now();
        let mut posting = tokio::task::JoinSet::new();
        for number in 0..slots {
            let mut slot = slot_to(receiver.address.port());
            posting.spawn(async move {
                for post in 0..POSTS / slots {
                    assert_eq!(slot.post(request(&format!("a-{number}-{post}"))).await, answered(200));
                }
            });
        }
        while let Some(done) = posting.join_next().await {
            done.unwrap();
        }
        let took = start.elapsed().max(Duration::from_nanos(1));
        println!("{slots} slots: {:.0} posts a second", POSTS as f64 / took.as_secs_f64());
        assert_eq!((receiver.received().len(), receiver.connections()), (POSTS, slots));
    }
}
