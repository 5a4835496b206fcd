//! The only `unsafe` of the program: what rust-rdkafka does not wrap.
//!
//! Three things. Taking records in batches from a queue of our own (per-message `poll` costs as much
//! as all other work together). Holding a partition back by forwarding its queue to nowhere, which is
//! how a partition waits for its state without being paused. Asking for a topic's id.
//!
//! Safety rests on three facts of librdkafka 2.12 (rdkafka.h): a client handle may be used from any
//! thread; a message stays valid until `rd_kafka_message_destroy`; a queue handle keeps its queue alive
//! but not the client, so every type here holds an `Arc` of its client and lets go of it last.
//!
//! `rd_kafka_consume_batch_queue` must never be called on the consumer's *own* queue: rebalances arrive
//! there as events, and the batch call would answer them by dropping the assignment.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;

use crate::domain::time::Timestamp;

/// A queue of our own, filled by the partitions forwarded to it.
pub(super) struct Queue<C: ConsumerContext> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues and clients are thread-safe (rdkafka.h, "thread-safe"); the pointer is
// only used through librdkafka.
unsafe impl<C: ConsumerContext> Send for Queue<C> {}

impl<C: ConsumerContext> Queue<C> {
    pub(super) fn new(consumer: Arc<BaseConsumer<C>>) -> Option<Queue<C>> {
        // SAFETY: the client pointer is valid as long as `consumer`, which the result keeps.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Some(Queue { queue: NonNull::new(queue)?, consumer })
    }

    /// Forwards a partition's records to this queue (`flow`) or to nowhere (`!flow`).
    ///
    /// The forwarding is sticky in librdkafka: it outlives the assignment, so a partition that is
    /// assigned again must be told again.
    pub(super) fn forward(&self, topic: &str, partition: i32, flow: bool) {
        let Ok(name) = CString::new(topic) else { return };
        // SAFETY: client and own queue are valid; the partition's queue handle is checked for null and
        // destroyed here, which gives up our reference only.
        unsafe {
            let client = self.consumer.client().native_ptr();
            let source = sys::rd_kafka_queue_get_partition(client, name.as_ptr(), partition);
            if source.is_null() {
                return;
            }
            let target = if flow { self.queue.as_ptr() } else { std::ptr::null_mut() };
            sys::rd_kafka_queue_forward(source, target);
            sys::rd_kafka_queue_destroy(source);
        }
    }

    /// Takes up to `batch.capacity` records: at once what is there, otherwise the first to arrive
    /// within `wait` and whatever came with it.
    pub(super) fn take(&self, batch: &mut Batch, wait: Duration) {
        batch.clear();
        self.fill(batch, batch.capacity, Duration::ZERO);
        if batch.messages.is_empty() && !wait.is_zero() {
            // The batch call waits until the batch is *full*; asking for one first makes it wait for
            // the first record only.
            self.fill(batch, 1, wait);
            if !batch.messages.is_empty() {
                self.fill(batch, batch.capacity - 1, Duration::ZERO);
            }
        }
    }

    fn fill(&self, batch: &mut Batch, count: usize, wait: Duration) {
        let start = batch.messages.len();
        batch.messages.reserve(count);
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the vector has room for `count` more pointers; librdkafka writes as many as it
        // returns, and each becomes ours to destroy (done in `Batch::clear`).
        unsafe {
            let room = batch.messages.as_mut_ptr().add(start).cast::<*mut sys::rd_kafka_message_t>();
            let taken = sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), wait_ms, room, count);
            batch.messages.set_len(start + usize::try_from(taken).unwrap_or(0));
        }
    }
}

impl<C: ConsumerContext> Drop for Queue<C> {
    fn drop(&mut self) {
        // SAFETY: made by rd_kafka_queue_new and not destroyed before; the client outlives it.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Records taken from a [`Queue`], owned until cleared or dropped.
///
/// It must not outlive the queue's client; [`super::consumer`] keeps both together.
pub(super) struct Batch {
    messages: Vec<NonNull<sys::rd_kafka_message_t>>,
    capacity: usize,
}

// SAFETY: as for `Queue`: messages may be read and destroyed on any one thread.
unsafe impl Send for Batch {}

impl Batch {
    pub(super) fn with_capacity(capacity: usize) -> Batch {
        Batch { messages: Vec::with_capacity(capacity + 1), capacity }
    }

    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: the pointers are valid until `clear`, which needs `&mut self`.
        self.messages.iter().map(|message| Message { message: unsafe { message.as_ref() } })
    }

    pub(super) fn clear(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: each was given to us by the batch call and is destroyed once.
            unsafe { sys::rd_kafka_message_destroy(message.as_ptr()) }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One record, end-of-partition mark or error out of a [`Batch`].
#[derive(Clone, Copy)]
pub struct Message<'a> {
    message: &'a sys::rd_kafka_message_t,
}

impl std::fmt::Debug for Message<'_> {
    /// The place only: the bytes may hold a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({}@{})", self.partition(), self.offset())
    }
}

impl<'a> Message<'a> {
    /// What went wrong, if this is an error: end of partition included.
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        match self.message.err {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => None,
            error => Some(error.into()),
        }
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.message.partition
    }

    /// The offset; of an end-of-partition mark, the offset of the record that would be next.
    pub fn offset(&self) -> i64 {
        self.message.offset
    }

    /// The value; `None` is a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka gives a pointer to `len` bytes that live as long as the message.
        unsafe { bytes(self.message.payload.cast(), self.message.len) }
    }

    /// The key.
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: as for `value`.
        unsafe { bytes(self.message.key.cast(), self.message.key_len) }
    }

    /// The record's timestamp; 0 where the broker keeps none.
    pub fn timestamp(&self) -> Timestamp {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: a valid message and a valid place for the answer.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.message, &mut kind) };
        Timestamp(millis.max(0))
    }

    /// The headers, in their order. Read on demand: parsing them costs.
    pub fn headers(&self) -> Vec<(&'a str, Option<&'a [u8]>)> {
        let mut headers = std::ptr::null_mut();
        let mut found = Vec::new();
        // SAFETY: the headers belong to the message; `rd_kafka_header_get_all` reads the n-th or says
        // that there is none; name and value live as long as the message.
        unsafe {
            let error = sys::rd_kafka_message_headers(self.message, &mut headers);
            if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return found;
            }
            let (mut name, mut value, mut len) = (std::ptr::null(), std::ptr::null(), 0usize);
            while sys::rd_kafka_header_get_all(headers, found.len(), &mut name, &mut value, &mut len)
                == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                let text = CStr::from_ptr(name).to_str().unwrap_or("");
                found.push((text, bytes(value.cast(), len)));
            }
        }
        found
    }
}

/// # Safety
/// `start` is null or points to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, len) })
}

/// The group membership of a consumer at one moment: which member it is, in which generation.
pub(super) struct GroupMetadata {
    metadata: NonNull<sys::rd_kafka_consumer_group_metadata_t>,
}

// SAFETY: an immutable value once made.
unsafe impl Send for GroupMetadata {}
// SAFETY: as above: it is only read.
unsafe impl Sync for GroupMetadata {}

impl GroupMetadata {
    /// As it is now. Never keep it: a rebalance changes the generation without telling this member.
    pub(super) fn of<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<GroupMetadata> {
        // SAFETY: the client is valid; the result is ours, null without a group.
        let metadata = unsafe { sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
        NonNull::new(metadata).map(|metadata| GroupMetadata { metadata })
    }

    /// The generation; negative while the member is not in the group. The coordinator does not check
    /// a negative one, so offsets must not be sent under it.
    pub(super) fn generation(&self) -> i32 {
        // SAFETY: a valid value.
        unsafe { sys::rd_kafka_consumer_group_metadata_generation_id(self.metadata.as_ptr()) }
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.metadata.as_ptr()) }
    }
}

/// An error of the transactional interface, with what librdkafka says must be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransactionError {
    pub(super) code: RDKafkaErrorCode,
    pub(super) retriable: bool,
    pub(super) abortable: bool,
    pub(super) text: String,
}

/// Sends offsets to the open transaction of `producer`, in the name of `group`.
///
/// rust-rdkafka's own call would fetch a second, possibly newer, group metadata than the one whose
/// generation was looked at.
pub(super) fn send_offsets<C: ClientContext>(
    producer: &Client<C>,
    offsets: &TopicPartitionList,
    group: &GroupMetadata,
) -> Result<(), TransactionError> {
    // SAFETY: all three are valid for the call; the error, if any, is ours and destroyed here.
    unsafe {
        let error = sys::rd_kafka_send_offsets_to_transaction(
            producer.native_ptr(),
            offsets.ptr(),
            group.metadata.as_ptr(),
            -1,
        );
        if error.is_null() {
            return Ok(());
        }
        let result = TransactionError {
            code: sys::rd_kafka_error_code(error).into(),
            retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            abortable: sys::rd_kafka_error_txn_requires_abort(error) != 0,
            text: CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
        };
        sys::rd_kafka_error_destroy(error);
        Err(result)
    }
}

/// The id that the cluster gave a topic, as text; `None` where the broker keeps none or does not answer
/// in `wait`. A topic that was deleted and made again has another.
pub(super) fn topic_id<C: ClientContext>(client: &Client<C>, topic: &str, wait: Duration) -> Option<String> {
    let name = CString::new(topic).ok()?;
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: every handle made here is checked and destroyed here, in the reverse order; the result's
    // parts live as long as the event and are copied before it is destroyed.
    unsafe {
        let rk = client.native_ptr();
        let queue = sys::rd_kafka_queue_new(rk);
        let options =
            sys::rd_kafka_AdminOptions_new(rk, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let mut why = [0; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, why.as_mut_ptr(), why.len());
        let mut names = [name.as_ptr()];
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        sys::rd_kafka_DescribeTopics(rk, topics, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, wait_ms.saturating_add(500));
        let id = if event.is_null() { None } else { id_of(event) };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_TopicCollection_destroy(topics);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        id
    }
}

/// # Safety
/// `event` is a valid event.
unsafe fn id_of(event: *mut sys::rd_kafka_event_t) -> Option<String> {
    // SAFETY: the accessors return null on events of another type; lists have `count` entries.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let list = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if list.is_null() || count == 0 || (*list).is_null() {
            return None;
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(*list);
        if id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0)
        {
            return None;
        }
        let text = sys::rd_kafka_Uuid_base64str(id);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
