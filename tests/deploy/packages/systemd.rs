//! The unit: by systemd's own tools, and by what cardwatch promises.

use std::path::Path;
use std::process::Command;

use cardwatch::stop::exit;

use super::{parses, read, root};
use crate::support::tool::tool;

const UNIT: &str = "deploy/systemd/cardwatch.service";
/// The most exposure, of 10, by `systemd-analyze security`.
const EXPOSURE_MAX: f64 = 1.5;

/// What a key of the unit is set to, each time.
fn values(key: &str) -> Vec<String> {
    let unit = read(UNIT);
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned).collect()
}

/// What `systemd-analyze verify` says of a unit, on a machine that has the programs it names.
fn verify(analyze: &Path, unit: &str) -> String {
    let machine = tempfile::tempdir().unwrap();
    for (path, text) in
        [("etc/systemd/system/cardwatch.service", unit), ("usr/local/bin/cardwatch", ""), ("bin/kill", "")]
    {
        let path = machine.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    // The targets of a whole machine are not there, and are not what is asked about.
    let mut command = Command::new(analyze);
    command.arg("verify").arg("--recursive-errors=no").arg(format!("--root={}", machine.path().display()));
    let output = command.arg("cardwatch.service").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let other = |line: &&str| !line.contains("marked executable") && !line.contains("sysinit.target");
    told.lines().filter(other).collect::<Vec<_>>().join("\n")
}

#[test]
fn systemd_takes_the_unit_and_not_one_with_a_mistake() {
    let Some(analyze) = tool("systemd-analyze", "the systemd unit") else { return };
    assert_eq!(verify(&analyze, &read(UNIT)), "");
    let told = verify(&analyze, &read(UNIT).replace("KillMode=mixed", "KillMode=gently\nRestartAlways=no"));
    assert!(told.contains("kill mode") && told.contains("RestartAlways"), "{told}");
}

#[test]
fn the_unit_is_as_closed_as_it_says() {
    let Some(analyze) = tool("systemd-analyze", "how far the systemd unit is closed") else { return };
    let mut command = Command::new(&analyze);
    command.args(["security", "--offline=yes", "--no-pager"]).arg(root().join(UNIT));
    let told = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
    let score = |text: &str| {
        let (_, rest) = text.split_once("Overall exposure level for cardwatch.service: ")?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let measured = score(&told).unwrap_or_else(|| panic!("no score: {told}"));
    assert!(measured <= EXPOSURE_MAX, "{told}");
    // Each version asks a little more; the unit tells the figure of 252.
    let version = Command::new(&analyze).arg("--version").output().unwrap().stdout;
    if String::from_utf8_lossy(&version).starts_with("systemd 252 ") {
        assert_eq!(score(&read(UNIT)), Some(measured), "the comment in the unit is not what is measured");
    }
}

#[test]
fn the_unit_starts_stops_and_gives_up_as_cardwatch_promises() {
    let start = values("ExecStart");
    let words: Vec<String> = start[0].split(' ').skip(1).map(str::to_owned).collect();
    parses(&words);
    let codes: Vec<u8> =
        values("RestartPreventExitStatus")[0].split(' ').map(|code| code.parse().unwrap()).collect();
    assert_eq!(codes, [exit::USAGE, exit::DATA, exit::CONFIG]);
    assert_eq!(values("Restart"), ["on-failure"]);
    assert_eq!(
        (values("KillSignal"), values("TimeoutStopSec")),
        (vec!["SIGTERM".to_owned()], vec!["10s".to_owned()])
    );
    assert!(cardwatch::app::STOP_TIMEOUT.as_secs() < 10);
    let settings = values("Environment");
    assert!(settings.contains(&"CARDWATCH_KEYS__FILES__K1=%d/k1".to_owned()), "{settings:?}");
    assert_eq!(values("LoadCredential"), ["k1:/etc/cardwatch/keys/k1.key"]);
}
