//! The core of `score`: a sighting, a history and rules make an alert and the change to the history.
