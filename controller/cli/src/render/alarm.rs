//! Alarms: what a person must know, with the next step.

use syncferry_proto::v1::Alarm;
use syncferry_proto::{millis, schema};
use syncferry_shared::Finding;

use super::{Look, Tone, ago, clean, finding, moment, short, wrap};

/// All alarms, each with what was found.
pub fn alarms(alarms: &[Alarm], look: &Look) -> String {
    if alarms.is_empty() {
        return format!("{}\n", look.paint(Tone::Good, "No alarm is open."));
    }
    let texts: Vec<String> = alarms.iter().map(|a| alarm(a, look)).collect();
    texts.join("\n")
}

/// One alarm.
pub fn alarm(a: &Alarm, look: &Look) -> String {
    let tone = match a.state.as_str() {
        "raised" => Tone::Bad,
        "acknowledged" => Tone::Warn,
        _ => Tone::Dim,
    };
    let when = |t: &Option<prost_types::Timestamp>| t.as_ref().map(|t| ago(millis(t), look.now)).unwrap_or_default();
    let mut text = format!(
        "{}  {}  {}  raised {}, seen {}\n",
        short(&a.id),
        look.paint(tone, &clean(&a.state)),
        clean(&a.subject),
        when(&a.raised_at),
        when(&a.seen_at),
    );
    if !a.acknowledged_by.is_empty() {
        let at = a
            .acknowledged_at
            .as_ref()
            .map(|t| moment(millis(t)))
            .unwrap_or_default();
        let known = format!("{} knows since {at}: {}", a.acknowledged_by, a.remark);
        text.push_str(&wrap(&clean(&known), look.width, "  ", "  "));
    }
    match a.finding.as_ref().map(|d| d.read::<Finding>(schema::FINDING)) {
        Some(Ok(f)) => text.push_str(&finding(&f, look)),
        _ => text.push_str(&format!("  {}\n", clean(&a.kind))),
    }
    text
}

/// One line for other commands, while an alarm is raised that nobody knows of.
pub fn alarm_line(raised: usize, look: &Look) -> String {
    match raised {
        0 => String::new(),
        1 => format!("{}\n", look.paint(Tone::Bad, "1 alarm is raised: syncferry alarms")),
        n => format!(
            "{}\n",
            look.paint(Tone::Bad, &format!("{n} alarms are raised: syncferry alarms"))
        ),
    }
}
