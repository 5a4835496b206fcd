//! A deadline for a call of librdkafka that keeps none.
//!
//! `rd_kafka_send_offsets_to_transaction` asks the broker that coordinates the group. When that broker leaves the
//! cluster's metadata (it was killed, or is being upgraded), librdkafka 2.12 lets go of its connection and goes on
//! waiting for it, until some other broker happens to change its state (its issue 5511); the time-out it is given is
//! looked at nowhere on this way (issue 5456). The cluster has long given the transaction up by then, and the worker
//! would own its partitions and work nothing off.
//!
//! So the call is made on a thread of its own. A call that does not come back in time is left behind together with
//! its client: a new producer of the same transactional id fences it, and it ends when it wakes up.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Runs `call` on a thread of its own and gives what it returns; `None` when it has not returned `within`, or
/// there is no thread to be had.
pub(super) fn call<T: Send + 'static>(
    within: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = sync_channel(1);
    // Left behind, it finds nobody who wants its result.
    let body = move || drop(sender.send(call()));
    std::thread::Builder::new().name("kafka-call".to_owned()).spawn(body).ok()?;
    receiver.recv_timeout(within).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_returned_in_time_is_given() {
        assert_eq!(call(Duration::from_secs(60), || 7), Some(7));
    }

    #[test]
    fn what_does_not_return_is_left_behind_and_may_end_later() {
        let (release, held) = channel::<()>();
        let (tell, told) = channel();
        let blocked = move || tell.send(held.recv()).unwrap();
        assert_eq!(call(Duration::from_millis(1), blocked), None);
        release.send(()).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(Ok(())));
    }
}
