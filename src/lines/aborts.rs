//! Aborts that repeat: halve the batch until the record that causes them stands alone.

/// Aborts at one start offset before the batch is halved.
const TRIES: u32 = 3;

/// Counts aborts at the same start offsets.
#[derive(Debug, Default)]
pub(super) struct Aborts {
    starts: Vec<(i32, i64)>,
    count: u32,
    limit: Option<u64>,
}

impl Aborts {
    /// How many records a transaction may hold at present; `None` is the usual.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// One more abort of a transaction of `records` records that began at `starts`.
    ///
    /// # Errors
    /// When a transaction of a single record was aborted three times: position and cause, in words.
    pub(super) fn count(&mut self, starts: Vec<(i32, i64)>, records: u64, cause: &str) -> Result<(), String> {
        if starts != self.starts {
            self.starts = starts;
            self.count = 0;
            self.limit = None;
        }
        self.count += 1;
        if self.count < TRIES {
            return Ok(());
        }
        self.count = 0;
        let size = self.limit.unwrap_or(u64::MAX).min(records.max(1));
        if size == 1 {
            let places: Vec<String> =
                self.starts.iter().map(|(partition, offset)| format!("{partition}@{offset}")).collect();
            return Err(format!(
                "a single record was aborted {TRIES} times ({cause}), the first at one of the positions {}",
                places.join(", ")
            ));
        }
        self.limit = Some(size / 2);
        Ok(())
    }

    /// A commit went through: back to the usual.
    pub(super) fn forget(&mut self) {
        *self = Aborts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_aborts_halve_the_batch_down_to_the_record_that_causes_them() {
        let mut aborts = Aborts::default();
        let mut limits = Vec::new();
        let stopped = loop {
            let size = aborts.limit().unwrap_or(1000);
            match aborts.count(vec![(3, 70)], size, "too large") {
                Ok(()) => limits.push(aborts.limit()),
                Err(message) => break message,
            }
            assert!(limits.len() < 100, "must come to an end");
        };
        let halved: Vec<u64> = limits.iter().copied().flatten().collect();
        assert!(halved.contains(&500) && halved.contains(&1), "{halved:?}");
        assert!(stopped.contains("3@70") && stopped.contains("too large"), "{stopped}");
    }

    #[test]
    fn a_commit_or_another_place_starts_the_count_again() {
        let mut aborts = Aborts::default();
        for offset in 0..100 {
            aborts.count(vec![(0, offset)], 10, "x").unwrap();
            assert_eq!(aborts.limit(), None);
        }
        for _ in 0..3 {
            aborts.count(vec![(0, 100)], 10, "x").unwrap();
        }
        assert_eq!(aborts.limit(), Some(5));
        aborts.forget();
        assert_eq!(aborts.limit(), None);
    }
}
