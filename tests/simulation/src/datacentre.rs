//! SQL Server's machine and the Connect servers' services, which no fault of ours touches: they run on whatever becomes of
//! agents and controller.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use syncferry_sqlserver::engine::{Instance, Session};
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use syncferry_sqlserver::types::Login;
use time::OffsetDateTime;

use crate::exchange::Collected;
use crate::world::{PASSWORD, Service, World, lock};

/// A SQL Server with a small ADSync and the two services' accounts.
pub(crate) fn instance(dir: &std::path::Path, accounts: &[&str]) -> anyhow::Result<Instance> {
    let now = OffsetDateTime::now_utc();
    let sample = AdSync {
        objects: 40,
        internal_version: 957,
        ..AdSync::new(now)
    };
    let rights = ["VIEW SERVER STATE", "VIEW ANY DEFINITION", "ALTER ANY CONNECTION"];
    let mut spec = InstanceSpec::standard_2022("SQL01", None, now)
        .sa_password("sa")
        .login("agent", "p", &[], &rights)
        .database(adsync(&sample));
    for account in accounts {
        spec = spec.windows_login(account, &[]);
    }
    drop(spec.create(dir).context("the instance")?);
    std::fs::write(
        dir.join("lab.json"),
        format!("{{\"windows_password\": \"{PASSWORD}\"}}"),
    )?;
    Instance::open(dir)
}

/// A session of the administrator.
pub(crate) async fn sa(world: &World) -> anyhow::Result<Session> {
    let login = Login {
        user: "sa".into(),
        password: "sa".into(),
        app_name: "syncferry-agent/observer".into(),
        client_address: "127.0.0.1".into(),
        ..Login::default()
    };
    let (session, _) = world.engine.login(login).await.map_err(|m| anyhow::anyhow!(m.text))?;
    Ok(session)
}

/// Runs a batch; the first error is one.
pub(crate) async fn ask(session: &mut Session, sql: &str) -> anyhow::Result<syncferry_agent::sql::Answer> {
    let mut all = Collected::default();
    session.batch(sql, &mut all).await?;
    let (answer, errors) = all.finish();
    match errors.first() {
        Some(error) => anyhow::bail!("{}: {}", error.number, error.text),
        None => Ok(answer),
    }
}

/// Runs until the simulation ends.
pub(crate) async fn run(world: Arc<World>) -> turmoil::Result {
    set_up(&world).await?;
    world.sql_ready.store(true, Ordering::SeqCst);
    for place in 0..world.services.len() {
        tokio::spawn(service(Arc::clone(&world), place));
    }
    let incoming = lock(&world.incoming).take();
    let mut incoming = incoming.context("SQL Server was started twice")?;
    while let Some(connection) = incoming.recv().await {
        tokio::spawn(connection.serve(Arc::clone(&world)));
    }
    Ok(())
}

async fn set_up(world: &World) -> anyhow::Result<()> {
    let mut sa = sa(world).await?;
    let mut lines = vec![
        "ALTER AUTHORIZATION ON DATABASE::ADSync TO sa;".to_string(),
        "CREATE USER agent FOR LOGIN agent; GRANT EXECUTE ON sys.xp_logininfo TO agent;".to_string(),
        "USE ADSync; CREATE USER agent FOR LOGIN agent; GRANT ALTER ON DATABASE::ADSync TO agent; ALTER ROLE db_securityadmin ADD MEMBER agent;".to_string(),
    ];
    let mut accounts: Vec<&str> = world.services.iter().map(|s| s.account.as_str()).collect();
    accounts.dedup();
    for account in accounts {
        lines.push(format!(
            "USE ADSync; CREATE USER [{account}] FOR LOGIN [{account}]; ALTER ROLE db_owner ADD MEMBER [{account}];"
        ));
    }
    for line in lines {
        ask(&mut sa, &line).await.context(line)?;
    }
    Ok(())
}

/// ADSync on one server: while it may run, it has a session, or tries to get one.
async fn service(world: Arc<World>, place: usize) {
    let me = &world.services[place];
    let mut session: Option<Session> = None;
    loop {
        let runs = me.enabled.load(Ordering::SeqCst) && !me.off.load(Ordering::SeqCst);
        if session.as_ref().is_some_and(|s| !runs || s.killed().is_cancelled()) {
            session = None;
            world.say(format!("{} is out", me.host));
        }
        if runs && session.is_none() {
            session = come_in(&world, me).await;
        }
        me.inside.store(session.is_some(), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(150 + world.below(200).unsigned_abs())).await;
    }
}

async fn come_in(world: &World, me: &Service) -> Option<Session> {
    let login = Login {
        user: me.account.clone(),
        password: PASSWORD.into(),
        database: "ADSync".into(),
        host_name: me.host.into(),
        app_name: "miiserver".into(),
        client_address: "10.0.0.9".into(),
        ..Login::default()
    };
    match world.engine.login(login).await {
        Ok((session, _)) => {
            world.say(format!("{} is in", me.host));
            world.count("sessions of services");
            Some(session)
        }
        Err(_) => {
            world.count("refused sessions of services");
            None
        }
    }
}
