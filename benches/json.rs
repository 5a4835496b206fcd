//! What it costs to read one record to its end and find its card: the reader in use beside the other candidates.
//! `src/codec/json.rs` has the choice and the figures.

// A benchmark whose own records do not read has nothing to measure.
#![allow(clippy::expect_used)]

use std::fmt;
use std::hint::black_box;

use cardwatch::codec::mapping::{Mapping, MappingSpec};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The shape of the kept Sparkov data, 236 bytes.
const FLAT: &[u8] = br#"{"id":"tx-0000000","ts":"2018-01-01T00:00:00Z","card":"30324474562566","amount":"105.42","currency":"USD","merchant":{"id":"M0106","name":"Kutch LLC","mcc":"5541","country":"US","lat":38.211,"lon":-75.386},"channel":"pos","fraud":false}"#;
/// The same facts with the card two steps down and white space, as pretty printers leave it.
const NESTED: &[u8] = br#"{ "id": "tx-0000000", "ts": "2018-01-01T00:00:00Z", "payment": { "method": "card", "card": { "number": "30324474562566", "expiry": "09/25" } }, "amount": "105.42", "currency": "USD", "merchant": { "id": "M0106", "name": "Kutch LLC" } }"#;

fn mapping(card: &str) -> Mapping {
    let spec = MappingSpec { card: vec![card.to_owned()], ..MappingSpec::default() };
    Mapping::new(&spec).expect("a sound mapping")
}

fn in_use(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("in use");
    for (name, record, card) in [("flat", FLAT, "/card"), ("nested", NESTED, "/payment/card/number")] {
        let mapping = mapping(card);
        group.throughput(Throughput::Bytes(record.len() as u64));
        group.bench_function(format!("scan, {name}"), |bench| {
            bench.iter(|| black_box(mapping.scan(black_box(record))).is_ok());
        });
    }
    let mapping = mapping("/card");
    let card = mapping.scan(FLAT).expect("a card");
    group.bench_function("decode on a hit, flat", |bench| {
        bench.iter(|| black_box(mapping.decode(black_box(FLAT), &card)));
    });
    group.finish();
}

fn candidates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("candidates");
    group.throughput(Throughput::Bytes(FLAT.len() as u64));
    group.bench_function("UTF-8 alone", |bench| bench.iter(|| std::str::from_utf8(black_box(FLAT)).is_ok()));
    group.bench_function("serde_json, nothing looked for", |bench| {
        bench.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(FLAT)).is_ok());
    });
    group.bench_function("sonic-rs, serde visitor", |bench| {
        bench.iter(|| {
            let mut reader = sonic_rs::Deserializer::from_slice(black_box(FLAT));
            let card = (&mut reader).deserialize_map(CardMember).expect("valid");
            card.map(|card| card.as_raw_str().len())
        });
    });
    group.bench_function("sonic-rs, to_object_iter", |bench| {
        bench.iter(|| {
            let members = sonic_rs::to_object_iter(black_box(FLAT)).map(|member| member.expect("valid"));
            members.filter(|(name, _)| name == "card").map(|(_, card)| card.as_raw_str().len()).sum::<usize>()
        });
    });
    group.finish();
}

/// The walk of `codec::json` over one object, for sonic-rs.
struct CardMember;

impl<'a> Visitor<'a> for CardMember {
    type Value = Option<sonic_rs::LazyValue<'a>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut card = None;
        while let Some(is_card) = members.next_key_seed(IsCard)? {
            if is_card {
                card = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(card)
    }
}

struct IsCard;

impl<'a> DeserializeSeed<'a> for IsCard {
    type Value = bool;
    fn deserialize<D: Deserializer<'a>>(self, name: D) -> Result<bool, D::Error> {
        <&str>::deserialize(name).map(|name| name == "card")
    }
}

criterion_group!(benches, in_use, candidates);
criterion_main!(benches);
