//! Messages from and to plain data. Values are checked on the way in, and a message with a bad one is refused as a whole.

use std::fmt;

use cellgate_limiting::{
    Answer, BadLimit, Grant, KeyHasher, KeyReport, Limit, LimitId, LimitKey, MAX_SYNC_KEYS, Rate, Report, SessionId,
    Standing,
};

use crate::sync;

/// Why a message is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It has more than [`crate::MAX_MESSAGE_BYTES`].
    #[error("a message of {0} bytes is too long: {most} are allowed", most = crate::MAX_MESSAGE_BYTES)]
    Large(usize),
    /// It is not in the wire format of protobuf.
    #[error("the message is not what cellgate.sync.v1 defines: {0}; do both ends have the same version?")]
    Malformed(String),
    /// A part that each message has is missing.
    #[error("the message has no {0}: do both ends have the same version?")]
    Missing(&'static str),
    /// It has more than [`MAX_SYNC_KEYS`] keys.
    #[error("a message with {0} keys is too long: {MAX_SYNC_KEYS} are allowed")]
    ManyKeys(usize),
    /// The place of a limit is over 65535.
    #[error("limit_id is {0}, and at most 65535 is allowed")]
    LimitId(u32),
    /// Numbers are no limit.
    #[error("the limit of limit_id {id} is none: {reason}")]
    Limit {
        /// The place of the limit.
        id: u32,
        /// The reason.
        reason: BadLimit,
    },
    /// The secret has another length.
    #[error("the secret has {0} bytes, and must have 16")]
    Secret(usize),
    /// The standing has no meaning.
    #[error("standing is {0}, which has no meaning: do both ends have the same version?")]
    Standing(i32),
}

/// Hides the secret.
impl fmt::Debug for sync::LeaseGrants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LeaseGrants").field("grants", &self.grants).finish_non_exhaustive()
    }
}

impl From<&Report> for sync::SyncRequest {
    fn from(report: &Report) -> Self {
        Self {
            session: Some(report.session.into()),
            number: report.number,
            acknowledged: report.acknowledged,
            epoch: report.epoch,
            configuration: report.configuration,
            last: report.is_last,
            leases: Some(sync::LeaseReport { keys: report.keys.iter().map(Into::into).collect() }),
        }
    }
}

/// A request without leases has no keys to report.
impl TryFrom<&sync::SyncRequest> for Report {
    type Error = BadMessage;

    fn try_from(request: &sync::SyncRequest) -> Result<Self, BadMessage> {
        let keys = request.leases.as_ref().map_or(&[][..], |leases| &leases.keys);
        Ok(Self {
            session: session(request.session)?,
            number: request.number,
            acknowledged: request.acknowledged,
            epoch: request.epoch,
            configuration: request.configuration,
            is_last: request.last,
            keys: few(keys)?.iter().map(KeyReport::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Answer> for sync::SyncResponse {
    fn from(answer: &Answer) -> Self {
        let standing = match answer.standing {
            Standing::Open => sync::Standing::Open,
            Standing::Withdrawn => sync::Standing::Withdrawn,
            Standing::Unknown => sync::Standing::Unknown,
            Standing::Full => sync::Standing::Full,
            Standing::Elsewhere => sync::Standing::Elsewhere,
        };
        let grants = answer.grants.iter().map(Into::into).collect();
        Self {
            session: Some(answer.session.into()),
            number: answer.number,
            epoch: answer.epoch,
            configuration: answer.configuration,
            standing: standing.into(),
            term_micros: answer.term,
            interval_micros: answer.interval,
            leases: Some(sync::LeaseGrants { secret: answer.hasher.secret().to_vec(), grants }),
        }
    }
}

impl TryFrom<&sync::SyncResponse> for Answer {
    type Error = BadMessage;

    fn try_from(response: &sync::SyncResponse) -> Result<Self, BadMessage> {
        let leases = response.leases.as_ref().ok_or(BadMessage::Missing("leases"))?;
        let secret = leases.secret.as_slice().try_into().map_err(|_| BadMessage::Secret(leases.secret.len()))?;
        let standing = match response.standing() {
            sync::Standing::Open => Standing::Open,
            sync::Standing::Withdrawn => Standing::Withdrawn,
            sync::Standing::Unknown => Standing::Unknown,
            sync::Standing::Full => Standing::Full,
            sync::Standing::Elsewhere => Standing::Elsewhere,
            sync::Standing::Unspecified => return Err(BadMessage::Standing(response.standing)),
        };
        Ok(Self {
            session: session(response.session)?,
            number: response.number,
            epoch: response.epoch,
            configuration: response.configuration,
            standing,
            term: response.term_micros,
            interval: response.interval_micros,
            hasher: KeyHasher::new(secret),
            grants: few(&leases.grants)?.iter().map(Grant::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<SessionId> for sync::Session {
    fn from(SessionId { vm, generation }: SessionId) -> Self {
        Self { vm, generation }
    }
}

impl From<Limit> for sync::Limit {
    fn from(limit: Limit) -> Self {
        Self { count: limit.rate().count(), period_micros: limit.rate().period(), burst: limit.burst() }
    }
}

impl From<&KeyReport> for sync::KeyReport {
    fn from(report: &KeyReport) -> Self {
        let [key_high, key_low] = report.key.words();
        Self {
            key_high,
            key_low,
            limit_id: report.id.0.into(),
            limit: Some(report.limit.into()),
            spent: report.spent,
            returned: report.returned,
            wanted: report.wanted,
        }
    }
}

impl TryFrom<&sync::KeyReport> for KeyReport {
    type Error = BadMessage;

    fn try_from(report: &sync::KeyReport) -> Result<Self, BadMessage> {
        let (id, limit) = limit(report.limit_id, report.limit)?;
        let key = LimitKey::from_words([report.key_high, report.key_low]);
        Ok(Self { key, id, limit, spent: report.spent, returned: report.returned, wanted: report.wanted })
    }
}

impl From<&Grant> for sync::Grant {
    fn from(grant: &Grant) -> Self {
        let [key_high, key_low] = grant.key.words();
        Self { key_high, key_low, limit_id: grant.id.0.into(), limit: Some(grant.limit.into()), units: grant.units }
    }
}

impl TryFrom<&sync::Grant> for Grant {
    type Error = BadMessage;

    fn try_from(grant: &sync::Grant) -> Result<Self, BadMessage> {
        let (id, limit) = limit(grant.limit_id, grant.limit)?;
        Ok(Self { key: LimitKey::from_words([grant.key_high, grant.key_low]), id, limit, units: grant.units })
    }
}

fn session(session: Option<sync::Session>) -> Result<SessionId, BadMessage> {
    let sync::Session { vm, generation } = session.ok_or(BadMessage::Missing("session"))?;
    Ok(SessionId { vm, generation })
}

fn few<T>(keys: &[T]) -> Result<&[T], BadMessage> {
    if keys.len() > MAX_SYNC_KEYS { Err(BadMessage::ManyKeys(keys.len())) } else { Ok(keys) }
}

fn limit(id: u32, limit: Option<sync::Limit>) -> Result<(LimitId, Limit), BadMessage> {
    let sync::Limit { count, period_micros, burst } = limit.ok_or(BadMessage::Missing("limit of a key"))?;
    let limit = Rate::new(count.into(), period_micros).map_err(BadLimit::from);
    let limit = limit.and_then(|rate| Limit::new(rate, burst.into()));
    let place = u16::try_from(id).map_err(|_| BadMessage::LimitId(id))?;
    Ok((LimitId(place), limit.map_err(|reason| BadMessage::Limit { id, reason })?))
}

#[cfg(test)]
mod tests;
