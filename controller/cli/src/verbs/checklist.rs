//! `checklist`: what is left to do after an installation, proven or attested.

use syncferry_proto::schema;
use syncferry_proto::timestamp;
use syncferry_proto::v1::{AttestItemRequest, GetChecklistRequest, GetChecklistResponse, WithdrawItemRequest};
use syncferry_shared::Millis;
use syncferry_shared::aftercare::Checklist;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render;
use crate::verbs::apply::moment;

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
        #[arg(long, visible_alias = "remark")]
        reason: String,
        /// Until when your word counts: a day (2026-12-01, until it begins in UTC) or an instant [default: for good]
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Millis>,
    },
    /// Take back what was attested of an item; it is open again
    Withdraw {
        /// The migration, by id or the tail of it
        migration: String,
        /// The item, by its id
        item: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: String,
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
            reason,
            until,
        } => {
            let request = AttestItemRequest {
                migration,
                item,
                remark: reason,
                until: until.map(timestamp),
            };
            session.call(session.service().attest_item(request)).await?
        }
        Verb::Withdraw {
            migration,
            item,
            reason,
        } => {
            let request = WithdrawItemRequest {
                migration,
                item,
                reason,
            };
            session.call(session.service().withdraw_item(request)).await?
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
