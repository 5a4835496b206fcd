//! Messages of Slack: Block Kit, and the text for notifications.
//!
//! Whatever comes from data is escaped (`& < >`), so that it cannot mention anybody or be a link, and stands in plain
//! text or code, so that it cannot be markup.

use serde_json::{Value, json};

use super::view::View;
use super::{Context, Heartbeat, Told};

/// The longest text of a section, in characters.
const SECTION_CHARS_MAX: usize = 3000;
/// The longest text of a field of a section, in characters.
const FIELD_CHARS_MAX: usize = 2000;
/// The most fields of a section.
const FIELDS_MAX: usize = 10;
/// The longest header, in characters.
const HEADER_CHARS_MAX: usize = 150;
/// The longest text for notifications that is not cut: 40,000 characters, of which we use few.
const TEXT_CHARS_MAX: usize = 3000;
/// So many alerts of a batch have a section of their own; those after them have a line each.
const WHOLE_MAX: usize = 20;

/// The message about these alerts.
pub(super) fn message(told: &[Told<'_>], context: &Context<'_>) -> Value {
    let views: Vec<View> = told.iter().map(|told| View::of(told.alert, context)).collect();
    let title = match views.as_slice() {
        [view] => view.title.clone(),
        views if views.iter().all(|view| view.is_test) => format!("TEST: {} alerts", views.len()),
        views => format!("{} alerts on exposed cards", views.len()),
    };
    let mut blocks = vec![header(&title)];
    let whole = views.len().min(WHOLE_MAX);
    blocks.extend(views[..whole].iter().map(|view| section(view, views.len() > 1)));
    blocks.extend(packed(views[whole..].iter().map(line)));
    let lines: Vec<String> = views.iter().map(line).collect();
    let text = cut(&format!("{}\n{}", escaped(&title), lines.join("\n")), TEXT_CHARS_MAX);
    json!({ "text": text, "blocks": blocks })
}

/// A sign of life.
pub(super) fn heartbeat(heartbeat: &Heartbeat) -> Value {
    let newest = heartbeat.newest_transaction.map_or("none yet".to_owned(), |at| at.to_string());
    let text = format!(
        "cardwatch is alive: newest transaction {newest}; since the last heartbeat {} transactions, {} sightings, {} alerts; {} owed",
        heartbeat.transactions, heartbeat.sightings, heartbeat.alerts, heartbeat.owed
    );
    json!({ "text": text })
}

fn header(text: &str) -> Value {
    json!({ "type": "header", "text": plain(text, HEADER_CHARS_MAX) })
}

/// All that is shown of one alert.
fn section(view: &View, with_title: bool) -> Value {
    let mut rows = Vec::new();
    if with_title {
        rows.push(format!("*{}*", escaped(&view.title)));
    }
    rows.push(match &view.link {
        Some(link) => format!("<{}|{}>", escaped(link), code_free(&view.id)),
        None => code(&view.id),
    });
    rows.push(format!("Raised {}, revision {}", view.raised_at, view.revision));
    rows.push(format!("Severity {}, {}", code(view.severity), view.state.as_str()));
    rows.push(format!("Incident {}", codes(&view.incidents)));
    rows.push(format!("Rules {}", codes(&view.rules)));
    if let Some(verdict) = view.verdict {
        rows.push(format!("Decided: {}", code(verdict)));
    }
    let mut section = json!({
        "type": "section",
        "text": { "type": "mrkdwn", "text": whole_rows(&rows, SECTION_CHARS_MAX), "verbatim": true },
    });
    let mut fields = Vec::new();
    fields.extend(view.amount_line().map(|line| format!("Amount: {line}")));
    fields.extend(view.merchant_line().map(|line| format!("Merchant: {line}")));
    fields.extend(view.references.iter().flatten().map(|(name, value)| format!("{name}: {value}")));
    if !fields.is_empty() {
        fields.truncate(FIELDS_MAX);
        section["fields"] = fields.iter().map(|field| plain(field, FIELD_CHARS_MAX)).collect();
    }
    section
}

/// One alert in a line.
fn line(view: &View) -> String {
    let incident = view.incident.as_deref().unwrap_or("none");
    let test = if view.is_test { "TEST " } else { "" };
    format!("{test}{} {} {}, incident {}", view.severity, view.state.as_str(), code(&view.id), code(incident))
}

/// Lines in as few sections as hold them.
fn packed(lines: impl Iterator<Item = String>) -> Vec<Value> {
    let mut texts: Vec<String> = Vec::new();
    for line in lines {
        match texts.last_mut() {
            Some(text) if text.chars().count() + line.chars().count() < SECTION_CHARS_MAX => {
                text.push('\n');
                text.push_str(&line);
            }
            _ => texts.push(cut(&line, SECTION_CHARS_MAX)),
        }
    }
    let section =
        |text| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } });
    texts.into_iter().map(section).collect()
}

fn plain(text: &str, chars: usize) -> Value {
    json!({ "type": "plain_text", "text": cut(&escaped(text), chars), "emoji": false })
}

/// `& < >` as Slack wants them.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn code_free(text: &str) -> String {
    escaped(&text.replace(['`', '|'], "'"))
}

fn code(text: &str) -> String {
    format!("`{}`", escaped(&text.replace('`', "'")))
}

fn codes(texts: &[String]) -> String {
    if texts.is_empty() {
        return "none".to_owned();
    }
    texts.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ")
}

/// Rows up to a limit; a row that does not fit is cut between its words, never within an escape or a code.
fn whole_rows(rows: &[String], chars: usize) -> String {
    let mut text = String::new();
    for row in rows {
        let mut left = chars.saturating_sub(text.chars().count() + 1);
        if !text.is_empty() {
            text.push('\n');
        }
        for (place, word) in row.split(' ').enumerate() {
            let length = word.chars().count() + 1;
            if length + 4 > left {
                text.push_str(" …");
                return text;
            }
            if place > 0 {
                text.push(' ');
            }
            text.push_str(word);
            left -= length;
        }
    }
    text
}

/// At most so many characters, the last an ellipsis where something was cut; never within an escape.
fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars - 1).collect();
    if let Some(start) = short.rfind('&').filter(|start| !short[*start..].contains(';')) {
        short.truncate(start);
    }
    short.push('…');
    short
}
