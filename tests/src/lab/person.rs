//! The person at the new Connect server: works through the wizard with exactly the values of the cards, and brings what
//! only a person has: a sign-in and credentials per forest.

use std::time::Duration;

use syncferry_shared::card::Card;

use super::host::wizard::WizardView;
use super::host::wizard::page::FieldKind;
use super::host_client::HostClient;

/// What only the person has. The lab checks none of it.
const ENTRA_ACCOUNT: &str = "admin@contoso.onmicrosoft.com";
const FOREST_ACCOUNT: &str = r"CONTOSO\svc-adconnect";
const PASSWORD: &str = "what only the person knows";
/// The card that says how to start the wizard.
const START_PAGE: &str = "Start";
/// More pages than any path has: whoever passes so many is going round in circles.
const MOST_PAGES: usize = 20;

/// Why the person could not finish.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] syncferry_agent::host::HostError),
    /// There is no card for the page.
    #[error("there is no card for the wizard's page \"{0}\"")]
    NoCard(String),
    /// The wizard complains.
    #[error("on the page \"{page}\" the wizard says: {error}")]
    Refused {
        /// The page.
        page: String,
        /// What it says.
        error: String,
    },
    /// The card says to enter something that the page does not ask for.
    #[error("the card for \"{page}\" has a value for \"{field}\", which the page does not ask for")]
    NoField {
        /// The page.
        page: String,
        /// The card's field.
        field: String,
    },
    /// The wizard does not come to an end.
    #[error("the wizard does not come to an end")]
    Endless,
}

/// Works through the wizard. `say` is told of each page; `pause` is how long a page is looked at.
pub async fn work_through(
    host: &HostClient,
    cards: &[Card],
    pause: Duration,
    mut say: impl FnMut(&str),
) -> Result<(), PersonError> {
    let mut view = match host.wizard_view().await? {
        Some(open) => open,
        None if host.service_runs().await? => {
            say("  The wizard was completed before.");
            return Ok(());
        }
        None => host.start_wizard(&arguments(cards)).await?,
    };
    for _ in 0..MOST_PAGES {
        tokio::time::sleep(pause).await;
        view = fill(host, cards, view, &mut say).await?;
        let button = forward(&view);
        say(&format!("    [{button}]"));
        let Some(next) = host.press(&button).await? else {
            return Ok(());
        };
        if let Some(error) = next.error {
            return Err(PersonError::Refused { page: next.page, error });
        }
        view = next;
    }
    Err(PersonError::Endless)
}

/// What follows the program's name in the command of the first card.
fn arguments(cards: &[Card]) -> String {
    let start = cards.iter().find(|c| c.page == START_PAGE);
    let command = start
        .and_then(|c| c.fields.iter().find(|f| f.exact))
        .map_or("", |f| f.value.as_str());
    let rest = command.rsplit_once(".exe").map_or("", |(_, rest)| rest);
    rest.trim_start_matches('"').trim().to_string()
}

async fn fill(
    host: &HostClient,
    cards: &[Card],
    mut view: WizardView,
    say: &mut impl FnMut(&str),
) -> Result<WizardView, PersonError> {
    say(&format!("  {}", view.page));
    let card = cards
        .iter()
        .find(|c| c.page.eq_ignore_ascii_case(&view.page))
        .ok_or_else(|| PersonError::NoCard(view.page.clone()))?;
    for field in card.fields.iter().filter(|f| f.exact) {
        let asked = view.fields.iter().find(|f| f.label.eq_ignore_ascii_case(&field.label));
        let label = asked.map(|f| f.label.clone()).ok_or_else(|| PersonError::NoField {
            page: view.page.clone(),
            field: field.label.clone(),
        })?;
        say(&format!("    {label}: {}", field.value));
        view = host.enter(&label, &field.value).await?;
    }
    for (label, value, shown) in own_values(card, &view) {
        say(&format!("    {label}: {shown}"));
        view = host.enter(&label, &value).await?;
    }
    Ok(view)
}

/// What the person brings: boxes to tick, and the values that the card leaves to the person.
fn own_values(card: &Card, view: &WizardView) -> Vec<(String, String, String)> {
    let mut values = Vec::new();
    for field in &view.fields {
        let yours = card
            .fields
            .iter()
            .any(|f| !f.exact && field.label.to_lowercase().starts_with(&f.label.to_lowercase()));
        let forest = view.forests.iter().any(|f| field.label.starts_with(&f.name));
        let own = match field.kind {
            FieldKind::Check if field.value != "yes" => Some(("yes", "yes")),
            FieldKind::Secret if yours || forest || field.label == "Password" && card.page.contains("Entra") => {
                Some((PASSWORD, "(typed by the person)"))
            }
            FieldKind::Text if forest => Some((FOREST_ACCOUNT, FOREST_ACCOUNT)),
            FieldKind::Text if yours => Some((ENTRA_ACCOUNT, ENTRA_ACCOUNT)),
            _ => None,
        };
        if let Some((value, shown)) = own {
            values.push((field.label.clone(), value.to_string(), shown.to_string()));
        }
    }
    values
}

/// The button that leads on; on the last page there is only the way out.
fn forward(view: &WizardView) -> String {
    let on = view.buttons.iter().find(|b| !b.eq_ignore_ascii_case("Exit"));
    on.or(view.buttons.first()).cloned().unwrap_or_default()
}
