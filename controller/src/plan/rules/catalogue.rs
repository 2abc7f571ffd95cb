//! What the version catalogue itself says: its age, and how long the installer's version is supported.

use syncferry_shared::{ConnectVersion, Finding, Millis};

use crate::plan::PlanInput;

/// After this, versions and known issues are missing from it.
const GOOD_FOR_DAYS: i64 = 90;
/// So long before the end of support an operator hears of it.
const ENDS_WITHIN_DAYS: i64 = 60;

/// Days from one date to an instant; negative when the date is still to come. A month counts from its first day.
fn days_since(date: &str, now: Millis) -> Option<i64> {
    let full = if date.len() == 7 {
        format!("{date}-01")
    } else {
        date.to_string()
    };
    Some(now.since(Millis::of_date(&full)?).div_euclid(Millis::DAY))
}

/// A catalogue ages.
pub(super) fn is_fresh(input: &PlanInput, out: &mut Vec<Finding>) {
    let signed_off = &input.catalogue.signed_off;
    let age = days_since(signed_off, input.now);
    if age.is_none_or(|days| days > GOOD_FOR_DAYS) {
        let title = match age {
            Some(days) => format!("The version catalogue is {days} days old"),
            None => "The version catalogue does not say when it was signed off".to_string(),
        };
        out.push(
            Finding::warning("catalogue-stale", title)
                .saw("signed off on", signed_off)
                .saw("the store's clock", input.now)
                .next("Get a newer catalogue, look at it with `syncferry catalogue check FILE`, and give it to the controller with `syncferry catalogue import FILE`. Or compare the version history by hand and accept this."),
        );
    }
}

/// A version whose support ends soon must be upgraded soon, by hand.
pub(super) fn installer_is_supported_for_a_while(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(version) = input
        .connect_host
        .installer()
        .and_then(|i| i.product_version.parse::<ConnectVersion>().ok())
    else {
        return;
    };
    // What does not synchronise any more has a rule of its own.
    if version < input.catalogue.oldest_that_syncs {
        return;
    }
    let Some(end) = input.catalogue.get(version).and_then(|e| e.end_of_support.as_ref()) else {
        return;
    };
    let over = days_since(end, input.now);
    if end == "ended" || over.is_some_and(|days| days >= -ENDS_WITHIN_DAYS) {
        let newest = input
            .catalogue
            .newest()
            .map_or("the newest version".to_string(), |e| e.version.to_string());
        let title = match over {
            Some(days) if days < 0 => format!("Support of Connect {version} ends in {} days", -days),
            _ => format!("Support of Connect {version} has ended"),
        };
        out.push(
            Finding::warning("installer-support-ends", title)
                .saw(format!("version catalogue of {}", input.catalogue.signed_off), format!("end of support: {end}"))
                .next(format!("Put the installer of {newest} on the new server and plan again, or accept it and plan the upgrade: on full SQL nothing upgrades by itself.")),
        );
    }
}
