//! Where a command speaks and listens: two writers, and perhaps a person who answers questions.

use std::collections::VecDeque;
use std::io::{self, BufRead, IsTerminal, Write};

use syncferry_shared::Millis;

use crate::clock;

/// The width of text when nobody knows the terminal's.
const WIDTH: usize = 100;

/// Who answers questions.
#[derive(Debug)]
pub enum Answers {
    /// Nobody: a question is an error.
    Nobody,
    /// The person at the terminal.
    Terminal,
    /// Answers given beforehand, in order.
    Given(VecDeque<String>),
}

/// Where a command speaks and listens.
pub struct Console<'a> {
    /// For results.
    pub out: &'a mut (dyn Write + Send),
    /// For everything else.
    pub err: &'a mut (dyn Write + Send),
    /// Who answers questions.
    pub answers: Answers,
    /// Whether progress may move about: stderr is a terminal.
    pub live: bool,
    /// Whether text may have colours.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// This computer's clock.
    pub now: fn() -> Millis,
}

impl<'a> Console<'a> {
    /// Plain text, nobody to answer: for scripts and tests.
    pub fn plain(out: &'a mut (dyn Write + Send), err: &'a mut (dyn Write + Send)) -> Self {
        Self {
            out,
            err,
            answers: Answers::Nobody,
            live: false,
            color: false,
            width: WIDTH,
            now: clock::now,
        }
    }

    /// What this process's terminal can do.
    pub fn of_process(out: &'a mut (dyn Write + Send), err: &'a mut (dyn Write + Send)) -> Self {
        let (stdin, stdout, stderr) = (
            io::stdin().is_terminal(),
            io::stdout().is_terminal(),
            io::stderr().is_terminal(),
        );
        let terminal = ::console::Term::stdout();
        let width = terminal.size_checked().map(|(_, columns)| usize::from(columns));
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            answers: if stdin && stderr {
                Answers::Terminal
            } else {
                Answers::Nobody
            },
            live: stderr && stdout,
            // Asking also switches colours on where Windows has them off.
            color: stdout && !no_color && terminal.features().colors_supported(),
            width: width.filter(|_| stdout).unwrap_or(WIDTH).clamp(60, 120),
            ..Self::plain(out, err)
        }
    }

    /// Writes a result.
    pub fn write_out(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes anything else. That stderr is gone is no reason to fail.
    pub fn write_err(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.flush();
    }

    /// Asks; `None` when there is nobody to answer.
    pub async fn ask(&mut self, question: &str) -> Option<String> {
        match &mut self.answers {
            Answers::Nobody => None,
            Answers::Given(answers) => answers.pop_front(),
            Answers::Terminal => {
                self.write_err(question);
                read_line().await
            }
        }
    }
}

/// A line from stdin. It is read on a thread of its own, so that Ctrl-C works meanwhile.
async fn read_line() -> Option<String> {
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        let _ = send.send(read.ok().filter(|n| *n > 0).map(|_| line));
    });
    receive.await.ok().flatten().map(|line| line.trim().to_string())
}
