//! Attempts and their steps.

use serde_json::json;
use syncferry_shared::JobId;
use syncferry_shared::state::AttemptState::{Accepted, Failed, Offered, Succeeded, Superseded, Unknown};
use syncferry_shared::state::StepState;

use super::Bench;
use super::world::{id, later, world};
use crate::{Cause, NewAttempt, Step};

fn attempt(job: JobId, agent: syncferry_shared::AgentId) -> NewAttempt {
    NewAttempt {
        job,
        agent,
        epoch: 3,
        digest: "d".into(),
        undo: false,
    }
}

pub(super) async fn one_is_open_and_tokens_match_in_full(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (_, job, other) = w.migration(tx.as_mut()).await;
    let agent = id!(AgentId);
    let first = tx.open_attempt(&attempt(job, agent)).await.unwrap();
    assert_eq!(
        (first.attempt, first.state, first.incarnation),
        (1, Offered, tx.incarnation())
    );
    assert!(tx.open_attempt(&attempt(job, agent)).await.unwrap_err().is_conflict());
    assert!(
        tx.open_attempt(&attempt(id!(JobId), agent))
            .await
            .unwrap_err()
            .is_missing()
    );
    tx.open_attempt(&attempt(other, agent)).await.unwrap();
    assert_eq!(tx.open_attempts(agent).await.unwrap().len(), 2);

    let token = first.token();
    assert_eq!(tx.attempt_of(&token).await.unwrap().as_ref(), Some(&first));
    for change in 0..5 {
        let mut wrong = token.clone();
        match change {
            0 => wrong.job = other,
            1 => wrong.attempt += 1,
            2 => wrong.epoch += 1,
            3 => wrong.incarnation += 1,
            _ => wrong.digest = "e".into(),
        }
        // The other job has an attempt of its own with everything else equal: that is the one its token names.
        let found = tx.attempt_of(&wrong).await.unwrap();
        assert!(found.is_none_or(|a| a.job == other && change == 0), "{wrong:?}");
    }
    tx.transition_attempt(job, 1, Offered, Accepted).await.unwrap();
    tx.transition_attempt(job, 1, Accepted, Failed).await.unwrap();
    let second = tx.open_attempt(&attempt(job, agent)).await.unwrap();
    assert_eq!(second.attempt, 2);
    assert_eq!(tx.current_attempt(job).await.unwrap().as_ref(), Some(&second));
    assert_eq!(tx.attempts(job).await.unwrap().len(), 2);
    assert!(!tx.attempt_of(&token).await.unwrap().unwrap().is_open());
    tx.begin_incarnation(&crate::Highest::default(), &crate::By::new("operator:ada"))
        .await
        .unwrap();
    assert_eq!(
        tx.attempt_of(&second.token()).await.unwrap(),
        None,
        "a restored store knows no old token"
    );
    // What the lost tail may have counted is not counted again.
    tx.transition_attempt(job, 2, Offered, Superseded).await.unwrap();
    let third = tx.open_attempt(&attempt(job, agent)).await.unwrap();
    assert_eq!((third.attempt, third.incarnation), (1001, 2));
    tx.transition_attempt(job, 1001, Offered, Superseded).await.unwrap();
    assert_eq!(tx.open_attempt(&attempt(job, agent)).await.unwrap().attempt, 1002);
}

pub(super) async fn the_ended_never_change(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (_, job, _) = w.migration(tx.as_mut()).await;
    tx.open_attempt(&attempt(job, id!(AgentId))).await.unwrap();
    let until = later(tx.as_ref(), 60_000);
    assert!(
        tx.permit_attempt(job, 1, until).await.unwrap_err().is_moved(),
        "only what was accepted"
    );
    tx.transition_attempt(job, 1, Offered, Accepted).await.unwrap();
    tx.permit_attempt(job, 1, until).await.unwrap();
    tx.transition_attempt(job, 1, Accepted, Unknown).await.unwrap();
    tx.transition_attempt(job, 1, Unknown, Succeeded).await.unwrap();
    let row = tx.current_attempt(job).await.unwrap().unwrap();
    assert_eq!((row.permit_until, row.ended_at), (Some(until), Some(tx.now())));
    assert!(
        tx.transition_attempt(job, 1, Accepted, Failed)
            .await
            .unwrap_err()
            .is_moved()
    );
    let illegal = tx.transition_attempt(job, 1, Succeeded, Failed).await.unwrap_err();
    assert!(matches!(illegal.cause, Cause::NoTransition { .. }), "{illegal}");
    assert!(tx.permit_attempt(job, 1, until).await.unwrap_err().is_moved());
    assert!(
        tx.transition_attempt(job, 7, Offered, Accepted)
            .await
            .unwrap_err()
            .is_missing()
    );
}

pub(super) async fn steps_are_written_over(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (_, job, _) = w.migration(tx.as_mut()).await;
    tx.open_attempt(&attempt(job, id!(AgentId))).await.unwrap();
    let mut step = Step {
        job,
        attempt: 1,
        ordinal: 1,
        name: "copy".into(),
        state: StepState::Running,
        detail: json!({}),
        started_at: Some(tx.now()),
        ended_at: None,
    };
    tx.put_step(&step).await.unwrap();
    tx.put_step(&Step {
        ordinal: 0,
        ..step.clone()
    })
    .await
    .unwrap();
    step.state = StepState::Done;
    step.ended_at = Some(tx.now());
    step.detail = json!({ "bytes": 4 });
    tx.put_step(&Step {
        started_at: None,
        ..step.clone()
    })
    .await
    .unwrap();
    let steps = tx.steps(job, Some(1)).await.unwrap();
    assert_eq!((steps.len(), &steps[1]), (2, &step), "the start is not forgotten");
    assert_eq!(tx.steps(job, None).await.unwrap(), steps);
    assert_eq!(tx.steps(job, Some(2)).await.unwrap(), vec![]);
    assert!(
        tx.put_step(&Step { attempt: 2, ..step })
            .await
            .unwrap_err()
            .is_missing()
    );
}
