//! What in a transaction speaks for the cardholder: what a thief with the exposed data could not do.

use crate::domain::incident::{Element, ExposedIn};
use crate::domain::transaction::Transaction;
use crate::domain::vocabulary::{Credential, Cvv, Expiry, Initiation, ThreeDs};

/// The facts that speak for the cardholder. Each is false where the stream does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForCardholder {
    /// Chip, contactless or a wallet's token; or the stripe, where the stripe's data was not exposed.
    pub card_in_hand: bool,
    /// 3-D Secure authenticated the cardholder.
    pub authenticated: bool,
    /// The security code was right although it was not exposed.
    pub knew_code: bool,
    /// The expiry date is not that of the exposed card: a card issued since.
    pub reissued: bool,
    /// Nobody was there: a standing order or the merchant started it.
    pub by_merchant: bool,
    /// The merchant had the card on file.
    pub on_file: bool,
}

impl ForCardholder {
    /// Of a transaction, with what `incidents` exposed.
    pub fn of<'i>(
        transaction: &Transaction,
        incidents: impl Iterator<Item = &'i ExposedIn> + Clone,
    ) -> ForCardholder {
        let exposed = |element| incidents.clone().any(|incident| incident.elements.contains(&element));
        ForCardholder {
            card_in_hand: match transaction.credential {
                Credential::Chip | Credential::Contactless | Credential::WalletToken => true,
                Credential::Magstripe => !exposed(Element::Track),
                Credential::Keyed | Credential::Stored | Credential::Unknown => false,
            },
            authenticated: transaction.three_ds == ThreeDs::Authenticated,
            knew_code: transaction.cvv == Cvv::Match && !exposed(Element::SecurityCode),
            reissued: transaction.expiry == Expiry::Different,
            by_merchant: matches!(
                transaction.initiation,
                Initiation::Recurring | Initiation::Instalment | Initiation::Merchant
            ),
            on_file: transaction.credential == Credential::Stored,
        }
    }

    /// Whether anything speaks for the cardholder that needs no past to be believed.
    pub fn is_proven(&self) -> bool {
        self.card_in_hand || self.authenticated || self.knew_code || self.reissued
    }

    /// Whether the card's data was not given for this transaction: a standing order, or kept on file.
    pub fn is_agreed(&self) -> bool {
        self.by_merchant || self.on_file
    }
}

/// Whether a use at `at` (epoch milliseconds) can be misuse from this breach and is watched for: from the
/// first moment of the exposure on, and within the watch period.
pub fn is_in_force(incident: &ExposedIn, at: i64) -> bool {
    let after_watch = incident.watch_until.is_some_and(|until| at >= until.millis());
    at >= incident.exposed_from.millis() && at >= incident.watch_from.millis() && !after_watch
}
