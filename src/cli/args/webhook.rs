//! `webhook` on the command line.

use clap::{Args, Subcommand};

use super::Moment;
use super::alerts::moment;
use crate::domain::delivery::EndpointName;

/// `cardwatch webhook …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum WebhookCommand {
    /// Post a test alert to an endpoint, from here and at once, and say what it answered.
    #[command(after_help = "\
Examples:
  cardwatch webhook test issuer
  cardwatch --format json webhook test issuer | jq .status

It goes by the configuration of this machine, beside the ledger: nothing is owed by it.")]
    Test(EndpointArgs),
    /// List the endpoints and what is owed to each.
    #[command(after_help = "\
Examples:
  cardwatch webhook list
  cardwatch --format json webhook list | jq '.[] | select(.disabled)'")]
    List,
    /// List deliveries that wait for their next attempt, the next first.
    #[command(after_help = "\
Examples:
  cardwatch webhook pending
  cardwatch webhook pending issuer --limit 1000")]
    Pending(DeliveriesArgs),
    /// List deliveries that were tried as often as the schedule says.
    #[command(after_help = "\
Examples:
  cardwatch webhook failed
  cardwatch webhook failed issuer")]
    Failed(DeliveriesArgs),
    /// Have deliveries tried again: what failed, one alert, or everything of a time.
    #[command(after_help = "\
Examples:
  cardwatch webhook replay issuer --failed
  cardwatch webhook replay issuer --id alr_k5m2a7q3nq4o6x2zrb7w5c4ilu
  cardwatch webhook replay issuer --since 24h --until 1h

What was delivered before is told once more under the same webhook-id: a receiver that keeps ids
takes it for the duplicate it is.")]
    Replay(ReplayArgs),
    /// Tell a disabled endpoint again, beginning with what is owed to it.
    #[command(after_help = "\
Examples:
  cardwatch webhook enable issuer --as \"Ops, ticket 4711\"")]
    Enable(SwitchArgs),
    /// Tell an endpoint nothing for now; what becomes owed to it is kept.
    #[command(after_help = "\
Examples:
  cardwatch webhook disable issuer --as \"Ops, maintenance\"")]
    Disable(SwitchArgs),
    /// Make a new key that signs; the old one signs beside it for a while.
    #[command(after_help = "\
Examples:
  cardwatch webhook rotate issuer
  cardwatch webhook rotate issuer --keep 7d

The new key is written to the endpoint's secret_file and shown nowhere. Give it to the receiver (of
an ed25519 key the public half, which is printed). Running processes hear of it and read the file
anew; where one reads a copy, copy it there. While both sign, a receiver may know either.")]
    Rotate(RotateArgs),
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct EndpointArgs {
    /// The endpoint's name.
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: EndpointName,
}

/// Which deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DeliveriesArgs {
    /// Of this endpoint alone.
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: Option<EndpointName>,

    /// Show at most so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub limit: u64,
}

/// What is to be told again.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(id = "what", required = true, args = ["failed", "id", "since"])]
pub struct ReplayArgs {
    /// The endpoint's name.
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: EndpointName,

    /// Everything that failed for good.
    #[arg(long)]
    pub failed: bool,

    /// One alert, by its id or by the webhook-id of a delivery.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,

    /// Every alert written at this time or later: a time with its offset, or how long ago, such as 24h.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,

    /// … and before this time.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "since")]
    pub until: Option<Moment>,

    /// Who asks for it, for the audit log: a claim, beside the user of this machine.
    #[arg(long = "as", value_name = "WHO")]
    pub claimed: Option<String>,
}

/// Which endpoint is switched, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SwitchArgs {
    /// The endpoint's name.
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: EndpointName,

    /// Who asks for it, for the audit log: a claim, beside the user of this machine.
    #[arg(long = "as", value_name = "WHO")]
    pub claimed: Option<String>,
}

/// How a key is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RotateArgs {
    /// The endpoint's name.
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: EndpointName,

    /// How long the old key signs beside the new one.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = keep)]
    pub keep: std::time::Duration,

    /// Who asks for it, for the audit log: a claim, beside the user of this machine.
    #[arg(long = "as", value_name = "WHO")]
    pub claimed: Option<String>,
}

fn keep(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "write a time such as 24h or 7d, of 1 minute to 90 days".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = count.checked_mul(unit).filter(|seconds| (60..=90 * 86_400).contains(seconds));
    seconds.map(std::time::Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_key_stays_for_a_minute_to_ninety_days() {
        for (text, seconds) in [("1m", 60), ("24h", 86_400), ("90d", 7_776_000)] {
            assert_eq!(keep(text), Ok(std::time::Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0m", "91d", "24", "h", "1w", "18446744073709551615d", "-1h"] {
            assert!(keep(text).is_err(), "{text}");
        }
    }
}
