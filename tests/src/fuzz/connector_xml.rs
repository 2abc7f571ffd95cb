//! The connectors' configuration in an ADSync database: XML that Connect, or anybody with access to the database, wrote.

use syncferry_agent::adsync::owner::{attribute, element, last_owner, unescape};

/// Looks for everything that the agent looks for.
pub fn read(bytes: &[u8]) -> bool {
    let xml = String::from_utf8_lossy(bytes);
    let owner = last_owner(&xml);
    if let Some(owner) = &owner {
        assert!(!owner.is_empty() && owner.len() <= 63 && xml.contains(owner.as_str()));
    }
    let forest = element(&xml, "forest-name");
    if let Some(forest) = &forest {
        assert!(!forest.is_empty() && forest.len() <= xml.len());
    }
    let name = attribute(&xml, "name");
    assert!(unescape(&xml).len() <= xml.len());
    owner.is_some() || forest.is_some() || name.is_some()
}

/// A connector of each kind, as far as the agent reads them.
pub fn seeds() -> Vec<Vec<u8>> {
    [
        "<adma-configuration><forest-name>contoso.com</forest-name><forest-login-user>x</forest-login-user></adma-configuration>",
        "<MAConfig><parameter-values><parameter name=\"UserName\" type=\"string\">Sync_OLD01_1a2b3c4d5e6f@contoso.onmicrosoft.com</parameter></parameter-values></MAConfig>",
        "<a><forest-name-x>no</forest-name-x><forest-name/><forest-name kind='dns'> a&amp;b </forest-name></a>",
        "ConnectSyncProvisioning_SRV_01_0123456789abcdef",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}
