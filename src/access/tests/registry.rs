//! Shows who is known, and how soon a change is seen.

use super::*;

#[tokio::test]
async fn only_what_is_registered_and_in_force_is_known() {
    let world = World::new().await;
    let access = &world.access;
    let (own, spare) = (world.pki.client("own"), world.pki.client("spare"));
    assert_eq!(access.client(&digest(&own)).await.unwrap(), None);
    let agency = world.participant(ParticipantKind::Agency, "BCA", &own).await;
    let known = access.client(&digest(&own)).await.unwrap().unwrap();
    assert_eq!((known.participant_id, known.kind), (agency, ParticipantKind::Agency));
    assert_eq!(known.actor(), format!("participant:{agency}"));

    let again = access.register_participant(ACTOR, ParticipantKind::Agency, "BCA").await;
    assert_eq!(impossible(again), Reason::AlreadyRegistered);
    let again = access.register_client_certificate(ACTOR, agency, &own.der).await;
    assert_eq!(impossible(again), Reason::AlreadyRegistered);
    let nobody = access.register_client_certificate(ACTOR, 999, &spare.der).await;
    assert_eq!(impossible(nobody), Reason::NoSuchParticipant);
    let expired = world.pki.expired_client("expired");
    let late = access.register_client_certificate(ACTOR, agency, &expired.der).await;
    assert_eq!(impossible(late), Reason::CertificateExpired);
    let odd = access.register_participant(ACTOR, ParticipantKind::Province, "Hà Nội").await;
    assert_eq!(impossible(odd), Reason::CodeMalformed);
    let homeless = access.register_person(ACTOR, Role::Officer, None, &spare.der).await;
    assert_eq!(impossible(homeless), Reason::OfficerNeedsAgency);

    let officer = access.register_person(ACTOR, Role::Officer, Some(agency), &spare.der).await;
    let officer = officer.unwrap();
    assert!(access.officer_of(agency, officer).await.unwrap().is_some());
    assert!(access.officer_of(agency + 1, officer).await.unwrap().is_none());
    access.end_person(ACTOR, officer).await.unwrap();
    assert!(access.officer_of(agency, officer).await.unwrap().is_none());
    assert_eq!(access.person(&digest(&spare)).await.unwrap(), None);
    assert_eq!(impossible(access.end_person(ACTOR, officer).await), Reason::NoSuchPerson);

    let fingerprint = Fingerprint(digest(&own));
    access.revoke_client_certificate(ACTOR, fingerprint).await.unwrap();
    assert_eq!(access.client(&digest(&own)).await.unwrap(), None);
    let twice = access.revoke_client_certificate(ACTOR, fingerprint).await;
    assert_eq!(impossible(twice), Reason::NoSuchCertificate);
    let back = access.register_client_certificate(ACTOR, agency, &own.der).await;
    assert_eq!(impossible(back), Reason::AlreadyRegistered);
    let wanted = [
        "register_participant",
        "register_client_certificate",
        "register_person",
        "end_person",
        "revoke_client_certificate",
    ];
    assert_eq!(world.leaves().await, wanted, "one leaf per change, none for a refusal");
}

#[tokio::test]
async fn validity_and_changes_of_other_processes_are_seen_in_time() {
    let world = World::new().await;
    let own = world.pki.client("own");
    world.participant(ParticipantKind::Province, "01", &own).await;
    let settings = access_settings();
    let other = Access::new(world.pool.clone(), world.clock.clone(), &settings);
    assert!(other.client(&digest(&own)).await.unwrap().is_some());
    let fingerprint = Fingerprint(digest(&own));
    world.access.revoke_client_certificate(ACTOR, fingerprint).await.unwrap();
    world.clock.advance_ms(1_999);
    assert!(other.client(&digest(&own)).await.unwrap().is_some(), "still remembered");
    world.clock.advance_ms(1);
    assert!(other.client(&digest(&own)).await.unwrap().is_none());

    let (person, certificate) = world.operator("first").await;
    world.clock.advance_ms(31 * 86_400_000);
    assert_eq!(world.access.person(&digest(&certificate)).await.unwrap(), None);
    assert_eq!(person.actor(), format!("person:{}", person.person_id));
}

#[test]
fn every_reason_has_its_text_and_the_built_in_settings_are_complete() {
    for reason in [
        Reason::CertificateMalformed,
        Reason::CertificateExpired,
        Reason::CertificateIsCa,
        Reason::AlreadyRegistered,
        Reason::NoSuchParticipant,
        Reason::NoSuchCertificate,
        Reason::NoSuchPerson,
        Reason::OfficerNeedsAgency,
        Reason::OperatorsTooFew,
        Reason::CodeMalformed,
    ] {
        let key = format!("access.reason.{}", reason.name());
        assert!(crate::platform::texts::has(&key), "{key}");
    }
    #[derive(Deserialize)]
    struct All {
        access: Settings,
        #[expect(dead_code, reason = "read by the deserializer only")]
        vault: crate::vault::Settings,
    }
    let all: All = crate::platform::config::load(None, std::iter::empty()).unwrap();
    assert!(all.access.cache_ms <= 60_000, "revocation within 60 s (P9)");
}
