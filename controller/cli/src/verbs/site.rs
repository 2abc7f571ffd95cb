//! `site add|list|show`.

use syncferry_proto::v1::{AddSiteRequest, GetSiteRequest, ListSitesRequest, Site};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Add a site
    #[command(after_help = "\
Example:
  syncferry site add contoso --tenant-id 3f0e1f5c-0000-4000-8000-000000000001 --label customer=42")]
    Add {
        /// Its name, unique
        name: String,
        /// The Entra tenant's id (Entra admin center: Overview)
        #[arg(long, value_name = "ID")]
        tenant_id: String,
        /// A free label; may be given several times
        #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
    },
    /// All sites
    List,
    /// One site
    Show {
        /// Its name or id
        site: String,
    },
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err("expected NAME=VALUE".to_string()),
    }
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    match verb {
        Verb::Add {
            name,
            tenant_id,
            labels,
        } => {
            let request = AddSiteRequest {
                name,
                tenant_id,
                labels: labels.into_iter().collect(),
            };
            let site = session.call(session.service().add_site(request)).await?;
            one(&site, cx)
        }
        Verb::List => {
            let sites = session
                .call(session.service().list_sites(ListSitesRequest {}))
                .await?
                .sites;
            let value = json::Sites {
                sites: sites.iter().map(json::Site::from).collect(),
            };
            cx.answer(&value, |look| render::sites(&sites, look))?;
            Ok(Exit::Ok)
        }
        Verb::Show { site } => {
            let site = session
                .call(session.service().get_site(GetSiteRequest { site }))
                .await?;
            one(&site, cx)
        }
    }
}

fn one(site: &Site, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    cx.answer(&json::Site::from(site), |look| render::site(site, look))?;
    Ok(Exit::Ok)
}
