//! What every verb works with: the console, the global options, and how an answer is given.

use serde::Serialize;

use crate::args::Global;
use crate::console::Console;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{self, Look};
use crate::session::Session;
use crate::verbs::papers::Papers;
use crate::{json, paths};

/// What every verb works with.
pub(crate) struct Context<'a, 'b> {
    pub(crate) console: &'a mut Console<'b>,
    global: Global,
    /// Papers that are wanted instead of a plan.
    pub(crate) papers: Papers,
}

impl<'a, 'b> Context<'a, 'b> {
    pub(crate) fn new(console: &'a mut Console<'b>, global: Global) -> Self {
        console.color &= !global.no_color && !global.json;
        Self {
            console,
            global,
            papers: Papers::default(),
        }
    }

    /// Whether a script reads the answer.
    pub(crate) fn json(&self) -> bool {
        self.global.json
    }

    /// How text looks at this moment.
    pub(crate) fn look(&self) -> Look {
        Look {
            color: self.console.color,
            width: self.console.width,
            now: (self.console.now)(),
        }
    }

    /// The connection to the controller.
    pub(crate) fn session(&self) -> Result<Session, CliError> {
        let path = match &self.global.credentials {
            Some(path) => path.clone(),
            None => paths::default_credentials(|name| std::env::var_os(name)).ok_or(CliError::NoCredentials)?,
        };
        Session::open(path)
    }

    /// Gives the answer: one JSON document for scripts, text for people.
    pub(crate) fn answer(
        &mut self,
        value: &impl Serialize,
        text: impl FnOnce(&Look) -> String,
    ) -> Result<(), CliError> {
        if self.json() {
            self.emit(value)
        } else {
            self.print(&text(&self.look()))
        }
    }

    /// Writes one line of JSON.
    pub(crate) fn emit(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        self.print(&(json::line(value) + "\n"))
    }

    /// Writes a result.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), CliError> {
        self.console.write_out(text).map_err(CliError::Output)
    }

    /// Says something that is not the result. Silent with `--quiet`.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.global.quiet {
            self.console.write_err(text);
        }
    }

    /// Whether a moving progress display may be drawn.
    pub(crate) fn live(&self) -> bool {
        self.console.live && !self.global.quiet && !self.global.json
    }

    /// Asks for consent. Without anybody to ask, `otherwise` says what to do.
    pub(crate) async fn confirm(&mut self, question: &str, otherwise: &str) -> Result<(), CliError> {
        match self.console.ask(&format!("{question} [y/N] ")).await {
            Some(answer) if matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
            Some(_) => Err(CliError::Declined),
            None => Err(CliError::Usage(otherwise.to_string())),
        }
    }

    /// Says why the command failed.
    pub(crate) fn fail(&mut self, error: &CliError) -> Exit {
        if error.nobody_reads() {
            return error.exit();
        }
        let look = Look {
            color: self.console.color && self.console.live,
            ..self.look()
        };
        self.console.write_err(&render::error(error, &look));
        if self.json() {
            // Nothing more can be done when stdout is gone.
            let _ = self.emit(&json::Failed::of(error));
        }
        error.exit()
    }
}
