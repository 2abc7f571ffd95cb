//! Rules that a simulation can leave out, to see that it would notice. Without the feature `sabotage`, which nothing but the
//! simulation turns on, [`on`] is always false and what stands behind it is not compiled into anything.

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A lease that is not renewed in time becomes free.
    ExpiryFrees,
    /// A fence leaves open sessions alone.
    NoKill,
    /// A fence ends sessions first and denies afterwards.
    KillBeforeDeny,
    /// The database's epoch is not looked at.
    NoEpochCheck,
    /// The database takes an epoch that it has, whoever owns it.
    EpochWithoutOwner,
    /// A store that was put back from a backup goes on as if nothing had happened.
    PlainRestore,
    /// A database under another name is another database.
    Alias,
    /// That two servers use one account does not matter.
    SharedAccount,
    /// A lease is given back although its holder was not seen to stop.
    ReleaseWithoutStop,
    /// A fence is believed when it is ordered.
    EndFenceWithoutReadBack,
    /// The controller hears of an acceptance before the journal does.
    AcceptWithoutJournal,
    /// A report counts for the newest attempt, whatever its token says.
    ReportWithoutTokenCheck,
}

impl Mutant {
    /// Every one.
    pub const ALL: [Mutant; 12] = [
        Mutant::ExpiryFrees,
        Mutant::NoKill,
        Mutant::KillBeforeDeny,
        Mutant::NoEpochCheck,
        Mutant::EpochWithoutOwner,
        Mutant::PlainRestore,
        Mutant::Alias,
        Mutant::SharedAccount,
        Mutant::ReleaseWithoutStop,
        Mutant::EndFenceWithoutReadBack,
        Mutant::AcceptWithoutJournal,
        Mutant::ReportWithoutTokenCheck,
    ];

    /// Its name on a command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Mutant::ExpiryFrees => "expiry-frees",
            Mutant::NoKill => "no-kill",
            Mutant::KillBeforeDeny => "kill-before-deny",
            Mutant::NoEpochCheck => "no-epoch-check",
            Mutant::EpochWithoutOwner => "epoch-without-owner",
            Mutant::PlainRestore => "plain-restore",
            Mutant::Alias => "alias",
            Mutant::SharedAccount => "shared-account",
            Mutant::ReleaseWithoutStop => "release-without-stop",
            Mutant::EndFenceWithoutReadBack => "end-fence-without-read-back",
            Mutant::AcceptWithoutJournal => "accept-without-journal",
            Mutant::ReportWithoutTokenCheck => "report-without-token-check",
        }
    }
}

#[cfg(feature = "sabotage")]
static CHOSEN: std::sync::OnceLock<Mutant> = std::sync::OnceLock::new();

/// Leaves a rule out in this process, for good.
#[cfg(feature = "sabotage")]
pub fn choose(mutant: Mutant) {
    let _ = CHOSEN.set(mutant);
}

/// Whether a rule is left out.
#[cfg(feature = "sabotage")]
pub fn on(mutant: Mutant) -> bool {
    CHOSEN.get() == Some(&mutant)
}

/// Whether a rule is left out: never.
#[cfg(not(feature = "sabotage"))]
pub const fn on(_mutant: Mutant) -> bool {
    false
}
