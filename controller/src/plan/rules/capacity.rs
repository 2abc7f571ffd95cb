//! Whether server and edition are large enough for what is in the database.

use syncferry_shared::Finding;
use syncferry_shared::inventory::{AdsyncFacts, DatabaseFacts};

use super::bytes;
use crate::plan::PlanInput;

/// Memory by the number of objects, from the prerequisites page: up to so many objects, so many MB.
const MEMORY: [(i64, u64); 3] = [(50_000, 6_144), (100_000, 16_384), (i64::MAX, 32_768)];
/// A machine of 16 GB reports a little less: firmware keeps some.
const FIRMWARE_MB: u64 = 512;
/// What SQL Server Express and LocalDB take in data files.
const EXPRESS_BYTES: u64 = 10 << 30;

/// Objects in the metaverse, where they were counted.
pub(super) fn objects(adsync: &AdsyncFacts) -> Option<i64> {
    let rows = &adsync.counts.rows;
    rows.get("dbo.mms_metaverse")
        .or_else(|| rows.get("mms_metaverse"))
        .copied()
}

/// Bytes of the data files: the log does not count.
pub(super) fn data_bytes(database: &DatabaseFacts) -> u64 {
    let data = database.files.iter().filter(|f| f.kind != "LOG");
    data.fold(0, |sum, f| f.bytes.saturating_add(sum))
}

/// The new server must have the memory that the prerequisites page asks for.
pub(super) fn memory_fits(input: &PlanInput, out: &mut Vec<Finding>) {
    let objects = input.source_facts().and_then(|f| objects(f.adsync.as_ref()?));
    let memory = input.connect_host.inventory.as_ref().and_then(|i| i.host.memory_mb);
    let (Some(objects), Some(memory)) = (objects, memory) else {
        return;
    };
    let need = MEMORY
        .iter()
        .find(|(most, _)| objects <= *most)
        .map_or(0, |(_, mb)| *mb);
    if memory.saturating_add(FIRMWARE_MB) < need {
        out.push(
            Finding::warning(
                "connect-host-memory",
                format!(
                    "{} has too little memory for {objects} objects",
                    input.connect_host.name
                ),
            )
            .saw(
                format!("physical memory of {}", input.connect_host.name),
                format!("{memory} MB"),
            )
            .saw("rows of dbo.mms_metaverse", objects)
            .saw("memory for that many objects", format!("{need} MB"))
            .next("Give the machine more memory and plan again, or accept that synchronisation will be slow."),
        );
    }
}

/// Express takes 10 GB of data files.
pub(super) fn express_has_room(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(t), Some(facts)) = (input.target_instance(), input.source_facts()) else {
        return;
    };
    let size = data_bytes(facts);
    if t.engine_edition == 4 && !t.is_localdb && size > EXPRESS_BYTES {
        out.push(
            Finding::blocker(
                "target-express-full",
                "The database is too large for SQL Server Express",
            )
            .saw(format!("SERVERPROPERTY('Edition') on {}", t.server_name), &t.edition)
            .saw(format!("data files of {}", facts.name), bytes(size))
            .saw("the edition's limit", bytes(EXPRESS_BYTES))
            .next("Choose an instance of Standard, which has no such limit, with --target-host and --target-instance."),
        );
    }
}
