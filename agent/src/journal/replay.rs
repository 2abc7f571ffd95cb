//! What the records of a journal mean together: the ledger. Pure: a record goes in, and the ledger says what is open, what
//! was done, what must be put back and what the controller does not know yet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use syncferry_shared::SessionId;
use syncferry_shared::lease::Resource;
use syncferry_shared::token::AttemptToken;

use super::record::{AttemptKey, End, Mode, Record, Report, Unwind};

/// How many ended attempts a compacted journal keeps, so that their effects can still be undone.
const KEPT_ATTEMPTS: usize = 200;

/// A record that cannot follow the ones before it. It is a defect of ours or a doctored file, never a power loss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// It speaks of an attempt that was never accepted.
    #[error("a '{record}' record speaks of {attempt}, which was never accepted")]
    UnknownAttempt {
        /// Its type.
        record: &'static str,
        /// Which attempt.
        attempt: AttemptKey,
    },
    /// The attempt has ended.
    #[error("a '{record}' record speaks of {attempt}, which has ended")]
    Ended {
        /// Its type.
        record: &'static str,
        /// Which attempt.
        attempt: AttemptKey,
    },
    /// An attempt is accepted a second time.
    #[error("{attempt} is accepted a second time")]
    AcceptedTwice {
        /// Which attempt.
        attempt: AttemptKey,
    },
    /// A step has its effect already.
    #[error("'{step}' of {attempt} is done already")]
    StepDone {
        /// Which attempt.
        attempt: AttemptKey,
        /// Which step.
        step: String,
    },
    /// A report has another number than the next.
    #[error("a report of {attempt} has number {found} where {expected} was due")]
    ReportNumber {
        /// Which attempt.
        attempt: AttemptKey,
        /// The next one.
        expected: i64,
        /// The one in the record.
        found: i64,
    },
}

/// The session that the journal stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLog {
    /// Its id.
    pub id: SessionId,
    /// The machine's boot.
    pub boot_id: String,
    /// The virtual machine's generation.
    pub vm_generation: Option<String>,
}

/// A step of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct StepLog {
    /// Its name.
    pub name: String,
    /// What was written before it acted; `None` when it never did.
    pub intent: Option<Value>,
    /// What it gave; `None` while it is not known to hold.
    pub effect: Option<Value>,
    /// Whether it was found so.
    pub found: bool,
}

/// Something on a live server that must be put back.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldLog {
    /// What.
    pub what: String,
    /// Its value before.
    pub old: Value,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptLog {
    /// Its token.
    pub token: AttemptToken,
    /// The lease under which it works.
    pub resource: Resource,
    /// The specification's bytes.
    pub spec: String,
    /// Whether it is done or undone.
    pub mode: Mode,
    /// Whether the controller confirmed that it is ours.
    pub confirmed: bool,
    /// The steps that began, in order.
    pub steps: Vec<StepLog>,
    /// Why it goes backwards, if it does.
    pub unwind: Option<Unwind>,
    /// What it undid: the attempt that had done it, and the step.
    pub undone: BTreeSet<(i32, String)>,
    /// What it must put back.
    pub holds: Vec<HoldLog>,
    /// Reports that the controller has not acknowledged.
    pub unacked: BTreeMap<i64, Report>,
    /// The number of the next report.
    pub next_number: i64,
    /// Whether it waits for an order because nobody can tell what happened.
    pub parked: bool,
    /// How it ended.
    pub end: Option<End>,
    /// Why it is not ours any more.
    pub abandoned: Option<String>,
}

impl AttemptLog {
    /// Its key.
    pub fn key(&self) -> AttemptKey {
        AttemptKey::of(&self.token)
    }

    /// Whether it is neither ended nor abandoned.
    pub fn is_open(&self) -> bool {
        self.end.is_none() && self.abandoned.is_none()
    }

    /// A step that began.
    pub fn step(&self, name: &str) -> Option<&StepLog> {
        self.steps.iter().find(|s| s.name == name)
    }

    /// Whether nothing about it is left to be done or told.
    pub fn is_settled(&self) -> bool {
        !self.is_open() && self.unacked.is_empty()
    }

    fn step_mut(&mut self, name: &str) -> &mut StepLog {
        let at = self.steps.iter().position(|s| s.name == name).unwrap_or_else(|| {
            self.steps.push(StepLog {
                name: name.to_string(),
                intent: None,
                effect: None,
                found: false,
            });
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    fn take_number(&mut self, number: i64) -> Result<(), Contradiction> {
        if number != self.next_number {
            return Err(Contradiction::ReportNumber {
                attempt: self.key(),
                expected: self.next_number,
                found: number,
            });
        }
        self.next_number += 1;
        Ok(())
    }
}

/// Everything that the journal says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    /// The session; `None` before the first.
    pub session: Option<SessionLog>,
    /// The boot that was to end, when a reboot was expected and the session is still the one before it.
    pub reboot_expected: Option<String>,
    /// The highest store incarnation seen.
    pub incarnation: i64,
    /// The highest epoch seen per resource.
    pub epochs: BTreeMap<Resource, i64>,
    /// Every attempt that is remembered.
    pub attempts: BTreeMap<AttemptKey, AttemptLog>,
}

impl Ledger {
    /// Whether the record may follow.
    pub fn check(&self, record: &Record) -> Result<(), Contradiction> {
        // Only one attempt can be concerned, so a small copy serves: an attempt is a few kilobytes.
        let mut probe = Ledger {
            attempts: record
                .attempt()
                .and_then(|k| self.attempts.get(&k).map(|a| (k, a.clone())))
                .into_iter()
                .collect(),
            ..Ledger::default()
        };
        probe.apply(record.clone())
    }

    /// Takes a record in.
    pub fn apply(&mut self, record: Record) -> Result<(), Contradiction> {
        let name = record.name();
        match record {
            Record::Session {
                session,
                boot_id,
                vm_generation,
                previous: _,
            } => {
                self.reboot_expected = None;
                self.session = Some(SessionLog {
                    id: session,
                    boot_id,
                    vm_generation,
                });
            }
            Record::Seen {
                resource,
                epoch,
                incarnation,
            } => self.saw(resource, epoch, incarnation),
            Record::RebootExpected { boot_id } => self.reboot_expected = Some(boot_id),
            Record::Accepted {
                token,
                resource,
                spec,
                mode,
            } => self.accept(token, resource, spec, mode)?,
            Record::Confirmed { attempt } => self.open(name, attempt)?.confirmed = true,
            Record::Resumed { attempt } => self.open(name, attempt)?.parked = false,
            Record::Parked {
                attempt,
                number,
                failure,
            } => {
                let log = self.open(name, attempt)?;
                log.take_number(number)?;
                let end = End::Unknown { failure };
                log.unacked.insert(number, Report::End { end });
                log.parked = true;
            }
            Record::Intent { attempt, step, before } => {
                let log = self.open(name, attempt)?.step_mut(&step);
                if log.effect.is_some() {
                    return Err(Contradiction::StepDone { attempt, step });
                }
                log.intent = Some(before);
            }
            Record::Effect {
                attempt,
                step,
                evidence,
                found,
            } => {
                let log = self.open(name, attempt)?.step_mut(&step);
                if log.effect.is_some() {
                    return Err(Contradiction::StepDone { attempt, step });
                }
                log.effect = Some(evidence);
                log.found = found;
            }
            Record::Undoing { attempt, unwind } => self.open(name, attempt)?.unwind = Some(unwind),
            Record::Undone { attempt, of, step } => {
                self.open(name, attempt)?.undone.insert((of, step));
            }
            Record::Hold { attempt, what, old } => {
                let holds = &mut self.open(name, attempt)?.holds;
                if !holds.iter().any(|h| h.what == what) {
                    holds.push(HoldLog { what, old });
                }
            }
            // A hold of an abandoned attempt may be taken over by a later one.
            Record::Released { attempt, what } => self.known(name, attempt)?.holds.retain(|h| h.what != what),
            Record::Report {
                attempt,
                number,
                report,
            } => {
                let log = self.open(name, attempt)?;
                log.take_number(number)?;
                log.unacked.insert(number, report);
            }
            Record::Done { attempt, number, end } => {
                let log = self.open(name, attempt)?;
                log.take_number(number)?;
                log.unacked.insert(number, Report::End { end: end.clone() });
                log.end = Some(end);
            }
            Record::Acked { attempt, number } => {
                let log = self.known(name, attempt)?;
                log.unacked.retain(|n, _| *n > number);
            }
            Record::Abandoned { attempt, why } => {
                let log = self.known(name, attempt)?;
                log.unacked.clear();
                log.abandoned.get_or_insert(why);
            }
        }
        Ok(())
    }

    /// Attempts that are neither ended nor abandoned.
    pub fn open_attempts(&self) -> impl Iterator<Item = &AttemptLog> {
        self.attempts.values().filter(|a| a.is_open())
    }

    /// Attempts with reports that the controller does not have.
    pub fn unreported(&self) -> impl Iterator<Item = &AttemptLog> {
        self.attempts.values().filter(|a| !a.unacked.is_empty())
    }

    /// Every attempt at a job, oldest first.
    pub fn attempts_of(&self, job: syncferry_shared::JobId) -> impl Iterator<Item = &AttemptLog> {
        let first = AttemptKey { job, attempt: i32::MIN };
        self.attempts
            .range(first..)
            .take_while(move |(k, _)| k.job == job)
            .map(|(_, a)| a)
    }

    /// The oldest known value of something that was changed and not put back, and the attempt that changed it.
    pub fn held(&self, what: &str) -> Option<(AttemptKey, &Value)> {
        self.attempts
            .values()
            .find_map(|a| a.holds.iter().find(|h| h.what == what).map(|h| (a.key(), &h.old)))
    }

    /// Whether nothing is open and nothing is left to be told: then the journal may be written anew.
    pub fn is_quiet(&self) -> bool {
        self.attempts.values().all(AttemptLog::is_settled)
    }

    /// Forgets what a compacted journal does not need: the oldest settled attempts that hold nothing.
    pub fn prune(&mut self) {
        let surplus = self.attempts.len().saturating_sub(KEPT_ATTEMPTS);
        let old: Vec<AttemptKey> = self
            .attempts
            .values()
            .filter(|a| a.is_settled() && a.holds.is_empty())
            .map(AttemptLog::key)
            .take(surplus)
            .collect();
        for key in old {
            self.attempts.remove(&key);
        }
    }

    /// The shortest records that make this ledger. Only for a quiet one: reports are not among them.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.session.clone().map(|s| Record::Session {
            session: s.id,
            boot_id: s.boot_id,
            vm_generation: s.vm_generation,
            previous: None,
        }));
        records.extend(
            self.reboot_expected
                .clone()
                .map(|boot_id| Record::RebootExpected { boot_id }),
        );
        records.push(Record::Seen {
            resource: None,
            epoch: 0,
            incarnation: self.incarnation,
        });
        records.extend(self.epochs.iter().map(|(resource, epoch)| Record::Seen {
            resource: Some(resource.clone()),
            epoch: *epoch,
            incarnation: self.incarnation,
        }));
        for attempt in self.attempts.values() {
            attempt.records(&mut records);
        }
        records
    }

    fn saw(&mut self, resource: Option<Resource>, epoch: i64, incarnation: i64) {
        self.incarnation = self.incarnation.max(incarnation);
        if let Some(resource) = resource {
            let highest = self.epochs.entry(resource).or_insert(epoch);
            *highest = (*highest).max(epoch);
        }
    }

    fn accept(
        &mut self,
        token: AttemptToken,
        resource: Resource,
        spec: String,
        mode: Mode,
    ) -> Result<(), Contradiction> {
        let attempt = AttemptKey::of(&token);
        if self.attempts.contains_key(&attempt) {
            return Err(Contradiction::AcceptedTwice { attempt });
        }
        self.saw(Some(resource.clone()), token.epoch, token.incarnation);
        self.attempts.insert(
            attempt,
            AttemptLog {
                token,
                resource,
                spec,
                mode,
                confirmed: false,
                steps: Vec::new(),
                unwind: None,
                undone: BTreeSet::new(),
                holds: Vec::new(),
                unacked: BTreeMap::new(),
                next_number: 1,
                parked: false,
                end: None,
                abandoned: None,
            },
        );
        Ok(())
    }

    fn known(&mut self, record: &'static str, attempt: AttemptKey) -> Result<&mut AttemptLog, Contradiction> {
        self.attempts
            .get_mut(&attempt)
            .ok_or(Contradiction::UnknownAttempt { record, attempt })
    }

    fn open(&mut self, record: &'static str, attempt: AttemptKey) -> Result<&mut AttemptLog, Contradiction> {
        let log = self.known(record, attempt)?;
        if log.is_open() {
            Ok(log)
        } else {
            Err(Contradiction::Ended { record, attempt })
        }
    }
}

impl AttemptLog {
    fn records(&self, out: &mut Vec<Record>) {
        let attempt = self.key();
        out.push(Record::Accepted {
            token: self.token.clone(),
            resource: self.resource.clone(),
            spec: self.spec.clone(),
            mode: self.mode,
        });
        if self.confirmed {
            out.push(Record::Confirmed { attempt });
        }
        for step in &self.steps {
            let name = || step.name.clone();
            out.extend(step.intent.clone().map(|before| Record::Intent {
                attempt,
                step: name(),
                before,
            }));
            out.extend(step.effect.clone().map(|evidence| Record::Effect {
                attempt,
                step: name(),
                evidence,
                found: step.found,
            }));
        }
        out.extend(self.unwind.clone().map(|unwind| Record::Undoing { attempt, unwind }));
        out.extend(self.undone.iter().map(|(of, step)| Record::Undone {
            attempt,
            of: *of,
            step: step.clone(),
        }));
        out.extend(self.holds.iter().map(|h| Record::Hold {
            attempt,
            what: h.what.clone(),
            old: h.old.clone(),
        }));
        if let Some(end) = self.end.clone() {
            let number = 1;
            out.push(Record::Done { attempt, number, end });
            out.push(Record::Acked { attempt, number });
        }
        out.extend(self.abandoned.clone().map(|why| Record::Abandoned { attempt, why }));
    }
}

impl Record {
    /// The attempt that it is about.
    pub fn attempt(&self) -> Option<AttemptKey> {
        match self {
            Record::Session { .. } | Record::Seen { .. } | Record::RebootExpected { .. } => None,
            Record::Accepted { token, .. } => Some(AttemptKey::of(token)),
            Record::Confirmed { attempt }
            | Record::Resumed { attempt }
            | Record::Intent { attempt, .. }
            | Record::Effect { attempt, .. }
            | Record::Undoing { attempt, .. }
            | Record::Undone { attempt, .. }
            | Record::Hold { attempt, .. }
            | Record::Released { attempt, .. }
            | Record::Report { attempt, .. }
            | Record::Done { attempt, .. }
            | Record::Parked { attempt, .. }
            | Record::Acked { attempt, .. }
            | Record::Abandoned { attempt, .. } => Some(*attempt),
        }
    }

    /// Its type, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Record::Session { .. } => "session",
            Record::Seen { .. } => "seen",
            Record::Accepted { .. } => "accepted",
            Record::Confirmed { .. } => "confirmed",
            Record::Resumed { .. } => "resumed",
            Record::Intent { .. } => "intent",
            Record::Effect { .. } => "effect",
            Record::Undoing { .. } => "undoing",
            Record::Undone { .. } => "undone",
            Record::Hold { .. } => "hold",
            Record::Released { .. } => "released",
            Record::Report { .. } => "report",
            Record::Done { .. } => "done",
            Record::Parked { .. } => "parked",
            Record::Acked { .. } => "acked",
            Record::Abandoned { .. } => "abandoned",
            Record::RebootExpected { .. } => "reboot-expected",
        }
    }
}
