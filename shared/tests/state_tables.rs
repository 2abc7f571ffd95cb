//! `docs/STATES.md` says what the tables in the code say. It is written anew with `UPDATE_DOCS=1`, and never by hand.

use std::fmt::Write as _;
use std::path::Path;

use syncferry_shared::alarm::{AlarmEvent, AlarmState};
use syncferry_shared::lease::{LeaseEvent, LeaseState};
use syncferry_shared::state::{
    AttemptEvent, AttemptState, GateEvent, GateState, JobEvent, JobState, MigrationEvent, MigrationState, StepEvent,
    StepState,
};

const HEAD: &str = "\
# States

Made from the tables in the code by `shared/tests/state_tables.rs`. Do not edit it: change the table, then run
`UPDATE_DOCS=1 cargo test -p syncferry-shared --test state_tables`.

Each machine is one table: a state, an event, the state after it. What is not in the table is refused with both names:
`a migration that is succeeded cannot take 'apply'`. The words are the same in the store, on the wire and on the screen.
How the machines work together is in [ARCHITECTURE.md](ARCHITECTURE.md).
";

/// A word of a machine: its name in the code, the word itself, and what it means.
struct Word {
    name: String,
    word: &'static str,
    meaning: String,
}

/// A machine as it is drawn. Transitions are indices into states and events.
struct Machine {
    title: &'static str,
    source: &'static str,
    states: Vec<Word>,
    events: Vec<Word>,
    table: Vec<(usize, usize, usize)>,
}

/// Reads a machine from its types; the meanings come from the comments in its source.
macro_rules! machine {
    ($title:literal, $file:literal, $state:ident, $event:ident) => {{
        let text = include_str!(concat!("../src/", $file));
        let at_state = |s: &$state| $state::ALL.iter().position(|x| x == s).expect("a state is in ALL");
        let at_event = |e: &$event| $event::ALL.iter().position(|x| x == e).expect("an event is in ALL");
        Machine {
            title: $title,
            source: concat!("shared/src/", $file),
            states: $state::ALL
                .iter()
                .map(|s| word(text, stringify!($state), format!("{s:?}"), s.as_str()))
                .collect(),
            events: $event::ALL
                .iter()
                .map(|e| word(text, stringify!($event), format!("{e:?}"), e.as_str()))
                .collect(),
            table: $state::TABLE
                .iter()
                .map(|(from, on, to)| (at_state(from), at_event(on), at_state(to)))
                .collect(),
        }
    }};
}

fn machines() -> Vec<Machine> {
    vec![
        machine!("Migration", "state/migration.rs", MigrationState, MigrationEvent),
        machine!("Job", "state/job.rs", JobState, JobEvent),
        machine!("Step", "state/step.rs", StepState, StepEvent),
        machine!("Attempt", "state/attempt.rs", AttemptState, AttemptEvent),
        machine!("Gate", "state/gate.rs", GateState, GateEvent),
        machine!("Lease", "lease.rs", LeaseState, LeaseEvent),
        machine!("Alarm", "alarm.rs", AlarmState, AlarmEvent),
    ]
}

/// The comment above `Name = "word",` within the list of a type.
fn word(text: &str, list: &str, name: String, word: &'static str) -> Word {
    let line = format!("{name} = \"{word}\",");
    let mut comment = Vec::new();
    let mut inside = false;
    for l in text.lines().map(str::trim) {
        if l.ends_with(&format!(" {list} {{")) {
            inside = true;
            comment.clear();
        } else if inside && l == "}" {
            break;
        } else if let Some(said) = l.strip_prefix("/// ") {
            comment.push(said);
        } else if inside && l == line {
            let meaning = comment.join(" ");
            return Word { name, word, meaning };
        } else {
            comment.clear();
        }
    }
    panic!("{list}: no comment was found for {line}");
}

impl Machine {
    fn is_final(&self, state: usize) -> bool {
        !self.table.iter().any(|(from, _, _)| *from == state)
    }

    /// The diagram. Transitions between the same two states share an arrow.
    fn diagram(&self, out: &mut String) {
        out.push_str("```mermaid\nstateDiagram-v2\n");
        for s in &self.states {
            let _ = writeln!(out, "    state \"{}\" as {}", s.word, s.name);
        }
        let _ = writeln!(out, "    [*] --> {}", self.states[0].name);
        let mut drawn: Vec<(usize, usize)> = Vec::new();
        for (from, _, to) in &self.table {
            if drawn.contains(&(*from, *to)) {
                continue;
            }
            drawn.push((*from, *to));
            let together = self.table.iter().filter(|(f, _, t)| f == from && t == to);
            let events: Vec<&str> = together.map(|(_, on, _)| self.events[*on].word).collect();
            let (from, to) = (&self.states[*from].name, &self.states[*to].name);
            let _ = writeln!(out, "    {from} --> {to} : {}", events.join(", "));
        }
        for (at, s) in self.states.iter().enumerate() {
            if self.is_final(at) {
                let _ = writeln!(out, "    {} --> [*]", s.name);
            }
        }
        out.push_str("```\n");
    }

    fn words(out: &mut String, kind: &str, words: &[Word], last: impl Fn(usize) -> bool) {
        let _ = writeln!(out, "\n| {kind} | What it means |\n|---|---|");
        for (at, w) in words.iter().enumerate() {
            let end = if last(at) { " Final." } else { "" };
            let _ = writeln!(out, "| `{}` | {}{end} |", w.word, w.meaning);
        }
    }

    /// One row per state and one column per event that leads somewhere else would be wide; rows are transitions instead.
    fn transitions(&self, out: &mut String) {
        out.push_str("\n| In | on | becomes |\n|---|---|---|\n");
        for (from, on, to) in &self.table {
            let (from, on, to) = (self.states[*from].word, self.events[*on].word, self.states[*to].word);
            let _ = writeln!(out, "| `{from}` | `{on}` | `{to}` |");
        }
    }

    fn draw(&self, out: &mut String) {
        let _ = writeln!(out, "\n## {}\n\nSource: `{}`.\n", self.title, self.source);
        self.diagram(out);
        Self::words(out, "State", &self.states, |at| self.is_final(at));
        Self::words(out, "Event", &self.events, |_| false);
        self.transitions(out);
    }
}

#[test]
fn the_document_says_what_the_tables_say() {
    let mut drawn = HEAD.to_string();
    for machine in machines() {
        machine.draw(&mut drawn);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/STATES.md");
    if std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &drawn).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        written == drawn,
        "docs/STATES.md is not what the tables say; run: UPDATE_DOCS=1 cargo test -p syncferry-shared --test state_tables"
    );
}

/// The page about leases shows the same diagram, between its two marks.
#[test]
fn the_page_about_leases_shows_the_machine() {
    const BEGIN: &str = "<!-- drawn from shared/src/lease.rs by shared/tests/state_tables.rs -->\n";
    const END: &str = "<!-- end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/LEASE.md");
    let text = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    let (head, rest) = text.split_once(BEGIN).expect("the first mark");
    let (shown, tail) = rest.split_once(END).expect("the second mark");
    let mut drawn = String::from("\n");
    let lease = machines()
        .into_iter()
        .find(|m| m.title == "Lease")
        .expect("the lease is drawn");
    lease.diagram(&mut drawn);
    Machine::words(&mut drawn, "State", &lease.states, |_| false);
    Machine::words(&mut drawn, "Event", &lease.events, |_| false);
    drawn.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1") {
        std::fs::write(&path, format!("{head}{BEGIN}{drawn}{END}{tail}")).unwrap();
        return;
    }
    assert!(
        shown == drawn,
        "docs/LEASE.md does not show the lease as it is; run: UPDATE_DOCS=1 cargo test -p syncferry-shared --test state_tables"
    );
}
