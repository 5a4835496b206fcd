//! Whatever a page shows as TOML is a configuration or a rules file that the program takes.

use std::path::Path;

use cardwatch::config::Settings;
use cardwatch::scoring::rules::RuleSet;

use crate::markdown::{Part, parts};
use crate::pages;

#[test]
fn every_toml_of_the_pages_is_taken() {
    let (mut wrong, mut taken) = (Vec::new(), 0);
    for (page, text) in pages() {
        for part in parts(&text) {
            let Part::Code(kind, block) = part else { continue };
            if kind != "toml" {
                continue;
            }
            taken += 1;
            let rules = RuleSet::parse(&block, &page).err();
            let settings = Settings::read(Some((Path::new(&page), &block)), std::iter::empty()).err();
            if let (Some(_), Some(problems)) = (rules, settings) {
                let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                // The files of the reader's Kafka are not here, and what they would hold is not known.
                if problems.iter().any(|problem| problem.contains("cannot read the file")) {
                    problems.retain(|problem| !problem.contains("kafka.properties."));
                    problems.retain(|problem| !problem.contains("cannot read the file"));
                }
                if !problems.is_empty() {
                    wrong.push(format!("{}\nin\n{block}", problems.join("\n")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(taken > 30, "only {taken} blocks were found");
}
