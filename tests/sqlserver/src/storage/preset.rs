//! Ready-made instances: LocalDB, Express, Standard, Developer of several versions.

use time::OffsetDateTime;

use super::InstanceSpec;

impl InstanceSpec {
    /// `SYNC01\LOCALDB#SH1A2B3C4`, SQL Server 2019 LocalDB (15.0.4382).
    pub fn localdb_2019(machine: &str, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {at}")
    }
    /// SQL Server 2012 LocalDB, of Connect 1.x.
    pub fn localdb_2012(machine: &str, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {at}")
    }
    /// SQL Server 2022 LocalDB, of Connect 2.6.84 and later.
    pub fn localdb_2022(machine: &str, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {at}")
    }
    /// SQL Server 2022 Standard (16.0.4236.2). `instance` None is the default instance; the same for those below.
    pub fn standard_2022(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {instance:?} {at}")
    }
    /// SQL Server 2022 Express.
    pub fn express_2022(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {instance:?} {at}")
    }
    /// SQL Server 2022 Developer.
    pub fn developer_2022(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {instance:?} {at}")
    }
    /// SQL Server 2016 Standard.
    pub fn standard_2016(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {instance:?} {at}")
    }
    /// SQL Server 2019 Standard.
    pub fn standard_2019(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {instance:?} {at}")
    }
    /// SQL Server 2025 Standard.
    pub fn standard_2025(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        unimplemented!("{machine} {instance:?} {at}")
    }
}

/// A SID for a SQL login: 16 bytes, the same for the same name.
pub(crate) fn sql_sid(name: &str) -> Vec<u8> {
    unimplemented!("{name}")
}

/// A Windows SID: `S-1-5-80-…` for services, `S-1-5-21-…` otherwise, the same for the same name.
pub(crate) fn windows_sid(name: &str) -> Vec<u8> {
    unimplemented!("{name}")
}
