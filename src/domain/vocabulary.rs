//! The closed word lists of a transaction. *Unknown* is a value of each: absent never means "none".

/// Declares an enumeration whose members have one word each, in JSON, in rules and in configuration.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default,
                 serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$member_doc])* #[serde(rename = $word)] $member,)+
            /// The stream does not say.
            #[default]
            #[serde(rename = "unknown")]
            Unknown,
        }

        impl $name {
            /// Every word, `unknown` last.
            pub const WORDS: &'static [&'static str] = &[$($word,)+ "unknown"];

            /// The word of this member.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$member => $word,)+ $name::Unknown => "unknown" }
            }

            /// The member of a word, if it is one.
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$member),)+ "unknown" => Some($name::Unknown), _ => None }
            }

            /// Whether the stream said nothing.
            pub fn is_unknown(self) -> bool {
                self == $name::Unknown
            }
        }
    };
}

vocabulary! {
    /// What kind of message the transaction is.
    Kind {
        /// A request to pay.
        Authorization = "authorization",
        /// The settlement of an earlier authorization: moves neither velocity nor money.
        Clearing = "clearing",
        /// Money given back.
        Refund = "refund",
        /// An authorization taken back.
        Reversal = "reversal",
        /// A check of the account without money.
        AccountCheck = "account_check",
    }
}

vocabulary! {
    /// How the issuer answered.
    Outcome {
        /// Approved.
        Approved = "approved",
        /// Declined: counts for testing, never as money.
        Declined = "declined",
    }
}

vocabulary! {
    /// Where the sale took place.
    Channel {
        /// A web shop or an app.
        Ecom = "ecom",
        /// A terminal in a shop.
        Pos = "pos",
        /// Mail or telephone order.
        Moto = "moto",
        /// A cash machine.
        Atm = "atm",
    }
}

vocabulary! {
    /// Who started the transaction.
    Initiation {
        /// The cardholder, there and then.
        Cardholder = "cardholder",
        /// A subscription's standing order.
        Recurring = "recurring",
        /// One of a fixed number of parts.
        Instalment = "instalment",
        /// The merchant, on an agreement (no-show, top-up, delayed charge).
        Merchant = "merchant",
    }
}

vocabulary! {
    /// How the card's data came to the merchant.
    Credential {
        /// Typed in.
        Keyed = "keyed",
        /// On file with the merchant.
        Stored = "stored",
        /// A network token from a wallet.
        WalletToken = "wallet_token",
        /// The chip, in contact.
        Chip = "chip",
        /// The chip, without contact.
        Contactless = "contactless",
        /// The magnetic stripe.
        Magstripe = "magstripe",
    }
}

vocabulary! {
    /// The result of a check of the security code (`Cvv`).
    Cvv {
        /// Given and right.
        Match = "match",
        /// Given and wrong.
        NoMatch = "no_match",
        /// Not given.
        Absent = "absent",
    }
}

vocabulary! {
    /// The result of an address check.
    Avs {
        /// Address and postal code are right.
        Match = "match",
        /// One of the two is right.
        Partial = "partial",
        /// Neither is right.
        NoMatch = "no_match",
        /// Not given.
        Absent = "absent",
    }
}

vocabulary! {
    /// The result of 3-D Secure.
    ThreeDs {
        /// The cardholder was authenticated.
        Authenticated = "authenticated",
        /// Tried, the issuer could not take part.
        Attempted = "attempted",
        /// Tried and failed.
        Failed = "failed",
        /// Not tried.
        None = "none",
    }
}

vocabulary! {
    /// The expiry date of the transaction beside that of the exposed card.
    Expiry {
        /// The same: the exposed card itself.
        Same = "same",
        /// Another: a card reissued since, or a guess.
        Different = "different",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_members_agree() {
        for &word in Kind::WORDS {
            assert_eq!(Kind::from_word(word).unwrap().as_str(), word);
            assert_eq!(
                serde_json::to_string(&Kind::from_word(word).unwrap()).unwrap(),
                format!("\"{word}\"")
            );
        }
        assert_eq!(Credential::from_word("wallet_token"), Some(Credential::WalletToken));
        assert_eq!(Kind::from_word("purchase"), None);
        assert!(Cvv::default().is_unknown());
    }
}
