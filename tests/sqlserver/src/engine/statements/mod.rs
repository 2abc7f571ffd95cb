//! What each statement does, a file per family; here only who is asked.

pub(super) mod access;
mod alter_database;
mod backup;
mod change;
mod databases;
mod dbcc;
mod execute;
mod kill;
mod logins;
mod media;
mod messages;
mod msdb;
mod options;
mod pace;
pub(super) mod procedure;
mod properties;
mod query;
mod restore;
mod tables;
mod transactions;
mod users;
mod variables;

pub use execute::RpcCall;
pub(super) use properties::{PropertyChange, PropertyTarget};
pub use transactions::TransactionRequest;

use super::ast::{BackupKind, Kind, RestoreKind, Statement};
use super::interpreter::{Flow, Outcome, Run};
use super::output::{Out, command};
use super::session::Session;

impl Session {
    /// Runs a statement that controls no flow.
    pub(super) async fn execute_kind(&mut self, out: &mut Out<'_>, statement: &Statement) -> Run<(Outcome, Flow)> {
        let other = Outcome::Done(None, command::OTHER);
        let outcome = match &statement.kind {
            Kind::Execute(execute) => return self.execute(out, execute).await,
            Kind::ExecuteText(text) => return self.execute_text(out, text).await,
            Kind::Declare(variables) => self.declare_all(variables)?,
            Kind::DeclareTable(name, columns) => self.declare_table(name, columns)?,
            Kind::SetVariable(name, op, value) => self.set_variable(name, *op, value)?,
            Kind::SetOption(option) => self.set_option(out, option).await?,
            Kind::Use(database) => self.use_database(out, database).await?,
            Kind::Select(query) => self.select(out, query).await?,
            Kind::Insert(insert) => self.insert(out, insert).await?,
            Kind::Update(update) => self.update(out, update).await?,
            Kind::Delete(delete) => self.delete(out, delete).await?,
            Kind::Truncate(name) => self.truncate(name).await?,
            Kind::CreateTable(create) => self.create_table(create).await?,
            Kind::AlterTable(name, alter) => self.alter_table(name, alter).await?,
            Kind::DropObject(kind, exists, names) => self.drop_objects(*kind, *exists, names).await?,
            Kind::CreateIndex(index) => self.create_index(index)?,
            Kind::CreateSchema(name) => self.create_schema(name)?,
            Kind::CreateProcedure(create) => self.create_procedure(create).await?,
            Kind::Print(text) => self.print(out, text).await?,
            Kind::RaiseError(raise) => self.raise_error(out, raise).await?,
            Kind::Throw(throw) => self.throw(throw.as_ref())?,
            Kind::BeginTransaction(name) => self.begin_transaction(out, name.as_ref()).await?,
            Kind::Commit => self.commit(out).await?,
            Kind::Rollback(name) => self.rollback(out, name.as_ref()).await?,
            Kind::Save(name) => self.save_transaction(name)?,
            Kind::WaitFor(delay) => self.wait_for(delay).await?,
            Kind::ExecuteAs(who) => self.execute_as(who)?,
            Kind::Revert => self.revert(),
            Kind::Backup(backup) => self.backup(out, backup).await?,
            Kind::Restore(restore) => self.restore(out, restore).await?,
            Kind::Dbcc(dbcc) => self.dbcc(out, dbcc).await?,
            Kind::Kill(target, status) => self.kill(target, *status)?,
            Kind::CreateDatabase(create) => self.create_database(create).await?,
            Kind::DropDatabase(exists, names) => self.drop_databases(*exists, names).await?,
            Kind::AlterDatabase(alter) => self.alter_database(out, alter).await?,
            Kind::AlterAuthorization(database, to) => self.alter_authorization(database, to)?,
            Kind::CreateLogin(create) => self.create_login(create)?,
            Kind::AlterLogin(name, alter) => self.alter_login(name, alter)?,
            Kind::DropLogin(name) => self.drop_login(name)?,
            Kind::CreateUser(create) => self.create_user(create).await?,
            Kind::AlterUser(name, alter) => self.alter_user(name, alter).await?,
            Kind::DropUser(exists, name) => self.drop_user(*exists, name).await?,
            Kind::CreateRole(name) => self.create_role(name).await?,
            Kind::DropRole(name) => self.drop_user(false, name).await?,
            Kind::AlterRole(alter) => self.alter_role(alter).await?,
            Kind::Permission(permission) => self.permission(permission).await?,
            Kind::Checkpoint | Kind::Reconfigure => other,
            // The interpreter runs these itself.
            Kind::Block(_)
            | Kind::If(..)
            | Kind::While(..)
            | Kind::Break
            | Kind::Continue
            | Kind::Return(_)
            | Kind::TryCatch(..) => other,
        };
        Ok((outcome, Flow::Next))
    }
}

/// `sys.dm_exec_requests.command`.
pub(super) fn command_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Select(_) => "SELECT",
        Kind::Insert(_) => "INSERT",
        Kind::Update(_) => "UPDATE",
        Kind::Delete(_) => "DELETE",
        Kind::Execute(_) | Kind::ExecuteText(_) => "EXECUTE",
        Kind::SetOption(_) => "SET OPTION ON",
        Kind::WaitFor(_) => "WAITFOR",
        Kind::Backup(b) if b.kind == BackupKind::Database => "BACKUP DATABASE",
        Kind::Backup(_) => "BACKUP LOG",
        Kind::Restore(r) => match r.kind {
            RestoreKind::Database => "RESTORE DATABASE",
            RestoreKind::Log => "RESTORE LOG",
            RestoreKind::HeaderOnly => "RESTORE HEADERONLY",
            RestoreKind::FileListOnly => "RESTORE FILELIST",
            RestoreKind::LabelOnly => "RESTORE LABELONLY",
            RestoreKind::VerifyOnly => "RESTORE VERIFYON",
        },
        Kind::Dbcc(_) => "DBCC",
        Kind::Kill(..) => "KILL",
        Kind::CreateDatabase(_) => "CREATE DATABASE",
        Kind::DropDatabase(..) => "DROP DATABASE",
        Kind::AlterDatabase(_) => "ALTER DATABASE",
        Kind::CreateTable(_) => "CREATE TABLE",
        Kind::BeginTransaction(_) => "BEGIN TRANSACTION",
        Kind::Commit => "COMMIT TRANSACTION",
        Kind::Rollback(_) => "ROLLBACK TRANSACTION",
        Kind::Use(_) => "USE DATABASE",
        _ => "CONDITIONAL",
    }
}
