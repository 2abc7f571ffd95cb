//! Sites as operators see them.

use syncferry_proto::{timestamp, v1};
use syncferry_store::Site;

/// A site as a message.
pub fn message(s: &Site) -> v1::Site {
    v1::Site {
        id: s.id.to_string(),
        name: s.name.clone(),
        tenant_id: s.tenant_id.clone(),
        labels: s.labels.clone().into_iter().collect(),
        created_at: Some(timestamp(s.created_at)),
    }
}
