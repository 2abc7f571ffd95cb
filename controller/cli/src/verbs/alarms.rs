//! `alarms`: what a person must know; exit code 8 while nobody said that they do.

use syncferry_proto::v1::{AcknowledgeAlarmRequest, Alarm, ListAlarmsRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::{json, render};

/// Alarms: what a person must know, now
///
/// Exit code 8 while an alarm is raised that nobody has acknowledged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry alarms
  syncferry alarms ack 0242ac12 --remark 'SYNC09 is being stopped'")]
pub(crate) struct Args {
    /// Show those that ended too
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Say that you know of an alarm
    Ack {
        /// The alarm, by id or the tail of it
        alarm: String,
        /// What is done about it, for the audit trail
        #[arg(long)]
        remark: String,
    },
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    if let Some(Verb::Ack { alarm, remark }) = args.verb {
        let request = AcknowledgeAlarmRequest { alarm, remark };
        let alarm = session.call(session.service().acknowledge_alarm(request)).await?;
        cx.answer(&json::Alarm::from(&alarm), |look| render::alarm(&alarm, look))?;
        return Ok(Exit::Ok);
    }
    let alarms = list(&session, args.all).await?;
    let value = json::Alarms {
        alarms: alarms.iter().map(json::Alarm::from).collect(),
    };
    cx.answer(&value, |look| render::alarms(&alarms, look))?;
    Ok(exit(raised(&alarms)))
}

async fn list(session: &Session, all: bool) -> Result<Vec<Alarm>, CliError> {
    Ok(session
        .call(session.service().list_alarms(ListAlarmsRequest { all }))
        .await?
        .alarms)
}

/// How many alarms are raised that nobody knows of.
pub(super) async fn open(session: &Session) -> Result<usize, CliError> {
    Ok(raised(&list(session, false).await?))
}

fn raised(alarms: &[Alarm]) -> usize {
    alarms.iter().filter(|a| a.state == "raised").count()
}

/// The exit code that goes with it.
pub(super) fn exit(raised: usize) -> Exit {
    if raised == 0 { Exit::Ok } else { Exit::Alarm }
}
