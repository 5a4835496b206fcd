//! Broken variants that show themselves without a process of their own: the test that catches one is run again,
//! in this same binary, with the variant switched on.

/// Each variant, and the tests that catch it.
const CAUGHT: [(&str, &[&str]); 11] = [
    (
        "act-before-its-record",
        &[
            "lines::audit::tests::an_act_begins_when_its_intent_is_on_the_disk",
            "lines::audit::tests::what_cannot_be_written_down_is_not_begun",
        ],
    ),
    (
        "other-key-check-skipped",
        &[
            "files::keys::tests::a_key_that_changed_or_is_broken_or_missing_is_an_error_that_names_the_file_alone",
        ],
    ),
    ("published-key-accepted", &["files::keys::tests::a_published_key_is_refused_wherever_it_comes_from"]),
    (
        "second-key-not-looked-up",
        &["watch::tests::a_card_listed_under_another_active_key_matches_and_is_keyed_by_the_primary"],
    ),
    (
        "keyed-by-another-key",
        &["watch::tests::a_card_listed_under_another_active_key_matches_and_is_keyed_by_the_primary"],
    ),
    (
        "sealed-in-the-clear",
        &["codec::dead_letter::tests::a_sealed_letter_shows_nothing_and_opens_with_the_private_key"],
    ),
    (
        "digest-under-the-raw-key",
        &["exposure::derived::tests::a_digest_is_no_fingerprint_and_tells_bytes_apart"],
    ),
    (
        "pace-of-all-endpoints",
        &["lines::notify::tests::isolation::who_behaves_is_told_when_it_would_be_told_alone"],
    ),
    (
        "begins-proposed-once",
        &[
            "lines::notify::tests::endpoints::an_aborted_transaction_does_not_take_away_that_an_endpoint_has_begun_or_is_back",
        ],
    ),
    (
        "late-failure-waits",
        &[
            "lines::notify::tests::endpoints::an_attempt_that_failed_before_the_endpoint_was_back_waits_no_longer_either",
        ],
    ),
    (
        "kept-after-its-end",
        &["notice::sign::tests::a_rotation_signs_with_both_keys_until_the_end_of_the_old"],
    ),
];

#[test]
fn broken_variants_are_caught_by_the_tests_that_claim_it() {
    for (variant, tests) in CAUGHT {
        assert!(super::BROKEN.contains(&variant), "{variant}");
        for test in tests {
            let sound = super::run_again(test, "").unwrap();
            assert!(sound.contains("1 passed"), "{test} is no test, or fails as it is:\n{sound}");
            let broken = super::run_again(test, &format!("break:{variant}")).unwrap();
            assert!(broken.contains("1 failed"), "{test} does not catch {variant}:\n{broken}");
        }
    }
}
