//! Whether the keys at hand fit the exposure list: a list under a key that is missing or wrong would be
//! silence.

use crate::exposure::fingerprint::Keyring;
use crate::exposure::set::View;

/// Says what is wrong, and what to do.
///
/// # Errors
/// When the list has cards under a key that is not at hand, or a key at hand is not the one that the list was
/// made with.
pub(super) fn check(view: &View, keyring: &Keyring) -> Result<(), String> {
    let missing = view.missing_keys(keyring).into_iter().map(|(key, cards)| {
        format!(
            "{cards} cards on the list were made with key {key}, which is not here; copy {key}.key into the key \
             directory, or import the list again with the present key"
        )
    });
    let wrong = view.wrong_checks(keyring).into_iter().map(|wrong| {
        format!(
            "key {} here is not the key {} that incident {} was made with: none of its cards would match; \
             bring the right key file",
            wrong.key, wrong.key, wrong.incident
        )
    });
    let faults: Vec<String> = missing.chain(wrong).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
