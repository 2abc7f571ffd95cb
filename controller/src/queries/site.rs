//! Sites as operators see them.

use syncferry_proto::{timestamp, v1};
use syncferry_store::Site;

/// A site as a message. `all`: every site, to say which of them have the same tenant.
pub fn message(s: &Site, all: &[Site]) -> v1::Site {
    let same = |o: &&Site| o.id != s.id && o.tenant_id.eq_ignore_ascii_case(&s.tenant_id);
    v1::Site {
        id: s.id.to_string(),
        name: s.name.clone(),
        tenant_id: s.tenant_id.clone(),
        labels: s.labels.clone().into_iter().collect(),
        created_at: Some(timestamp(s.created_at)),
        same_tenant: all.iter().filter(same).map(|o| o.name.clone()).collect(),
    }
}
