use std::time::Duration;

use crate::support::chaos::Crew;
use crate::support::load::Load;
use crate::support::{Deployment, Revision, shared_cluster};
use crate::under_load::under_load;
use crate::{PATIENCE, alone};

const LINES: &str = "sight,score";
/// How long a process may take to leave, as the pages say.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);
/// More than enough for as long as it takes.
const LOAD: Load =
    Load { seed: 20_261_128, rate: 400, seconds: 900, cards: 400, exposed_percent: 25, partitions: 4 };

/// What each of two processes gets.
const SHARE: [usize; 2] = [2, 1];

/// As an upgrade goes: each of two processes leaves, comes back under its name and gets its share again before the other
/// one leaves; twice around, so that each has also been the one that stayed.
#[test]
fn processes_that_are_replaced_one_by_one_under_load_lose_and_double_nothing() {
    let _turn = alone();
    let Some(cluster) = shared_cluster() else { return };
    let deployment = Deployment::new(cluster.kafka("rolling"), 4, 2);
    let revision = Revision::adding(LOAD.exposed());
    deployment.import(&revision);
    let mut crew = Crew::new();
    for (member, id) in ["one", "two"].into_iter().enumerate() {
        crew.hire(deployment.process(id, LINES, ""));
        crew.await_flowing(member, SHARE, PATIENCE);
    }
    let replace = |crew: &mut Crew| {
        for member in [0, 1, 0, 1] {
            crew.send_away(member, LEAVES_WITHIN);
            crew.bring_back(member);
            crew.await_flowing(member, SHARE, PATIENCE);
        }
    };
    let seen =
        under_load(&deployment, &LOAD, &mut crew, replace, |crew, _| crew.drain(&deployment, PATIENCE));
    seen.judge(&deployment, &[revision]);
}
