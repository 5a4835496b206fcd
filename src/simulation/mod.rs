//! A simulated world of cards, merchants, subscriptions, thieves and a breach, with its truth.
