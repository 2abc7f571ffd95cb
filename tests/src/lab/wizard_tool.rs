//! `lab wizard`: the wizard on the terminal, page by page, for a person who wants to act at the gate.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use super::host::wizard::WizardView;
use super::host::wizard::page::{FieldKind, FieldView};
use super::host_client::HostClient;

/// Runs the wizard of a host until it closes.
pub(super) async fn run(host_dir: &Path) -> anyhow::Result<ExitCode> {
    let host = HostClient::new(host_dir);
    let mut view = match host.wizard_view().await? {
        Some(open) => open,
        None => {
            println!("How is the wizard started? The card says it; without a switch it is in Express mode.");
            let Some(line) = ask("AzureADConnect.exe ")? else {
                return Ok(ExitCode::FAILURE);
            };
            host.start_wizard(&line).await?
        }
    };
    loop {
        show(&view);
        for field in view.fields.clone() {
            let Some(line) = ask(&prompt(&field))? else {
                return Ok(ExitCode::FAILURE);
            };
            if !line.is_empty() {
                view = host.enter(&field.label, &line).await?;
            }
        }
        let Some(button) = choose(&view)? else {
            return Ok(ExitCode::FAILURE);
        };
        match host.press(&button).await? {
            Some(next) => view = next,
            None => {
                println!("The wizard is closed.");
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

fn show(view: &WizardView) {
    println!("\n=== {} ===", view.page);
    for forest in &view.forests {
        println!(
            "  {} {}",
            if forest.ready { "[green tick]" } else { "[red cross]" },
            forest.name
        );
    }
    if let Some(error) = &view.error {
        println!("  ! {error}");
    }
}

fn prompt(field: &FieldView) -> String {
    let now = if field.value.is_empty() {
        String::new()
    } else {
        format!(" [{}]", field.value)
    };
    match field.kind {
        FieldKind::Check => format!("{}? yes/no{now}: ", field.label),
        FieldKind::Text | FieldKind::Secret => format!("{}{now}: ", field.label),
    }
}

/// The button to press: Enter alone presses the first one.
fn choose(view: &WizardView) -> anyhow::Result<Option<String>> {
    loop {
        let Some(line) = ask(&format!("Press {}: ", view.buttons.join(" / ")))? else {
            return Ok(None);
        };
        if line.is_empty() {
            return Ok(view.buttons.first().cloned());
        }
        let meant = view
            .buttons
            .iter()
            .find(|b| b.to_lowercase().starts_with(&line.to_lowercase()));
        if let Some(button) = meant {
            return Ok(Some(button.clone()));
        }
    }
}

/// A line from stdin; `None` at its end.
fn ask(prompt: &str) -> anyhow::Result<Option<String>> {
    print!("{prompt}");
    std::io::stdout().flush()?;
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim().to_string()))
}
