//! "Install required components": looks at the SQL Server and the database that somebody typed, and lays the engine down.

use super::super::Host;
use super::super::dns::Dns;
use super::super::layout::{
    ENGINE_DIR, KEY_COEXISTENCE, KEY_ENGINE, KEY_PARAMETERS, LOCALDB, SERVICE, SERVICE_DISPLAY, UPGRADE_ENGINE,
    UPGRADE_WIZARD, account_type,
};
use super::super::products::{Product, braced, version_numbers};
use super::super::services::{Service, ServiceState, StartType};
use super::super::sql::{Session, SqlFailure, Target};
use super::machine::SqlChoice;

/// Whom the wizard runs as. It has to be able to reach the database; the lab makes it a sysadmin there.
pub(crate) const INSTALLER: &str = r"CONTOSO\installer";

const PROGRAM: &str = "AzureADConnect.exe";

/// Checks and installs; answers with the forests that the database knows.
pub(crate) async fn install(host: &Host, choice: &SqlChoice) -> Result<Vec<String>, String> {
    check_account(host, choice)?;
    let mut session = connect(host, choice, INSTALLER).await?;
    let forests = check_database(host, &mut session).await;
    session.close().await;
    let forests = forests?;
    check_service_login(host, choice).await?;
    lay_down(host, choice).map_err(|e| e.to_string())?;
    Ok(forests)
}

fn check_account(host: &Host, choice: &SqlChoice) -> Result<(), String> {
    if choice.server.eq_ignore_ascii_case(LOCALDB) {
        return Err("The existing database must be on a full SQL Server: LocalDB is not supported.".into());
    }
    let machine = host.machine();
    let name = choice.server.split(['.', ',', '\\']).next().unwrap_or_default();
    let remote = !name.eq_ignore_ascii_case(&machine.computer_name) && name != ".";
    let Some((domain, account)) = choice.account.split_once('\\') else {
        return Err("The service account must be in the format DOMAIN\\username.".into());
    };
    let local = domain.eq_ignore_ascii_case("NT SERVICE") || domain.eq_ignore_ascii_case(&machine.computer_name);
    if remote && (local || domain.is_empty() || account.is_empty()) {
        return Err(
            "A remote SQL Server needs a domain account or a group managed service account as the service account."
                .into(),
        );
    }
    Ok(())
}

pub(crate) async fn connect(host: &Host, choice: &SqlChoice, account: &str) -> Result<Session, String> {
    let machine = host.machine();
    let dns = Dns::load(&host.dir().join(&machine.dns)).map_err(|e| e.to_string())?;
    let address = dns
        .resolve(&machine.computer_name, &choice.server, &choice.instance)
        .map_err(|e| e.to_string())?;
    let target = Target {
        address,
        account: account.to_string(),
        database: choice.database.clone(),
        program: PROGRAM.to_string(),
        computer: machine.computer_name,
    };
    Session::connect(&target).await.map_err(|e| match e {
        SqlFailure::Refused { .. } => e.to_string(),
        SqlFailure::Broken(text) => format!(
            "A network-related or instance-specific error occurred while establishing a connection to SQL Server. {text}"
        ),
    })
}

/// Whether it is an ADSync database that this version can use.
async fn check_database(host: &Host, session: &mut Session) -> Result<Vec<String>, String> {
    let setup = |text: &str| {
        format!(
            "Error 25009.The Microsoft Azure AD Connect synchronization services setup wizard cannot configure the \
             specified database. {text}"
        )
    };
    let tables = "SELECT COUNT(*) FROM sys.tables WHERE name IN ('mms_server_configuration', 'mms_management_agent')";
    if number(session, tables).await? < 2 {
        return Err(setup("Invalid object name 'mms_management_agent'."));
    }
    let collation = "SELECT CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation'))";
    let collation = text(session, collation).await?;
    if !collation.contains("_CI_") {
        return Err(setup(&format!("The collation {collation} is not case-insensitive.")));
    }
    if number(session, "SELECT COUNT(*) FROM dbo.mms_management_agent").await? == 0 {
        return Err(setup(
            "The database holds no configuration of an earlier installation. Start the wizard without /UseExistingDatabase.",
        ));
    }
    check_version(host, session).await?;
    let rows = session
        .run("SELECT ma_name FROM dbo.mms_management_agent WHERE ma_type = 'AD' ORDER BY ma_name")
        .await
        .map_err(|e| e.to_string())?;
    Ok(rows.iter().filter_map(|r| r.first().map(|c| c.text())).collect())
}

async fn check_version(host: &Host, session: &mut Session) -> Result<(), String> {
    let rows = session
        .run("EXEC dbo.mms_get_globalsettings")
        .await
        .map_err(|e| e.to_string())?;
    let last = rows.iter().find_map(|r| match r.as_slice() {
        [name, value] if name.text() == "Microsoft.Synchronize.ServerConfigurationVersion" => Some(value.text()),
        _ => None,
    });
    let mine = installed_version(host);
    if last.is_some_and(|last| version_numbers(&last) > version_numbers(&mine)) {
        return Err(
            "Unable to upgrade the Synchronization Service. The service was unable to start because the version of the \
             database is newer than the version of the binaries installed."
                .into(),
        );
    }
    Ok(())
}

/// Setup needs the service account to be able to work: it does not make logins here, because a delegated set-up cannot.
async fn check_service_login(host: &Host, choice: &SqlChoice) -> Result<(), String> {
    let unable = |why: String| {
        format!("Unable to install the Synchronization Service. Please see the event log for additional details. {why}")
    };
    let mut session = connect(host, choice, &choice.account).await.map_err(unable)?;
    let owner = number(&mut session, "SELECT IS_MEMBER('db_owner')").await;
    session.close().await;
    if owner.map_err(unable)? == 1 {
        Ok(())
    } else {
        Err(unable(format!("{} is not a member of db_owner.", choice.account)))
    }
}

pub(crate) fn installed_version(host: &Host) -> String {
    host.look(|s| {
        let wizard = s.products.iter().find(|p| p.upgrade_code == UPGRADE_WIZARD);
        wizard.map(|p| p.version.clone()).unwrap_or_default()
    })
}

/// The engine's product, its service (not started) and where its database is.
fn lay_down(host: &Host, choice: &SqlChoice) -> std::io::Result<()> {
    let version = installed_version(host);
    let folder = host.drives().create_dir(&format!("{ENGINE_DIR}\\Bin"));
    folder.map_err(|e| std::io::Error::other(format!("{ENGINE_DIR}: {e}")))?;
    host.change(|s| {
        s.products.retain(|p| p.upgrade_code != UPGRADE_ENGINE);
        s.products.push(Product {
            name: "Microsoft Azure AD Connect synchronization services".into(),
            version,
            product_code: braced(&uuid::Uuid::now_v7().to_string()),
            upgrade_code: UPGRADE_ENGINE.into(),
            manufacturer: "Microsoft Corporation".into(),
        });
        s.registry
            .set(KEY_ENGINE, "Location", format!("{ENGINE_DIR}\\").as_str());
        s.registry.set(KEY_PARAMETERS, "Server", choice.server.as_str());
        s.registry.set(KEY_PARAMETERS, "SQLInstance", choice.instance.as_str());
        s.registry.set(KEY_PARAMETERS, "DBName", choice.database.as_str());
        s.registry
            .set(KEY_COEXISTENCE, "ServiceAccountType", account_type(&choice.account));
        s.put_service(Service {
            name: SERVICE.into(),
            display_name: SERVICE_DISPLAY.into(),
            state: ServiceState::Stopped,
            start: StartType::Automatic,
            account: choice.account.clone(),
        });
    })
}

async fn number(session: &mut Session, sql: &str) -> Result<i64, String> {
    let rows = session.run(sql).await.map_err(|e| e.to_string())?;
    Ok(rows.first().and_then(|r| r.first()).map_or(0, |c| c.int()))
}

async fn text(session: &mut Session, sql: &str) -> Result<String, String> {
    let rows = session.run(sql).await.map_err(|e| e.to_string())?;
    Ok(rows
        .first()
        .and_then(|r| r.first())
        .map(|c| c.text())
        .unwrap_or_default())
}
