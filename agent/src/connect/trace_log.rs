//! The wizard's trace log, `%ProgramData%\AADConnect\trace-*.log`: how far a person is. A hint, never proof.

use crate::host::WizardSight;

/// Whether a command line opens the wizard for an existing database.
pub fn has_switch(command_line: &str) -> bool {
    command_line
        .split_whitespace()
        .any(|a| a.trim_matches('"').eq_ignore_ascii_case("/useexistingdatabase"))
}

/// What a trace log says: the last page, errors, whether it came to the end, how the wizard was started.
pub fn read(log: &str) -> WizardSight {
    let mut sight = WizardSight::default();
    for line in log.lines() {
        let Some((head, message)) = line.split_once("] [").and_then(|(_, rest)| {
            let (_, rest) = rest.split_once("] [")?;
            rest.split_once("] ")
        }) else {
            continue;
        };
        if let Some(arguments) = message.strip_prefix("Command line arguments:") {
            sight.existing_database = Some(has_switch(arguments));
        }
        if let Some((_, to)) = message
            .strip_prefix("Page transition from ")
            .and_then(|m| m.split_once("] to \""))
        {
            sight.page = to.split('"').next().map(str::to_string);
            sight.completed = to.contains("[FinalPageViewModel]");
        }
        if head.trim() == "ERROR" {
            sight.errors.push(message.to_string());
        }
    }
    sight
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trace_log_is_read_as_a_hint() {
        let log = "[09:00:00.000] [  1] [INFO ] Command line arguments: /UseExistingDatabase\n\
                   [09:00:01.000] [  1] [INFO ] Page transition from \"Welcome\" [WelcomePageViewModel] to \"Install required components\" [X]\n\
                   [09:00:02.000] [  9] [ERROR] Enter the name of the SQL Server.\n\
                   garbage";
        let sight = read(log);
        assert_eq!(sight.existing_database, Some(true));
        assert_eq!(sight.page.as_deref(), Some("Install required components"));
        assert_eq!(sight.errors, ["Enter the name of the SQL Server."]);
        assert!(!sight.completed);
        let end = "[09:00:03.000] [  1] [INFO ] Page transition from \"Configuring\" [P] to \"Configuration complete\" [FinalPageViewModel]";
        assert!(read(&format!("{log}\n{end}")).completed);
    }

    #[test]
    fn the_switch_is_seen_however_it_is_quoted() {
        assert!(has_switch(
            r#""C:\Program Files\X\AzureADConnect.exe" /useexistingdatabase"#
        ));
        assert!(has_switch(r#"AzureADConnect.exe "/UseExistingDatabase""#));
        assert!(!has_switch("AzureADConnect.exe"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,400}") {
            let _ = read(&text);
        }
    }
}
