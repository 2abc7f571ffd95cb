//! Agents that are not who they should be: a foreign certificate, an expired one, a token that was used before.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use syncferry_agent::identity::Enrolled;
use syncferry_controller::identity::{Authority, Keys};
use syncferry_proto::transport::csr;
use syncferry_shared::{AgentId, Millis};
use syncferry_tests::lab::operator::Operator;
use syncferry_tests::lab::roles;
use syncferry_tests::lab::world::{DATABASE, NEW_SERVER, OLD_SERVER, SQL_HOST, WorldOptions};

use crate::town::{Place, Town, exe, rules};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Millis(since.as_millis().try_into().unwrap())
}

/// Replaces an agent's certificate by one of this authority, issued at this time for a day.
fn replace_certificate(data_dir: &Path, authority: &Authority, agent: AgentId, at: Millis) {
    let known = Enrolled::load(data_dir).unwrap();
    let request = csr::make().unwrap();
    let issued = authority
        .issue_agent_from_csr(&request.csr_pem, agent, 1, DAY, at)
        .unwrap();
    Enrolled::save(
        data_dir,
        &known.enrolment,
        &issued.cert_pem,
        &request.key_pem,
        &known.ca_pem,
    )
    .unwrap();
}

/// Waits until an agent's log says something.
async fn until_log(town: &mut Town, process: &str, text: &str) {
    let log = town.lab.processes().log(process);
    let looking = async {
        while !std::fs::read_to_string(&log).unwrap_or_default().contains(text) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), looking).await;
    found.unwrap_or_else(|_| {
        panic!(
            "{process} never says '{text}':\n{}",
            std::fs::read_to_string(&log).unwrap()
        )
    });
}

async fn restart_with(town: &mut Town, authority: &Authority, at: Millis) {
    let (process, data) = ("agent-sync02", town.world().agent_dir(NEW_SERVER).join("data"));
    let program = town.lab.processes().stop(process).await.unwrap();
    let agent = Enrolled::load(&data).unwrap().enrolment.agent_id;
    replace_certificate(&data, authority, agent, at);
    town.lab.processes().start(program).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_foreign_or_an_expired_certificate_is_not_heard() {
    let place = Place::new(WorldOptions::small());
    let (mut lab, dir) = place.open();
    // A plan is not to wait long for an agent that cannot be heard.
    let config = lab.world().controller_dir().join("controller.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("inspection_timeout_s = 60", "inspection_timeout_s = 3"),
    )
    .unwrap();
    let mut operator = lab.bring_up().await.unwrap();
    operator.add_database_named(DATABASE).await.unwrap();
    let mut town = Town::of(lab, operator, dir);
    let before = town.databases().await;

    let foreign = tempfile::tempdir().unwrap();
    let foreign = Keys::open(foreign.path(), now()).unwrap().authority;
    restart_with(&mut town, &foreign, now()).await;
    until_log(
        &mut town,
        "agent-sync02",
        "it is from another authority; enrol with this controller",
    )
    .await;
    assert_agent_is_missed(&mut town).await;

    let ours = Keys::open(&town.world().controller_dir().join("data"), now())
        .unwrap()
        .authority;
    restart_with(&mut town, &ours, now().plus(-10 * Millis::DAY)).await;
    until_log(
        &mut town,
        "agent-sync02",
        "our certificate is not valid now; enrol again",
    )
    .await;
    assert_agent_is_missed(&mut town).await;

    town.assert_untouched();
    assert_eq!(town.databases().await, before);
    // Enrolled again, as the log says, it is heard.
    let data = town.world().agent_dir(NEW_SERVER).join("data");
    let program = town.lab.processes().stop("agent-sync02").await.unwrap();
    std::fs::rename(&data, data.with_extension("old")).unwrap();
    let token = token(&town, NEW_SERVER).await;
    town.lab.enrol(NEW_SERVER, &token).await.unwrap();
    town.lab.processes().start(program).await.unwrap();
    town.operator.wait_for_agents().await.unwrap();
    let migration = town.plan().await;
    assert_eq!(migration.state, "planned", "{:?}", rules(&migration));
    town.down().await;
}

async fn assert_agent_is_missed(town: &mut Town) {
    let migration = town.plan().await;
    let spoke = rules(&migration);
    assert_eq!(migration.state, "blocked", "{spoke:?}");
    assert!(spoke.contains(&"agent-does-not-answer".to_string()), "{spoke:?}");
}

async fn token(town: &Town, host: &str) -> String {
    let (exit, said) = town.type_in(&["host", "token", host, "--json"]).await;
    assert_eq!(exit, syncferry_cli::Exit::Ok, "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    json["token"].as_str().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_used_enrols_nobody_else() {
    let (mut lab, dir) = Place::new(WorldOptions::small()).open();
    lab.start_stand_ins().await.unwrap();
    lab.start_controller().await.unwrap();
    let mut operator = Operator::open(lab.world().credentials()).unwrap();
    operator.wait_for_controller().await.unwrap();
    operator.add_site().await.unwrap();
    let tokens = operator.add_hosts(false).await.unwrap();
    for (host, token) in &tokens {
        lab.enrol(host, token).await.unwrap();
    }
    let town = Town::of(lab, operator, dir);
    // Somebody who read the token tries it from a folder of his own.
    let thief = tempfile::tempdir().unwrap();
    let config = town.world().agent_dir(SQL_HOST).join("agent.toml");
    let text = std::fs::read_to_string(config).unwrap();
    let data = thief.path().join("data");
    let lines: Vec<String> = text
        .lines()
        .map(|l| match l.starts_with("data_dir") {
            true => format!("data_dir = {:?}", data.to_str().unwrap()),
            false => l.to_string(),
        })
        .collect();
    let config = thief.path().join("agent.toml");
    std::fs::write(&config, lines.join("\n")).unwrap();
    let (_, used) = tokens.iter().find(|(host, _)| host == SQL_HOST).unwrap();
    let tried = Command::new(exe())
        .arg(roles::AGENT)
        .arg("--host-dir")
        .arg(town.world().host_dir(OLD_SERVER))
        .arg("--config")
        .arg(&config)
        .args(["enrol", "--token", used])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert!(!tried.status.success(), "{said}");
    assert!(said.contains("syncferry host token"), "it says what to do next: {said}");
    assert!(!data.join("identity.pem").exists());
    // The host that used it is enrolled as before.
    let known = Enrolled::load(&town.world().agent_dir(SQL_HOST).join("data")).unwrap();
    assert_eq!(known.enrolment.host_name, SQL_HOST);
    town.assert_untouched();
    town.down().await;
}
