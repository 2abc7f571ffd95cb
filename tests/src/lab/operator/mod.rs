//! The operator of the lab: a person with the `syncferry` command line. Every step looks first, so that the same command
//! goes on where an earlier one stopped.

mod replace;
mod setup;
mod told;
mod watch;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use syncferry_cli::{Console, Exit};
use syncferry_proto::transport::{OperatorCredentials, Profile};
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use tonic::transport::Channel;

pub use replace::Hands;
pub use watch::AtTheGate;

use told::Told;

/// Site, hosts, database, migration, person.
pub struct Operator {
    client: OperatorClient<Channel>,
    credentials: PathBuf,
}

/// How a migration rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// All done.
    Succeeded,
    /// Refused by findings.
    Refused,
    /// It stopped, or nobody knows.
    Stopped,
    /// It was cancelled.
    Cancelled,
}

impl Operator {
    /// Reads the credentials that the controller made.
    pub fn open(credentials: PathBuf) -> anyhow::Result<Operator> {
        let read = OperatorCredentials::load(&credentials)
            .with_context(|| format!("the operator's credentials in {}", credentials.display()))?;
        let client =
            OperatorClient::new(read.connect()?).max_decoding_message_size(Profile::Control.max_message_bytes());
        Ok(Operator { client, credentials })
    }

    /// Runs a command line and shows it, as a person would have typed it.
    pub(super) async fn type_in(&self, words: &[&str]) -> Exit {
        println!("\n$ syncferry {}", shown(words));
        let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
        self.run(words, &mut Console::of_process(&mut out, &mut err)).await
    }

    /// The same for `watch`; answers with the number of the last event that it showed.
    async fn type_watch(&self, words: &[&str]) -> i64 {
        println!("\n$ syncferry {}", shown(words));
        let (mut out, mut err) = (Told::new(std::io::stdout()), std::io::stderr());
        self.run(words, &mut Console::of_process(&mut out, &mut err)).await;
        out.last
    }

    /// Runs a command line and takes its JSON.
    async fn ask(&self, words: &[&str]) -> anyhow::Result<serde_json::Value> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut with_json = words.to_vec();
        with_json.push("--json");
        let exit = self.run(&with_json, &mut Console::plain(&mut out, &mut err)).await;
        if exit != Exit::Ok {
            // Whoever reads the terminal has to see why.
            let _ = std::io::stderr().write_all(&err);
            anyhow::bail!("syncferry {} ended with exit code {}", shown(words), exit.code());
        }
        serde_json::from_slice(&out).with_context(|| format!("the JSON of syncferry {}", shown(words)))
    }

    async fn run(&self, words: &[&str], console: &mut Console<'_>) -> Exit {
        let credentials = self.credentials.to_string_lossy().into_owned();
        let args = ["syncferry", "--credentials", &credentials];
        let args = args.iter().chain(words).map(std::ffi::OsString::from);
        syncferry_cli::run(args, console).await
    }

    /// Types something in and expects it to work.
    pub(super) async fn must(&self, words: &[&str]) -> anyhow::Result<()> {
        let exit = self.type_in(words).await;
        anyhow::ensure!(
            exit == Exit::Ok,
            "syncferry {} ended with exit code {}",
            shown(words),
            exit.code()
        );
        Ok(())
    }

    /// A migration as it stands.
    pub async fn migration(&mut self, id: &str) -> anyhow::Result<v1::Migration> {
        let request = v1::GetMigrationRequest {
            migration: id.to_string(),
        };
        Ok(self.client.get_migration(request).await?.into_inner())
    }

    /// The lease table, on the terminal.
    pub async fn show_leases(&self) -> anyhow::Result<()> {
        self.must(&["lease", "list"]).await
    }
}

/// Words with blanks get quotes, as in a shell.
fn shown(words: &[&str]) -> String {
    let quoted = words.iter().map(|w| {
        if w.is_empty() || w.contains([' ', '\\', '$', '\'']) {
            format!("'{}'", w.replace('\'', r"'\''"))
        } else {
            (*w).to_string()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
