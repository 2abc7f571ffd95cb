//! Whole command lines: what is asked, what is answered, how they end.

use std::ffi::OsString;

use insta::assert_snapshot;
use serde_json::json;
use syncferry_cli::Exit;
use syncferry_shared::Finding;
use tonic::Status;

use crate::documents::report;
use crate::fake::{Controller, World, refused, report_document, run};
use crate::samples::*;

pub(crate) const PLAN: [&str; 14] = [
    "plan",
    "move-to-full-sql",
    "--site",
    "contoso",
    "--source",
    "ADSync",
    "--target-host",
    "SQL01",
    "--target-instance",
    "default",
    "--connect-host",
    "SYNC02",
    "--installer",
    r"C:\Install\AzureADConnect.msi",
];

async fn with(migrations: Vec<syncferry_proto::v1::Migration>) -> Controller {
    Controller::start(World {
        migrations: migrations.into(),
        ..World::default()
    })
    .await
}

#[tokio::test]
async fn sites_hosts_and_databases() {
    let c = with(vec![]).await;
    let site = c
        .run(&[
            "site",
            "add",
            "contoso",
            "--tenant-id",
            "t-1",
            "--label",
            "wave=2",
            "--json",
        ])
        .await;
    assert_eq!(
        (site.exit, &site.json()["labels"], &site.json()["tenant_id"]),
        (Exit::Ok, &json!({"wave": "2"}), &json!("t-1"))
    );
    let host = c
        .run(&[
            "host",
            "add",
            "SQL01",
            "--site",
            "contoso",
            "--role",
            "sql-host,connect-server",
            "--json",
        ])
        .await;
    assert_eq!(host.json()["host"]["roles"], json!(["sql-host", "connect-server"]));
    assert_eq!(host.json()["token"], "sft1.ABC.012");
    for args in [
        &["site", "list"][..],
        &["site", "show", "contoso"],
        &["host", "list", "--site", "contoso"],
        &["host", "show", "SYNC01"],
        &["host", "token", "SYNC01", "--minutes", "5"],
        &[
            "database",
            "add",
            "ADSync",
            "--site",
            "contoso",
            "--host",
            "SYNC01",
            "--instance",
            "localdb",
        ],
        &["database", "list"],
        &["database", "show", "ADSync"],
        &["lease", "list"],
        &["lease", "show", "ADSync"],
        &["lease", "history", "ADSync"],
        &["alarms"],
        &["alarms", "ack", "000a6a7e", "--remark", "on it"],
        &["gate", "list"],
        &["gate", "show", "000a6a7e"],
        &["gate", "complete", "000a6a7e"],
        &["events", "system"],
        &["status"],
        &["health"],
        &["version"],
        &["completions", "bash"],
    ] {
        let ran = c.run(args).await;
        assert_eq!(ran.exit, Exit::Ok, "{args:?}: {}", ran.err);
        assert!(
            ran.out.ends_with('\n') && ran.out.lines().count() > 0,
            "{args:?}: {}",
            ran.out
        );
        if args[0] != "completions" {
            let ran = c.run(&[args, &["--json"]].concat()).await;
            assert!(ran.json().is_object(), "{args:?}");
        }
    }
}

#[tokio::test]
async fn plan_waits_and_ends_with_the_command_to_run() {
    let waiting = syncferry_proto::v1::Migration {
        waiting_for: "SYNC02".into(),
        ..migration("inspecting")
    };
    let c = with(vec![waiting.clone(), waiting, planned(vec![warning(), note()])]).await;
    let ran = c.run(&PLAN).await;
    assert_eq!(ran.exit, Exit::Ok);
    assert_eq!(
        ran.err,
        "migration ac120002: waiting for SQL01 and SYNC02\nmigration ac120002: waiting for SYNC02\n"
    );
    let digest = &planned(vec![warning(), note()]).plan_digest[..12];
    let command = format!("  syncferry apply ac120002 --digest {digest} --accept target-engine-old --reason '<why>'\n");
    assert!(ran.out.ends_with(&command), "{}", ran.out);
    assert_eq!(c.world().planned[0].installer, r"C:\Install\AzureADConnect.msi");

    // The very command is taken.
    let args: Vec<&str> = command.split_whitespace().skip(1).chain(["--yes"]).collect();
    assert_eq!(c.run(&args).await.exit, Exit::Ok);
}

#[tokio::test]
async fn a_blocked_plan_ends_with_3() {
    let c = with(vec![planned(vec![blocker()])]).await;
    let ran = c.run(&PLAN).await;
    assert_eq!(ran.exit, Exit::Refused);
    assert!(ran.out.contains("BLOCKER  target-is-localdb"), "{}", ran.out);
    let ran = c.run(&[&PLAN[..], &["--json", "--quiet"]].concat()).await;
    assert_eq!(
        (ran.exit, ran.err.as_str(), &ran.json()["apply"]),
        (Exit::Refused, "", &json!(null))
    );
    assert_eq!(ran.json()["plan"]["findings"][0]["rule"], "target-is-localdb");
}

#[tokio::test]
async fn hosts_that_do_not_answer_in_time() {
    let c = with(vec![migration("inspecting")]).await;
    let ran = c.run(&[&PLAN[..], &["--timeout", "0"]].concat()).await;
    assert_eq!(ran.exit, Exit::Error);
    assert!(ran.err.contains("syncferry plan show ac120002"), "{}", ran.err);
}

#[tokio::test]
async fn apply_shows_asks_and_names_the_digest() {
    let m = planned(vec![warning()]);
    let c = with(vec![m.clone()]).await;
    let args = [
        "apply",
        "ac120002",
        "--accept",
        "target-engine-old",
        "--reason",
        "change 4711",
    ];
    let ran = c.run_answering(&args, &["y"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert!(ran.err.contains("What would be done"), "{}", ran.err);
    assert!(
        ran.out.starts_with("Migration ac120002 · move-to-full-sql · contoso\n"),
        "{}",
        ran.out
    );
    let applied = c.world().applied.clone();
    assert_eq!((applied.len(), &applied[0].plan_digest), (1, &m.plan_digest));
    assert_eq!(
        (&applied[0].accept_warnings, applied[0].reason.as_str()),
        (&vec!["target-engine-old".to_string()], "change 4711")
    );
}

#[tokio::test]
async fn apply_does_nothing_without_consent() {
    let c = with(vec![planned(vec![])]).await;
    let no = c.run_answering(&["apply", "ac120002"], &["n"]).await;
    assert_eq!(
        (no.exit, no.err.ends_with("error: nothing was done\n")),
        (Exit::Error, true),
        "{}",
        no.err
    );
    let nobody = c.run(&["apply", "ac120002"]).await;
    assert_eq!(nobody.exit, Exit::Usage);
    assert!(nobody.err.contains("add --yes"), "{}", nobody.err);
    let other = c.run(&["apply", "ac120002", "--yes", "--digest", "00000000"]).await;
    assert_eq!(other.exit, Exit::Refused);
    assert!(c.world().applied.is_empty());
}

#[tokio::test]
async fn warnings_must_be_accepted_by_name() {
    let c = with(vec![planned(vec![warning()])]).await;
    let open = c.run(&["apply", "ac120002", "--yes"]).await;
    assert_eq!(open.exit, Exit::Refused);
    assert_snapshot!(open.err);
    let unknown = c
        .run(&[
            "apply",
            "ac120002",
            "--yes",
            "--accept",
            "target-engine-odd",
            "--reason",
            "change 4711",
        ])
        .await;
    assert_eq!(unknown.exit, Exit::Usage);
    assert!(unknown.err.contains("it has: target-engine-old"), "{}", unknown.err);
    let silent = c
        .run(&["apply", "ac120002", "--yes", "--accept", "target-engine-old"])
        .await;
    assert_eq!(silent.exit, Exit::Usage);
    assert!(silent.err.contains("--reason"), "{}", silent.err);
    assert!(c.world().applied.is_empty());
}

#[tokio::test]
async fn apply_goes_on_with_one_that_stopped() {
    let c = with(vec![stopped()]).await;
    let ran = c.run_answering(&["apply", "ac120002"], &["yes"]).await;
    assert_eq!(ran.exit, Exit::Ok);
    assert_snapshot!(ran.err);
    assert_eq!(c.world().applied.len(), 1);
}

#[tokio::test]
async fn what_the_controller_refuses_comes_with_its_findings() {
    let finding = Finding::blocker(
        "past-point-of-no-return",
        "The new Connect server uses the database already",
    )
    .saw("job install", "succeeded: the wizard was completed")
    .source("Syncferry: the plan's rollback ends at the wizard")
    .next("Finish the migration.");
    let c = with(vec![]).await;
    c.world().refusal = Some(refused("The new Connect server uses the database already", &[finding]));
    let args = ["cancel", "ac120002", "--reason", "x", "--yes"];
    let ran = c.run(&args).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Refused, ""));
    assert_snapshot!(ran.err);
    let ran = c.run(&[&args[..], &["--json"]].concat()).await;
    let error = &ran.json()["error"];
    assert_eq!((&error["kind"], &error["exit"]), (&json!("refused"), &json!(3)));
    assert_eq!(error["findings"][0]["rule"], "past-point-of-no-return");
}

#[tokio::test]
async fn errors_read_well() {
    let c = with(vec![]).await;
    let mut texts = Vec::new();
    for (status, exit) in [
        (
            Status::not_found("there is no site 'x'; `syncferry site list` shows what there is"),
            Exit::NotFound,
        ),
        (
            Status::unavailable("the agent on SQL01 did not answer within 60 s"),
            Exit::Error,
        ),
        (Status::permission_denied("only operators may call this"), Exit::Error),
        (Status::aborted("lease 'x' moved meanwhile"), Exit::Error),
        (Status::internal("the store failed"), Exit::Error),
        (Status::unimplemented(""), Exit::Error),
    ] {
        c.world().refusal = Some(status);
        let ran = c.run(&["site", "show", "x"]).await;
        assert_eq!((ran.exit, ran.out.as_str()), (exit, ""));
        texts.push(ran.err);
    }
    assert_snapshot!(texts.join("----\n"));
}

#[tokio::test]
async fn a_controller_that_is_not_there() {
    let c = with(vec![]).await;
    // A port that was ours a moment ago: nobody listens.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let text = std::fs::read_to_string(&c.credentials).unwrap();
    let line = text.lines().find(|l| l.starts_with("controller")).unwrap().to_string();
    std::fs::write(&c.credentials, text.replace(&line, &format!("controller = \"{gone}\""))).unwrap();
    let ran = c.run(&["health"]).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    let text = ran.err.replace(&gone.to_string(), "ADDRESS");
    assert!(
        text.starts_with("error: the controller at ADDRESS cannot be reached: "),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn another_authority_is_explained() {
    let (ours, other) = (with(vec![]).await, with(vec![]).await);
    let text = |c: &Controller| std::fs::read_to_string(&c.credentials).unwrap();
    let line = |text: &str| text.lines().find(|l| l.starts_with("controller")).unwrap().to_string();
    let (mine, theirs) = (text(&ours), text(&other));
    std::fs::write(&ours.credentials, mine.replace(&line(&mine), &line(&theirs))).unwrap();
    let ran = ours.run(&["health", "--json"]).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    let said = ran.json()["error"]["message"].as_str().unwrap().to_string();
    assert!(said.contains("not from our authority"), "{said}");
}

#[tokio::test]
async fn credentials_that_others_can_read_are_refused() {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let c = with(vec![]).await;
        std::fs::set_permissions(&c.credentials, std::fs::Permissions::from_mode(0o644)).unwrap();
        let ran = c.run(&["health"]).await;
        assert_eq!(ran.exit, Exit::Error);
        assert!(ran.err.contains("chmod 600"), "{}", ran.err);
    }
}

#[tokio::test]
async fn events_are_read_page_by_page() {
    let c = with(vec![]).await;
    let ran = c
        .run(&["events", "migration", "ac120002", "--after", "1", "--json"])
        .await;
    let seqs: Vec<i64> = ran.json()["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, [2, 3, 4, 5]);
    let ran = c.run(&["events", "agent", "SYNC01", "--limit", "2", "--json"]).await;
    assert_eq!(ran.json()["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_report_is_written_and_checked() {
    let c = with(vec![]).await;
    c.world().report = Some(report_document());
    let file = |name: &str| c.folder.path().join(name);
    let (html, json) = (file("r.html"), file("r.json"));
    let args = [
        "report",
        "ac120002",
        "--json",
        json.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ];
    let ran = c.run(&args).await;
    assert_eq!(
        (ran.exit, &ran.json()["holds"]),
        (Exit::Ok, &json!(true)),
        "{}",
        ran.err
    );
    assert!(std::fs::read_to_string(&html).unwrap().contains("from the controller"));

    let ran = c.run(&["report", "ac120002"]).await;
    assert_snapshot!(ran.out);

    // Nobody is asked: it works with the file alone.
    let offline = |path: &std::path::Path| vec!["syncferry".into(), "report".into(), "verify".into(), path.into()];
    let ran = run(offline(&json), &[]).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);

    let mut forged = report();
    forged.events[2].payload["outcome"]["manifest"]["root"] = json!("ee".repeat(32));
    std::fs::write(&json, serde_json::to_vec(&forged).unwrap()).unwrap();
    let ran = run(offline(&json), &[]).await;
    assert_eq!(ran.exit, Exit::Error);
    assert!(
        ran.err
            .contains("event 3 does not have the hash that its content gives"),
        "{}",
        ran.err
    );

    std::fs::write(&json, "{}").unwrap();
    assert_eq!(run(offline(&json), &[]).await.exit, Exit::Error);
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense() {
    for args in [
        &["frobnicate"][..],
        &["report"],
        &["events", "migration"],
        &["apply"],
        &["plan", "sideways"],
    ] {
        let args: Vec<OsString> = ["syncferry"].iter().chain(args).map(OsString::from).collect();
        let ran = run(args, &[]).await;
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
        assert!(ran.err.contains("Usage: syncferry"), "{}", ran.err);
    }
}

const HANDOVER: [&str; 7] = ["lease", "handover", "ADSync", "--to", "SYNC03", "--reason", "replaced"];

#[tokio::test]
async fn lease_verbs_show_first_and_act_on_what_was_shown() {
    let c = with(vec![]).await;
    let acted = || std::mem::take(&mut c.world().acted);
    let dry = c.run(&[&HANDOVER[..], &["--dry-run"]].concat()).await;
    assert_eq!((dry.exit, acted()), (Exit::Ok, vec![("handover".to_string(), true, 0)]));
    assert!(dry.out.contains("What would be done"), "{}", dry.out);

    let nobody = c.run(&HANDOVER).await;
    assert_eq!(nobody.exit, Exit::Usage, "{}", nobody.err);
    let no = c.run_answering(&HANDOVER, &["n"]).await;
    assert_eq!(no.exit, Exit::Error);
    assert!(
        acted().iter().all(|(_, dry_run, _)| *dry_run),
        "nothing is done without a yes"
    );

    let yes = c.run_answering(&HANDOVER, &["y"]).await;
    assert_eq!(yes.exit, Exit::Ok, "{}", yes.err);
    let seen = seat().row_version;
    let both = vec![("handover".to_string(), true, 0), ("handover".to_string(), false, seen)];
    assert_eq!(acted(), both);
    assert!(yes.out.contains("What was done"), "{}", yes.out);
    for (verb, more) in [
        ("fence", &[][..]),
        ("break-glass", &["--server", "SYNC02", "--ticket", "INC-1"]),
        ("attest", &["--server", "SYNC02"]),
        ("adopt", &["--by", "SQL01"]),
    ] {
        let mut args = vec!["lease", verb, "ADSync", "--reason", "x", "--yes", "--json"];
        args.extend(more);
        let ran = c.run(&args).await;
        assert_eq!(ran.exit, Exit::Ok, "{verb}: {}", ran.err);
        assert_eq!(ran.json()["acted"], true);
        assert_eq!(
            acted(),
            vec![(verb.to_string(), true, 0), (verb.to_string(), false, seen)]
        );
    }
    let unreasoned = c.run(&["lease", "fence", "ADSync", "--yes"]).await;
    assert_eq!(unreasoned.exit, Exit::Usage);
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_lease_verb_is_said_and_nothing_is_done() {
    let c = with(vec![]).await;
    c.world().lease_answer = Some(lease_obstacle());
    let fence = ["lease", "fence", "ADSync", "--reason", "gone", "--yes"];
    let ran = c.run(&fence).await;
    assert_eq!(ran.exit, Exit::Refused);
    assert!(ran.err.contains("Stop-Service ADSync"), "{}", ran.err);
    assert_eq!(c.world().acted.len(), 1, "only looked");
    let dry = c
        .run(&["lease", "fence", "ADSync", "--reason", "gone", "--dry-run", "--json"])
        .await;
    assert_eq!((dry.exit, &dry.json()["ready"]), (Exit::Refused, &json!(false)));
}

#[tokio::test]
async fn an_alarm_is_an_exit_code() {
    let c = with(vec![]).await;
    assert_eq!(c.run(&["alarms"]).await.exit, Exit::Ok);
    assert_eq!(c.run(&["status"]).await.exit, Exit::Ok);
    c.world().alarms = vec![alarm()];
    let alarms = c.run(&["alarms", "--json"]).await;
    assert_eq!((alarms.exit, alarms.exit.code()), (Exit::Alarm, 8));
    assert_eq!(alarms.json()["alarms"][0]["finding"]["rule"], "foreign-session");
    let status = c.run(&["status"]).await;
    assert_eq!(status.exit, Exit::Alarm);
    assert!(
        status.out.contains("1 alarm is raised: syncferry alarms"),
        "{}",
        status.out
    );
    c.world().alarms[0].state = "acknowledged".into();
    assert_eq!(c.run(&["alarms"]).await.exit, Exit::Ok, "somebody knows");
}

#[tokio::test]
async fn papers_come_instead_of_the_plan() {
    let c = with(vec![planned(vec![])]).await;
    let both = c.run(&["plan", "show", "ac120002", "--permissions", "--ticket"]).await;
    assert_eq!(both.exit, Exit::Ok, "{}", both.err);
    assert!(
        both.out.contains("A permissions") && both.out.contains("A ticket"),
        "{}",
        both.out
    );
    assert!(
        both.out.contains("    USE [master];") && !both.out.contains("syncferry apply"),
        "{}",
        both.out
    );
    // For a plan that is just being made, too; before or after the scenario.
    let made = c.run(&[&PLAN[..], &["--runbook"]].concat()).await;
    assert!(made.out.starts_with("A runbook"), "{}", made.out);
    let json = c
        .run(&["plan", "--estimate", "show", "ac120002", "--json"])
        .await
        .json();
    assert_eq!(json["papers"][0]["kind"], "estimate");
    let file = c.folder.path().join("runbook.html");
    let page = file.to_str().unwrap();
    let ran = c.run(&["plan", "show", "ac120002", "--runbook", "--html", page]).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("<!doctype html>"));
    let which = c.run(&["plan", "show", "ac120002", "--html", page]).await;
    assert_eq!(which.exit, Exit::Usage, "{}", which.err);
}

#[tokio::test]
async fn what_differs_is_an_exit_code() {
    let c = with(vec![]).await;
    let ran = c.run(&["compare", "SYNC01", "SQL01"]).await;
    assert_eq!(ran.exit, Exit::Refused);
    assert_snapshot!("compare", ran.out);
    let json = c.run(&["compare", "SYNC01", "SQL01", "--json"]).await.json();
    assert_eq!(json["differences"][0]["part"], "rules");
}

#[tokio::test]
async fn a_checklist_says_what_is_open() {
    let c = with(vec![]).await;
    let ran = c.run(&["checklist", "show", "ac120002", "--look"]).await;
    assert_eq!(ran.exit, Exit::Refused);
    assert!(ran.err.contains("not seen: SQL01 is silent"), "{}", ran.err);
    assert_snapshot!("checklist", ran.out);
    let attest = [
        "checklist",
        "attest",
        "ac120002",
        "staging-mode",
        "--reason",
        "seen at 10:00",
    ];
    let ran = c.run(&attest).await;
    assert!(ran.out.contains("seen at 10:00"), "{}", ran.out);
    assert_eq!(c.run(&attest[..4]).await.exit, Exit::Usage, "a reason is asked for");
    let ran = c.run(&[&attest[..], &["--until", "2027-01-01"]].concat()).await;
    assert!(ran.out.contains("until 2027-01-01"), "{}", ran.out);
    let withdraw = [
        "checklist",
        "withdraw",
        "ac120002",
        "pass-through-agents",
        "--reason",
        "DC01 is gone",
    ];
    let ran = c.run(&withdraw).await;
    assert!(ran.out.contains("withdrawn: DC01 is gone"), "{}", ran.out);
    assert_eq!(c.run(&withdraw[..4]).await.exit, Exit::Usage, "a reason is asked for");
}
