//! A build that is broken on purpose is caught: the test that claims it is run again, in this same binary.

use cardwatch::fault::run_again;

#[test]
fn a_name_that_is_looked_up_again_after_it_was_judged_is_caught() {
    let test = "guard::what_was_judged_is_what_is_connected_to";
    let sound = run_again(test, "").unwrap();
    assert!(sound.contains("1 passed"), "{sound}");
    let broken = run_again(test, "break:address-looked-up-again").unwrap();
    assert!(broken.contains("1 failed"), "{broken}");
}
