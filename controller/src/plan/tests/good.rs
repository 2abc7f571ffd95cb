//! The plan of a world in which nothing is wrong, as it is stored and shown.

use std::collections::BTreeMap;

use syncferry_shared::AgentId;
use syncferry_shared::lease::LeaseRef;
use syncferry_shared::spec::Task;
use uuid::Uuid;

use super::facts;
use super::world::good;
use crate::plan::specs::{Known, SpecError, spec};
use crate::plan::{cards, plan};

#[test]
fn the_good_plan() {
    let plan = plan(&good());
    assert!(!plan.blocked());
    insta::assert_snapshot!("plan", serde_json::to_string_pretty(&plan).unwrap());
}

#[test]
fn the_cards_of_the_wizard() {
    let values = plan(&good()).values.unwrap();
    let mut text = String::new();
    for card in cards::wizard(&values) {
        text += &format!("## {}\n{}\n", card.page, card.instruction);
        for f in card.fields {
            let how = if f.exact { "copy" } else { "yours" };
            text += &format!("- {}: {} ({how})\n", f.label, f.value);
        }
    }
    insta::assert_snapshot!("cards", text);
}

/// The pages are data: another catalogue, other cards; and they stay what they were when the plan was made.
#[test]
fn the_cards_are_those_of_the_catalogue() {
    let mut input = good();
    let version = plan(&input).values.unwrap().expect.version;
    let page = &mut input.catalogue.pages[2];
    page.title = "Install components".to_string();
    page.fields[0].label = "Server".to_string();
    input.catalogue.pages[0].before = Some(version);
    let values = plan(&input).values.unwrap();
    let cards = cards::wizard(&values);
    assert_eq!(cards.len(), 6, "the first page is of older versions");
    let page = &cards[1];
    assert_eq!(
        (page.page.as_str(), page.fields[0].label.as_str()),
        ("Install components", "Server")
    );
    assert_eq!(page.fields[0].value, values.expect.server);
}

/// The cards are about what the wizard asks, so they follow the account and the instance.
#[test]
fn cards_follow_account_and_instance() {
    let mut input = good();
    input.request.service_account = Some(r"CONTOSO\svc-sync".to_string());
    let target = input.target();
    target.instance_name = Some("SYNC".to_string());
    target.connect_port = Some(14330);
    let card = &cards::wizard(&plan(&input).values.unwrap())[2];
    let field = |label: &str| card.fields.iter().find(|f| f.label == label).cloned();
    assert_eq!(field("SQL instance name").unwrap().value, "SYNC,14330");
    assert!(field("Domain account").unwrap().exact);
    assert!(!field("Password").unwrap().exact, "a secret is never on a card");

    input.request.service_account = None;
    let card = &cards::wizard(&plan(&input).values.unwrap())[2];
    assert!(card.fields.iter().any(|f| f.label == "Service account" && !f.exact));
}

#[test]
fn every_job_gets_its_specification() {
    let plan = plan(&good());
    let mut outcomes = BTreeMap::new();
    let mut all = Vec::new();
    for job in plan.jobs() {
        let known = Known {
            outcomes: &outcomes,
            lease: LeaseRef {
                resource: job.resource.clone(),
                epoch: 1,
            },
            source_agent: Some(AgentId(Uuid::from_u128(0xa9))),
            source_address: Some("sync01.contoso.example:7444".to_string()),
        };
        let made = spec(&plan, job, &known).unwrap();
        assert_eq!(made.task.kind(), job.kind, "{}", job.name);
        let need = syncferry_shared::capability::of_job(&job.name, job.kind);
        assert_eq!(syncferry_shared::capability::of_task(&made.task), need, "{}", job.name);
        let outcome = facts::outcome(&made);
        outcomes.insert(job.name.clone(), outcome);
        all.push(made);
    }
    insta::assert_snapshot!("specs", serde_json::to_string_pretty(&all).unwrap());
}

#[test]
fn a_job_without_its_inputs_gets_none() {
    let mut plan = plan(&good());
    let none = BTreeMap::new();
    for job in plan.jobs() {
        let known = Known {
            outcomes: &none,
            lease: LeaseRef {
                resource: job.resource.clone(),
                epoch: 1,
            },
            source_agent: None,
            source_address: None,
        };
        let made = spec(&plan, job, &known);
        let needs = matches!(job.name.as_str(), "restore" | "verify-server" | "verify-database");
        assert_eq!(
            matches!(made, Err(SpecError::Missing { .. })),
            needs,
            "{}: {made:?}",
            job.name
        );
    }
    let known = Known {
        outcomes: &none,
        lease: LeaseRef {
            resource: plan.stages[0].jobs[0].resource.clone(),
            epoch: 1,
        },
        source_agent: None,
        source_address: None,
    };
    let mut unknown = plan.stages[0].jobs[0].clone();
    unknown.name = "dance".to_string();
    assert_eq!(
        spec(&plan, &unknown, &known),
        Err(SpecError::UnknownJob("dance".to_string()))
    );
    plan.values = None;
    assert_eq!(spec(&plan, &unknown, &known), Err(SpecError::NoValues));
}

#[test]
fn a_backup_that_is_kept_is_not_deleted() {
    let mut input = good();
    input.request.keep_backup = true;
    let plan = plan(&input);
    let old = plan.jobs().find(|j| j.name == "verify-old-server").unwrap();
    assert!(old.changes.is_empty());
    let outcomes = BTreeMap::new();
    let known = Known {
        outcomes: &outcomes,
        lease: LeaseRef {
            resource: old.resource.clone(),
            epoch: 1,
        },
        source_agent: None,
        source_address: None,
    };
    let Task::VerifyOldServer(task) = spec(&plan, old, &known).unwrap().task else {
        panic!("another task");
    };
    assert_eq!(task.delete_artifact, None);
}
