//! How text looks: colours or none, how wide, and what time it is for "3 min ago".

use syncferry_shared::Millis;

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether there are colours.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Now.
    pub now: Millis,
}

/// What a piece of text is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// All is well.
    Good,
    /// Somebody should look.
    Warn,
    /// Something is wrong.
    Bad,
    /// At work.
    Busy,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Dim => "2",
            Tone::Bold => "1",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "1;31",
            Tone::Busy => "36",
        }
    }
}

impl Look {
    /// Text in a tone. The text must be clean already.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color || tone == Tone::Plain || text.is_empty() {
            text.to_string()
        } else {
            format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code())
        }
    }

    /// A state's word in the tone that it has.
    pub fn state(&self, state: &str) -> String {
        self.paint(tone_of(state), &super::clean(state))
    }

    /// A heading.
    pub fn heading(&self, text: &str) -> String {
        self.paint(Tone::Bold, text)
    }
}

/// The tone of a state, of whatever it is a state.
pub fn tone_of(state: &str) -> Tone {
    match state {
        "succeeded" | "done" | "online" | "held" | "confirmed" | "proven" | "enrolled" | "planned" => Tone::Good,
        "running" | "offered" | "inspecting" | "claimed" | "unwinding" | "undoing" | "cancelling" | "ready"
        | "undo-ready" | "draining" | "fencing" => Tone::Busy,
        "blocked" | "open" | "silent" | "provisional" | "cancelled" | "undone" => Tone::Warn,
        "stopped" | "stuck" | "failed" | "unknown" | "quarantined" | "suspect" | "lost" => Tone::Bad,
        "waiting" | "pending" | "none" | "retired" | "free" => Tone::Dim,
        _ => Tone::Plain,
    }
}
