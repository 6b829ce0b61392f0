//! Shows what two operators can decide and one cannot.

use super::*;
use crate::access::proposals::State;

#[tokio::test]
async fn a_proposal_is_carried_out_only_when_a_second_operator_agrees_in_time() {
    let world = World::new().await;
    let access = &world.access;
    let (first, _) = world.operator("first").await;
    let (second, _) = world.operator("second").await;
    let (third, _) = world.operator("third").await;
    let code = "24".to_owned();
    let kind = ParticipantKind::Province;
    let action = Action::RegisterParticipant { kind, code };

    let proposal = access.propose(&first, action.clone()).await.unwrap();
    let id = proposal.proposal_id;
    let alone = access.approve(&first, id).await;
    assert!(matches!(alone, Err(AccessError::SecondPersonRequired)));
    let alone = access.refuse(&first, id).await;
    assert!(matches!(alone, Err(AccessError::SecondPersonRequired)));
    for role in [Role::Officer, Role::Auditor] {
        let other = Person { role, ..second.clone() };
        assert!(matches!(access.approve(&other, id).await, Err(AccessError::NotOperator)));
        let proposed = access.propose(&other, action.clone()).await;
        assert!(matches!(proposed, Err(AccessError::NotOperator)));
        assert!(matches!(access.proposals(&other, None).await, Err(AccessError::NotOperator)));
    }
    let unknown = access.approve(&second, Uuid::nil()).await;
    assert!(matches!(unknown, Err(AccessError::NoSuchProposal)));
    let approved = access.approve(&second, id).await.unwrap();
    assert!(matches!(approved.effect, Effect::Participant { .. }));
    assert_eq!(approved.proposal.decided_by, Some(second.person_id));
    let twice = access.approve(&third, id).await;
    assert!(matches!(twice, Err(AccessError::NotOpen(State::Approved))));
    let listed = access.proposals(&first, None).await.unwrap();
    assert_eq!(listed.iter().map(|p| p.state).collect::<Vec<_>>(), [State::Approved]);
    assert_eq!(listed[0].action, action);

    // What cannot be done leaves the proposal open and no leaf of the action.
    let same = access.propose(&first, action.clone()).await.unwrap().proposal_id;
    let before = world.leaves().await;
    assert_eq!(impossible(access.approve(&second, same).await), Reason::AlreadyRegistered);
    assert_eq!(world.leaves().await, before);
    access.refuse(&second, same).await.unwrap();

    let late = access.propose(&first, action.clone()).await.unwrap().proposal_id;
    world.clock.advance_ms(3_600_000);
    assert!(access.proposals(&first, Some(State::Open)).await.unwrap().is_empty());
    let expired = access.approve(&second, late).await;
    assert!(matches!(expired, Err(AccessError::NotOpen(State::Expired))));
    let expired = access.refuse(&second, late).await;
    assert!(matches!(expired, Err(AccessError::NotOpen(State::Expired))));
    let leaves = world.leaves().await;
    let tail: Vec<&str> = leaves.iter().skip(3).map(String::as_str).collect();
    let wanted = [
        "propose",
        "register_participant",
        "approve_proposal",
        "propose",
        "refuse_proposal",
        "propose",
        "expire_proposal",
    ];
    assert_eq!(tail, wanted);
}

#[tokio::test]
async fn who_has_ended_decides_nothing_and_two_operators_always_remain() {
    let world = World::new().await;
    let access = &world.access;
    let (first, _) = world.operator("first").await;
    let (second, _) = world.operator("second").await;
    let (third, _) = world.operator("third").await;
    let code = |code: &str| Action::RegisterParticipant {
        kind: ParticipantKind::Province,
        code: code.to_owned(),
    };
    let by_third = access.propose(&third, code("01")).await.unwrap().proposal_id;
    let end = Action::EndPerson { person_id: third.person_id };
    let proposal = access.propose(&first, end).await.unwrap().proposal_id;
    access.approve(&second, proposal).await.unwrap();
    let by_first = access.propose(&first, code("02")).await.unwrap().proposal_id;
    assert_eq!(impossible(access.approve(&third, by_first).await), Reason::NoSuchPerson);
    assert_eq!(impossible(access.approve(&first, by_third).await), Reason::NoSuchPerson);
    let end = Action::EndPerson { person_id: second.person_id };
    let proposal = access.propose(&first, end).await.unwrap().proposal_id;
    assert_eq!(impossible(access.approve(&second, proposal).await), Reason::OperatorsTooFew);
    let many = access.propose(&first, code("03")).await;
    assert!(matches!(many, Err(AccessError::TooManyProposals { limit: 3 })));
}
