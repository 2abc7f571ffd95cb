//! The system's procedures, a file per family.

pub(super) mod applock;
mod files;
mod info;
mod prepared;
mod properties;
mod windows;

use super::errors::{Result, err};
use super::interpreter::{Flow, Run};
use super::output::Out;
use super::session::Session;
use crate::types::{SqlType, Value};

/// An argument of a call.
#[derive(Debug, Clone)]
pub(super) struct Arg {
    /// With the `@`, when it was named.
    pub name: Option<String>,
    /// Its value.
    pub value: Value,
    /// Its type.
    pub ty: SqlType,
    /// OUTPUT.
    pub output: bool,
    /// DEFAULT.
    pub default: bool,
}

/// A call and what it gives back.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// The arguments.
    pub args: Vec<Arg>,
    /// Values for OUTPUT arguments, by their position.
    pub outputs: Vec<(usize, Value, SqlType)>,
}

const NAMES: &[&str] = &[
    "sp_getapplock",
    "sp_releaseapplock",
    "sp_addextendedproperty",
    "sp_updateextendedproperty",
    "sp_dropextendedproperty",
    "xp_fileexist",
    "xp_create_subdir",
    "xp_delete_file",
    "xp_dirtree",
    "xp_fixeddrives",
    "xp_instance_regread",
    "xp_regread",
    "xp_msver",
    "xp_logininfo",
    "sp_updatestats",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_unprepare",
    "sp_reset_connection",
    "sp_who",
    "sp_who2",
    "sp_helpdb",
    "sp_databases",
    "sp_configure",
    "sp_changedbowner",
    "sp_describe_first_result_set",
];

/// A procedure of the system by name.
pub(super) fn find(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|n| n.eq_ignore_ascii_case(name)).copied()
}

/// Runs one.
pub(super) async fn run(session: &mut Session, out: &mut Out<'_>, name: &'static str, call: &mut Call) -> Run<Flow> {
    let status = match name {
        "sp_getapplock" => applock::get(session, call).await?,
        "sp_releaseapplock" => applock::release(session, call)?,
        "sp_addextendedproperty" | "sp_updateextendedproperty" | "sp_dropextendedproperty" => {
            properties::run(session, name, call).await?
        }
        "xp_fileexist" => files::exists(session, out, call).await?,
        "xp_create_subdir" => files::create(session, call)?,
        "xp_delete_file" => files::delete(session, call)?,
        "xp_dirtree" => files::tree(session, out, call).await?,
        "xp_fixeddrives" => files::drives(session, out).await?,
        "xp_instance_regread" | "xp_regread" => info::registry(session, out, call).await?,
        "xp_logininfo" => windows::login_info(session, out, call).await?,
        "xp_msver" => info::version(session, out, call).await?,
        "sp_updatestats" => info::update_statistics(session, out).await?,
        "sp_executesql" => return prepared::execute_sql(session, out, call).await,
        "sp_prepare" => prepared::prepare(session, call)?,
        "sp_execute" => return prepared::execute(session, out, call).await,
        "sp_prepexec" => return prepared::prepare_and_execute(session, out, call).await,
        "sp_unprepare" => prepared::unprepare(session, call)?,
        "sp_reset_connection" => {
            session.reset();
            0
        }
        "sp_who" | "sp_who2" => info::who(session, out).await?,
        "sp_helpdb" => info::help_database(session, out, call).await?,
        "sp_databases" => info::databases(session, out).await?,
        "sp_configure" => info::configure(session, out, call).await?,
        "sp_changedbowner" => info::change_owner(session, call)?,
        "sp_describe_first_result_set" => info::describe(session, out, call).await?,
        _ => return Err(err!(2812, name).into()),
    };
    Ok(Flow::Return(status))
}

/// Arguments by parameter: positions and names, checked as a procedure checks them.
pub(super) struct Bound<'c> {
    call: &'c Call,
    procedure: &'static str,
    at: Vec<Option<usize>>,
}

impl Call {
    /// Assigns the arguments to parameters: 8144, 8145.
    pub(super) fn bind(&self, procedure: &'static str, params: &[&str]) -> Result<Bound<'_>> {
        let mut at = vec![None; params.len()];
        for (i, arg) in self.args.iter().enumerate() {
            let position = match &arg.name {
                Some(name) => params
                    .iter()
                    .position(|p| p.eq_ignore_ascii_case(name))
                    .ok_or_else(|| err!(8145, name, procedure))?,
                None if i < params.len() => i,
                None => return Err(err!(8144, procedure)),
            };
            at[position] = Some(i).filter(|_| !arg.default);
        }
        Ok(Bound {
            call: self,
            procedure,
            at,
        })
    }
}

impl Bound<'_> {
    /// An argument; None when it was left out.
    pub(super) fn arg(&self, n: usize) -> Option<&Arg> {
        self.at.get(n).copied().flatten().map(|i| &self.call.args[i])
    }

    /// The position of an argument in the call, for OUTPUT.
    pub(super) fn position(&self, n: usize) -> Option<usize> {
        self.at.get(n).copied().flatten()
    }

    /// An argument as text; None for NULL and when it was left out.
    pub(super) fn text(&self, n: usize) -> Option<String> {
        match self.arg(n).map(|a| &a.value) {
            Some(Value::Str(s)) => Some(s.to_string()),
            Some(Value::Int(i)) => Some(i.to_string()),
            _ => None,
        }
    }

    /// An argument as integer.
    pub(super) fn int(&self, n: usize) -> Option<i64> {
        match self.arg(n).map(|a| &a.value) {
            Some(Value::Int(i)) => Some(*i),
            Some(Value::Bit(b)) => Some(i64::from(*b)),
            Some(Value::Str(s)) => s.trim().parse().ok(),
            Some(Value::Decimal(v, 0)) => i64::try_from(*v).ok(),
            _ => None,
        }
    }

    /// An argument that has to be there: 201.
    pub(super) fn required(&self, n: usize, param: &str) -> Result<String> {
        self.text(n).ok_or_else(|| err!(201, self.procedure, param))
    }
}
