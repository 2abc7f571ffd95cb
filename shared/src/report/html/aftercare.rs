//! What was left to do, and who says that it is done.

use super::markup::{Html, table};
use super::words::moment;
use crate::aftercare::{Item, ItemState};
use crate::report::Report;

/// What a reader must know first.
pub(super) const LEAD: &str = "What Microsoft's page leaves to be done after the installation, as far as it fits this migration. An item is proven \
     by what agents saw, or attested by a named person. While one that matters is open, the server must not leave staging mode.";

/// The table; nothing where no server was seated.
pub(super) fn aftercare(r: &Report) -> Html {
    let Some(list) = &r.checklist else { return Html::new() };
    let row = |i: &Item| {
        let class = match i.state {
            ItemState::Proven | ItemState::Attested => "state good",
            ItemState::Contradicted => "state bad",
            ItemState::Open if i.matters => "state warn",
            ItemState::Open => "state",
        };
        let matters = if i.matters {
            Html::says("span", "mark", "matters")
        } else {
            Html::new()
        };
        let who = match (&i.by, i.at) {
            (Some(by), Some(at)) => {
                let until = i.until.map(|u| format!(", until {}", moment(u))).unwrap_or_default();
                Html::text(format!("{by}, {}{until}", moment(at)))
            }
            _ => Html::new(),
        };
        let said = i
            .evidence
            .as_ref()
            .map(|e| Html::says("div", "proves", e))
            .unwrap_or_default();
        vec![
            Html::says("span", class, i.state.as_str()),
            Html::says("b", "", &i.title)
                .then(matters)
                .then(Html::says("div", "proves", &i.why)),
            who.then(said),
        ]
    };
    table(
        "levels",
        &["State", "What is to be so", "Who says so"],
        list.items.iter().map(row),
    )
}
