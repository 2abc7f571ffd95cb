//! The wizard `AzureADConnect.exe`: a person's program. It is driven page by page, as a person would; nothing here runs
//! unattended, because nothing of Connect's wizard does.
//!
//! - [`machine`]: the pages and what leads from one to the next, without any effect
//! - [`page`]: what a page shows
//! - `components`, `configure`: what happens behind "Install"
//! - [`trace`]: its trace log

mod components;
mod configure;
pub mod machine;
pub mod page;
pub mod trace;

use std::io;

use super::Host;
use super::breakdown::{At, Breakdown};
use super::layout::{UPGRADE_WIZARD, WIZARD_DIR, WIZARD_EXE};
use machine::{Consequence, PageError};
pub use machine::{Mode, Wizard};
pub use page::WizardView;

/// Why the wizard did not do what a person wanted.
#[derive(Debug, thiserror::Error)]
pub enum WizardError {
    /// It is not there.
    #[error("{WIZARD_DIR}\\{WIZARD_EXE}: the system cannot find the file specified")]
    NotInstalled,
    /// It runs already.
    #[error("Microsoft Entra Connect Sync is already running")]
    Running,
    /// It does not run.
    #[error("the wizard is not open")]
    Closed,
    /// The page does not allow it.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Starts it, with its command line.
pub async fn start(host: &Host, arguments: &str) -> Result<WizardView, WizardError> {
    let version = host.look(|s| {
        let product = s.products.iter().find(|p| p.upgrade_code == UPGRADE_WIZARD);
        product.map(|p| p.version.clone())
    });
    let exe = format!("{WIZARD_DIR}\\{WIZARD_EXE}");
    let version = version
        .filter(|_| host.drives().info(&exe).is_file)
        .ok_or(WizardError::NotInstalled)?;
    let mut slot = host.wizard().await;
    if slot.is_some() {
        return Err(WizardError::Running);
    }
    let machine = host.machine();
    let trace = trace::Trace::create(&host.drives(), &version, arguments)?;
    let wizard = Wizard::new(Mode::of_arguments(arguments), arguments, machine.tls12, trace);
    let view = wizard.view();
    *slot = Some(wizard);
    host.set_wizard_open(true);
    host.count(|e| e.wizards_started += 1);
    Ok(view)
}

/// What it shows; `None` when it does not run.
pub async fn view(host: &Host) -> Option<WizardView> {
    host.wizard().await.as_ref().map(Wizard::view)
}

/// Fills a field or ticks a box.
pub async fn enter(host: &Host, field: &str, value: &str) -> Result<WizardView, WizardError> {
    let mut slot = host.wizard().await;
    let wizard = slot.as_mut().ok_or(WizardError::Closed)?;
    wizard.enter(field, value)?;
    Ok(wizard.view())
}

/// Presses a button and waits for what comes of it.
pub async fn press(host: &Host, button: &str) -> Result<Option<WizardView>, WizardError> {
    let consequence = {
        let mut slot = host.wizard().await;
        let wizard = slot.as_mut().ok_or(WizardError::Closed)?;
        let consequence = wizard.press(button)?;
        if consequence == Consequence::Exit {
            *slot = None;
            host.set_wizard_open(false);
            return Ok(None);
        }
        consequence
    };
    // The lock is not held meanwhile: others can look at a wizard that works.
    let broken = broken_down(host, &consequence);
    let result = match &consequence {
        _ if broken.is_some() => Err(broken.and_then(|b| b.lines.last()).copied().unwrap_or_default().into()),
        Consequence::CheckComponents(choice) => components::install(host, choice).await,
        Consequence::Configure(settings) => configure::run(host, settings).await.map(|()| Vec::new()),
        Consequence::ConfigureExpress => configure::express(host).await.map(|()| Vec::new()),
        Consequence::Nothing | Consequence::Exit => Ok(Vec::new()),
    };
    let mut slot = host.wizard().await;
    let wizard = slot.as_mut().ok_or(WizardError::Closed)?;
    if let Some((_, before)) = broken.and_then(|b| b.lines.split_last()) {
        wizard.note_errors(before);
    }
    if consequence != Consequence::Nothing {
        let completed = wizard.finish(result);
        if completed {
            host.count(|e| e.wizards_completed += 1);
        }
    }
    Ok(Some(wizard.view()))
}

/// The breakdown that happens behind this button.
fn broken_down(host: &Host, consequence: &Consequence) -> Option<&'static Breakdown> {
    let at = match consequence {
        Consequence::CheckComponents(_) => At::Components,
        Consequence::Configure(_) | Consequence::ConfigureExpress => At::Configure,
        Consequence::Nothing | Consequence::Exit => return None,
    };
    host.faults().broken_down().filter(|b| b.at == at)
}

/// Ends it as somebody who closes the window, or a crash.
pub async fn close(host: &Host) {
    *host.wizard().await = None;
    host.set_wizard_open(false);
}
