//! Depth-first search over all states, each once.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::rc::Rc;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::world::{Action, World};

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) states: usize,
    /// The most units that caches spent, and that were refunded, on one way.
    pub(super) spent: u64,
    pub(super) refunded: u64,
}

/// The actions that led to a state, the latest first.
struct Trail {
    action: Action,
    before: Option<Rc<Trail>>,
}

/// Takes every action in every state that can be reached. The error is what is broken, and the actions that led there.
pub(super) fn explore(start: World) -> Result<Found, String> {
    // 16 bytes for each state: that two have one digest is less probable than a fault of the machine.
    let mut seen = BTreeSet::new();
    seen.insert(digest(&start));
    let mut stack = vec![(start, None::<Rc<Trail>>)];
    let (mut spent, mut refunded) = (0, 0);
    while let Some((world, before)) = stack.pop() {
        for action in world.actions() {
            let mut next = world.clone();
            let result = next.act(action);
            (spent, refunded) = (spent.max(next.spent), refunded.max(next.refunded));
            let trail = Rc::new(Trail { action, before: before.clone() });
            if let Err(broken) = result {
                return Err(describe(&broken, &trail));
            }
            if seen.insert(digest(&next)) {
                stack.push((next, Some(trail)));
            }
        }
    }
    Ok(Found { states: seen.len(), spent, refunded })
}

fn digest(world: &World) -> u128 {
    let mut hasher = SipHasher13::new();
    world.hash(&mut hasher);
    hasher.finish128().into()
}

fn describe(broken: &str, trail: &Rc<Trail>) -> String {
    let mut actions = Vec::new();
    let mut next = Some(trail);
    while let Some(trail) = next {
        actions.push(format!("{:?}", trail.action));
        next = trail.before.as_ref();
    }
    actions.reverse();
    format!("{broken}\n{}", actions.join("\n"))
}
