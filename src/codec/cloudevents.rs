//! CloudEvents 1.0 in binary mode (Kafka protocol binding), in structured mode (JSON), and the W3C trace context.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::alert::Alert;
use crate::domain::sighting::Sighting;
use crate::domain::time::Timestamp;

use super::card::CardField;

/// Kafka headers: name and value.
pub type Headers = Vec<(String, Vec<u8>)>;

/// The media type of an event in structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// The media type of several.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// The name of the trace header, in the input and in the output.
pub const TRACEPARENT: &str = "traceparent";

/// The headers of a sighting. `traceparent` is passed on as [`traceparent`] gave it.
pub fn of_sighting(sighting: &Sighting, traceparent: Option<&str>) -> Headers {
    let subject = sighting.card.fingerprint.to_string();
    let event = Event {
        id: sighting.id.clone(),
        source: "/cardwatch/sight",
        kind: &sighting.schema,
        time: sighting.seen_at,
        subject: Some(&subject),
    };
    event.headers(traceparent)
}

/// The headers of an alert. The event's id is the alert's; a later revision is an event of its own, and happened when
/// somebody decided.
pub fn of_alert(alert: &Alert, traceparent: Option<&str>) -> Headers {
    event_of(alert, &alert.card.fingerprint.to_string()).headers(traceparent)
}

fn event_of<'a>(alert: &'a Alert, subject: &'a str) -> Event<'a> {
    let id = if alert.revision <= 1 { alert.id.clone() } else { format!("{}.{}", alert.id, alert.revision) };
    let decided = alert.outcome.as_ref().filter(|_| alert.revision > 1);
    Event {
        id,
        source: if decided.is_some() { "/cardwatch/books" } else { "/cardwatch/score" },
        kind: &alert.schema,
        time: decided.map_or(alert.raised_at, |decision| decision.at),
        subject: Some(subject),
    }
}

/// An event in structured mode: attributes and data in one JSON object.
#[derive(Debug, Serialize)]
pub struct Structured<'a, D> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    datacontenttype: &'static str,
    data: D,
}

/// An alert as an event in structured mode, with the attributes of its headers. `data` is its record, byte for byte.
pub fn structured<'a>(alert: &'a Alert, data: &'a RawValue) -> Structured<'a, &'a RawValue> {
    let Event { id, source, kind, time, .. } = event_of(alert, "");
    let subject = Some(alert.card.fingerprint.to_string());
    let (specversion, datacontenttype) = ("1.0", "application/json");
    Structured { specversion, id, source, kind, time, subject, datacontenttype, data }
}

/// A sign of life as an event in structured mode.
pub fn heartbeat<D: Serialize>(schema: &str, at: Timestamp, data: D) -> Structured<'_, D> {
    Structured {
        specversion: "1.0",
        id: format!("heartbeat-{}", at.millis()),
        source: "/cardwatch/notify",
        kind: schema,
        time: at,
        subject: None,
        datacontenttype: "application/json",
        data,
    }
}

/// The attributes of an event whose data is JSON.
pub(super) struct Event<'a> {
    pub(super) id: String,
    pub(super) source: &'a str,
    pub(super) kind: &'a str,
    pub(super) time: Timestamp,
    pub(super) subject: Option<&'a str>,
}

impl Event<'_> {
    pub(super) fn headers(self, traceparent: Option<&str>) -> Headers {
        let mut headers: Headers = Vec::with_capacity(8);
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.as_bytes().to_vec()));
        add("ce_specversion", "1.0");
        add("ce_id", &self.id);
        add("ce_source", self.source);
        add("ce_type", self.kind);
        add("ce_time", &self.time.to_string());
        if let Some(subject) = self.subject {
            add("ce_subject", subject);
        }
        add("content-type", "application/json");
        if let Some(traceparent) = traceparent {
            add(TRACEPARENT, traceparent);
        }
        headers
    }
}

/// The `traceparent` of an input record, if it may be passed on: well-formed, version 00, and not repeating
/// the event's card, for which 32 free digits would have room.
pub fn traceparent<'h>(header: &'h [u8], cards: &[&CardField<'_>]) -> Option<&'h str> {
    let text = std::str::from_utf8(header).ok()?;
    (is_traceparent(text) && !cards.iter().any(|card| card.appears_in(text))).then_some(text)
}

/// Whether `text` is a `traceparent` of version 00 (W3C Trace Context, section 3.2): neither trace nor parent
/// all zero, lower case.
pub fn is_traceparent(text: &str) -> bool {
    let hex =
        |part: &str, len| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('-');
    match [(); 5].map(|()| parts.next()) {
        [Some("00"), Some(trace), Some(parent), Some(flags), None] => {
            let zero = |part: &str| part.bytes().all(|b| b == b'0');
            hex(trace, 32) && !zero(trace) && hex(parent, 16) && !zero(parent) && hex(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::card::CardNumber;

    #[test]
    fn only_a_well_formed_traceparent_passes() {
        const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(GOOD));
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }

    #[test]
    fn a_traceparent_that_carries_the_card_is_not_passed_on() {
        let card = |digits: &[u8]| CardField::Number(CardNumber::parse(digits).unwrap());
        let header = b"00-42424242424242420000000000000000-b7ad6b7169203331-01";
        assert_eq!(traceparent(header, &[&card(b"4242424242424242")]), None);
        assert!(traceparent(header, &[&card(b"4111111111111111")]).is_some());
        assert_eq!(traceparent(b"00-\xff", &[&card(b"4111111111111111")]), None);
    }
}
