//! The worlds. What they show is a number of a known failure with the rule that foresees it; 0 is something that is no failure of
//! Connect's.

/// A world to plan in.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) options: &'static [&'static str],
    pub(crate) shows: &'static [(u8, &'static str)],
}

const MOVE: &str = "move-to-full-sql";
const STAGING: &str = "provision-staging";
const REPLACE: &str = "replace-server";

const fn world(
    name: &'static str,
    scenario: &'static str,
    options: &'static [&'static str],
    shows: &'static [(u8, &'static str)],
) -> World {
    World {
        name,
        scenario,
        options,
        shows,
    }
}

pub(crate) const WORLDS: &[World] = &[
    world(
        "blocked-installer",
        MOVE,
        &["--installer-version", "2.6.84.0"],
        &[(1, "installer-blocked")],
    ),
    world(
        "availability-group",
        REPLACE,
        &["--availability-group"],
        &[(2, "database-in-availability-group")],
    ),
    world(
        "no-rights-on-the-target",
        MOVE,
        &["--target-rights", "no-dbcreator"],
        &[(3, "target-cannot-create")],
    ),
    world(
        "no-logins-on-the-target",
        MOVE,
        &["--target-rights", "no-logins"],
        &[(3, "target-cannot-create-logins")],
    ),
    world(
        "keys-of-an-engine",
        MOVE,
        &["--new-server-has", "engine-keys"],
        &[(4, "connect-leftovers")],
    ),
    world(
        "connect-is-there",
        MOVE,
        &["--new-server-has", "connect"],
        &[(5, "connect-already-installed")],
    ),
    world(
        "older-installer",
        MOVE,
        &["--installer-version", "2.5.3.0"],
        &[(6, "installer-older-than-database")],
    ),
    world(
        "account-as-upn",
        MOVE,
        &["--service-account", "svc-adsync@contoso.com"],
        &[(8, "service-account-form")],
    ),
    world(
        "no-password-for-this-host",
        MOVE,
        &["--new-server-has", "no-password"],
        &[(9, "service-account-not-usable")],
    ),
    world(
        "logon-denied",
        REPLACE,
        &["--new-server-has", "logon-denied"],
        &[(9, "service-account-not-usable")],
    ),
    world(
        "no-directory",
        STAGING,
        &["--new-server-has", "no-directory"],
        &[(9, "service-account-usable-unknown")],
    ),
    world("spn-twice", MOVE, &["--spn-twice"], &[(0, "sql-spn-twice")]),
    world(
        "express",
        STAGING,
        &["--target", "express2022"],
        &[(11, "target-is-express")],
    ),
    world("localdb", MOVE, &["--target", "localdb"], &[(12, "target-is-localdb")]),
    world(
        "connect-1-6",
        MOVE,
        &["--source", "localdb2012", "--installer-version", "1.6.16.0"],
        &[(13, "installer-retired")],
    ),
    world("empty", MOVE, &["--empty"], &[(14, "source-is-empty")]),
    world(
        "before-password-writeback",
        MOVE,
        &["--connect-version", "2.3.20.0", "--installer-version", "2.3.20.0"],
        &[(15, "installer-retired")],
    ),
    world(
        "account-without-a-login",
        REPLACE,
        &["--service-account", r"FABRIKAM\svc-adsync"],
        &[(16, "service-account-has-no-access")],
    ),
    world(
        "case-sensitive",
        MOVE,
        &["--case-sensitive"],
        &[(18, "collation-case-sensitive")],
    ),
    world(
        "older-engine",
        MOVE,
        &["--target", "standard2016"],
        &[(23, "target-engine-older")],
    ),
    world(
        "diagnostic-source",
        MOVE,
        &["--connect-version", "2.5.190.0", "--installer-version", "2.6.1.0"],
        &[(24, "installer-known-issue")],
    ),
    world(
        "many-forests",
        MOVE,
        &[
            "--connect-version",
            "2.5.190.0",
            "--installer-version",
            "2.6.3.0",
            "--forests",
            "a.contoso.com,b.contoso.com,c.contoso.com,d.contoso.com,e.contoso.com,f.contoso.com,g.contoso.com,h.contoso.com",
        ],
        &[(29, "many-forests")],
    ),
    world(
        "two-servers-on-one-database",
        MOVE,
        &["--visitors", "connect-server,monitoring"],
        &[(0, "source-is-shared")],
    ),
    world(
        "stale",
        MOVE,
        &["--last-sync-days", "40", "--scheduler-off"],
        &[(0, "last-sync-too-old")],
    ),
    world(
        "nobody-runs-it",
        MOVE,
        &["--last-sync-days", "40"],
        &[(0, "source-holder-unknown")],
    ),
    world(
        "connect-1-1-with-pass-through",
        MOVE,
        &[
            "--source",
            "localdb2012",
            "--connect-version",
            "1.1.750.0",
            "--sign-in",
            "pta",
            "--seamless-sso",
        ],
        &[(0, "sign-in-not-preserved")],
    ),
    world(
        "connect-1-2-with-ad-fs",
        STAGING,
        &[
            "--source",
            "localdb2012",
            "--connect-version",
            "1.2.65.0",
            "--sign-in",
            "ad-fs",
            "--device-writeback",
        ],
        &[],
    ),
    world(
        "connect-2-0-with-ping-federate",
        STAGING,
        &[
            "--connect-version",
            "2.0.3.0",
            "--sign-in",
            "ping-federate",
            "--forests",
            "corp.contoso.com,fabrikam.local",
        ],
        &[],
    ),
    world(
        "unknown-owner",
        REPLACE,
        &["--unknown-owner", "--named-owner", "SYNC00", "--full-sync-flagged"],
        &[(0, "last-owner-differs")],
    ),
    world(
        "localdb-2022-in-staging",
        STAGING,
        &[
            "--source",
            "localdb2022",
            "--connect-version",
            "2.6.91.0",
            "--staging",
            "--cut-off-run",
        ],
        &[],
    ),
    world(
        "full-drives",
        MOVE,
        &["--full-drives", "SYNC01:D,SQL01:C"],
        &[(0, "no-space")],
    ),
    world(
        "a-copy-is-there",
        MOVE,
        &["--on-target", "copy"],
        &[(0, "target-has-a-copy")],
    ),
    world(
        "an-unfit-machine",
        MOVE,
        &[
            "--new-server-has",
            "server-core,no-tls12,no-domain,old-dotnet,little-memory",
        ],
        &[(0, "connect-host-server-core"), (0, "connect-host-tls12")],
    ),
];
