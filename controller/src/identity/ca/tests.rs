//! What the authority puts into certificates, and what it refuses to sign.

use syncferry_proto::transport::{Identity, Peer, csr};
use uuid::Uuid;

use super::*;

const NOW: Millis = Millis(1_790_000_000_123);
const HOUR: Duration = Duration::from_secs(3600);

fn authority() -> Authority {
    let (cert, key) = Authority::generate(NOW).unwrap();
    Authority::from_pem(&cert, &key).unwrap()
}

fn agent() -> AgentId {
    AgentId(Uuid::from_u128(0x01932c5e_7d3a_7c1b_9f3e_0242ac120002))
}

#[test]
fn lives_ten_years_and_signs_leaves_only() {
    let authority = authority();
    let (_, pem) = parse_x509_pem(authority.pem().as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let validity = certificate.validity();
    let years = (validity.not_after.timestamp() - validity.not_before.timestamp()) / (365 * 86_400);
    assert_eq!(years, 10);
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    assert_eq!(certificate.raw_serial().len(), 16);
}

#[test]
fn a_certificate_fits_the_key_of_the_request() {
    let authority = authority();
    let request = csr::make().unwrap();
    let issued = authority
        .issue_agent_from_csr(&request.csr_pem, agent(), 3, HOUR, NOW)
        .unwrap();
    let identity = Identity::from_pem(&issued.cert_pem, &request.key_pem).unwrap();
    assert_eq!(identity.certificate(), issued.certificate);
    assert_eq!(issued.certificate.peer, Peer::Agent(agent()));
    assert_eq!(issued.certificate.generation, 3);
    assert_eq!(issued.certificate.not_after, Millis(1_790_000_000_000 + 3_600_000));
    assert_eq!(issued.certificate.not_before, Millis(1_790_000_000_000 - CLOCK_SKEW_MS));
    assert_eq!(
        issued.renew_at(),
        issued.certificate.not_after.plus(-(3_600_000 + CLOCK_SKEW_MS) / 3)
    );
}

#[test]
fn serials_differ() {
    let authority = authority();
    let request = csr::make().unwrap();
    let serial = || {
        let issued = authority
            .issue_agent_from_csr(&request.csr_pem, agent(), 1, HOUR, NOW)
            .unwrap();
        issued.certificate.serial
    };
    let (one, other) = (serial(), serial());
    assert_ne!(one, other);
    assert_eq!((one.len(), other.len()), (32, 32));
}

#[test]
fn names_and_usages_of_a_request_are_ignored() {
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::new(vec!["controller.example.com".to_string()]).unwrap();
    greedy
        .subject_alt_names
        .push(SanType::URI(Ia5String::try_from(CONTROLLER_URI).unwrap()));
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let csr_pem = greedy.serialize_request(&key).unwrap().pem().unwrap();

    let issued = authority()
        .issue_agent_from_csr(&csr_pem, agent(), 1, HOUR, NOW)
        .unwrap();
    assert_eq!(issued.certificate.peer, Peer::Agent(agent()));
    let (_, pem) = parse_x509_pem(issued.cert_pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    assert_eq!(
        certificate
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .len(),
        1
    );
    assert!(!certificate.is_ca());
    assert!(!certificate.key_usage().unwrap().unwrap().value.key_cert_sign());
}

#[test]
fn a_request_must_be_whole_and_self_signed() {
    let authority = authority();
    let issue = |csr: &str| authority.issue_agent_from_csr(csr, agent(), 1, HOUR, NOW).unwrap_err();
    assert!(matches!(issue("hello"), IssueError::Request(_)));
    assert!(matches!(issue(&"x".repeat(MAX_CSR_BYTES + 1)), IssueError::Request(_)));
    assert!(matches!(issue(authority.pem()), IssueError::Request(_)));

    let request = csr::make().unwrap();
    let (_, pem) = parse_x509_pem(request.csr_pem.as_bytes()).unwrap();
    let mut der = pem.contents;
    // The last byte belongs to the signature.
    *der.last_mut().unwrap() ^= 1;
    let forged = rcgen_pem(&der);
    assert!(matches!(
        issue(&forged),
        IssueError::NotSelfSigned | IssueError::Request(_)
    ));
}

#[test]
fn other_kinds_of_keys_are_refused() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let csr_pem = CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .pem()
        .unwrap();
    let error = authority()
        .issue_agent_from_csr(&csr_pem, agent(), 1, HOUR, NOW)
        .unwrap_err();
    assert!(matches!(error, IssueError::KeyKind), "{error}");
}

#[test]
fn servers_carry_their_names_too() {
    let names = ["controller.example.com".to_string(), "127.0.0.1".to_string()];
    let (issued, _) = authority().issue_server(&names, HOUR, NOW).unwrap();
    assert_eq!(issued.certificate.peer, Peer::Controller);
    let (_, pem) = parse_x509_pem(issued.cert_pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    assert_eq!(
        certificate
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .len(),
        3
    );
}

#[test]
fn operators_names_fit_a_certificate() {
    let authority = authority();
    let operator = OperatorId(Uuid::from_u128(7));
    let issue = |name: &str| authority.issue_operator(name, operator, HOUR, NOW);
    assert_eq!(
        issue("Żółw the Operator").unwrap().0.certificate.peer,
        Peer::Operator(operator)
    );
    for bad in ["", "a\nb", &"x".repeat(65)] {
        assert!(matches!(issue(bad), Err(IssueError::Name(_))), "{bad:?}");
    }
}

fn rcgen_pem(der: &[u8]) -> String {
    let body: String = data_encoding::BASE64.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
}
