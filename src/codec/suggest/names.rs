//! What houses call the fields of a transaction, and the words they use in them.

use crate::codec::mapping::Field;

/// What a place may be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A card number.
    Card,
    /// The number behind a wallet's.
    Funding,
    /// A token.
    Token,
    /// An account reference.
    AccountReference,
    /// A fingerprint.
    Fingerprint,
    /// The customer's account: a reference for people.
    Account,
    /// A field.
    Field(Field),
}

/// Usual names, in lower case, letters and digits only, the likeliest first. A name of two parts also fits a member of
/// that name inside an object of the first: `merchantid` is `/merchant/id`.
#[rustfmt::skip]
fn usual(role: Role) -> &'static str {
    use Role::Field as F;
    match role {
        Role::Card => "pan cardnumber primaryaccountnumber cardpan cardno ccnum number card",
        Role::Funding => "fundingpan fpan fundingnumber fundingcardnumber underlyingpan",
        Role::Token => "cardtoken pantoken paymenttoken token cardfingerprint paymentmethodid",
        Role::AccountReference => "paymentaccountreference par accountreference",
        Role::Fingerprint => "cardfingerprint fingerprint cardhash panhash",
        Role::Account => "accountid account customerid customeraccount userid customer",
        F(Field::Id) =>
            "transactionid txid txnid paymentid id eventid pspreference orderid retrievalreferencenumber \
             rrn ordernumber reference",
        F(Field::At) =>
            "transactiontime transactiondatetime transmissiondatetime localtransactiontime txntime \
             datetime timestamp occurredat createdat eventtime placedat time created at ts date",
        F(Field::Kind) =>
            "messagetype mti messagetypeindicator processingcode transactiontype kind eventtype type",
        F(Field::Outcome) => "outcome result status decision authresult resultcode state",
        F(Field::ResponseCode) => "responsecode respcode actioncode authresponsecode declinecode",
        F(Field::Amount) =>
            "transactionamount txnamount amountvalue amount amt totalamount grandtotal total value \
             amounttotal",
        F(Field::Currency) =>
            "transactioncurrency currencycode transactioncurrencycode amountcurrency currency ccy curr",
        F(Field::BillingAmount) => "billingamount cardholderbillingamount cardholderamount",
        F(Field::BillingCurrency) => "billingcurrency cardholderbillingcurrency cardholdercurrency",
        F(Field::MerchantId) =>
            "merchantid cardacceptorid cardacceptoridentification acceptorid mid storeid shopid sellerid \
             merchantaccount merchant",
        F(Field::MerchantName) =>
            "merchantname cardacceptorname acceptorname cardacceptornamelocation storename shopname \
             statementdescriptor descriptor",
        F(Field::MerchantMcc) =>
            "mcc merchantcategorycode merchantmcc merchantcategory categorycode merchanttype",
        F(Field::MerchantCountry) =>
            "merchantcountry merchantcountrycode acquiringcountry acquirercountry shopcountry country \
             countrycode",
        F(Field::MerchantPlace) => "merchantcity merchantplace merchanttown cardacceptorcity city town",
        F(Field::Channel) =>
            "posentrymode pointofserviceentrymode entrymode channel saleschannel shopperinteraction \
             environment",
        F(Field::Initiation) => "initiation initiatedby initiator recurringtype recurringprocessingmodel",
        F(Field::Credential) =>
            "posentrymode pointofserviceentrymode entrymode credential cardentry sourceentry entrymethod \
             inputmethod",
        F(Field::Cvv) => "cvvresult cvcresult cvv2result cvccheck cvvcheck securitycoderesult cvcresultcode",
        F(Field::Avs) => "avsresult avsresultcode avscheck addresscheck avs",
        F(Field::ThreeDs) =>
            "eci threeds threedsecure threedsresult 3dsresult ecommerceindicator threedsstatus 3ds",
        F(Field::Expiry) => "expiry expirydate expirationdate cardexpiry expdate exp dateexpiration",
    }
}

/// The field of ISO 8583 (1987) that a role is known by; 0 is the message type.
pub(super) fn iso_number(role: Role) -> &'static [u16] {
    match role {
        Role::Card => &[2],
        Role::Field(Field::Kind) => &[0, 3],
        Role::Field(Field::Amount) => &[4],
        Role::Field(Field::BillingAmount) => &[6],
        Role::Field(Field::At) => &[12, 7],
        Role::Field(Field::Expiry) => &[14],
        Role::Field(Field::MerchantMcc) => &[18, 26],
        Role::Field(Field::MerchantCountry) => &[19],
        Role::Field(Field::Channel | Field::Credential) => &[22],
        Role::Field(Field::Id) => &[37],
        Role::Field(Field::ResponseCode | Field::Outcome) => &[39],
        Role::Field(Field::MerchantId) => &[42],
        Role::Field(Field::MerchantName) => &[43],
        Role::Field(Field::Currency) => &[49],
        Role::Field(Field::BillingCurrency) => &[51],
        _ => &[],
    }
}

/// How well a place fits a role by its name; 0 for not at all.
pub(super) fn fit(role: Role, pointer: &str) -> u32 {
    let steps: Vec<String> = pointer.split('/').skip(1).map(plain).collect();
    let Some(last) = steps.last() else { return 0 };
    let parent = steps.len().checked_sub(2).map(|at| steps[at].as_str()).unwrap_or_default();
    let joined = format!("{parent}{last}");
    let best = usual(role).split_whitespace().enumerate().filter_map(|(place, name)| {
        let place = place as u32;
        match () {
            () if joined == name && !parent.is_empty() => Some(300 - place),
            () if last == name => Some(200 - place),
            () if name.len() > 4 && last.len() > name.len() && last.ends_with(name) => Some(100 - place),
            () => None,
        }
    });
    let best = best.max().unwrap_or(0);
    let number = iso_field(last);
    let iso = iso_number(role).iter().position(|known| Some(*known) == number);
    best.max(iso.map_or(0, |place| 250 - place as u32))
}

fn plain(step: &str) -> String {
    step.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// `DE2`, `de002`, `F2`, `field_2`, `bit2`, `2`: the number of an ISO 8583 field; `mti` is 0.
fn iso_field(name: &str) -> Option<u16> {
    if matches!(name, "mti" | "messagetype" | "messagetypeindicator") {
        return Some(0);
    }
    let digits = ["field", "bit", "de", "df", "f", "p", ""].iter().find_map(|prefix| {
        name.strip_prefix(prefix).filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    })?;
    digits.parse().ok().filter(|number| *number <= 128)
}

/// Words that houses use, in lower case with letters and digits only, behind what they stand for.
#[rustfmt::skip]
const WORDS: [(Field, &str, &str); 34] = [
    (Field::Outcome, "approved", "approved authorised authorized accepted succeeded success captured settled paid"),
    (Field::Outcome, "declined", "declined refused rejected denied failed failure"),
    (Field::Kind, "authorization", "authorization authorisation purchase payment sale charge"),
    (Field::Kind, "clearing", "clearing capture settlement"),
    (Field::Kind, "refund", "refund"),
    (Field::Kind, "reversal", "reversal cancellation void"),
    (Field::Kind, "account_check", "accountcheck verification"),
    (Field::Channel, "ecom", "ecom ecommerce web online app mobile internet"),
    (Field::Channel, "pos", "pos instore store cardpresent"),
    (Field::Channel, "moto", "moto phone telephone"),
    (Field::Channel, "atm", "atm"),
    (Field::Initiation, "cardholder", "cardholder customer cit"),
    (Field::Initiation, "recurring", "recurring subscription"),
    (Field::Initiation, "instalment", "instalment installment"),
    (Field::Initiation, "merchant", "merchant mit unscheduled"),
    (Field::Credential, "keyed", "keyed manual"),
    (Field::Credential, "stored", "stored onfile cardonfile"),
    (Field::Credential, "wallet_token", "wallet wallettoken applepay googlepay"),
    (Field::Credential, "chip", "chip emv"),
    (Field::Credential, "contactless", "contactless nfc"),
    (Field::Credential, "magstripe", "magstripe swipe"),
    (Field::Cvv, "match", "match pass matched"),
    (Field::Cvv, "no_match", "nomatch fail"),
    (Field::Cvv, "absent", "absent notprovided notpresent"),
    (Field::Cvv, "unknown", "unavailable unchecked"),
    (Field::Avs, "match", "match pass"),
    (Field::Avs, "partial", "partial"),
    (Field::Avs, "no_match", "nomatch fail"),
    (Field::Avs, "absent", "absent"),
    (Field::Avs, "unknown", "unavailable unchecked"),
    (Field::ThreeDs, "authenticated", "authenticated"),
    (Field::ThreeDs, "attempted", "attempted"),
    (Field::ThreeDs, "failed", "failed"),
    (Field::ThreeDs, "none", "none notattempted"),
];

/// The word that one of a house stands for in a field.
pub(super) fn stands_for(field: Field, word: &str) -> Option<&'static str> {
    let word = plain(word);
    let mut of_field = WORDS.iter().filter(|(known, ..)| *known == field);
    of_field.find(|(_, _, words)| words.split_whitespace().any(|one| one == word)).map(|(_, means, _)| *means)
}

/// Whether a text is a word of any field's list.
pub(super) fn is_known_word(text: &str) -> bool {
    text.len() <= 24 && Field::ALL.iter().any(|field| stands_for(*field, text).is_some())
}
