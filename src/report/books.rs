//! An incident's book as tables.

use crate::books::{Book, MoneyBook, Tally};
use crate::domain::money::Currency;
use crate::scoring::history::Money;

use super::table::{Cell, Table};

type Count = fn(&Tally) -> u64;

/// What is counted, in the order in which it is shown: the name in JSON and for people.
const COUNTS: [(&str, &str, Count); 17] = [
    ("cards", "Cards", |tally| tally.cards),
    ("seen", "Cards seen", |tally| tally.seen),
    ("never_seen", "Cards never seen", Tally::never_seen),
    ("untold", "Cards used, incident not known", |tally| tally.untold),
    ("suspected", "Cards suspected (alerted)", |tally| tally.suspected),
    ("confirmed", "Cards confirmed", |tally| tally.confirmed),
    ("alerts", "Alerts", |tally| tally.alerts),
    ("alerts_confirmed", "Alerts confirmed", |tally| tally.verdicts.fraud),
    ("alerts_genuine", "Alerts on the cardholder's own use", |tally| tally.verdicts.genuine),
    ("alerts_unknown", "Alerts looked at, not known", |tally| tally.verdicts.unknown),
    ("alerts_undecided", "Alerts not decided", Tally::undecided),
    ("transactions", "Transactions seen", |tally| tally.sightings),
    ("approved", "Purchases approved", |tally| tally.purchases),
    ("declined", "Attempts declined", |tally| tally.declined),
    ("checks", "Account checks", |tally| tally.checks),
    ("returns", "Refunds and reversals", |tally| tally.returns),
    ("late", "Seen too late for an alert to help", |tally| tally.late),
];

/// The counts by where the cards stand now. A row that is rarely more than 0 is shown where it is, and so is the
/// column of cards that are neither on the list nor withdrawn.
pub fn counts_table(book: &Book) -> Table {
    let columns = [
        ("count", ""),
        ("listed", "On the list"),
        ("withdrawn", "Withdrawn"),
        ("other", "Others"),
        ("departed", "Deleted"),
        ("total", "All"),
    ];
    let mut table = Table::new("books", columns);
    let total = book.total();
    for (name, title, count) in COUNTS {
        if name == "untold" && count(&total) == 0 {
            continue;
        }
        let of = |tally: &Tally| Cell::from(count(tally));
        let title = Cell::Named(name, title);
        let standings = [&book.listed, &book.withdrawn, &book.other, &book.departed].map(of);
        let [listed, withdrawn, other, departed] = standings;
        table.row([title, listed, withdrawn, other, departed, of(&total)]);
    }
    table
}

type Sum = fn(&MoneyBook) -> Money;

/// The sums of a currency, in the order in which they are shown.
const SUMS: [Sum; 6] = [
    |money| money.flow.approved,
    |money| money.flow.declined,
    |money| money.flow.alerted_approved,
    |money| money.flow.alerted_declined,
    |money| money.confirmed_approved,
    |money| money.confirmed_declined,
];

/// The money of all cards, by currency, approved and declined apart.
pub fn money_table(book: &Book) -> Table {
    let mut table = Table::new(
        "money",
        [
            ("currency", "Currency"),
            ("approved", "Approved"),
            ("declined", "Declined"),
            ("suspected_approved", "Suspected, approved"),
            ("suspected_declined", "Suspected, declined"),
            ("confirmed_approved", "Confirmed, approved"),
            ("confirmed_declined", "Confirmed, declined"),
        ],
    );
    for (currency, money) in &book.total().money {
        let [approved, declined, suspected, refused, confirmed, averted] =
            SUMS.map(|sum| amount(sum(money), *currency));
        table.row([currency.code().into(), approved, declined, suspected, refused, confirmed, averted]);
    }
    table
}

fn amount(money: Money, currency: Currency) -> Cell {
    Cell::Amount(money.sum, currency)
}

/// Cards by the week of their first use and of the first use that raised an alert.
pub fn weeks_table(book: &Book) -> Table {
    let columns =
        [("week", "Week from"), ("seen", "Cards first seen"), ("suspected", "Cards first suspected")];
    let mut table = Table::new("weeks", columns);
    for (monday, week) in &book.weeks {
        table.row([monday.to_string().into(), week.seen.into(), week.suspected.into()]);
    }
    table
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::books::{Verdicts, Week};
    use crate::domain::time::Timestamp;
    use crate::scoring::history::Flow;

    /// A book with something in every place. Nobody has decided anything.
    pub(in crate::report) fn undecided() -> Book {
        let money = |count, sum| Money { count, sum };
        let flow = Flow {
            approved: money(9, 20_012_980),
            declined: money(2, 3_000),
            alerted_approved: money(3, 12_980),
            alerted_declined: money(1, 2_000),
        };
        let dollars = Flow { approved: money(1, 123_456), ..Flow::default() };
        let listed = Tally {
            cards: 29_773,
            seen: 4_100,
            suspected: 3,
            sightings: 13,
            purchases: 10,
            declined: 2,
            checks: 1,
            late: 2,
            outside: 1,
            alerts: 4,
            money: [("JPY", flow), ("USD", dollars)]
                .map(|(code, flow)| (code.parse().unwrap(), MoneyBook { flow, ..MoneyBook::default() }))
                .into(),
            first: Some(Timestamp(1_519_948_800_000)),
            last: Some(Timestamp(1_528_177_215_000)),
            ..Tally::default()
        };
        let withdrawn = Tally { cards: 5_136, seen: 1, sightings: 1, returns: 1, ..Tally::default() };
        let weeks = [
            ("2018-02-26", Week { seen: 4_101, suspected: 1 }),
            ("2018-03-05", Week { seen: 0, suspected: 2 }),
        ];
        let weeks = weeks.map(|(monday, week)| (monday.parse().unwrap(), week)).into();
        Book { listed, withdrawn, weeks, ..Book::default() }
    }

    /// The same after a person has looked.
    pub(in crate::report) fn decided() -> Book {
        let mut book = undecided();
        book.listed.confirmed = 1;
        book.listed.verdicts = Verdicts { fraud: 2, genuine: 1, unknown: 0 };
        if let Some(money) = book.listed.money.get_mut(&"JPY".parse().unwrap()) {
            money.confirmed_approved = Money { count: 1, sum: 9_800 };
            money.confirmed_declined = Money { count: 1, sum: 2_000 };
        }
        book
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_is_told_in_counts_and_in_money_of_each_currency() {
        let book = samples::decided();
        let rows = counts_table(&book).json();
        let row = |name: &str| {
            let found = rows.as_array().unwrap().iter().find(|row| row["count"] == name);
            found.unwrap().clone()
        };
        assert_eq!(
            row("cards"),
            serde_json::json!({"count": "cards", "listed": 29_773, "withdrawn": 5_136, "other": 0, "departed": 0, "total": 34_909})
        );
        assert_eq!(
            (&row("never_seen")["listed"], &row("alerts_undecided")["total"]),
            (&25_673.into(), &1.into())
        );
        let text = money_table(&book).text(false);
        assert!(text.contains("JPY") && text.contains("20,012,980") && text.contains("9,800"), "{text}");
        assert!(text.contains("1,234.56"), "{text}");
        assert_eq!(money_table(&book).json()[1]["approved"], "123456");
        assert_eq!(weeks_table(&book).json()[0]["seen"], 4_101);
    }
}
