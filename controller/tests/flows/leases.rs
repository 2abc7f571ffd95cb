//! Leases: renewed, lost, back again, handed over; and permits, which rest on them.

use syncferry_proto::{millis, millis_of_duration, v1};
use uuid::Uuid;

use crate::support::{Life, World, config, until};

fn expires(l: &v1::Lease) -> i64 {
    millis(&l.expires_at.unwrap()).0
}

#[tokio::test(flavor = "multi_thread")]
async fn renewing_moves_the_end_and_nothing_else() {
    let w = World::with(config()).await;
    let before = w.operator.lease("SYNC01").await;
    let after = w
        .operator
        .until_lease("SYNC01", |l| expires(l) > expires(&before) + 1_500)
        .await;
    assert_eq!(
        (after.row_version, after.epoch, after.state.as_str()),
        (before.row_version, before.epoch, "held")
    );
    let answer = w.old.renew(&after.resource, after.epoch).await;
    assert!(answer.renewed);
    assert_eq!(millis_of_duration(&answer.valid_for.unwrap()), 6_000);
    // Nobody else's, no other epoch, no other session.
    assert!(!w.sql.renew(&after.resource, after.epoch).await.renewed);
    assert!(!w.old.renew(&after.resource, after.epoch + 1).await.renewed);
    assert!(!w.old.renew("adsync-db:nothing", 1).await.renewed);
    w.old.set_life(Life::Silent);
    let session = w
        .old
        .journal(|j| std::mem::replace(&mut j.session, syncferry_shared::SessionId(Uuid::now_v7())));
    assert!(!w.old.renew(&after.resource, after.epoch).await.renewed);
    w.old.journal(|j| j.session = session);
    assert!(w.old.renew(&after.resource, after.epoch).await.renewed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_renews_is_lost_and_comes_back_with_its_renewer() {
    let w = World::with(config()).await;
    let id = w.applied().await;
    w.work(&["verify-source", "backup"]).await;
    let restore = w.sql.offered("restore").await;
    w.sql.set_life(Life::NoRenewals);
    let lost = w.operator.until_lease("SQL01", |l| l.state == "lost").await;
    assert_eq!(
        (lost.holder.as_str(), lost.epoch),
        ("SYNC02", 1),
        "nothing is freed by that"
    );
    // It was offered before; but nothing destructive is permitted.
    w.sql.accept(&restore).await;
    let refused = w.sql.authorize(&restore, 0).await;
    assert!(!refused.permitted, "{}", refused.reason);
    w.sql.set_life(Life::Normal);
    let back = w.operator.until_lease("SQL01", |l| l.state == "held").await;
    assert_eq!(back.epoch, 1);
    assert!(w.sql.authorize(&restore, 0).await.permitted);
    let history = w.operator.events("lease", &back.resource).await;
    let kinds: Vec<&str> = history.iter().map(|e| e.r#type.as_str()).collect();
    assert_eq!(kinds, ["lease.create", "lease.acquire", "lease.expire", "lease.renew"]);
    w.sql.succeed(&restore).await;
    w.operator.until_job(&id, "restore", "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_offered_without_its_lease_and_the_operator_sees_why() {
    let w = World::with(config()).await;
    let id = w.applied().await;
    w.work(&["verify-source"]).await;
    let backup = w.old.take("backup").await;
    w.sql.set_life(Life::NoRenewals);
    w.operator.until_lease("SQL01", |l| l.state == "lost").await;
    w.old.succeed(&backup).await;
    let m = until("the reason is shown", async || {
        let m = w.operator.migration(&id).await;
        m.waiting_for.contains("lease").then_some(m)
    })
    .await;
    assert_eq!(
        m.waiting_for,
        "job restore waits for the lease of SQL01 / ADSync, which is lost; the agent on SQL01 renews it"
    );
    assert_eq!(m.state, "running");
    assert!(w.sql.offers().await.is_empty());
    w.sql.set_life(Life::Normal);
    w.sql.work("restore").await;
    w.operator.until_job(&id, "install", "offered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebooted_renewer_adopts_its_leases() {
    let w = World::with(config()).await;
    let before = w.operator.lease("SYNC01").await;
    w.old.set_life(Life::Silent);
    w.operator.until_lease("SYNC01", |l| l.state == "lost").await;
    w.old.lose_journal();
    w.old.set_life(Life::Normal);
    let back = w.operator.until_lease("SYNC01", |l| l.state == "held").await;
    assert_eq!((back.epoch, back.holder.as_str()), (before.epoch, "SYNC01"));
    let history = w.operator.events("lease", &back.resource).await;
    assert_eq!(history.last().unwrap().r#type, "lease.adopt");
    until("it renews again", async || {
        let now = w.operator.lease("SYNC01").await;
        (expires(&now) > expires(&back) + 1_000).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_duty_to_renew_goes_to_the_new_server_when_it_is_installed() {
    let w = World::with(config()).await;
    let (_, install) = w.at("install").await;
    let seat = w.operator.lease("SQL01").await;
    let renews = async |agent: &crate::support::FakeAgent| {
        let duties = agent.pull().await.unwrap().leases;
        duties
            .iter()
            .any(|d| d.resource == seat.resource && d.epoch == seat.epoch)
    };
    assert!(renews(&w.sql).await && !renews(&w.new).await);
    w.install(&install).await;
    assert!(!renews(&w.sql).await && renews(&w.new).await);
    assert!(!w.sql.renew(&seat.resource, seat.epoch).await.renewed);
    let after = w.operator.lease("SQL01").await;
    let later = w
        .operator
        .until_lease("SQL01", |l| expires(l) > expires(&after) + 1_000)
        .await;
    assert_eq!(
        (later.state.as_str(), later.epoch),
        ("held", seat.epoch),
        "the same epoch: nobody was fenced"
    );
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_is_for_the_current_attempt_and_for_as_long_as_the_lease_lasts() {
    let w = World::with(config()).await;
    let (id, restore) = w.at("restore").await;
    let permit = w.sql.authorize(&restore, 1_000).await;
    assert!(permit.permitted, "{}", permit.reason);
    let valid = millis_of_duration(&permit.valid_for.unwrap());
    assert!(
        valid > 1_000 && valid <= 5_000,
        "the lease's rest less the margin, not {valid} ms"
    );
    // More than the lease can promise; a renewal does not help.
    let long = w.sql.authorize(&restore, 60_000).await;
    assert!(
        !long.permitted && long.reason.contains("must be renewed"),
        "{}",
        long.reason
    );
    let absurd = w.sql.authorize(&restore, i64::MAX).await;
    assert!(!absurd.permitted);
    assert!(w.sql.authorize(&restore, -5).await.permitted, "no budget is no budget");
    // Another agent, another token.
    assert!(!w.old.authorize(&restore, 0).await.permitted);
    let mut other = restore.clone();
    other.token.epoch += 1;
    assert!(!w.sql.authorize(&other, 0).await.permitted);

    w.operator.cancel(&id).await.unwrap();
    assert!(
        w.sql.authorize(&restore, 0).await.permitted,
        "what puts back needs permits too"
    );
    w.sql.end(&restore, crate::support::cancelled()).await;
    let over = w.sql.authorize(&restore, 0).await;
    assert!(
        !over.permitted && over.reason.contains("not current"),
        "{}",
        over.reason
    );
}
