//! From the settings of a mapping to the mapping itself.

use crate::codec::mapping::{AmountUnit, Field, MappingSpec, TimeFormat};
use crate::config::{self, Settings};

/// The mapping that the settings describe.
pub fn spec(settings: &Settings) -> MappingSpec {
    let fields = settings.mapping.fields();
    MappingSpec {
        card: settings.input.card.field.clone(),
        card_kind: settings.input.card.kind,
        card_key: settings.input.card.key_field.clone(),
        fields: fields
            .filter_map(|(name, pointer)| Some((Field::from_word(name)?, pointer.to_owned())))
            .collect(),
        amount_unit: match settings.mapping.amount_unit {
            config::AmountUnit::Major => AmountUnit::Major,
            config::AmountUnit::Minor => AmountUnit::Minor,
        },
        time_format: match settings.mapping.time_format {
            config::TimeFormat::Rfc3339 => TimeFormat::Rfc3339,
            config::TimeFormat::Epoch(unit) => TimeFormat::Epoch(unit),
        },
        references: settings.references.0.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_the_default_mapping() {
        let settings = Settings::read(None, std::iter::empty()).unwrap();
        assert_eq!(spec(&settings), MappingSpec::default());
    }
}
