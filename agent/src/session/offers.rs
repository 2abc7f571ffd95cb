//! Whether an offer may be taken. Pure: the offer and the ledger decide; a token is never used twice, and nothing older than
//! what was already seen is believed.

use syncferry_proto::{InvalidMessage, schema, v1};
use syncferry_shared::lease::Resource;
use syncferry_shared::token::{AttemptToken, digest};

use crate::journal::{AttemptKey, Ledger, Mode, Record};
use crate::wire;

/// An offer, checked as far as it can be by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its token.
    pub token: AttemptToken,
    /// The lease.
    pub resource: Resource,
    /// The specification's bytes.
    pub spec: String,
    /// Whether it is done or undone.
    pub mode: Mode,
}

/// Why an offer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The message is not right.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
    /// The specification is no text.
    #[error("the specification is not UTF-8")]
    NotText,
    /// The mode is unknown.
    #[error("the mode of the offer is unknown: the controller may be newer than this agent")]
    Mode,
    /// The digest is over other bytes.
    #[error("the token's digest does not fit the specification")]
    Digest,
    /// An older store.
    #[error(
        "the offer comes from store incarnation {found}, and this agent has seen {seen}: an old copy of the store?"
    )]
    Incarnation {
        /// In the offer.
        found: i64,
        /// The highest.
        seen: i64,
    },
    /// An older epoch.
    #[error("the offer has epoch {found} of {resource}, and this agent has seen {seen}")]
    Epoch {
        /// The lease.
        resource: Resource,
        /// In the offer.
        found: i64,
        /// The highest.
        seen: i64,
    },
    /// The same attempt, but not the same.
    #[error("this attempt was accepted with another token")]
    OtherToken,
    /// An earlier attempt.
    #[error("attempt {newest} of the job is known already")]
    Older {
        /// The newest.
        newest: i32,
    },
    /// It was given up.
    #[error("this attempt was given up ({0})")]
    Abandoned(String),
}

/// What to do with an offer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Give up these earlier attempts at the job, write it down, accept it, and begin.
    Take {
        /// Earlier attempts that are still open.
        supersedes: Vec<AttemptKey>,
    },
    /// It is written down already: accept it (again), and go on.
    Again,
    /// It ended; its reports are on their way.
    Ended,
}

/// Reads an offer.
pub fn read(offer: &v1::Offer) -> Result<Offer, Refusal> {
    let token = offer.token.as_ref().ok_or(InvalidMessage::Missing("offer.token"))?;
    let token = AttemptToken::try_from(token)?;
    let spec = offer.spec.as_ref().ok_or(InvalidMessage::Missing("offer.spec"))?;
    if spec.schema != schema::JOB_SPEC {
        return Err(Refusal::Invalid(InvalidMessage::Schema {
            expected: schema::JOB_SPEC,
            found: spec.schema.chars().take(80).collect(),
        }));
    }
    if digest(&spec.json) != token.digest {
        return Err(Refusal::Digest);
    }
    let mode = wire::mode(offer.mode()).ok_or(Refusal::Mode)?;
    let spec = String::from_utf8(spec.json.clone()).map_err(|_| Refusal::NotText)?;
    // Only the lease matters here. A specification that cannot be read otherwise is accepted, and fails with a finding.
    let resource = serde_json::from_str::<serde_json::Value>(&spec)
        .ok()
        .and_then(|v| Some(v.get("lease")?.get("resource")?.as_str()?.to_string()))
        .unwrap_or_default();
    Ok(Offer {
        token,
        resource: Resource(resource),
        spec,
        mode,
    })
}

/// Decides about an offer.
pub fn judge(ledger: &Ledger, offer: &Offer) -> Result<Verdict, Refusal> {
    let key = AttemptKey::of(&offer.token);
    if let Some(known) = ledger.attempts.get(&key) {
        return match &known.abandoned {
            _ if known.token != offer.token => Err(Refusal::OtherToken),
            Some(why) => Err(Refusal::Abandoned(why.clone())),
            None if known.end.is_some() => Ok(Verdict::Ended),
            None => Ok(Verdict::Again),
        };
    }
    let newest = ledger.attempts_of(key.job).map(|a| a.token.attempt).max();
    if let Some(newest) = newest.filter(|n| *n > key.attempt) {
        return Err(Refusal::Older { newest });
    }
    let (found, seen) = (offer.token.incarnation, ledger.incarnation);
    if found < seen {
        return Err(Refusal::Incarnation { found, seen });
    }
    let (found, seen) = (offer.token.epoch, ledger.epochs.get(&offer.resource).copied());
    if let Some(seen) = seen.filter(|s| found < *s) {
        let resource = offer.resource.clone();
        return Err(Refusal::Epoch { resource, found, seen });
    }
    let open = ledger.attempts_of(key.job).filter(|a| a.is_open());
    Ok(Verdict::Take {
        supersedes: open.map(crate::journal::AttemptLog::key).collect(),
    })
}

impl Offer {
    /// The record that takes it.
    pub fn accepted(self) -> Record {
        Record::Accepted {
            token: self.token,
            resource: self.resource,
            spec: self.spec,
            mode: self.mode,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JOB: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120002";
    const SPEC: &str = r#"{"lease":{"resource":"adsync-db:x","epoch":3}}"#;

    fn offer(attempt: i32, epoch: i64, incarnation: i64) -> v1::Offer {
        v1::Offer {
            token: Some(v1::AttemptToken {
                job_id: JOB.into(),
                attempt,
                epoch,
                incarnation,
                digest: digest(SPEC.as_bytes()),
            }),
            spec: Some(v1::Document {
                schema: schema::JOB_SPEC.into(),
                json: SPEC.into(),
            }),
            mode: v1::JobMode::Do.into(),
            signature: Vec::new(),
        }
    }

    fn ledger_with(attempt: i32, epoch: i64, incarnation: i64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger
            .apply(read(&offer(attempt, epoch, incarnation)).unwrap().accepted())
            .unwrap();
        ledger
    }

    #[test]
    fn a_digest_over_other_bytes_is_refused() {
        let mut bad = offer(1, 1, 1);
        bad.spec.as_mut().unwrap().json.push(b' ');
        assert_eq!(read(&bad), Err(Refusal::Digest));
        let mut bad = offer(1, 1, 1);
        bad.mode = 7;
        assert_eq!(read(&bad), Err(Refusal::Mode));
        let mut bad = offer(1, 1, 1);
        bad.token = None;
        assert!(matches!(read(&bad), Err(Refusal::Invalid(_))));
    }

    #[test]
    fn nothing_older_than_what_was_seen_is_taken() {
        let ledger = ledger_with(2, 5, 3);
        let judged = |attempt, epoch, incarnation| judge(&ledger, &read(&offer(attempt, epoch, incarnation)).unwrap());
        assert_eq!(judged(2, 5, 3), Ok(Verdict::Again));
        assert_eq!(judged(2, 6, 3), Err(Refusal::OtherToken));
        assert_eq!(judged(1, 5, 3), Err(Refusal::Older { newest: 2 }));
        assert!(matches!(judged(3, 4, 3), Err(Refusal::Epoch { seen: 5, .. })));
        assert!(matches!(judged(3, 5, 2), Err(Refusal::Incarnation { seen: 3, .. })));
        let Ok(Verdict::Take { supersedes }) = judged(3, 5, 3) else {
            panic!("not taken")
        };
        assert_eq!(supersedes.len(), 1);
    }

    proptest! {
        #[test]
        fn no_token_is_taken_twice(offers in prop::collection::vec((1..4_i32, 1..4_i64, 1..3_i64), 1..12)) {
            let mut ledger = Ledger::default();
            let mut taken = std::collections::BTreeSet::new();
            for (attempt, epoch, incarnation) in offers {
                let offer = read(&offer(attempt, epoch, incarnation)).unwrap();
                if let Ok(Verdict::Take { .. }) = judge(&ledger, &offer) {
                    prop_assert!(taken.insert(attempt));
                    prop_assert!(taken.iter().all(|a| *a <= attempt));
                    ledger.apply(offer.accepted()).unwrap();
                }
            }
        }
    }
}
