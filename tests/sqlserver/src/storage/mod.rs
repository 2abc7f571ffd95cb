//! What the stand-in keeps: the instance's configuration, its drives, database files, backup media and the sample
//! ADSync. Plain synchronous data structures; it knows no T-SQL, no sessions and no SQL Server message numbers.
//!
//! - [`InstanceSpec`] creates an instance folder, [`InstanceStore`] opens one
//! - [`Drives`] maps `D:\Backup\x.bak` to a real folder, with quotas, ACLs and Windows error numbers
//! - [`Database`] is a database in memory (cheap to clone), [`DatabaseFile`] its `.mdf` on disk
//! - [`backup`] reads and writes `.bak` media
//! - [`sample`] builds a realistic ADSync

mod account;
mod acl;
mod atomic;
pub mod backup;
mod catalogue;
mod codec;
mod config;
mod database;
mod datafile;
mod drive_file;
mod drives;
mod load;
mod lsn;
mod meta;
mod msdb;
mod oserror;
mod page;
mod preset;
mod principal;
pub mod sample;
mod save;
mod snapshot;
mod space;
mod store;
mod system;
mod table;

pub use account::{Login, LoginKind, ServerPermission};
pub use config::{DriveSpec, InstanceConfig, InstanceSpec, WindowsGroup};
pub use database::Database;
pub use datafile::{DatabaseFile, FileError, PageDamage};
pub use drive_file::DriveFile;
pub use drives::{Access, Drives, PathInfo, Volume};
pub use lsn::Lsn;
pub use meta::{DatabaseMeta, DatabaseState, FileKind, FileMeta, RecoveryModel, UserAccess};
pub use oserror::OsError;
pub use page::PAGE_SIZE;
pub(crate) use preset::windows_sid;
pub use principal::{DatabasePermission, DatabasePrincipal, ExtendedProperty, PermissionState, PrincipalKind};
pub use snapshot::PageSnapshot;
pub use store::{InstanceStore, OpenDatabase, StoreError};
pub(crate) use system::object_id as system_object_id;
pub use table::{ColumnDef, Identity, PrimaryKey, Procedure, Row, Table};
