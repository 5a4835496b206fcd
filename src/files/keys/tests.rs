use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

fn id(text: &str) -> KeyId {
    text.parse().unwrap()
}

/// A directory with an active k1 and a primary k2.
fn directory() -> (tempfile::TempDir, KeyDirectory) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = KeyDirectory::new(&temporary.path().join("deep/keys"));
    directory.create(id("k1"), false, Timestamp(1_000)).unwrap();
    directory.create(id("k2"), true, Timestamp(2_000)).unwrap();
    (temporary, directory)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn keys_that_were_made_are_loaded_with_the_primary_first() {
    let (_kept, directory) = directory();
    let keyring = directory.load().unwrap();
    assert_eq!(keyring.ids(), [id("k2"), id("k1")]);
    assert_ne!(keyring.keys()[0].secret(), keyring.keys()[1].secret());
    let listed = directory.list().unwrap();
    let checks: Vec<CheckValue> = listed.keys.iter().map(|entry| entry.check).collect();
    assert_eq!(checks, [keyring.keys()[1].check_value(), keyring.keys()[0].check_value()]);
    assert_eq!(listed.keys[0].created_at, Timestamp(1_000));
}

#[test]
fn only_the_owner_can_read_what_is_made() {
    let (_kept, directory) = directory();
    assert_eq!(mode(directory.path()), 0o700);
    for file in ["k1.key", "k2.key", "keyring.json"] {
        assert_eq!(mode(&directory.path().join(file)), 0o600, "{file}");
    }
    let text = fs::read_to_string(directory.path().join("k1.key")).unwrap();
    assert_eq!((text.len(), text.trim_end().len()), (65, 64));
}

#[test]
fn a_key_that_others_may_read_or_change_is_refused_with_what_to_run() {
    let (_kept, directory) = directory();
    let path = directory.path().join("k1.key");
    for bad in [0o640, 0o604, 0o620, 0o602, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
        let error = directory.load().unwrap_err().to_string();
        let path = path.display().to_string();
        for part in [&*path, &format!("mode {bad:04o}"), &format!("chmod 600 {path}")] {
            assert!(error.contains(part), "{error}");
        }
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    directory.load().unwrap();
}

#[test]
fn a_retired_key_is_not_opened_any_more() {
    let (_kept, directory) = directory();
    assert!(matches!(directory.retire(&id("k2"), Timestamp(3_000)), Err(KeysError::Primary(_))));
    assert!(matches!(directory.retire(&id("k9"), Timestamp(3_000)), Err(KeysError::NoSuchKey(_))));
    let entry = directory.retire(&id("k1"), Timestamp(3_000)).unwrap();
    assert_eq!((entry.state, entry.retired_at), (KeyState::Retired, Some(Timestamp(3_000))));
    assert!(matches!(directory.retire(&id("k1"), Timestamp(4_000)), Err(KeysError::Retired(_))));
    fs::remove_file(directory.path().join("k1.key")).unwrap();
    assert_eq!(directory.load().unwrap().ids(), [id("k2")]);
}

#[test]
fn a_name_is_never_used_twice_and_a_key_never_overwritten() {
    let (_kept, directory) = directory();
    let create = |name: &str| directory.create(id(name), false, Timestamp(3_000));
    assert!(matches!(create("k1"), Err(KeysError::Taken(_))));
    directory.retire(&id("k1"), Timestamp(3_000)).unwrap();
    assert!(matches!(create("k1"), Err(KeysError::Taken(_))));
    // A file that the keyring does not know of may be all that is left of a key.
    fs::write(directory.path().join("k3.key"), "something").unwrap();
    assert!(matches!(create("k3"), Err(KeysError::Io { .. })));
    assert_eq!(fs::read_to_string(directory.path().join("k3.key")).unwrap(), "something");
    assert_eq!(directory.list().unwrap().keys.len(), 2);
}

#[test]
fn a_key_that_changed_or_is_broken_or_missing_is_an_error_that_names_the_file_alone() {
    let (_kept, directory) = directory();
    let path = directory.path().join("k1.key");
    let good = fs::read_to_string(&path).unwrap();
    let other = "ab".repeat(32);
    for (text, want) in [
        (other.clone(), "another key"),
        (format!("{other}00"), "64 hexadecimal"),
        (other[..62].to_owned(), "64 hexadecimal"),
        ("zz".repeat(32), "64 hexadecimal"),
        (String::new(), "64 hexadecimal"),
        ("ab".repeat(3_000), "64 hexadecimal"),
    ] {
        fs::write(&path, &text).unwrap();
        let error = directory.load().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(want) && shown.contains("k1.key"), "{shown}");
        assert!(text.is_empty() || !shown.contains(&text[..8]), "{shown}");
    }
    fs::write(&path, good.trim_end().to_uppercase() + "\r\n").unwrap();
    directory.load().unwrap();
    fs::remove_file(&path).unwrap();
    assert!(directory.load().unwrap_err().to_string().contains("k1.key"));
}

#[test]
fn a_keyring_that_is_missing_or_wrong_is_told() {
    let (_kept, directory) = directory();
    let path = directory.path().join("keyring.json");
    let good = fs::read_to_string(&path).unwrap();
    for (text, want) in [
        (good.replace("keyring/1", "keyring/2"), "another schema"),
        (good.replace("\"primary\": \"k2\"", "\"primary\": \"k9\""), "primary"),
        (good[..40].to_owned(), "not JSON"),
    ] {
        fs::write(&path, text).unwrap();
        let error = directory.load().unwrap_err().to_string();
        assert!(error.contains(want) && error.contains("keyring.json"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(directory.load().unwrap_err().to_string().contains("cardwatch key new"));
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

#[test]
fn keys_come_from_files_and_commands_and_stay_out_of_the_directory() {
    let (_kept, directory) = directory();
    let text = "0123456789abcdef".repeat(4);
    let file = directory.path().join("credential");
    fs::write(&file, &text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let other = "fedcba9876543210".repeat(4);
    let sources = KeySources {
        files: [(id("k3"), file.clone())].into(),
        commands: [(id("k4"), shell(&format!("echo {other}"))), (id("k5"), shell("echo down >&2; exit 1"))]
            .into(),
        timeout: std::time::Duration::from_secs(20),
    };
    let directory = directory.with(sources.clone());
    assert!(matches!(directory.create(id("k3"), false, Timestamp(3)), Err(KeysError::Elsewhere { .. })));
    directory.import(id("k3"), None, false, Timestamp(3)).unwrap();
    directory.import(id("k4"), None, true, Timestamp(4)).unwrap();
    assert!(matches!(directory.import(id("k4"), None, true, Timestamp(4)), Err(KeysError::Taken(_))));
    assert!(matches!(directory.import(id("k6"), None, true, Timestamp(4)), Err(KeysError::NoSource(_))));
    let error = directory.import(id("k5"), None, true, Timestamp(5)).unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("key k5: /bin/sh failed"), "{error}");
    assert!(!directory.path().join("k3.key").exists() && !directory.path().join("k4.key").exists());
    let keyring = directory.load().unwrap();
    assert_eq!(keyring.ids(), [id("k4"), id("k1"), id("k2"), id("k3")]);
    let hex = |id: &KeyId| data_encoding::HEXLOWER.encode(keyring.get(id).unwrap().secret().expose());
    assert_eq!((hex(&id("k3")), hex(&id("k4"))), (text.clone(), other.clone()));

    // Another key than the one taken in, no key, and a key for everybody to see.
    for (script, want) in [
        (format!("echo {text}"), "the command /bin/sh holds another key"),
        (format!("echo {text}{text}"), "64 hexadecimal"),
        ("true".to_owned(), "64 hexadecimal"),
    ] {
        let commands = [(id("k4"), shell(&script))].into();
        let directory = directory.clone().with(KeySources { commands, ..sources.clone() });
        let error = directory.load().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(want) && !shown.contains("0123"), "{shown}");
        assert!(!error.is_passing());
    }
}

#[test]
fn where_a_key_has_a_command_and_a_file_the_command_counts() {
    let (_kept, directory) = directory();
    let (id, file) = (id("k3"), PathBuf::from("/nowhere/k3"));
    let sources = KeySources {
        files: [(id.clone(), file)].into(),
        commands: [(id.clone(), shell(&format!("echo {}", "ab".repeat(32))))].into(),
        timeout: std::time::Duration::from_secs(20),
    };
    let directory = directory.with(sources);
    assert!(matches!(directory.source(&id), KeySource::Command(_)));
    directory.import(id.clone(), None, false, Timestamp(3)).unwrap();
    assert!(directory.load().unwrap().get(&id).is_some());
}

#[test]
fn a_published_key_is_refused_wherever_it_comes_from() {
    let published: String = (0..32u8).map(|byte| format!("{byte:02x}")).collect();
    let (_kept, directory) = directory();
    let import = directory.import(id("k3"), Some(published.as_bytes()), true, Timestamp(3));
    let error = import.unwrap_err().to_string();
    assert!(error.contains("standard input") && error.contains("docs/fingerprint.md"), "{error}");
    assert_eq!(directory.list().unwrap().keys.len(), 2);
    fs::write(directory.path().join("k1.key"), &published).unwrap();
    let error = directory.load().unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(matches!(error, KeysError::Published { .. }) && !shown.contains("000102"), "{shown}");
    let commands = [(id("k3"), shell(&format!("echo {published}")))].into();
    let sources = KeySources { commands, timeout: std::time::Duration::from_secs(20), ..Default::default() };
    let taken = directory.with(sources).import(id("k3"), None, true, Timestamp(3));
    assert!(matches!(taken, Err(KeysError::Published { .. })));
}

#[test]
fn a_key_from_elsewhere_is_written_once_and_can_be_made_the_primary() {
    let (_kept, directory) = directory();
    let digits = format!("{}\n", "0123456789ABCDEF".repeat(4));
    directory.import(id("k3"), Some(digits.as_bytes()), false, Timestamp(3)).unwrap();
    assert_eq!(mode(&directory.path().join("k3.key")), 0o600);
    assert_eq!(directory.load().unwrap().ids(), [id("k2"), id("k1"), id("k3")]);
    assert_eq!(directory.promote(&id("k3")).unwrap().primary, id("k3"));
    assert_eq!(directory.load().unwrap().primary().id(), &id("k3"));
    assert!(matches!(directory.promote(&id("k9")), Err(KeysError::NoSuchKey(_))));
    directory.retire(&id("k2"), Timestamp(4)).unwrap();
    assert!(matches!(directory.promote(&id("k2")), Err(KeysError::Retired(_))));
}
