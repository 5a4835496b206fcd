//! Commands that need no broker, as a person runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "support/mod.rs"]
mod support;

use std::io::Write;
use std::time::Duration;

use support::Program;
use support::load::card_number;
use support::program::{Ended, Invocation, write_private};
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(60);

#[track_caller]
fn run(invocation: Invocation, code: i32) -> Program {
    let (ended, program) = invocation.run(WITHIN);
    assert_eq!(ended, Ended::Code(code), "{}", program.transcript());
    program
}

#[track_caller]
fn says(program: &Program, words: &[&str]) {
    let told = program.transcript();
    for word in words {
        assert!(told.contains(word), "{word:?} is not in:\n{told}");
    }
}

/// A directory with a key in it, as `cardwatch key new` makes it, and its configuration.
fn keys() -> (TempDir, String) {
    let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config = format!("[keys]\ndirectory = \"{}\"\n", home.path().join("keys").display());
    let config = format!("{config}[input]\ntopic = \"transactions\"\nstart = \"earliest\"\n");
    says(&run(Program::with(&["key", "new"]).config(&config), 0), &["k1", "active", "back it up"]);
    (home, config)
}

fn fingerprint(config: &str, more: &[&str]) -> Invocation {
    let arguments: Vec<&str> = ["fingerprint"].into_iter().chain(more.iter().copied()).collect();
    Program::with(&arguments).config(config)
}

#[test]
fn wrong_usage_is_64_and_help_has_examples() {
    for arguments in
        [&["incident", "open", "shop"][..], &["fingerprint"], &["nonsense"], &["incident", "revise", "shop"]]
    {
        run(Program::with(arguments), 64);
    }
    for command in
        [&["incident", "open"][..], &["incident", "revise"], &["incident", "close"], &["fingerprint"]]
    {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        says(&run(Program::with(&arguments), 0), &["Examples:", "cardwatch"]);
    }
    let open = [
        "incident",
        "open",
        "shop",
        "--list",
        "-",
        "--name",
        "S",
        "--party",
        "P",
        "--time-zone",
        "Asia/Tokyo",
        "--exposed-from",
        "2026-02-01",
        "--exposed-until",
        "2026-01-01",
        "--until-closed",
        "--elements",
        "pan",
    ];
    // Told before any cluster is looked for.
    let (_home, config) = keys();
    says(&run(Program::with(&open).config(&config), 64), &["exposure period ends before it begins"]);
}

#[test]
fn a_list_is_fingerprinted_with_nothing_of_it_shown() {
    let (home, config) = keys();
    let list = home.path().join("cards.csv");
    let mut file = std::fs::File::create(&list).unwrap();
    writeln!(file, "card_number;expiry;account").unwrap();
    for card in 0..3_000 {
        writeln!(file, "{};09/29;account {card}", card_number(card)).unwrap();
    }
    writeln!(file, "12;09/29;x\n{};13/29;y\n{1};;ref {1}", card_number(1), card_number(2)).unwrap();
    let list = list.display().to_string();
    let columns = [&list, "--expiry-column", "expiry", "--reference", "account=account"];
    let program = run(fingerprint(&config, &columns), 0);
    let out = program.stdout();
    assert_eq!(out[0], "fingerprint,key,check,expiry,ref.account");
    assert_eq!(out.len(), 3_003);
    assert!(out[1].contains(",k1,") && out[1].ends_with(",2029-09,account 0"), "{}", out[1]);
    assert!(out[3_001].ends_with(",,y") && out[3_002].ends_with(",,"), "{:?}", &out[3_001..]);
    assert_eq!(out[3_002].split(',').next(), out[3].split(',').next(), "one card, one fingerprint");
    says(
        &program,
        &[
            "read",
            "3,003",
            "written",
            "3,002",
            "not 8 to 19 digits long",
            "3002",
            "unreadable expiry date",
            "with the card number in it, withheld",
        ],
    );
    let told = program.transcript();
    assert!((0..3_000).all(|card| !told.contains(&card_number(card))));

    let json = run(fingerprint(&config, &[&list, "--column", "1", "--format", "json"]), 0);
    let counts: serde_json::Value = serde_json::from_str(&json.stderr().join("")).unwrap();
    assert_eq!(counts["rejected"][0]["lines"], "3002");
}

#[test]
fn what_is_no_list_of_cards_gives_no_fingerprints() {
    let (_home, config) = keys();
    let numbers: String = (0..1_500).map(|card| card_number(card) + "\n").collect();
    // Wrong from the start, and wrong later on: nothing comes out of the one, and the other says so.
    let words = "word\n".repeat(2_000);
    let program = run(fingerprint(&config, &["-"]).input(words.clone()), 65);
    assert!(program.stdout().is_empty(), "{}", program.transcript());
    says(&program, &["1000 of 1000 entries", "not made of digits", "--column"]);
    says(&run(fingerprint(&config, &["-"]).input(numbers.clone() + &words), 65), &["2000 of 3500"]);
    says(&run(fingerprint(&config, &["-"]).input("pan\n"), 65), &["holds no entries"]);
    says(&run(fingerprint(&config, &["-"]), 65), &["holds no entries"]);
    says(&run(fingerprint(&config, &["nowhere.csv"]), 65), &["cannot open nowhere.csv"]);
    says(
        &run(fingerprint(&config, &["-", "--kind", "fingerprint"]).input("x"), 64),
        &["fingerprints already"],
    );
    let other = config.replace("/keys\"", "/other\"");
    says(&run(fingerprint(&other, &["-"]).input(numbers), 78), &["no keyring", "cardwatch key new"]);
}

#[test]
fn a_key_that_others_may_read_or_that_was_changed_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (home, config) = keys();
    let key = home.path().join("keys/k1.key");
    let numbers = card_number(1);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    says(&run(fingerprint(&config, &["-"]).input(numbers.clone()), 78), &["k1.key", "0640", "chmod 600"]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, text.chars().rev().collect::<String>().trim_start()).unwrap();
    says(&run(fingerprint(&config, &["-"]).input(numbers), 78), &["holds another key"]);
}

#[test]
fn a_token_is_made_once_in_a_file_of_its_own_and_checked_before_it_is_used() {
    let (home, config) = keys();
    let file = home.path().join("desk.token").display().to_string();
    let audit = home.path().join("audit.jsonl").display().to_string();
    let config = format!("{config}[audit]\nfile = \"{audit}\"\n");
    let new =
        || Program::with(&["token", "new", "desk", "--role", "decide", "--file", &file]).config(&config);
    let made = run(new(), 0);
    says(
        &made,
        &["[[http.tokens]]", "role = \"decide\"", "Authorization: Bearer", "in the audit file alone"],
    );
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(!made.transcript().contains(secret.trim()), "the token is shown");
    says(&run(new(), 78), &["desk.token", "is never written over"]);
    run(Program::with(&["token", "new", "Desk", "--role", "decide"]), 64);
    run(Program::with(&["token", "new", "desk", "--role", "king"]), 64);
    let listed = run(Program::with(&["audit", "list", "--file", &audit]).config(&config), 0);
    says(&listed, &["token_change", "token/desk", "intent", "done", "failed"]);

    let check = |token: &str| {
        let tokens = format!("[[http.tokens]]\nname = \"desk\"\nrole = \"decide\"\nfile = \"{token}\"\n");
        Program::with(&["check"]).config(&(config.clone() + &tokens))
    };
    run(check(&file), 0);
    says(&run(check("nowhere"), 78), &["http.tokens desk", "cannot read nowhere"]);
    let weak = private(&home, "weak", "hunter2\n");
    says(&run(check(&weak), 78), &["token desk is too easy to guess", "cardwatch token new"]);
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o604)).unwrap();
    let refused = run(check(&file), 78);
    says(&refused, &["desk.token", "0604", "chmod 600"]);
    assert!(!refused.transcript().contains(secret.trim()), "the token is shown");
}

/// The text of every file below these, with its path.
fn texts(paths: &[&str]) -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<_> = paths.iter().map(|path| root.join(path)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.push((name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()));
        }
    }
    found
}

#[test]
fn no_key_stands_in_configuration_or_pages() {
    let paths = ["config", "deploy", "docs", "README.md", "ARCHITECTURE.md", "CHANGELOG.md"];
    let texts = texts(&paths);
    assert!(texts.iter().any(|(name, _)| name == "config/reference.toml") && texts.len() > 8);
    for (name, text) in &texts {
        // Images of containers are named by such a digest.
        let text = text.replace("sha256:", "sha256:image");
        let runs = text.split(|char: char| !char.is_ascii_alphanumeric());
        let runs = runs.filter(|run| run.len() == 64 && run.bytes().all(|byte| byte.is_ascii_hexdigit()));
        // That page has keys for its test vectors; every row of them is refused as a key.
        if name != "docs/fingerprint.md" {
            assert_eq!(runs.count(), 0, "{name}: 64 hexadecimal digits");
        }
        assert!(!text.contains("cwsec.A") && !text.contains("PRIVATE KEY"), "{name}: a private key");
    }
    let (_, page) = texts.iter().find(|(name, _)| name == "docs/fingerprint.md").unwrap();
    let keys = page.lines().filter(|line| line.starts_with("| A | `0") || line.starts_with("| B | `f"));
    let published: Vec<&str> =
        keys.map(|line| line.split('`').nth(1).unwrap()).filter(|key| key.len() == 64).collect();
    assert_eq!(published.len(), 2);
    let (_home, config) = self::keys();
    for key in published {
        let import = Program::with(&["key", "import", "k9"]).config(&config).input(format!("{key}\n"));
        says(&run(import, 78), &["docs/fingerprint.md", "key of your own"]);
    }
}

#[test]
fn a_published_key_is_refused_by_the_service_too() {
    let (home, config) = keys();
    let published: String = (0..32u8).map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(home.path().join("keys/k1.key"), published).unwrap();
    for command in [&["run"][..], &["check"], &["fingerprint", "-"]] {
        says(&run(Program::with(command).config(&config), 78), &["k1.key", "docs/fingerprint.md"]);
    }
}

#[test]
fn check_says_what_an_assessor_will() {
    let (home, config) = keys();
    says(&run(Program::with(&["check"]).config(&config), 0), &["key k1", "3.6.1.2", "keys.commands.k1"]);
    let key = std::fs::read(home.path().join("keys/k1.key")).unwrap();
    let command = format!("[keys.commands]\nk1 = [\"cat\", \"{}\"]\n", home.path().join("wrapped").display());
    std::fs::write(home.path().join("wrapped"), key).unwrap();
    std::fs::remove_file(home.path().join("keys/k1.key")).unwrap();
    let config = config + &command;
    let told = run(Program::with(&["check"]).config(&config), 0).transcript();
    assert!(!told.contains("3.6.1.2") && !told.contains("3.3.1"), "{told}");
    let made = run(Program::with(&["--format", "json", "dead-letters", "keygen", "--out", "l"]), 0);
    let text = made.stdout().join("");
    let public = text.split('"').find(|part| part.starts_with("cwpub.")).unwrap();
    for payload in
        [format!("payload = \"sealed\"\npublic_key = \"{public}\""), "payload = \"original\"".to_owned()]
    {
        let config = format!("{config}[dead_letters]\n{payload}\n");
        says(&run(Program::with(&["check"]).config(&config), 0), &["3.3.1", "Card numbers"]);
    }
}

#[test]
fn a_command_for_a_key_fails_with_what_to_do() {
    let (_home, config) = keys();
    for (command, code, words) in [
        (
            r#"["sh", "-c", "echo locked >&2; exit 3"]"#,
            69,
            vec!["key k1", "sh failed", "exit status: 3", "locked"],
        ),
        (r#"["/nowhere/unwrap"]"#, 78, vec!["key k1", "/nowhere/unwrap cannot be started"]),
        (r#"["echo", "no key"]"#, 78, vec!["the command echo", "64 hexadecimal digits"]),
        (r#"["sleep", "60"]"#, 69, vec!["sleep did not end within 1 s", "keys.command_timeout"]),
    ] {
        // Whoever does not hang has the usual time.
        let own = if command.contains("sleep") { "command_timeout = \"1s\"\n" } else { "" };
        let config = config.replace("[keys]\n", &format!("[keys]\n{own}"));
        let config = format!("{config}[keys.commands]\nk1 = {command}\n");
        says(&run(Program::with(&["run"]).config(&config), code), &words);
    }
}

#[test]
fn a_rotation_is_said_before_it_is_done() {
    let (_home, config) = keys();
    let key = |arguments: &[&str], code: i32, words: &[&str]| {
        let words_of: Vec<&str> = ["key"].into_iter().chain(arguments.iter().copied()).collect();
        says(&run(Program::with(&words_of).config(&config), code), words);
    };
    key(&["new", "k2", "--primary"], 64, &["history starts anew", "--yes", "Nothing was done"]);
    key(&["new", "k2"], 0, &["k2 is active beside the primary k1"]);
    key(&["primary", "k2"], 64, &["history starts anew", "--yes"]);
    key(&["primary", "k9", "--yes"], 78, &["no key k9"]);
    key(&["primary", "k2", "--yes"], 0, &["history starts anew", "k2 is the primary key now"]);
    key(&["retire", "k2"], 78, &["k2 is the primary"]);
    key(&["retire", "k1", "--yes"], 0, &["k1 is not opened any more"]);
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let code = texts(&["src", "tests"]);
    let page = texts(&["docs/security.md"]).remove(0).1;
    // What stands in code marks, with enough underscores to be a sentence.
    let names = page.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 3);
    let names: Vec<&str> = names.filter(|name| !name.contains([' ', '/', '.'])).collect();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let function = format!("fn {name}(");
        assert!(code.iter().any(|(_, text)| text.contains(&function)), "there is no test {name}");
    }
}

#[test]
fn every_right_to_remove_is_written_down() {
    let page = texts(&["docs/security.md"]).remove(0).1;
    let (mut ids, mut groups) = (0, 0);
    for (path, text) in texts(&["src/lines"]) {
        // A burial's purpose, on the prefix of transactional ids.
        for purpose in text.split(".burial(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("`cardwatch-{purpose}`")), "{path}: {purpose}");
            ids += 1;
        }
        let named = text.split("format!(\"{}-").skip(1).filter_map(|rest| rest.split('"').next());
        for group in named.filter(|name| !name.contains('{')) {
            assert!(page.contains(&format!("`cardwatch-{group}`")), "{path}: {group}");
            groups += 1;
        }
    }
    assert!(
        ids >= 3 && groups >= 3,
        "{ids} transactional ids, {groups} groups: they are written otherwise now"
    );
}

/// A file for its owner alone; its path.
fn private(home: &TempDir, name: &str, text: &str) -> String {
    let path = home.path().join(name);
    write_private(&path, text);
    path.display().to_string()
}

/// Fails unless a line of `told` names this line of the configuration, with all these words.
#[track_caller]
fn names(told: &str, line: usize, words: &[&str]) {
    let place = format!(":{line}");
    let said = told.lines().any(|said| said.contains(&place) && words.iter().all(|word| said.contains(word)));
    assert!(said, "line {line} says nothing of {words:?}: {told}");
}

#[test]
fn check_refuses_every_wrong_endpoint_with_its_line_and_shows_no_secret() {
    let (home, config) = keys();
    let write = |name: &str, text: &str| private(&home, name, text);
    let good = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let secret = write("good.secret", good);
    let before = config.lines().count();
    let endpoints = format!(
        r#"[[webhooks]]
name = "one"
url = "https://one.example/hook"
secret_file = "{secret}"
when = 'colour == "blue"'

[[webhooks]]
name = "one"
url = "http://two.example/hook"
secret_file = "{secret}"
"#
    );
    let refused = run(Program::with(&["check"]).config(&(config + &endpoints)), 78);
    let told = refused.transcript();
    names(&told, before + 5, &["webhooks.when", "colour"]);
    names(&told, before + 8, &["webhooks.name", "the name of another endpoint"]);
    assert!(!told.contains(good), "a secret is shown: {told}");
}

#[test]
fn check_refuses_what_stands_in_the_files_of_endpoints_with_the_line_that_names_them() {
    let (home, config) = keys();
    let write = |name: &str, text: &str| private(&home, name, text);
    let short = "whsec_AAECAwQFBgc=";
    let weak = write("short.secret", short);
    let template = write("bad.jinja", "{\"text\": {{ alert.nothing_like_it }}}");
    let before = config.lines().count();
    let endpoints = format!(
        r#"[[webhooks]]
name = "two"
url = "http://two.example/hook"
secret_file = "{weak}"

[[webhooks]]
name = "three"
url = "https://user:hunter2@three.example/hook"
body = "template"
template_file = "{template}"

[[webhooks]]
name = "desk"
url = "https://chat.example/hook"
body = "slack"
show = ["merchant", "amount"]
"#
    );
    let refused = run(Program::with(&["check"]).config(&(config.clone() + &endpoints)), 78);
    let told = refused.transcript();
    for (line, key) in [
        (3, "webhooks.url"),
        (4, "webhooks.secret_file"),
        (8, "webhooks.url"),
        (10, "webhooks.template_file"),
    ] {
        names(&told, before + line, &[key]);
    }
    assert!(!told.contains(short) && !told.contains("hunter2"), "a secret is shown: {told}");
    let chat = endpoints.split("\n\n").last().unwrap();
    let leaves = run(Program::with(&["check"]).config(&(config + chat)), 0);
    says(&leaves, &["desk", "merchant", "amount", "leave the house"]);
}

#[test]
fn the_manual_has_a_page_for_every_command_and_completions_know_them() {
    let home = TempDir::new().unwrap();
    let out = home.path().join("man").display().to_string();
    says(&run(Program::with(&["man", "--out", &out]), 0), &["pages in"]);
    let page = |name: &str| std::fs::read_to_string(home.path().join("man").join(name)).unwrap();
    assert!(page("cardwatch.1").contains("Exit codes"));
    assert!(page("cardwatch-incident-revise.1").contains("withdraw"));
    assert!(page("cardwatch-webhook-replay.1").contains("endpoint"));
    for shell in ["bash", "zsh", "fish"] {
        says(&run(Program::with(&["completions", shell]), 0), &["incident", "revise", "webhook"]);
    }
    run(Program::with(&["completions", "cmd.exe"]), 64);
}

#[test]
fn health_of_nothing_is_a_service_that_is_not_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = run(Program::with(&["health", "--timeout", "1", "--address", &address]), 69);
    says(&silent, &[&address, "no answer within 1 s"]);
    drop(listener);
    says(&run(Program::with(&["health", "--address", &address]), 69), &[&address, "refused"]);
    let off = "[http]\nlisten = \"\"\n";
    says(&run(Program::with(&["health"]).config(off), 78), &["http.listen"]);
}
