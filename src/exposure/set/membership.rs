//! Interned memberships: which incidents' events a card has. Lists are made by the thousand cards, so a
//! few memberships serve millions of cards, and each card needs only four bytes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The events of a card in one incident, by the incident's index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) incident: u32,
    pub(super) events: Box<[i32]>,
}

/// Members sorted by incident index.
pub(super) type Membership = Arc<[Member]>;

/// The membership of a card that no incident holds.
pub(super) const NOWHERE: u32 = 0;

/// All memberships by id. Ids are never reused: a view made long ago still finds what it needs.
#[derive(Debug)]
pub(super) struct Memberships {
    /// Written by the one writer for as long as a push takes; read only by views older than the membership.
    lists: RwLock<Vec<Membership>>,
}

impl Memberships {
    pub(super) fn get(&self, id: u32) -> Option<Membership> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).get(id as usize).cloned()
    }

    pub(super) fn all(&self) -> Vec<Membership> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, membership: Membership) -> u32 {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        lists.push(membership);
        (lists.len() - 1) as u32
    }
}

/// Finds or makes the id of a membership. The writer's own.
#[derive(Debug)]
pub(super) struct Interner {
    shared: Arc<Memberships>,
    ids: HashMap<Membership, u32>,
    /// The last step taken: a list's cards mostly take the same one.
    last: Option<(u32, Member, u32)>,
}

impl Interner {
    pub(super) fn new() -> Interner {
        let nowhere: Membership = Arc::from([]);
        let shared = Memberships { lists: RwLock::new(vec![nowhere.clone()]) };
        Interner { shared: Arc::new(shared), ids: HashMap::from([(nowhere, NOWHERE)]), last: None }
    }

    pub(super) fn shared(&self) -> &Arc<Memberships> {
        &self.shared
    }

    /// The membership `from` with its events in `incident` replaced; without events it leaves the incident.
    pub(super) fn step(&mut self, from: u32, incident: u32, events: &[i32]) -> u32 {
        if let Some((last_from, member, to)) = &self.last
            && (*last_from, member.incident, &*member.events) == (from, incident, events)
        {
            return *to;
        }
        let member = Member { incident, events: events.into() };
        let mut members: Vec<Member> = self.shared.get(from).map_or_else(Vec::new, |list| list.to_vec());
        match (members.binary_search_by_key(&incident, |member| member.incident), events.is_empty()) {
            (Ok(place), true) => drop(members.remove(place)),
            (Ok(place), false) => members[place] = member.clone(),
            (Err(_), true) => {}
            (Err(place), false) => members.insert(place, member.clone()),
        }
        let membership: Membership = members.into();
        let to = match self.ids.get(&membership) {
            Some(id) => *id,
            None => {
                let id = self.shared.push(membership.clone());
                self.ids.insert(membership, id);
                id
            }
        };
        self.last = Some((from, member, to));
        to
    }
}
