//! Properties of all plans: whatever is broken, in whatever combination and with whatever numbers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use syncferry_shared::inventory::Problem;
use syncferry_shared::lease::LeaseRef;
use syncferry_shared::plan::{HandoverWay, LeaseUse, Plan, Stage};
use syncferry_shared::{AgentId, Finding, Millis};
use uuid::Uuid;

use super::replaced::replaced;
use super::rules::CASES;
use super::world::good;
use super::{facts, replace_rules};
use crate::plan::specs::{Known, spec};
use crate::plan::{PlanInput, plan};

/// Numbers as a broken or hostile agent might say them.
fn odd_number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX / 2), any::<u64>()]
}

fn disturb(input: &mut PlanInput, what: u8, n: u64, text: &str) {
    let signed = i64::from_ne_bytes(n.to_ne_bytes());
    match what % 16 {
        0 => input.source_db().bytes = n,
        1 => input.source_db().used_bytes = Some(n),
        2 => {
            for f in &mut input.source_db().files {
                f.bytes = n;
            }
        }
        3 => input.adsync().last_sync = Some(Millis(signed)),
        4 => input.now = Millis(signed),
        5 => input.old().host.staging_free = Some(n),
        6 => input.sql().host.staging_free = Some(n),
        7 => input.target().volumes.values_mut().for_each(|v| *v = n),
        8 => input.target().data_path = Some(text.to_string()),
        9 => input.new_host().os_version = text.to_string(),
        10 => input.msi().product_version = text.to_string(),
        11 => input.request.service_account = Some(text.to_string()),
        12 => input.old().instances.clear(),
        13 => input.target().volumes = BTreeMap::from([(text.to_string(), n)]),
        14 => input.request.target_database = text.to_string(),
        _ => input.old().problems.push(Problem {
            subject: text.to_string(),
            error: text.to_string(),
            next_step: String::new(),
        }),
    }
}

/// What holds of every plan.
fn holds(input: &PlanInput) -> Result<(), TestCaseError> {
    let plan = plan(input);
    let blocker = plan.findings.iter().any(Finding::blocks);
    prop_assert_eq!(plan.blocked(), blocker, "{:?}", plan.findings);
    prop_assert_eq!(plan.values.is_some(), !blocker);
    prop_assert!(
        plan.findings.windows(2).all(|w| w[0].severity >= w[1].severity),
        "the worst comes first"
    );
    for f in &plan.findings {
        prop_assert!(
            !f.evidence.is_empty() && !f.source.is_empty() && !f.title.is_empty(),
            "{:?}",
            f
        );
    }
    if blocker {
        prop_assert!(plan.stages.is_empty() && plan.handover.is_none());
        return Ok(());
    }
    proven_before_installed(&plan)?;
    let mut outcomes = BTreeMap::new();
    for job in plan.jobs() {
        let known = Known {
            outcomes: &outcomes,
            lease: LeaseRef {
                resource: job.resource.clone(),
                epoch: 1,
            },
            source_agent: Some(AgentId(Uuid::from_u128(1))),
            source_address: Some("sync01:7444".to_string()),
        };
        let made = spec(&plan, job, &known);
        prop_assert!(made.is_ok(), "{}: {:?}", job.name, made);
        let made = made.unwrap();
        // What travels is what was meant.
        let bytes = serde_json::to_vec(&made).unwrap();
        prop_assert_eq!(
            &serde_json::from_slice::<syncferry_shared::spec::JobSpec>(&bytes).unwrap(),
            &made
        );
        prop_assert_eq!(made.task.kind(), job.kind);
        outcomes.insert(job.name.clone(), facts::outcome(&made));
    }
    // A plan is stored as it is and read back as it was.
    let stored = serde_json::to_value(&plan).unwrap().to_string();
    prop_assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
    Ok(())
}

/// Where a lease changes hands, nothing is installed before that, and not before a backup was restored for a test.
fn proven_before_installed(plan: &Plan) -> Result<(), TestCaseError> {
    let Some(h) = &plan.handover else { return Ok(()) };
    let at = |name: &str| {
        let has = |s: &Stage| s.jobs.iter().any(|j| j.name == name);
        plan.stages.iter().position(has)
    };
    prop_assert!(h.stage < plan.stages.len());
    // A host that goes on has its backup restored for good, elsewhere, before it is uninstalled.
    if h.takes.is_some() {
        prop_assert!(at("backup") < at("restore") && at("restore") < at("verify-way-back"));
        prop_assert!(at("verify-way-back") < at("uninstall") && at("uninstall") == Some(h.stage));
        prop_assert!(at("install") > Some(h.stage));
        return Ok(());
    }
    prop_assert!(at("backup") < at("test-restore") && at("test-restore") < Some(h.stage));
    prop_assert!(at("install") > Some(h.stage) && at("verify-unused") < at("install"));
    prop_assert!(h.steps.iter().all(|s| !s.is_empty()) && !h.proves.is_empty());
    for job in plan.stages[..=h.stage].iter().flat_map(|s| &s.jobs) {
        // Whoever is dead holds up nothing that only looks or copies.
        let needs_holder = matches!(job.name.as_str(), "stop-old-server" | "verify-unused");
        prop_assert_eq!(job.lease == LeaseUse::Held, needs_holder, "{}", job.name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn a_plan_is_blocked_exactly_when_a_finding_says_why(
        broken in prop::collection::vec(0..CASES.len(), 0..5),
        odd in prop::collection::vec((any::<u8>(), odd_number(), ".{0,12}"), 0..5),
    ) {
        let mut input = good();
        for i in &broken {
            (CASES[*i].breaks)(&mut input);
        }
        for (what, n, text) in &odd {
            disturb(&mut input, *what, *n, text);
        }
        holds(&input)?;
    }

    #[test]
    fn so_is_the_plan_of_a_server_that_goes_on(
        broken in prop::collection::vec(0..CASES.len(), 0..4),
        odd in prop::collection::vec((any::<u8>(), odd_number(), ".{0,12}"), 0..4),
    ) {
        let mut input = super::scenarios::in_place();
        for i in &broken {
            (CASES[*i].breaks)(&mut input);
        }
        for (what, n, text) in &odd {
            disturb(&mut input, *what, *n, text);
        }
        holds(&input)?;
    }

    #[test]
    fn so_is_the_plan_of_a_replacement(
        way in prop::sample::select(HandoverWay::ALL),
        broken in prop::collection::vec(0..replace_rules::CASES.len(), 0..4),
        odd in prop::collection::vec((any::<u8>(), odd_number(), ".{0,12}"), 0..4),
    ) {
        let mut input = replaced();
        input.request.handover = Some(way);
        for i in &broken {
            (replace_rules::CASES[*i].breaks)(&mut input);
        }
        for (what, n, text) in &odd {
            disturb(&mut input, *what, *n, text);
        }
        holds(&input)?;
    }
}
