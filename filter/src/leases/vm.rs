//! The number of a session: the service tells sessions apart by it.

use cellgate_limiting::KeyHasher;

use crate::host::Host;

/// The shared key of the numbers of this Envoy's sessions.
const NUMBERS: &str = "cellgate.sessions";

/// A number that no other session has, with near certainty. A VM has no random numbers: no two workers of an Envoy claim the
/// same one, and Envoys differ by their names or by the time. If two sessions had one number all the same, they would end each
/// other's leases.
pub(super) fn number<H: Host>(host: &H) -> u64 {
    let (claimed, now) = (host.claim_number(NUMBERS).to_le_bytes(), host.now().to_le_bytes());
    let [number, _] = KeyHasher::new([0; 16]).key("session", [&now[..], &claimed, &host.node_id()]).words();
    number
}
