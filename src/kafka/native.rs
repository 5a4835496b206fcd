//! The only `unsafe` of the program: what rust-rdkafka does not wrap.
//!
//! Five things. Taking records in batches from a queue of our own (per-message `poll` costs as much
//! as all other work together). Holding a partition back by forwarding its queue to nowhere, which is
//! how a partition waits for its state without being paused. Asking what a topic or a group is to this user: its id
//! and the rights on it. Giving a client a token without polling it. Asking OpenSSL for its version.
//!
//! Safety rests on three facts of librdkafka 2.12 (rdkafka.h): a client handle may be used from any
//! thread; a message stays valid until `rd_kafka_message_destroy`; a queue handle keeps its queue alive
//! but not the client, so every type here holds an `Arc` of its client and lets go of it last.
//!
//! `rd_kafka_consume_batch_queue` must never be called on the consumer's *own* queue: rebalances arrive
//! there as events, and the batch call would answer them by dropping the assignment.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;

use super::token::Token;
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

/// What the cluster says of a topic or a group: a topic's id as text, why nothing is said, and the operations that this
/// user may do, as numbers of the protocol. `None` where the broker does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) error: Option<RDKafkaErrorCode>,
    pub(super) allowed: Option<Vec<i32>>,
}

/// What is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Topics,
    Groups,
}

/// Asks for topics or groups by name; `None` where the cluster does not answer in `wait`.
pub(super) fn describe<C: ClientContext>(
    client: &Client<C>,
    kind: Kind,
    names: &[&str],
    wait: Duration,
) -> Option<Vec<Described>> {
    let names: Vec<CString> = names.iter().map(|name| CString::new(*name)).collect::<Result<_, _>>().ok()?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let operation = match kind {
        Kind::Topics => sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        Kind::Groups => sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
    };
    // SAFETY: every handle made here is checked or never null, and destroyed here, in the reverse order; names are
    // copied by the calls; the result's parts live as long as the event and are copied before it is destroyed.
    unsafe {
        let rk = client.native_ptr();
        let queue = sys::rd_kafka_queue_new(rk);
        let options = sys::rd_kafka_AdminOptions_new(rk, operation);
        let mut why = [0; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, why.as_mut_ptr(), why.len());
        let error = sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
        if !error.is_null() {
            sys::rd_kafka_error_destroy(error);
        }
        match kind {
            Kind::Topics => {
                let topics =
                    sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
                sys::rd_kafka_DescribeTopics(rk, topics, options, queue);
                sys::rd_kafka_TopicCollection_destroy(topics);
            }
            Kind::Groups => sys::rd_kafka_DescribeConsumerGroups(
                rk,
                pointers.as_mut_ptr(),
                pointers.len(),
                options,
                queue,
            ),
        }
        let event = sys::rd_kafka_queue_poll(queue, wait_ms.saturating_add(500));
        let described = if event.is_null() { None } else { described(event, kind) };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        described
    }
}

/// # Safety
/// `event` is a valid event.
unsafe fn described(event: *mut sys::rd_kafka_event_t, kind: Kind) -> Option<Vec<Described>> {
    let (mut count, mut operations) = (0, 0);
    // SAFETY: the accessors return null on events of another type; lists have as many entries as they say, none null.
    unsafe {
        if kind == Kind::Topics {
            let result = sys::rd_kafka_event_DescribeTopics_result(event).as_ref()?;
            let list = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            let topic = |at| {
                let one = *list.add(at);
                let allowed = sys::rd_kafka_TopicDescription_authorized_operations(one, &mut operations);
                Described {
                    name: text(sys::rd_kafka_TopicDescription_name(one)),
                    id: id_text(sys::rd_kafka_TopicDescription_topic_id(one)),
                    error: code(sys::rd_kafka_TopicDescription_error(one)),
                    allowed: numbers(allowed, operations),
                }
            };
            return Some((0..count).map(topic).collect());
        }
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event).as_ref()?;
        let list = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        let group = |at| {
            let one = *list.add(at);
            let allowed = sys::rd_kafka_ConsumerGroupDescription_authorized_operations(one, &mut operations);
            Described {
                name: text(sys::rd_kafka_ConsumerGroupDescription_group_id(one)),
                id: None,
                error: code(sys::rd_kafka_ConsumerGroupDescription_error(one)),
                allowed: numbers(allowed, operations),
            }
        };
        Some((0..count).map(group).collect())
    }
}

/// # Safety
/// `text` is null or a text that ends with a null byte.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    if text.is_null() {
        String::new()
    } else {
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

/// # Safety
/// `error` is null or a valid error.
unsafe fn code(error: *const sys::rd_kafka_error_t) -> Option<RDKafkaErrorCode> {
    // SAFETY: the caller's promise; the code of no error is none.
    match unsafe { sys::rd_kafka_error_code(error) } {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => None,
        code => Some(code.into()),
    }
}

/// # Safety
/// `operations` is null or a list of so many.
unsafe fn numbers(operations: *const sys::rd_kafka_AclOperation_t, count: usize) -> Option<Vec<i32>> {
    // SAFETY: the caller's promise. Read as numbers: a newer broker may know operations that the enum does not.
    (!operations.is_null())
        .then(|| unsafe { std::slice::from_raw_parts(operations.cast::<i32>(), count) }.to_vec())
}

/// # Safety
/// `id` is null or a valid id.
unsafe fn id_text(id: *const sys::rd_kafka_Uuid_t) -> Option<String> {
    // SAFETY: the caller's promise; the text belongs to the id.
    unsafe {
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

/// Gives a client the token that it shows to brokers from now on. Its connections, those that wait for one too, take
/// it by themselves.
pub(super) fn set_token<C: ClientContext>(client: &Client<C>, token: &Token) -> Result<(), String> {
    // Wiped: librdkafka keeps a copy of its own.
    let text = zeroize::Zeroizing::new([token.text.expose(), b"\0"].concat());
    let text = CStr::from_bytes_with_nul(&text).map_err(|_| "the token holds a null byte".to_owned())?;
    let subject =
        CString::new(token.subject.as_str()).map_err(|_| "the token's subject holds a null byte")?;
    let mut why = [0; 256];
    // SAFETY: the client is valid; the texts are copied by the call; `why` is filled with a text that ends in it.
    let (result, why) = unsafe {
        let result = sys::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            text.as_ptr(),
            token.expires_at.millis(),
            subject.as_ptr(),
            std::ptr::null_mut(),
            0,
            why.as_mut_ptr(),
            why.len(),
        );
        (result, CStr::from_ptr(why.as_ptr()).to_string_lossy().into_owned())
    };
    match result {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        // It would repeat a token of characters that it does not take.
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__INVALID_ARG if !why.starts_with("Must supply") => {
            Err("the token holds characters that are not printable".to_owned())
        }
        _ => Err(why),
    }
}

/// The name and version of OpenSSL.
#[cfg(feature = "tls")]
pub(super) fn openssl_version() -> Option<String> {
    const NAME_AND_VERSION: std::ffi::c_int = 0;
    // SAFETY: may be called at any time; the text is static.
    let version = unsafe { openssl_sys::OpenSSL_version(NAME_AND_VERSION) };
    // SAFETY: as above.
    (!version.is_null()).then(|| unsafe { text(version) })
}
