//! Leases: who may use what, since when, and what proves that those before may not.

use syncferry_proto::millis;
use syncferry_proto::v1::{GetLeaseResponse, Lease, LeaseAnswer};
use syncferry_shared::Finding;

use super::table::{dim, pairs, plain, state};
use super::{Look, Table, Tone, ago, at, clean, findings, lease_words, moment, short, wrap};

/// A table of leases.
pub fn leases(leases: &[Lease], look: &Look) -> String {
    if leases.is_empty() {
        return "There are no leases yet: registering a database makes one.\n".to_string();
    }
    let mut table = Table::new(&[
        "ID",
        "LEASE",
        "STATE",
        ">EPOCH",
        "HOLDER",
        "RENEWED BY",
        "EXPIRES",
        ">FENCED",
    ]);
    for l in leases {
        table.row([
            // The tail of what is leased: `lease show` takes it.
            dim(short(l.resource.rsplit(':').next().unwrap_or_default())),
            plain(shared_name(l)),
            state(&l.state),
            plain(l.epoch),
            plain(&l.holder),
            dim(if l.renewer == l.holder { "itself" } else { &l.renewer }),
            plain(
                l.expires_at
                    .as_ref()
                    .map(|t| ago(millis(t), look.now))
                    .unwrap_or_default(),
            ),
            dim(l.fenced_epoch),
        ]);
    }
    table.render(look, "")
}

fn subject(l: &Lease) -> &str {
    if l.subject.is_empty() { &l.resource } else { &l.subject }
}

/// The name that operators type.
fn name(l: &Lease) -> &str {
    // That of a retired database is its resource, which says less than its subject.
    if l.name.is_empty() || l.name == l.resource {
        subject(l)
    } else {
        &l.name
    }
}

/// The same, with the other sites that share it.
fn shared_name(l: &Lease) -> String {
    match l.sites.split_first() {
        Some((_, others)) if !others.is_empty() => format!("{} (also {})", name(l), others.join(", ")),
        _ => name(l).to_string(),
    }
}

/// What a lease verb would do, and what it needs.
pub fn lease_would(answer: &LeaseAnswer, found: &[Finding], look: &Look) -> String {
    told(answer, "What would be done", found, look)
}

/// What a lease verb did.
pub fn lease_did(answer: &LeaseAnswer, found: &[Finding], look: &Look) -> String {
    let title = if answer.ready {
        "What was done"
    } else {
        "What was begun, and is not at its end"
    };
    let mut text = told(answer, title, found, look);
    if !answer.next_step.is_empty() {
        text.push_str(&format!("\n{}\n", look.heading("Next")));
        text.push_str(&wrap(&clean(&answer.next_step), look.width, "  ", "  "));
    }
    text
}

fn told(answer: &LeaseAnswer, title: &str, found: &[Finding], look: &Look) -> String {
    let mut text = String::new();
    if let Some(l) = &answer.lease {
        let holder = if l.holder.is_empty() { "nobody" } else { &l.holder };
        text.push_str(&format!(
            "{} {}: {} at epoch {}, holder {}\n",
            look.heading("Lease of"),
            look.heading(&clean(name(l))),
            look.state(&l.state),
            l.epoch,
            clean(holder)
        ));
    }
    if !answer.steps.is_empty() {
        text.push_str(&format!("\n{}\n", look.heading(title)));
        for (n, step) in (1..).zip(&answer.steps) {
            text.push_str(&wrap(&clean(step), look.width, &format!("  {n}. "), "     "));
        }
    }
    if !found.is_empty() {
        text.push('\n');
        text.push_str(&findings(found, look));
    }
    text
}

/// The changes of one lease.
pub fn lease_history(response: &GetLeaseResponse, look: &Look) -> String {
    let title = response.lease.as_ref().map(|l| clean(name(l))).unwrap_or_default();
    format!(
        "{} {}\n{}",
        look.heading("Lease of"),
        look.heading(&title),
        history(response, look)
    )
}

/// One lease with its proofs and its history.
pub fn lease(response: &GetLeaseResponse, look: &Look) -> String {
    let Some(l) = &response.lease else {
        return "The controller sent no lease.\n".to_string();
    };
    let mut text = format!("{} {}\n", look.heading("Lease of"), look.heading(&clean(subject(l))));
    text.push_str(&pairs(
        look,
        "  ",
        &[
            ("name", clean(&l.name)),
            ("resource", clean(&l.resource)),
            (
                "shared by",
                if l.sites.len() > 1 {
                    clean(&l.sites.join(", "))
                } else {
                    String::new()
                },
            ),
            ("state", look.state(&l.state)),
            ("holder", clean(&l.holder)),
            ("renewed by", clean(&l.renewer)),
            ("epoch", format!("{} (proven up to {})", l.epoch, l.fenced_epoch)),
            ("granted", at(l.granted_at.as_ref(), look)),
            ("expires", at(l.expires_at.as_ref(), look)),
        ],
    ));
    if !l.handover_to.is_empty() {
        text.push_str(&format!("\n  It is being handed over to {}.\n", clean(&l.handover_to)));
    }
    if l.state == "lost" {
        text.push_str("\n  The holder was not heard of in time. It may still run: only a proof frees the lease.\n");
    }
    if let Some(a) = &l.attestation {
        let until = a.valid_until.as_ref().map(|t| moment(millis(t))).unwrap_or_default();
        let word = format!(
            "{} gave their word that {} cannot write any more ({}, ticket {}). Another operator confirms it until {until}: syncferry lease attest {} --server {} --reason <why>",
            a.first, a.server, a.reason, a.ticket, l.name, a.server
        );
        text.push('\n');
        text.push_str(&look.paint(Tone::Warn, &wrap(&clean(&word), look.width, "  ", "  ")));
    }
    text.push_str(&proofs(response, look));
    text.push_str(&history(response, look));
    text
}

fn proofs(response: &GetLeaseResponse, look: &Look) -> String {
    let mut table = Table::new(&[">EPOCH", "PROOF", "BY", "AT", "EVIDENCE"]);
    for p in &response.proofs {
        let by = if p.actor2.is_empty() {
            p.actor.clone()
        } else {
            format!("{} and {}", p.actor, p.actor2)
        };
        let at = p.at.as_ref().map(|t| moment(millis(t))).unwrap_or_default();
        table.row([
            plain(p.epoch),
            plain(p.kind.replace('_', " ")),
            plain(by),
            dim(at),
            dim(lease_words::evidence(&p.kind, p.evidence.as_ref())),
        ]);
    }
    section("Proofs", &table, look)
}

fn history(response: &GetLeaseResponse, look: &Look) -> String {
    let mut table = Table::new(&[">#", "AT", "WHAT", "FROM", "TO", ">EPOCH", "BY", "DETAIL"]);
    for c in &response.history {
        let at = c.at.as_ref().map(|t| moment(millis(t))).unwrap_or_default();
        table.row([
            dim(c.row_version),
            dim(at),
            plain(&c.event),
            state(&c.from_state),
            state(&c.to_state),
            plain(c.epoch),
            plain(&c.actor),
            dim(lease_words::change(&c.event, c.detail.as_ref())),
        ]);
    }
    section("History", &table, look)
}

fn section(title: &str, table: &Table, look: &Look) -> String {
    if table.is_empty() {
        return String::new();
    }
    format!("\n  {}\n{}", look.heading(title), table.render(look, "    "))
}
