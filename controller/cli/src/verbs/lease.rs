//! `lease list|show`.

use syncferry_proto::v1::{GetLeaseRequest, ListLeasesRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// All leases
    List,
    /// One lease with its proofs and its history
    Show {
        /// The resource, or the database's id or name
        resource: String,
    },
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    match verb {
        Verb::List => {
            let leases = session
                .call(session.service().list_leases(ListLeasesRequest {}))
                .await?
                .leases;
            let value = json::Leases {
                leases: leases.iter().map(json::Lease::from).collect(),
            };
            cx.answer(&value, |look| render::leases(&leases, look))?;
        }
        Verb::Show { resource } => {
            let lease = session
                .call(session.service().get_lease(GetLeaseRequest { resource }))
                .await?;
            cx.answer(&json::LeaseDetail::from(&lease), |look| render::lease(&lease, look))?;
        }
    }
    Ok(Exit::Ok)
}
