//! `checklist`: what is left to do after an installation, proven or attested.

use syncferry_proto::schema;
use syncferry_proto::v1::{AttestItemRequest, GetChecklistRequest, GetChecklistResponse};
use syncferry_shared::aftercare::Checklist;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// What is left to do after a migration, as it fits this one; exit code 3 while an item that matters is open
    Show {
        /// The migration, by id or the tail of it
        migration: String,
        /// Let the agents look first: what they see is proven, or contradicted
        #[arg(long)]
        look: bool,
    },
    /// Say that an item is done; your name stands with it
    Attest {
        /// The migration, by id or the tail of it
        migration: String,
        /// The item, by its id
        item: String,
        /// What was done, for the audit trail
        #[arg(long)]
        remark: String,
    },
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let response = match verb {
        Verb::Show { migration, look } => {
            session
                .call(session.service().get_checklist(GetChecklistRequest { migration, look }))
                .await?
        }
        Verb::Attest {
            migration,
            item,
            remark,
        } => {
            let request = AttestItemRequest {
                migration,
                item,
                remark,
            };
            session.call(session.service().attest_item(request)).await?
        }
    };
    let list = read(&response)?;
    for why in &response.not_seen {
        cx.say(&format!("not seen: {}\n", render::clean(why)));
    }
    cx.answer(&list, |look| render::checklist(&list, look))?;
    let open = list.open_that_matter().next().is_some();
    Ok(if open { Exit::Refused } else { Exit::Ok })
}

fn read(response: &GetChecklistResponse) -> Result<Checklist, CliError> {
    let document = response
        .checklist
        .as_ref()
        .ok_or(syncferry_proto::InvalidMessage::Missing("checklist"))?;
    Ok(document.read(schema::CHECKLIST)?)
}
