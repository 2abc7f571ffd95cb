//! The version catalogue that counts: the one that an operator imported last, or the one that the controller came with.

use syncferry_proto::{timestamp, v1};
use syncferry_shared::Millis;
use syncferry_shared::catalogue::{Catalogue, EMBEDDED};
use syncferry_shared::token::digest;
use syncferry_store::{ImportedCatalogue, NewCatalogue, Tx};

use crate::core::{Core, system_event};
use crate::problem::Problem;

/// The most bytes that a catalogue may have.
const MOST_BYTES: usize = 1 << 20;

/// What rules judge by.
pub async fn current(core: &Core, tx: &mut dyn Tx) -> Result<Catalogue, Problem> {
    match tx.catalogue().await? {
        Some(imported) => read(&imported),
        None => Ok(core.catalogue.clone()),
    }
}

fn read(imported: &ImportedCatalogue) -> Result<Catalogue, Problem> {
    Catalogue::parse(&imported.text).map_err(|e| {
        Problem::Internal(format!(
            "the catalogue that {} imported cannot be read by this version ({e}); import another one",
            imported.actor
        ))
    })
}

/// The catalogue that counts, for an operator.
pub async fn message(core: &Core, tx: &mut dyn Tx) -> Result<v1::Catalogue, Problem> {
    if let Some(imported) = tx.catalogue().await? {
        return Ok(v1::Catalogue {
            text: imported.text,
            signed_off: imported.signed_off,
            digest: imported.digest,
            origin: "imported".to_string(),
            imported_by: imported.actor,
            imported_at: Some(timestamp(imported.at)),
        });
    }
    let (text, origin) = match &core.config.catalogue {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Problem::Internal(format!("{} cannot be read: {e}", path.display())))?;
            (text, "configured")
        }
        None => (EMBEDDED.to_string(), "release"),
    };
    Ok(v1::Catalogue {
        signed_off: core.catalogue.signed_off.clone(),
        digest: digest(text.as_bytes()),
        text,
        origin: origin.to_string(),
        ..v1::Catalogue::default()
    })
}

/// Takes a catalogue over. It must be sound, signed off, and not older than the one that counts now.
pub async fn import(core: &Core, actor: &str, text: String) -> Result<(), Problem> {
    if text.len() > MOST_BYTES {
        return Err(Problem::Invalid("a catalogue has at most 1 MiB".to_string()));
    }
    let new = Catalogue::parse(&text).map_err(|e| Problem::Invalid(e.to_string()))?;
    let mut tx = core.store.begin("catalogue.import").await?;
    let old = match tx.catalogue().await? {
        // One that this version cannot read must not keep a sound one out.
        Some(imported) => read(&imported).map_or(imported.signed_off, |c| c.signed_off),
        None => core.catalogue.signed_off.clone(),
    };
    if new.signed_off < old {
        return Err(Problem::Invalid(format!(
            "this catalogue was signed off on {}, and the one that counts on {old}: an older one is not taken over",
            new.signed_off
        )));
    }
    let signed = Millis::of_date(&new.signed_off);
    if signed.is_none_or(|at| at > tx.now().plus(Millis::DAY)) {
        return Err(Problem::Invalid(format!(
            "this catalogue was signed off on {}, which is still to come",
            new.signed_off
        )));
    }
    let made = tx
        .add_catalogue(&NewCatalogue {
            digest: digest(text.as_bytes()),
            signed_off: new.signed_off.clone(),
            text,
            actor: actor.to_string(),
        })
        .await?;
    let meta = tx.meta().await?;
    let payload = serde_json::json!({
        "number": made.number, "digest": made.digest, "signed_off": made.signed_off, "before": old,
        "versions": new.versions.len(),
    });
    tx.append_event(system_event(&meta.id.to_string(), "catalogue.imported", actor, payload))
        .await?;
    tx.commit().await?;
    Ok(())
}
