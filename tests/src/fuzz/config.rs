//! Files that people write: both configurations, an operator's credentials, a version catalogue.

use syncferry_proto::transport::OperatorCredentials;
use syncferry_shared::catalogue::Catalogue;

/// Reads a text as each of them.
pub fn read(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let agent = agent(text);
    let controller = controller(text);
    let credentials = OperatorCredentials::from_toml(text).is_ok_and(|c| c.identity().is_ok());
    let catalogue = Catalogue::parse(text).is_ok();
    agent || controller || credentials || catalogue
}

fn agent(text: &str) -> bool {
    use syncferry_agent::config::Config;
    let Ok(config) = toml::from_str::<Config>(text) else {
        return false;
    };
    if let Err(error) = config.check() {
        assert!(!error.to_string().is_empty());
        return false;
    }
    // What is accepted is written and read again the same.
    let written = toml::to_string(&config).expect("a configuration is plain data");
    assert_eq!(toml::from_str::<Config>(&written).ok(), Some(config));
    true
}

fn controller(text: &str) -> bool {
    use syncferry_controller::config::Config;
    let Ok(config) = toml::from_str::<Config>(text) else {
        return false;
    };
    if config.check().is_err() {
        return false;
    }
    // Durations that were accepted can be calculated with.
    let leases = &config.leases;
    assert!(leases.renew_every_s < leases.ttl_s);
    let written = toml::to_string(&config).expect("a configuration is plain data");
    assert_eq!(toml::from_str::<Config>(&written).ok(), Some(config));
    true
}

/// The documented samples, and a catalogue of one version.
pub fn seeds() -> Vec<Vec<u8>> {
    [
        include_str!("../../../docs/samples/agent.toml"),
        include_str!("../../../docs/samples/controller.toml"),
        include_str!("../../../shared/data/connect-versions.toml"),
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}
