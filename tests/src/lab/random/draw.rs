//! From a seed to a world and a scenario. Half of the worlds have something in them that may stand in the way; the rest are only
//! as different as sites are. Whether a plan is refused is not predicted here: that is the plan's business.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::lab::flavour::Flavour;
use crate::lab::typed::Scenario;
use crate::lab::world::{
    InstallerIs, NewServerHas, OnTarget, SignIn, SourceEngine, TargetEngine, TargetRights, Visitor, WorldOptions,
};

/// What is done in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play {
    /// One scenario in the world of `move-to-full-sql`.
    Scenario(Scenario),
    /// A server that can be reached is replaced.
    Replace,
}

impl Play {
    /// The scenario's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Play::Scenario(scenario) => scenario.name(),
            Play::Replace => "replace-server",
        }
    }
}

/// A world, and what is done in it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it was drawn from.
    pub seed: u64,
    /// What is done.
    pub play: Play,
    /// The world.
    pub options: WorldOptions,
}

const OF_2012: [&str; 9] = [
    "1.1.561.0",
    "1.1.614.0",
    "1.1.750.0",
    "1.1.882.0",
    "1.2.65.0",
    "1.3.21.0",
    "1.4.38.0",
    "1.5.45.0",
    "1.6.16.0",
];
const OF_2019: [&str; 11] = [
    "2.0.3.0",
    "2.0.91.0",
    "2.1.20.0",
    "2.2.8.0",
    "2.3.20.0",
    "2.4.18.0",
    "2.5.3.0",
    "2.5.79.0",
    "2.5.190.0",
    "2.6.1.0",
    "2.6.3.0",
];
const OF_2022: [&str; 3] = ["2.6.84.0", "2.6.91.0", "2.6.92.0"];

/// Names that databases have had, and one that would be an injection if it were ever more than a name.
const NAMES: [&str; 6] = [
    "ADSync",
    "ADSync_Contoso",
    "Azure AD Sync",
    "AD'Sync]\"x; DROP DATABASE [ADSync]--",
    "\u{c4}DSync-\u{e9}t\u{e9}",
    "sync.2026",
];
const FORESTS: [&str; 4] = [
    "corp.contoso.com",
    "emea.contoso.com",
    "fabrikam.local",
    "partners.contoso.net",
];

struct Dice(StdRng);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
    fn days(&mut self, from: usize, to: usize) -> i64 {
        i64::try_from(from + self.below(to - from)).unwrap_or(1)
    }
}

/// Draws a case.
pub fn draw(seed: u64) -> Case {
    let mut dice = Dice(StdRng::seed_from_u64(seed));
    let play = match dice.below(10) {
        0..=2 => Play::Scenario(Scenario::MoveToFullSql),
        3..=4 => Play::Scenario(Scenario::ProvisionStaging),
        5..=6 => Play::Scenario(Scenario::Drill { keep: false }),
        7 => Play::Scenario(Scenario::RestoreArtifact),
        8 => Play::Scenario(Scenario::RestoreFile),
        _ => Play::Replace,
    };
    let mut options = site(&mut dice);
    if play == Play::Replace {
        options.replaces = Some(Flavour::Reachable);
        // A run that was cut off, a scheduler that is off and a service that is connected: the database says that a cycle runs, and
        // nobody will ever end it. The backup waits for its end, and stops after an hour with what helps: not here.
        options.installation.cut_off_run &= !options.installation.scheduler_off;
    }
    if dice.chance(50) {
        for _ in 0..=dice.below(2) {
            trouble(&mut dice, &mut options);
        }
    }
    if play == Play::Replace {
        // Two servers on one database are refused when it is registered, before there is a plan.
        options.around.visitors.retain(|v| *v != Visitor::ConnectServer);
    }
    Case { seed, play, options }
}

/// As different as sites are.
fn site(dice: &mut Dice) -> WorldOptions {
    let mut o = WorldOptions::small();
    o.objects = 100 + dice.below(900);
    o.source = dice.pick(&[
        SourceEngine::Localdb2012,
        SourceEngine::Localdb2019,
        SourceEngine::Localdb2022,
    ]);
    o.target = dice.pick(&[
        TargetEngine::Standard2022,
        TargetEngine::Standard2022,
        TargetEngine::Developer2022,
        TargetEngine::Express2022,
        TargetEngine::Standard2019,
    ]);
    o.installer_version = dice.pick(&["2.6.91.0", "2.6.92.0", "2.6.92.0"]).into();
    if dice.chance(40) {
        o.database = dice.pick(&NAMES).into();
    }
    o.database_seed = 1 + u64::try_from(dice.below(1000)).unwrap_or_default();
    let i = &mut o.installation;
    i.connect_version = Some(
        match o.source {
            SourceEngine::Localdb2012 => dice.pick(&OF_2012),
            SourceEngine::Localdb2019 => dice.pick(&OF_2019),
            SourceEngine::Localdb2022 => dice.pick(&OF_2022),
        }
        .into(),
    );
    i.forests = FORESTS[..=dice.below(FORESTS.len())]
        .iter()
        .map(|f| (*f).into())
        .collect();
    i.sign_in = dice.pick(&[
        SignIn::Phs,
        SignIn::Pta,
        SignIn::AdFs,
        SignIn::PingFederate,
        SignIn::None,
    ]);
    i.seamless_sso = dice.chance(30);
    i.device_writeback = dice.chance(20);
    i.staging = dice.chance(15);
    i.full_sync_flagged = dice.chance(20);
    i.cut_off_run = dice.chance(15);
    i.custom_rules = dice.below(40);
    i.named_owner = dice.chance(10).then(|| "SYNC00".into());
    i.unknown_owner = dice.chance(10);
    if dice.chance(30) {
        i.scheduler_off = true;
        o.last_sync_days = Some(if dice.chance(50) {
            dice.days(1, 20)
        } else {
            dice.days(22, 400)
        });
    }
    let around = &mut o.around;
    if dice.chance(20) {
        around.visitors.push(Visitor::Monitoring);
    }
    if dice.chance(10) {
        around.on_target = OnTarget::OtherEngine;
    }
    if dice.chance(15) {
        around.new_server_has.push(NewServerHas::LittleMemory);
    }
    if dice.chance(25) {
        around.service_account = r"CONTOSO\svc-adsync".into();
    }
    o
}

/// Something that may stand in the way.
fn trouble(dice: &mut Dice, o: &mut WorldOptions) {
    let around = &mut o.around;
    match dice.below(17) {
        0 => o.empty = true,
        1 => o.case_sensitive = true,
        2 => {
            o.target = dice.pick(&[
                TargetEngine::Localdb,
                TargetEngine::Standard2016,
                TargetEngine::Standard2025,
            ])
        }
        3 => {
            o.installer_version = dice
                .pick(&["1.1.561.0", "2.4.18.0", "2.5.3.0", "2.6.79.0", "2.6.84.0"])
                .into()
        }
        4 => {
            around.installer_is = dice.pick(&[
                InstallerIs::Unsigned,
                InstallerIs::CutOff,
                InstallerIs::OtherProduct,
                InstallerIs::Missing,
            ]);
        }
        5 => around.visitors.push(Visitor::ConnectServer),
        6 => around.availability_group = true,
        7 => around.on_target = dice.pick(&[OnTarget::SameName, OnTarget::Copy]),
        8 => around.target_rights = dice.pick(&[TargetRights::NoDbcreator, TargetRights::NoLogins]),
        9..=11 => around.new_server_has.push(dice.pick(&[
            NewServerHas::ServerCore,
            NewServerHas::NoTls12,
            NewServerHas::NoDomain,
            NewServerHas::OldDotnet,
            NewServerHas::Windows2025,
            NewServerHas::Windows2012,
            NewServerHas::Connect,
            NewServerHas::EngineKeys,
            NewServerHas::NoPassword,
            NewServerHas::LogonDenied,
            NewServerHas::NoDirectory,
        ])),
        12..=13 => around
            .full_drives
            .push(dice.pick(&["SYNC01:D", "SQL01:D", "SQL01:C", "SYNC02:C"]).into()),
        14..=15 => {
            around.service_account = dice
                .pick(&[
                    r"NT SERVICE\ADSync",
                    "svc-adsync@contoso.com",
                    r"SYNC02\local",
                    r"CONTOSO\gmsa-sync01$",
                    "",
                ])
                .into();
        }
        // Nobody has synchronised for weeks, and the service is off: who uses the database is not known.
        _ => {
            o.installation.scheduler_off = false;
            o.last_sync_days = Some(dice.days(2, 60));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_world_and_seeds_differ() {
        let worlds: Vec<String> = (0..200).map(|s| format!("{:?}", draw(s))).collect();
        let again: Vec<String> = (0..200).map(|s| format!("{:?}", draw(s))).collect();
        assert_eq!(worlds, again);
        let plays: std::collections::BTreeSet<&str> = (0..200).map(|s| draw(s).play.name()).collect();
        assert_eq!(plays.len(), 5, "{plays:?}");
    }
}
