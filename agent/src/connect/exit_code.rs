//! How `msiexec` ends, and what that means. Pure data.
//! Source: Microsoft Learn, "Windows Installer error messages" (MsiExec.exe and InstMsi.exe error messages).

/// What an exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is installed, or removed.
    Done,
    /// It is, and the machine must be restarted before anything else.
    DoneReboot,
    /// It is not, and trying again later may help.
    TryAgain,
    /// It is not, and somebody must do something first.
    Failed,
}

impl Verdict {
    /// Whether what was asked for is the case now.
    pub fn is_done(self) -> bool {
        matches!(self, Verdict::Done | Verdict::DoneReboot)
    }
}

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode {
    /// The number.
    pub code: i32,
    /// Its name.
    pub name: &'static str,
    /// What it says about the installation.
    pub verdict: Verdict,
    /// What it means.
    pub meaning: &'static str,
    /// What to do next.
    pub next_step: &'static str,
}

const fn code(
    code: i32,
    name: &'static str,
    verdict: Verdict,
    meaning: &'static str,
    next_step: &'static str,
) -> ExitCode {
    ExitCode {
        code,
        name,
        verdict,
        meaning,
        next_step,
    }
}

/// The codes that are known.
pub const EXIT_CODES: &[ExitCode] = &[
    code(0, "ERROR_SUCCESS", Verdict::Done, "It ended well.", "Nothing."),
    code(
        1602,
        "ERROR_INSTALL_USEREXIT",
        Verdict::Failed,
        "Somebody cancelled the installation.",
        "Find out who is working on the host, then apply the migration again.",
    ),
    code(
        1603,
        "ERROR_INSTALL_FAILURE",
        Verdict::Failed,
        "A fatal error happened during the installation.",
        "Look for 'Return value 3' in the log; the lines above it say why. Correct that, then apply the migration again.",
    ),
    code(
        1605,
        "ERROR_UNKNOWN_PRODUCT",
        Verdict::Failed,
        "The product is not installed.",
        "Nothing, if it was to be removed. Otherwise look at the installed products of the host.",
    ),
    code(
        1618,
        "ERROR_INSTALL_ALREADY_RUNNING",
        Verdict::TryAgain,
        "Another installation is running.",
        "Wait until it ends (Windows Update often is the one), then apply the migration again.",
    ),
    code(
        1619,
        "ERROR_INSTALL_PACKAGE_OPEN_FAILED",
        Verdict::Failed,
        "The installer file cannot be opened.",
        "Check that the file is there, that the SYSTEM account may read it, and that it is not blocked; then apply the migration again.",
    ),
    code(
        1620,
        "ERROR_INSTALL_PACKAGE_INVALID",
        Verdict::Failed,
        "The file is not a Windows Installer package.",
        "Download the installer again, compare its hash with the plan's, then apply the migration again.",
    ),
    code(
        1638,
        "ERROR_PRODUCT_VERSION",
        Verdict::Failed,
        "Another version of the product is already installed.",
        "Look at the installed products. Connect must not be installed on a new server before this job: it would be upgraded in place.",
    ),
    code(
        1639,
        "ERROR_INVALID_COMMAND_LINE",
        Verdict::Failed,
        "msiexec did not understand its command line.",
        "Report this with the agent's log: it is a defect of ours.",
    ),
    code(
        1641,
        "ERROR_SUCCESS_REBOOT_INITIATED",
        Verdict::DoneReboot,
        "It ended well, and the machine is restarting.",
        "Wait until the host is back; the agent goes on by itself.",
    ),
    code(
        3010,
        "ERROR_SUCCESS_REBOOT_REQUIRED",
        Verdict::DoneReboot,
        "It ended well, and the machine must be restarted.",
        "Restart the host; the agent goes on by itself.",
    ),
];

/// What a code says; `None` for one that is not known.
pub fn explain(code: i32) -> Option<&'static ExitCode> {
    EXIT_CODES.iter().find(|e| e.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_says_what_to_do() {
        for pair in EXIT_CODES.windows(2) {
            assert!(pair[0].code < pair[1].code);
        }
        for e in EXIT_CODES {
            assert!(e.meaning.ends_with('.') && e.next_step.ends_with('.'), "{}", e.code);
        }
        assert_eq!(explain(3010).map(|e| e.verdict), Some(Verdict::DoneReboot));
        assert_eq!(explain(5), None);
    }
}
