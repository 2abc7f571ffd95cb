//! The controller itself.

use syncferry_proto::v1::GetVersionResponse;
use syncferry_shared::Millis;

use super::table::pairs;
use super::{Look, Tone, ago, clean, moment};

/// What `health` prints.
pub fn health(
    v: &GetVersionResponse,
    controller: &str,
    operator: &str,
    good_until: Millis,
    round_trip_ms: i64,
    look: &Look,
) -> String {
    let head = look.paint(Tone::Good, &format!("The controller at {} answers.", clean(controller)));
    let lines = [
        ("version", clean(&v.version)),
        ("round trip", format!("{round_trip_ms} ms")),
        (
            "store",
            format!("{} (incarnation {})", clean(&v.store_id), v.incarnation),
        ),
        ("catalogue", format!("signed off {}", clean(&v.catalogue_signed_off))),
        ("you are", clean(operator)),
        (
            "certificate",
            format!("good until {} ({})", moment(good_until), ago(good_until, look.now)),
        ),
    ];
    format!("{head}\n{}", pairs(look, "  ", &lines))
}
