//! Bodies by a template of the user's own: minijinja, the language of Jinja.
//!
//! Where the content type is JSON, `{{ value }}` writes a JSON value, quotes included: `"text": {{ alert.title }}`, and
//! texts are joined within the braces: `{{ "Alert " ~ alert.id }}`. So no text of the stream can leave its quotes.

use std::fmt;
use std::io::{self, Write};

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::domain::alert::{Alert, State};
use crate::domain::delivery::EndpointName;
use crate::notice::samples;

use super::view::View;
use super::{Body, Context, Link, Show, Told};

/// The longest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Steps that a template may take, for each alert of the largest batch.
const FUEL: u64 = 2_000;
const NAME: &str = "template";

/// A checked template and its content type.
pub struct Template {
    environment: Environment<'static>,
    content_type: String,
    is_json: bool,
}

/// Why a template fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TemplateError {
    /// The line in the template, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> TemplateError {
        // The detail names what the template says, never a value.
        let message = match (error.kind(), error.detail()) {
            (minijinja::ErrorKind::OutOfFuel, _) => {
                "takes too many steps: a loop without a sensible end".to_owned()
            }
            (minijinja::ErrorKind::WriteFailure, _) => format!("makes a body above {BODY_BYTES_MAX} bytes"),
            (minijinja::ErrorKind::UndefinedError, None) => {
                "names a value that there is not: docs/webhooks.md lists them".to_owned()
            }
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        TemplateError { line: error.line(), message }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// What a template can name.
#[derive(Serialize)]
struct Names<'a> {
    endpoint: &'a str,
    count: usize,
    /// The first, or only one.
    alert: Option<&'a View>,
    alerts: &'a [View],
}

impl Template {
    /// Compiles a template, and tries it on alerts that have everything, that have nothing, and that are closed, one and
    /// several.
    ///
    /// # Errors
    /// [`TemplateError`] when it does not compile, names what there is not, or its content type is JSON (`…/json`,
    /// `…+json`) and what it makes is not.
    pub fn new(text: &str, content_type: &str) -> Result<Template, TemplateError> {
        let fail = |message: String| TemplateError { line: None, message };
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(fail(format!("longer than {TEMPLATE_BYTES_MAX} bytes")));
        }
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let token = |part: &str| {
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
            !part.is_empty() && part.bytes().all(is_token)
        };
        let is_type = essence.split_once('/').is_some_and(|(kind, name)| token(kind) && token(name));
        if !is_type || !content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(fail(format!(
                "{content_type:?} is no content type: write application/json or another"
            )));
        }
        let is_json = essence.ends_with("/json") || essence.ends_with("+json");
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL * super::BATCH_ALERTS_MAX as u64));
        environment
            .set_auto_escape_callback(move |_| if is_json { AutoEscape::Json } else { AutoEscape::None });
        // Would let a text of the stream out of its quotes.
        environment.remove_filter("safe");
        environment.add_template_owned(NAME, text.to_owned())?;
        let template = Template { environment, content_type: content_type.to_owned(), is_json };
        template.try_out()?;
        Ok(template)
    }

    /// The content type of the bodies.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Whether a batch tells more than its first alert: a template may speak of `alert` alone.
    pub fn tells_every_alert(&self) -> bool {
        let (full, bare) = (samples::full(), samples::bare());
        let other = Alert { id: "alr_other".to_owned(), revision: 7, ..samples::full() };
        let Ok(endpoint) = "check".parse::<EndpointName>() else { return true };
        let context = Context { endpoint: &endpoint, show: Show::default(), link: None };
        let body = |second| {
            let told = [&full, second].map(|alert| Told { alert, json: b"" });
            self.render(&told, &context).map(|body| body.bytes)
        };
        body(&other) != body(&bare)
    }

    fn try_out(&self) -> Result<(), TemplateError> {
        let (full, bare) = (samples::full(), samples::bare());
        let closed = Alert { state: State::Closed, revision: 2, ..samples::full() };
        let told = [&full, &bare, &closed].map(|alert| Told { alert, json: b"" });
        let fail = |_| TemplateError { line: None, message: "cannot be tried".to_owned() };
        let endpoint: EndpointName = "check".parse().map_err(fail)?;
        let link = Link::parse("https://example.com/{alert}").ok();
        let everything = Show { references: true, merchant: true, amount: true };
        for (show, link) in [(everything, link.as_ref()), (Show::default(), None)] {
            let context = Context { endpoint: &endpoint, show, link };
            for told in [&told[..1], &told[1..2], &told[2..], &told[..]] {
                self.render(told, &context)?;
            }
        }
        Ok(())
    }

    /// The body about these alerts.
    pub(super) fn render(&self, told: &[Told<'_>], context: &Context<'_>) -> Result<Body, TemplateError> {
        let alerts: Vec<View> = told.iter().map(|told| View::of(told.alert, context)).collect();
        let names = Names {
            endpoint: context.endpoint.as_str(),
            count: alerts.len(),
            alert: alerts.first(),
            alerts: &alerts,
        };
        let mut bytes = Bounded(Vec::new());
        let template = self.environment.get_template(NAME)?;
        template.render_captured_to(names, &mut bytes)?;
        let bytes = bytes.0;
        if self.is_json
            && let Err(error) = serde_json::from_slice::<IgnoredAny>(&bytes)
        {
            let message = format!(
                "what it makes is not JSON (its line {}, column {}): {{{{ value }}}} writes its own quotes, so put none around it, \
                 and join texts inside: {{{{ \"Alert \" ~ alert.id }}}}",
                error.line(),
                error.column()
            );
            return Err(TemplateError { line: None, message });
        }
        Ok(Body { content_type: self.content_type.clone(), bytes })
    }
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
