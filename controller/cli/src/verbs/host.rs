//! `host add|list|show|token`.

use clap::ValueEnum;
use syncferry_proto::v1::{AddHostRequest, CreateTokenRequest, GetHostRequest, ListHostsRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Add a host and make the token with which its agent enrols
    #[command(after_help = "\
Examples:
  syncferry host add SQL01 --site contoso --role sql-host
  syncferry host add SYNC01 --site contoso --role sql-host,connect-server --token-minutes 15

The token is shown once. Whoever has it can enrol an agent for this host until it expires.")]
    Add {
        /// Its name, unique
        name: String,
        /// The site, by name or id
        #[arg(long)]
        site: String,
        /// What the host is for; both for one that runs Connect on LocalDB
        #[arg(long = "role", value_enum, value_delimiter = ',', required = true)]
        roles: Vec<Role>,
        /// For how long the token is good [default: 60]
        #[arg(long, value_name = "MINUTES", default_value_t = 0, hide_default_value = true)]
        token_minutes: u32,
    },
    /// All hosts, or those of a site
    List {
        /// Only of this site, by name or id
        #[arg(long)]
        site: Option<String>,
    },
    /// One host, with what its agent says of it
    Show {
        /// Its name or id
        host: String,
    },
    /// Make another enrolment token, for example after the agent's data was lost
    #[command(after_help = "\
Example:
  syncferry host token SQL01 --minutes 15")]
    Token {
        /// The host, by name or id
        host: String,
        /// For how long it is good [default: 60]
        #[arg(long, value_name = "MINUTES", default_value_t = 0, hide_default_value = true)]
        minutes: u32,
    },
}

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Has a SQL Server instance, LocalDB included
    SqlHost,
    /// Runs Connect, or will
    ConnectServer,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::SqlHost => "sql-host",
            Role::ConnectServer => "connect-server",
        }
    }
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    match verb {
        Verb::Add {
            name,
            site,
            roles,
            token_minutes,
        } => {
            let roles = roles.into_iter().map(|r| r.as_str().to_string()).collect();
            let request = AddHostRequest {
                site,
                name,
                roles,
                token_minutes,
            };
            let added = session.call(session.service().add_host(request)).await?;
            let host = added.host.unwrap_or_default();
            let value = json::NewHost {
                host: json::Host::from(&host),
                token: added.token.clone(),
                token_expires_at: added.token_expires_at.map(|t| syncferry_proto::millis(&t).rfc3339()),
            };
            cx.answer(&value, |look| {
                let token = render::token(&host.name, &added.token, added.token_expires_at.as_ref(), look);
                format!("{}\n{token}", render::host(&host, look))
            })?;
        }
        Verb::List { site } => {
            let request = ListHostsRequest {
                site: site.unwrap_or_default(),
            };
            let hosts = session.call(session.service().list_hosts(request)).await?.hosts;
            let value = json::Hosts {
                hosts: hosts.iter().map(json::Host::from).collect(),
            };
            cx.answer(&value, |look| render::hosts(&hosts, look))?;
        }
        Verb::Show { host } => {
            let host = session
                .call(session.service().get_host(GetHostRequest { host }))
                .await?;
            cx.answer(&json::Host::from(&host), |look| render::host(&host, look))?;
        }
        Verb::Token { host, minutes } => {
            let request = CreateTokenRequest {
                host: host.clone(),
                minutes,
            };
            let made = session.call(session.service().create_token(request)).await?;
            let value = json::Token {
                token: made.token.clone(),
                expires_at: made.expires_at.map(|t| syncferry_proto::millis(&t).rfc3339()),
            };
            cx.answer(&value, |look| {
                render::token(&host, &made.token, made.expires_at.as_ref(), look)
            })?;
        }
    }
    Ok(Exit::Ok)
}
