//! Reports, modes and documents between the journal's types and the wire's.

use syncferry_proto::{schema, v1};

use crate::journal::{End, Mode, Report, Sight};

/// A report's body on the wire.
pub(crate) fn report(report: &Report) -> v1::report_request::What {
    use v1::report_request::What;
    match report {
        Report::Step {
            ordinal,
            total,
            name,
            state,
            evidence,
        } => What::Step(v1::StepReport {
            ordinal: *ordinal,
            total: *total,
            name: name.clone(),
            state: state.as_str().to_string(),
            evidence: Some(v1::Document::of(schema::EVIDENCE, evidence)),
        }),
        Report::Gate {
            sight,
            observation,
            title,
            cards,
        } => What::Gate(v1::GateReport {
            sight: gate_sight(*sight).into(),
            observation: observation.clone(),
            title: title.clone().unwrap_or_default(),
            cards: title.as_ref().map(|_| v1::Document::of(schema::CARDS, cards)),
        }),
        Report::End { end } => What::End(end_report(end)),
    }
}

fn gate_sight(sight: Sight) -> v1::GateSight {
    match sight {
        Sight::Waiting => v1::GateSight::Waiting,
        Sight::InProgress => v1::GateSight::InProgress,
        Sight::Proven => v1::GateSight::Proven,
        Sight::Contradicted => v1::GateSight::Contradicted,
    }
}

fn end_report(end: &End) -> v1::EndReport {
    let (kind, result) = match end {
        End::Succeeded { outcome } => (v1::EndKind::Succeeded, v1::Document::of(schema::OUTCOME, outcome)),
        End::Undone { outcome } => (v1::EndKind::Undone, v1::Document::of(schema::OUTCOME, outcome)),
        End::Failed { failure } => (v1::EndKind::Failed, v1::Document::of(schema::FAILURE, failure)),
        End::Cancelled { failure } => (v1::EndKind::Cancelled, v1::Document::of(schema::FAILURE, failure)),
        End::Unknown { failure } => (v1::EndKind::Unknown, v1::Document::of(schema::FAILURE, failure)),
    };
    v1::EndReport {
        kind: kind.into(),
        result: Some(result),
    }
}

/// A mode from the wire; an unknown one is `None`.
pub(crate) fn mode(mode: v1::JobMode) -> Option<Mode> {
    match mode {
        v1::JobMode::Do => Some(Mode::Do),
        v1::JobMode::Undo => Some(Mode::Undo),
        v1::JobMode::Unspecified => None,
    }
}
