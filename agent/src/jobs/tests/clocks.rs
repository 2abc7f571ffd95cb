//! What an agent says of a database does not depend on what time it believes it is, nor on its SQL Server's clock: ages are the
//! controller's to judge.

use std::sync::Arc;

use syncferry_shared::inventory::{DatabaseAddress, InspectionRequest, Inventory};
use syncferry_shared::{Clock, Millis};

use super::world::{STAGING, Site};
use crate::clocks::{Clocks, SystemClocks};
use crate::inspect::Inspector;
use crate::session::Inspect as _;

const FORTY_DAYS: i64 = 40 * Millis::DAY;

/// A clock that is wrong.
struct Wrong(i64);

impl Clock for Wrong {
    fn now(&self) -> Millis {
        SystemClocks.now().plus(self.0)
    }
}

impl Clocks for Wrong {}

async fn look(site: &Site, wrong_by: i64) -> Inventory {
    let inspector = Inspector {
        host: site.machine.clone(),
        sql: site.sql.clone(),
        staging_dir: STAGING.into(),
        clocks: Arc::new(Wrong(wrong_by)),
        power: None,
    };
    let address = DatabaseAddress {
        instance: "localdb".into(),
        database: "ADSync".into(),
    };
    let request = InspectionRequest {
        instances: vec!["localdb".into()],
        databases: vec![address],
        connect: false,
        installer: None,
        reach: Vec::new(),
        preview: None,
        ..InspectionRequest::default()
    };
    inspector.inspect(&request).await
}

#[tokio::test]
async fn a_wrong_clock_does_not_change_when_the_database_was_synchronised() {
    let site = Site::new("ADSync").await;
    let right = look(&site, 0).await;
    let last = right.databases[0].adsync.as_ref().unwrap().last_sync.unwrap();
    assert!(SystemClocks.now().since(last) < Millis::DAY, "{last}");
    for wrong_by in [-FORTY_DAYS, FORTY_DAYS] {
        let wrong = look(&site, wrong_by).await;
        assert!(
            (wrong.taken_at.since(right.taken_at) - wrong_by).abs() < 60_000,
            "its clock is wrong"
        );
        assert_eq!(wrong.databases, right.databases);
        // The clock of the SQL Server is seen to differ from the agent's.
        assert!((wrong.instances[0].clock_offset_ms + wrong_by).abs() < 60_000);
    }
    site.source.clock(FORTY_DAYS);
    let ahead = look(&site, 0).await;
    assert!((ahead.instances[0].clock_offset_ms - FORTY_DAYS).abs() < 60_000);
    assert_eq!(ahead.databases, right.databases);
}
