//! How a watched migration is shown: lines of JSON, plain lines, or lines above moving bars.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use syncferry_proto::v1::{Gate, Job, Migration, ProgressUnit, WatchResponse};

use super::ticker::Ticker;
use crate::context::Context;
use crate::error::CliError;
use crate::{json, render};

const BAR: &str = "{spinner} {prefix}  [{bar:14}] {wide_msg}";
const SPINNER: &str = "{spinner} {prefix}  {wide_msg}";

/// How a watched migration is shown.
pub(super) struct Display {
    mode: Mode,
    /// Gates whose cards were shown, with what the agent saw last.
    gates: HashMap<String, String>,
    /// What an operator was told to do last.
    told: String,
}

enum Mode {
    Json,
    Plain(Ticker),
    Live(Bars),
}

impl Display {
    pub(super) fn new(cx: &Context<'_, '_>) -> Self {
        let mode = match (cx.json(), cx.live()) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Live(Bars::new()),
            (false, false) => Mode::Plain(Ticker::default()),
        };
        Self {
            mode,
            gates: HashMap::new(),
            told: String::new(),
        }
    }

    /// Says something that is not about the migration.
    pub(super) fn say(&self, cx: &mut Context<'_, '_>, text: &str) {
        self.above(|| cx.say(text));
    }

    /// Shows what is new.
    pub(super) fn show(&mut self, message: &WatchResponse, cx: &mut Context<'_, '_>) -> Result<(), CliError> {
        if let Mode::Json = self.mode {
            return lines(message, cx);
        }
        let look = cx.look();
        let mut text: String = message.events.iter().map(|e| render::event_line(e, &look)).collect();
        if let Some(m) = &message.migration {
            for gate in &m.open_gates {
                text.push_str(&self.gate(gate, &look));
            }
            text.push_str(&self.waits(m, &look));
            text.push_str(&self.progress(m, &look));
        }
        if text.is_empty() {
            return Ok(());
        }
        self.above(|| cx.print(&text))
    }

    /// A gate's cards when it opens, and then each time that the agent sees something else.
    fn gate(&mut self, gate: &Gate, look: &render::Look) -> String {
        match self.gates.insert(gate.id.clone(), gate.observation.clone()) {
            None if gate.state == "open" => render::gate_opened(gate, look),
            Some(before) if before != gate.observation && !gate.observation.is_empty() => {
                format!(
                    "     the agent on {} sees: {}\n",
                    render::clean(&gate.host),
                    render::clean(&gate.observation)
                )
            }
            _ => String::new(),
        }
    }

    /// What the migration waits for an operator to do, each time that it is something else.
    fn waits(&mut self, m: &Migration, look: &render::Look) -> String {
        if !waits_for_operator(m) || self.told == m.waiting_for {
            return String::new();
        }
        self.told.clone_from(&m.waiting_for);
        let text = render::clean(&format!("waits for {}", m.waiting_for));
        render::wrap(&text, look.width, "     ", "     ")
    }

    fn progress(&mut self, m: &Migration, look: &render::Look) -> String {
        match &mut self.mode {
            Mode::Json => String::new(),
            Mode::Plain(ticker) => {
                let worth = m.jobs.iter().filter(|j| ticker.worth_saying(j, look.now));
                worth.map(|j| format!("     {}", render::job_line(j, look))).collect()
            }
            Mode::Live(bars) => {
                bars.update(&m.jobs);
                String::new()
            }
        }
    }

    /// Writes while the bars stand aside.
    fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.mode {
            Mode::Live(bars) => bars.all.suspend(write),
            Mode::Json | Mode::Plain(_) => write(),
        }
    }
}

/// Whether a running migration does not go on before an operator did something elsewhere.
pub(super) fn waits_for_operator(m: &Migration) -> bool {
    m.state == "running" && m.waiting_for.starts_with("an operator: ")
}

fn lines(message: &WatchResponse, cx: &mut Context<'_, '_>) -> Result<(), CliError> {
    for event in &message.events {
        cx.emit(&json::WatchLine::Event {
            event: json::Event::from(event),
        })?;
    }
    match &message.migration {
        Some(m) => cx.emit(&json::WatchLine::Migration {
            migration: json::Migration::from(m),
        }),
        None => Ok(()),
    }
}

/// A bar for each job that runs.
struct Bars {
    all: MultiProgress,
    of_job: HashMap<String, ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            of_job: HashMap::new(),
        }
    }

    fn update(&mut self, jobs: &[Job]) {
        let running: Vec<&Job> = jobs.iter().filter(|j| is_at_work(&j.state)).collect();
        let keep: HashSet<&str> = running.iter().map(|j| j.id.as_str()).collect();
        self.of_job.retain(|id, bar| {
            let stays = keep.contains(id.as_str());
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for job in running {
            let all = &self.all;
            let bar = self.of_job.entry(job.id.clone()).or_insert_with(|| {
                // Hidden until it has something to show.
                let bar = ProgressBar::hidden();
                draw(&bar, job);
                let bar = all.add(bar);
                bar.enable_steady_tick(Duration::from_millis(150));
                bar
            });
            draw(bar, job);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.of_job.values() {
            bar.finish_and_clear();
        }
    }
}

fn is_at_work(state: &str) -> bool {
    matches!(state, "offered" | "running" | "cancelling" | "undoing" | "unknown")
}

fn draw(bar: &ProgressBar, job: &Job) {
    let counted = job
        .progress
        .as_ref()
        .filter(|p| p.total > 0 && p.unit() != ProgressUnit::None);
    let template = if counted.is_some() { BAR } else { SPINNER };
    // The templates are constants; a bar without style still moves.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    if let Some(p) = counted {
        bar.set_length(p.total);
        bar.set_position(p.done.min(p.total));
    }
    bar.set_prefix(render::clean(&format!("{} on {}", job.name, job.host)));
    bar.set_message(render::job_message(job));
}
