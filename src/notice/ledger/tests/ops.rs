//! What happens to a ledger, in any order.

use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(super) enum Op {
    Take(i64),
    HandOut(usize),
    HandOutNext,
    Delivered(usize),
    Failed(usize, Option<i64>, bool),
    GiveBack(usize),
    Open(i64),
    Gather,
    Hasten,
    HastenOne(usize),
    Disable(bool),
    Leave,
    Rejoin,
    Pass(i64),
    Replay(i64),
    ReplayFailed(usize),
    ReplayRange(i64, i64),
    Merge,
    Discard,
    Restart,
}

pub(super) fn op(with_replays: bool) -> impl Strategy<Value = Op> {
    let plain = prop_oneof![
        6 => (1i64..6).prop_map(Op::Take),
        5 => (1usize..5).prop_map(Op::HandOut),
        2 => Just(Op::HandOutNext),
        5 => any::<usize>().prop_map(Op::Delivered),
        4 => (any::<usize>(), prop::option::weighted(0.7, prop_oneof![0i64..300, 0i64..9_000]), any::<bool>())
            .prop_map(|(which, next, counted)| Op::Failed(which, next, counted)),
        1 => any::<usize>().prop_map(Op::GiveBack),
        3 => (1i64..12).prop_map(Op::Open),
        3 => Just(Op::Gather),
        1 => Just(Op::Hasten),
        1 => any::<usize>().prop_map(Op::HastenOne),
        1 => any::<bool>().prop_map(Op::Disable),
        1 => Just(Op::Leave),
        1 => Just(Op::Rejoin),
        3 => prop_oneof![1i64..200, 1i64..2_000].prop_map(Op::Pass),
        7 => Just(Op::Merge),
        2 => Just(Op::Discard),
        1 => Just(Op::Restart),
    ];
    let replays = prop_oneof![
        (0i64..40).prop_map(Op::Replay),
        any::<usize>().prop_map(Op::ReplayFailed),
        (0i64..40, 1i64..10).prop_map(|(from, length)| Op::ReplayRange(from, from + length)),
    ];
    prop_oneof![44 => plain, if with_replays { 5 } else { 0 } => replays]
}
