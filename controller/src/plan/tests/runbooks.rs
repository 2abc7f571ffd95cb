//! The runbook of every scenario, as a person reads it who has nothing but this page: one for each good world.

use syncferry_shared::finding::Finding;
use syncferry_shared::papers::{Block, PaperHost, PaperInput, PaperKind, Rates, RunbookStep, paper, text};

use super::replaced::replaced;
use super::scenarios::GOOD;
use super::world::good;
use crate::plan::{KnownHost, PlanInput, plan};

/// What the controller makes of a plan and the answers that it was made from.
fn papers(input: &PlanInput) -> PaperInput {
    let plan = plan(input);
    assert!(!plan.findings.iter().any(Finding::blocks));
    let of = |h: &KnownHost| PaperHost {
        id: h.id,
        name: h.name.clone(),
        inventory: h.inventory.clone(),
        transfer_address: h.transfer_address.clone(),
    };
    PaperInput {
        plan,
        migration: input.ids.migration.short(),
        scenario: input.request.scenario,
        site: "contoso".to_string(),
        tenant: "8f3c1a52-6d0e-4b7a-9c51-2e7d4f60ab13".to_string(),
        controller: "controller.contoso.example:7443".to_string(),
        hosts: [&input.source_host, &input.target_host, &input.connect_host]
            .into_iter()
            .chain(&input.holder)
            .map(of)
            .collect(),
        source: (
            input.source_host.id,
            input.source.address.instance.clone(),
            input.source.address.database.clone(),
        ),
        rates: Rates::default(),
    }
}

#[test]
fn every_scenario_has_a_runbook_that_can_be_followed() {
    let all = GOOD.iter().copied().chain([
        ("move-to-full-sql", good as fn() -> PlanInput),
        ("replace-server", replaced),
    ]);
    for (name, world) in all {
        let input = papers(&world());
        let book = paper(PaperKind::Runbook, &input);
        let steps: Vec<&RunbookStep> = book
            .blocks
            .iter()
            .filter_map(|b| match b {
                Block::Step(s) => Some(s.as_ref()),
                _ => None,
            })
            .collect();
        assert!(steps.len() >= input.plan.jobs().count(), "{name}");
        for s in &steps {
            let lease = s.title == "the lease changes hands";
            assert!(
                !s.owner.is_empty() && !s.host.is_empty() && !s.expected.is_empty() && !s.duration.is_empty(),
                "{name}: {s:?}"
            );
            assert!(!s.abort.is_empty() && (lease || !s.command.is_empty()), "{name}: {s:?}");
            assert_ne!(
                s.expected, "each line holds",
                "{name}: {} has no words of its own",
                s.title
            );
            assert!(!s.command.contains("REPLACE"), "{name}: {s:?}");
        }
        insta::assert_snapshot!(format!("runbook-{name}"), text(&book));
    }
}
