//! The parameters of a request's address, each read or refused by name, and none passed over.

use std::str::FromStr;

use axum::http::StatusCode;

use super::problem::Problem;

/// The longest value of a parameter, in bytes.
const VALUE_BYTES_MAX: usize = 1_024;

/// The parameters that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Takes the part behind the question mark apart.
    pub(super) fn read(query: Option<&str>) -> Result<Parameters, Problem> {
        let uri = format!("/?{}", query.unwrap_or_default());
        let uri: axum::http::Uri =
            uri.parse().map_err(|_| refused("the part behind the question mark does not read"))?;
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri)
            .map_err(|_| refused("the part behind the question mark does not read"))?;
        match pairs.0.iter().all(|(_, value)| value.len() <= VALUE_BYTES_MAX) {
            true => Ok(Parameters { pairs: pairs.0 }),
            false => Err(refused("a parameter is longer than 1,024 bytes")),
        }
    }

    /// Every value of a parameter.
    fn take(&mut self, name: &str) -> Vec<String> {
        let pairs = std::mem::take(&mut self.pairs).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) = pairs.partition(|(found, _)| found == name);
        self.pairs = left;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// A parameter that may stand there once; `wanted` says what it must be.
    pub(super) fn one<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        wanted: &str,
    ) -> Result<Option<T>, Problem> {
        let values = self.take(name);
        match values.as_slice() {
            [] => Ok(None),
            [value] => {
                let value = read(value).ok_or_else(|| refused(format!("{name} must be {wanted}")))?;
                Ok(Some(value))
            }
            _ => Err(refused(format!("{name} stands there twice"))),
        }
    }

    /// The same for what reads from a text.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, wanted: &str) -> Result<Option<T>, Problem> {
        self.one(name, |value| value.parse().ok(), wanted)
    }

    /// A parameter that may stand there several times, or with several values separated by commas.
    pub(super) fn many<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        wanted: &str,
    ) -> Result<Vec<T>, Problem> {
        let values = self.take(name);
        let words = values.iter().flat_map(|value| value.split(','));
        let read = words.map(|word| read(word).ok_or_else(|| refused(format!("{name} must be {wanted}"))));
        read.collect()
    }

    /// How many entries a page has.
    pub(super) fn limit(&mut self, default: usize, most: usize) -> Result<usize, Problem> {
        let read = |value: &str| value.parse().ok().filter(|limit| (1..=most).contains(limit));
        let wanted = format!("a whole number from 1 to {most}");
        Ok(self.one("limit", read, &wanted)?.unwrap_or(default))
    }

    /// Refuses what is left: a parameter that is passed over would answer another question than was asked.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.pairs.is_empty() {
            true => Ok(()),
            false => {
                Err(refused("there is a parameter that this path does not know; /v1/openapi.json names them"))
            }
        }
    }
}

fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "parameter", detail)
}
