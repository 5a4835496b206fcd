use super::*;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::read(Some((Path::new("c.toml"), text)), variables)
}

fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    read(text, variables).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let settings = read("", &[]).unwrap();
    assert_eq!(settings.kafka.bootstrap_servers, "127.0.0.1:9092");
    assert_eq!(settings.topics.card_history, "cardwatch.card-history");
    assert_eq!(settings.input.start, None);
    assert!(!settings.instance.id.is_empty());
}
