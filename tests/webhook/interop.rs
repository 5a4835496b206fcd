//! Our signatures, verified by the libraries that the standard publishes for Python and Node, and by what
//! docs/webhooks.md tells receivers to write.
//!
//! Both libraries know `v1` alone, and skip what else stands in the header. `v1a` is verified by the documented lines
//! for Node, and by a few with Python's `cryptography`.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use cardwatch::clock::{Clock as _, SystemClock};
use cardwatch::domain::time::Timestamp;
use cardwatch::notice::samples::test_alert;
use cardwatch::notice::sign::{Scheme, Signer, SigningKey, rotate};
use serde_json::{Value, json};

use crate::libraries;
use crate::tool::tool;

const DOCS: &str = include_str!("../../docs/webhooks.md");
const UNTESTED: &str = "verifying signatures with libraries of others";
const DAY_MS: i64 = 86_400_000;

/// A request, who verifies it with which key, and whether it fits.
struct Case {
    scheme: Scheme,
    name: &'static str,
    request: Value,
    fits: bool,
}

/// What a receiver with `key` (a secret, or a public key) sees of this request.
fn request(signer: &Signer, key: &str, at: i64, body: &str, now: Timestamp) -> Value {
    let id = "alr_5gxg3mxkbkc4hsmxbhe5bxkjca-1";
    let signature = signer.header(id, at, body.as_bytes(), now);
    json!({
        "key": key,
        "body": body,
        "headers": { "webhook-id": id, "webhook-timestamp": at.to_string(), "webhook-signature": signature },
    })
}

fn key(scheme: Scheme, seed: u8) -> String {
    SigningKey::fresh(scheme, &[seed; 32]).to_string()
}

/// What the receiver of this key's signatures has.
fn receivers(key: &str) -> String {
    SigningKey::parse(key).unwrap().public_key().unwrap_or_else(|| key.to_owned())
}

fn cases() -> Vec<Case> {
    let now = SystemClock.now();
    let at = now.millis() / 1_000;
    let alert = serde_json::to_string(&test_alert(now, 7)).unwrap();
    let texts = json!({ "name": "Söhne\u{2028} 日本 🂡 </script>", "amount": "12980" }).to_string();
    let mut cases = Vec::new();
    for scheme in [Scheme::Symmetric, Scheme::Asymmetric] {
        let [old, new, other] = [1, 2, 3].map(|seed| key(scheme, seed));
        let foreign =
            key(if scheme == Scheme::Symmetric { Scheme::Asymmetric } else { Scheme::Symmetric }, 4);
        let until = now.plus_millis(DAY_MS);
        let alone = Signer::parse(&old).unwrap();
        let both = Signer::parse(&rotate(&old, &new, now, until).unwrap()).unwrap();
        let mixed = Signer::parse(&format!("{foreign}\n{old}")).unwrap();
        let mut add = |name, request, fits| cases.push(Case { scheme, name, request, fits });
        let [old, new, other] = [old, new, other].map(|key| receivers(&key));

        add("an alert", request(&alone, &old, at, &alert, now), true);
        add("texts of many scripts", request(&alone, &old, at, &texts, now), true);
        add("another's key", request(&alone, &other, at, &alert, now), false);
        add("the old key in a rotation", request(&both, &old, at, &alert, now), true);
        add("the new key in a rotation", request(&both, &new, at, &alert, now), true);
        add("another's key in a rotation", request(&both, &other, at, &alert, now), false);
        add("the old key after it", request(&both, &old, at, &alert, until), false);
        add("the new key after it", request(&both, &new, at, &alert, until), true);
        add("beside a signature of the other kind", request(&mixed, &old, at, &alert, now), true);
        add("ten minutes old", request(&alone, &old, at - 600, &alert, now), false);
        add("ten minutes early", request(&alone, &old, at + 600, &alert, now), false);
        for (name, place, value) in [
            ("another body", "/body", json!(alert.replacen("TEST", "TESt", 1))),
            ("another id", "/headers/webhook-id", json!("alr_5gxg3mxkbkc4hsmxbhe5bxkjca-2")),
            ("another time", "/headers/webhook-timestamp", json!((at + 1).to_string())),
            ("no signature that is known", "/headers/webhook-signature", json!("v9,AAAA")),
        ] {
            let mut changed = request(&alone, &old, at, &alert, now);
            *changed.pointer_mut(place).unwrap() = value;
            add(name, changed, false);
        }
    }
    for (name, bytes) in [("24 bytes", 24), ("64 bytes", 64)] {
        let key = format!("whsec_{}", data_encoding::BASE64.encode(&vec![0xfb; bytes]));
        let request = request(&Signer::parse(&key).unwrap(), &key, at, &alert, now);
        cases.push(Case { scheme: Scheme::Symmetric, name, request, fits: true });
    }
    cases
}

/// Runs `command` with `program` in a file behind its arguments, and then the requests in a file: it says `true` or
/// `false` of each in a line.
fn verified_by(who: &str, scheme: Scheme, command: &mut Command, extension: &str, program: &str) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.scheme == scheme).collect();
    let requests: Vec<&Value> = cases.iter().map(|case| &case.request).collect();
    let program = write(&format!("verify.{extension}"), program);
    let requests = write("requests.json", &json!(requests).to_string());
    let output = command.arg(program).arg(requests).current_dir(directory.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{who}: {errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<(&str, &str)> = cases.iter().map(|case| case.name).zip(said.lines()).collect();
    let want: Vec<(&str, &str)> =
        cases.iter().map(|case| (case.name, if case.fits { "true" } else { "false" })).collect();
    assert_eq!(said, want, "{who}");
}

fn node(binary: &Path, libraries: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env("NODE_PATH", libraries);
    command
}

/// The lines that docs/webhooks.md has for receivers in this language.
fn documented(language: &str) -> &'static str {
    let (_, after) = DOCS.split_once(&format!("```{language}\n")).expect("a block of this language");
    after.split_once("```").expect("its end").0
}

#[test]
fn the_standards_library_for_python_verifies_what_we_sign() {
    let Some(python) = libraries::python(UNTESTED) else { return };
    let program = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for case in json.load(open(sys.argv[1])):
    try:
        Webhook(case["key"]).verify(case["body"].encode(), case["headers"])
        print("true")
    except WebhookVerificationError:
        print("false")
"#;
    verified_by("standardwebhooks of PyPI", Scheme::Symmetric, &mut Command::new(python), "py", program);
}

#[test]
fn the_standards_library_for_node_verifies_what_we_sign() {
    let Some((binary, libraries)) = libraries::node(UNTESTED) else { return };
    let program = r#"
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

for (const { key, headers, body } of require(process.argv[2])) {
  try {
    new Webhook(key).verify(Buffer.from(body), headers);
    console.log("true");
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    console.log("false");
  }
}
"#;
    let command = &mut node(&binary, &libraries);
    verified_by("standardwebhooks of npm", Scheme::Symmetric, command, "cjs", program);
}

#[test]
fn pythons_cryptography_verifies_our_ed25519() {
    let Some(python) = libraries::python(UNTESTED) else { return };
    let program = r#"
import base64, json, sys, time
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

def fits(key, headers, body):
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    for given in headers["webhook-signature"].split(" "):
        version, digits = given.split(",")
        try:
            if version == "v1a":
                public.verify(base64.b64decode(digits), signed)
                return abs(time.time() - int(headers["webhook-timestamp"])) < 300
        except InvalidSignature:
            pass
    return False

for case in json.load(open(sys.argv[1])):
    print(str(fits(case["key"], case["headers"], case["body"])).lower())
"#;
    verified_by("cryptography of PyPI", Scheme::Asymmetric, &mut Command::new(python), "py", program);
}

#[test]
fn the_documented_lines_for_python_verify() {
    let Some(python) = tool("python3", UNTESTED) else { return };
    let program = documented("python").to_owned()
        + r#"
import json, sys
for case in json.load(open(sys.argv[1])):
    print(str(verify(case["key"], case["headers"], case["body"].encode())).lower())
"#;
    verified_by("the Python of the docs", Scheme::Symmetric, &mut Command::new(python), "py", &program);
}

#[test]
fn the_documented_lines_for_node_verify() {
    let Some(node) = tool("node", UNTESTED) else { return };
    let program = documented("js").to_owned()
        + r#"
for (const { key, headers, body } of require(process.argv[2])) {
  console.log(check(key, headers, Buffer.from(body)));
}
"#;
    verified_by("the Node of the docs", Scheme::Asymmetric, &mut Command::new(node), "cjs", &program);
}

#[test]
fn the_documented_lines_for_go_verify() {
    // Nobody needs Go to build or test cardwatch: where it is, it is used, and nobody demands it.
    let path = crate::environment("PATH").unwrap_or_default();
    let Some(go) = std::env::split_paths(&path).map(|path| path.join("go")).find(|path| path.is_file())
    else {
        let _ = writeln!(std::io::stderr(), "no go on the path: the Go of the docs was not tried");
        return;
    };
    let program = r#"package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

"#
    .to_owned()
        + documented("go")
        + r#"
func main() {
	var cases []struct {
		Key, Body string
		Headers   map[string]string
	}
	text, _ := os.ReadFile(os.Args[1])
	if err := json.Unmarshal(text, &cases); err != nil { panic(err) }
	for _, c := range cases {
		headers := http.Header{}
		for name, value := range c.Headers { headers.Set(name, value) }
		fmt.Println(verify(c.Key, headers, []byte(c.Body)))
	}
}
"#;
    verified_by("the Go of the docs", Scheme::Symmetric, Command::new(go).arg("run"), "go", &program);
}
