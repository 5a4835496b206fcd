//! Properties handed to the Kafka client as they are, but for those that would break a promise.

mod refused;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::keys::command_or_none;
use super::problem::Place;
use super::reader::Reader;
use super::section::{Section, SectionDescription, section};
use super::shape::{Input, Shape, duration, optional, path};
use crate::files::private;
use crate::kafka::built::{self, MECHANISMS, NO_TLS, Refused};
use crate::kafka::client::protocol;
use crate::secret::Secret;
use refused::{SECRET, SECRET_FILES, usual, why};

#[cfg(test)]
pub(super) use refused::REFUSED;

/// What a property's name ends with where its value is to be read from a file.
const FILE_SUFFIX: &str = "_file";
/// What to write where a file with a secret is to be named.
const SECRET_FILE: &str = "the path of a readable file that is closed to others";
/// The longest secret read from a file, in bytes: a key with its chain of certificates fits.
const SECRET_BYTES_MAX: usize = 256 * 1024;

/// Properties of librdkafka that the user set. `Debug` shows their names only: values may be secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Name and value of each, in the order of the names. The values must not be logged.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// How brokers are spoken to: the words of `security.protocol`, in small letters.
    pub fn protocol(&self) -> String {
        protocol(self.get(PROTOCOL))
    }

    /// Whether brokers are shown a token.
    pub fn shows_tokens(&self) -> bool {
        self.protocol().starts_with("sasl") && self.get("sasl.mechanism") == Some("OAUTHBEARER")
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

section! {
    /// The token that is shown to brokers with sasl.mechanism OAUTHBEARER: a JSON Web Token (JWT) that says when it
    /// ends (`exp`). The file is read, or the command run, again when a fifth of the token's time is left.
    pub struct Oauth = "kafka.oauth" {
        /// The file that holds the token of the moment, for its owner alone (0600, or 0640 owned by root).
        token_file: Option<PathBuf> = r#""""# example r#""/run/secrets/kafka-token""#, optional(path());
        /// In place of the file, a command that writes a token to standard output: the program and its arguments.
        /// There is no shell.
        token_command: Vec<String> = "[]" example r#"["/usr/local/bin/kafka-token", "--audience", "kafka"]"#,
            command_or_none();
        /// How long the command may take.
        command_timeout: Duration = r#""10s""#, duration("1s", "60s");
    }
}

const PATH: &str = "kafka.properties";
/// How brokers are spoken to.
const PROTOCOL: &str = "security.protocol";

/// A text, a whole number, a number or a truth value, as the client's text.
fn property() -> Shape<String> {
    Shape {
        allowed: "a text, a number, true or false".to_owned(),
        read: Box::new(|input| match input {
            Input::Text(text) => Ok((*text).to_owned()),
            Input::Value(DeValue::String(text)) => Ok(text.to_string()),
            Input::Value(DeValue::Boolean(truth)) => Ok(truth.to_string()),
            Input::Value(DeValue::Integer(number)) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            Input::Value(DeValue::Float(number)) => Ok(number.as_str().to_owned()),
            Input::Value(_) => Err("is not a property's value".to_owned()),
        }),
    }
}

/// `SASL_PASSWORD_FILE` names `sasl.password_file`: the client's names hold dots.
fn name_of(variable: &str) -> String {
    let name = variable.to_lowercase();
    match name.strip_suffix(FILE_SUFFIX) {
        Some(name) => format!("{}{FILE_SUFFIX}", name.replace('_', ".")),
        None => name.replace('_', "."),
    }
}

impl Section for Properties {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: PATH,
            doc: &[
                "Properties of the Kafka client (librdkafka), by its own names in quotes; docs/kafka.md shows TLS and",
                "SASL in each way. Those that would break a promise are refused. A secret stands in a file of its own,",
                "for its owner alone (0600, or 0640 owned by root): add \"_file\" to the name. In a variable's name dots",
                "are underscores: CARDWATCH_KAFKA__PROPERTIES__SECURITY_PROTOCOL.",
            ],
            keys: Vec::new(),
            examples: &[
                r#""security.protocol" = "sasl_ssl""#,
                r#""sasl.mechanism" = "SCRAM-SHA-512""#,
                r#""sasl.username" = "cardwatch""#,
                r#""sasl.password_file" = "/run/secrets/kafka-password""#,
            ],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut properties = BTreeMap::new();
        let mut places = BTreeMap::new();
        let mut unread = false;
        for (name, (place, value)) in reader.map(PATH, &property(), name_of) {
            let checked = check(&name, value).and_then(|(usual, value)| match places.contains_key(&usual) {
                true => {
                    Err(("says again what another property says".to_owned(), format!("\"{usual}\" alone")))
                }
                false => Ok((usual, value)),
            });
            match checked {
                Ok((usual, value)) => {
                    places.insert(usual.clone(), (name, place));
                    properties.insert(usual, value);
                }
                Err((message, advice)) => {
                    unread |= name == PROTOCOL;
                    complain(reader, place, &name, message, advice);
                }
            }
        }
        let properties = Properties(properties);
        // Where it is not known how brokers are spoken to, nothing is known to fit or not to.
        let found = if unread { Vec::new() } else { disagreements(&properties) };
        for (name, message, advice) in found {
            if let Some((written, place)) = places.get(name) {
                complain(reader, place.clone(), written, message, advice);
            }
        }
        Some(properties)
    }
}

fn complain(reader: &mut Reader<'_>, place: Place, name: &str, message: String, advice: String) {
    reader.mistake(place, &format!("{PATH}.{name}"), message, advice);
}

/// The property to hand to the client, or what is wrong with it and what to write instead.
fn check(name: &str, value: String) -> Result<(String, String), (String, String)> {
    let plain = usual(name.strip_suffix(FILE_SUFFIX).unwrap_or(name));
    if let Some(reason) = why(plain) {
        return Err((format!("is not yours to set: {reason}"), "nothing: leave it out".to_owned()));
    }
    let is_secret = SECRET.contains(&plain);
    if is_secret && !name.ends_with(FILE_SUFFIX) {
        let advice = format!("\"{}\" and the path of a file that holds it", as_written(plain));
        return Err(("a secret has no place in the configuration".to_owned(), advice));
    }
    let value = match (name.ends_with(FILE_SUFFIX), is_secret) {
        (false, _) => value,
        (true, true) => {
            read_secret(Path::new(&value)).map_err(|message| (message, SECRET_FILE.to_owned()))?
        }
        (true, false) => {
            let message = "is no secret, and only those are read from files".to_owned();
            return Err((message, format!("\"{plain}\" and its value")));
        }
    };
    if SECRET_FILES.contains(&plain) {
        // The client reads it by itself, and would not mind who else may.
        read_private(Path::new(&value)).map_err(|message| (message, SECRET_FILE.to_owned()))?;
    }
    match built::check(plain, &value) {
        Ok(()) => Ok((plain.to_owned(), value)),
        Err(Refused::NotBuiltIn) if !built::speaks_tls() => {
            Err((format!("cannot be: {NO_TLS}"), "nothing, or use a binary of the default build".to_owned()))
        }
        Err(Refused::NotBuiltIn) => {
            let message = "is not built in: `cardwatch --version` shows what is".to_owned();
            Err((message, "nothing: leave it out".to_owned()))
        }
        Err(Refused::Unknown) => {
            let message = format!("is no property of librdkafka {}", built::librdkafka_version());
            Err((message, "a name of its CONFIGURATION.md".to_owned()))
        }
        Err(Refused::Value) => {
            let message = "is not a value that the client takes for it".to_owned();
            Err((message, "one that librdkafka's CONFIGURATION.md lists".to_owned()))
        }
    }
}

/// A file that nobody else may read. What is wrong is told without its path: it is a value, and somebody may have
/// written the secret itself.
fn read_private(path: &Path) -> Result<Secret, String> {
    if path.as_os_str().is_empty() {
        return Err("names no file".to_owned());
    }
    let named = path.display().to_string();
    private::read(path, SECRET_BYTES_MAX).map_err(|error| error.to_string().replace(&named, "the file"))
}

/// A secret's text without white space at its end, which editors add.
fn read_secret(path: &Path) -> Result<String, String> {
    let secret = read_private(path)?;
    match std::str::from_utf8(secret.expose()) {
        Ok("") => Err("names an empty file".to_owned()),
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err("names a file that holds something else than text".to_owned()),
    }
}

/// A property's name as it stands in the configuration: a secret is named by its file.
fn as_written(name: &str) -> String {
    let suffix = if SECRET.contains(&name) { FILE_SUFFIX } else { "" };
    format!("{name}{suffix}")
}

/// That a property is nothing without another.
fn needs<'a>(name: &'a str, other: &str) -> (&'a str, String, String) {
    (name, format!("needs {other}"), format!("\"{}\" as well", as_written(other)))
}

/// Properties that do nothing, or not what they seem to, for want of others: their names, what is wrong, what to do.
fn disagreements(properties: &Properties) -> Vec<(&str, String, String)> {
    let protocol = properties.protocol();
    let (tls, sasl) = (protocol.contains("ssl"), protocol.starts_with("sasl"));
    let mut found = Vec::new();
    for (name, _) in properties.iter() {
        let wanted = match (name.starts_with("ssl.") && !tls, name.starts_with("sasl.") && !sasl) {
            (true, _) if !sasl => "ssl",
            (_, true) if !tls => "sasl_plaintext",
            (false, false) => continue,
            _ => "sasl_ssl",
        };
        let message = format!("does nothing: security.protocol is {protocol}");
        found.push((
            name,
            message,
            format!("\"security.protocol\" = \"{wanted}\" as well, or leave this out"),
        ));
    }
    let words = MECHANISMS.map(|mechanism| format!("\"{mechanism}\"")).join(", ");
    match properties.get("sasl.mechanism").filter(|_| sasl) {
        None if sasl => {
            let message =
                "needs sasl.mechanism: where it is not set, the client takes Kerberos, which is not built in";
            found.push((PROTOCOL, message.to_owned(), format!("\"sasl.mechanism\" as well: one of {words}")));
        }
        Some(mechanism) if !MECHANISMS.contains(&mechanism) => {
            found.push((
                "sasl.mechanism",
                "is not built in, or not so written".to_owned(),
                format!("one of {words}"),
            ));
        }
        Some("OAUTHBEARER") | None => {}
        Some(_) => {
            let missing =
                ["sasl.username", "sasl.password"].into_iter().filter(|name| properties.get(name).is_none());
            found.extend(missing.map(|missing| needs("sasl.mechanism", missing)));
        }
    }
    for (one, other) in [
        ("ssl.certificate.location", "ssl.key.location"),
        ("ssl.key.location", "ssl.certificate.location"),
        ("ssl.keystore.location", "ssl.keystore.password"),
    ] {
        // A key may also come as a secret, and a certificate as a text.
        let others = [other.to_owned(), other.replace(".location", ".pem")];
        if properties.get(one).is_some() && others.iter().all(|other| properties.get(other).is_none()) {
            found.push(needs(one, other));
        }
    }
    found
}

/// What is allowed and should be known.
pub(super) fn remarks(properties: &Properties) -> Vec<String> {
    let mut remarks = Vec::new();
    let protocol = properties.protocol();
    if protocol == "sasl_plaintext" {
        let shown = match properties.get("sasl.mechanism") {
            Some("PLAIN") => "the password and the transactions travel",
            Some("OAUTHBEARER") => "the token and the transactions travel",
            _ => "the transactions travel",
        };
        remarks.push(format!(
            "kafka.properties.security.protocol: is sasl_plaintext: {shown} as plain text; use sasl_ssl"
        ));
    }
    if protocol.contains("ssl") && properties.get("ssl.endpoint.identification.algorithm") == Some("none") {
        remarks.push(
            "kafka.properties.ssl.endpoint.identification.algorithm: is none: whoever has any certificate of the same \
             authority can pass for a broker"
                .to_owned(),
        );
    }
    remarks
}
