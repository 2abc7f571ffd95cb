//! CREATE, ALTER and DROP of tables, procedures and databases; DBCC and KILL.

use super::Parser;
use crate::engine::ast::{
    AlterDatabase, AlterTable, ColumnDef, CreateDatabase, CreateIndex, CreateProcedure, CreateTable, DatabaseAction,
    DatabaseOption, Dbcc, Expr, FileSpec, Kind, Name, ObjectKind, ProcedureParam, Statement, Termination,
};
use crate::engine::errors::{Result, err};
use crate::engine::lexer::Tok;

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Kind> {
        let start = self.token().start;
        self.at += 1;
        if self.eat_words(&["OR", "ALTER"]) {
            if !(self.word("PROC") || self.word("PROCEDURE")) {
                return Err(self.syntax());
            }
            return self.procedure_definition(start, true, false);
        }
        let Tok::Word(word) = self.tok().clone() else {
            return Err(self.syntax());
        };
        match word.to_uppercase().as_str() {
            "PROC" | "PROCEDURE" => self.procedure_definition(start, false, false),
            "TABLE" => self.create_table(),
            "SCHEMA" => {
                self.at += 1;
                let name = self.identifier()?;
                if self.eat_word("AUTHORIZATION") {
                    self.identifier()?;
                }
                Ok(Kind::CreateSchema(name))
            }
            "UNIQUE" | "INDEX" | "CLUSTERED" | "NONCLUSTERED" => self.create_index(),
            "DATABASE" => self.create_database(),
            "LOGIN" => self.create_login(),
            "USER" => self.create_user(),
            "ROLE" => {
                self.at += 1;
                let name = self.identifier()?;
                if self.eat_word("AUTHORIZATION") {
                    self.identifier()?;
                }
                Ok(Kind::CreateRole(name))
            }
            _ => Err(self.syntax()),
        }
    }

    pub(super) fn alter(&mut self) -> Result<Kind> {
        let start = self.token().start;
        self.at += 1;
        let Tok::Word(word) = self.tok().clone() else {
            return Err(self.syntax());
        };
        match word.to_uppercase().as_str() {
            "PROC" | "PROCEDURE" => self.procedure_definition(start, false, true),
            "DATABASE" => self.alter_database(),
            "TABLE" => self.alter_table(),
            "AUTHORIZATION" => self.alter_authorization(),
            "LOGIN" => self.alter_login(),
            "USER" => self.alter_user(),
            "ROLE" | "SERVER" => self.alter_role(),
            _ => Err(self.syntax()),
        }
    }

    pub(super) fn drop(&mut self) -> Result<Kind> {
        self.at += 1;
        let Tok::Word(word) = self.tok().clone() else {
            return Err(self.syntax());
        };
        self.at += 1;
        let kind = match word.to_uppercase().as_str() {
            "TABLE" => ObjectKind::Table,
            "PROC" | "PROCEDURE" => ObjectKind::Procedure,
            "VIEW" => ObjectKind::View,
            "DATABASE" => {
                let exists = self.eat_words(&["IF", "EXISTS"]);
                return Ok(Kind::DropDatabase(exists, self.list(Self::identifier)?));
            }
            "LOGIN" => return Ok(Kind::DropLogin(self.identifier()?)),
            "USER" => {
                let exists = self.eat_words(&["IF", "EXISTS"]);
                return Ok(Kind::DropUser(exists, self.identifier()?));
            }
            "ROLE" => return Ok(Kind::DropRole(self.identifier()?)),
            _ => {
                self.at -= 1;
                return Err(self.syntax());
            }
        };
        let exists = self.eat_words(&["IF", "EXISTS"]);
        Ok(Kind::DropObject(kind, exists, self.list(Self::name)?))
    }

    // ---- tables ----

    fn create_table(&mut self) -> Result<Kind> {
        self.at += 1;
        let name = self.name()?;
        let (columns, primary_key) = self.table_elements()?;
        if self.eat_word("ON") {
            self.identifier()?;
        }
        Ok(Kind::CreateTable(CreateTable {
            name,
            columns,
            primary_key,
        }))
    }

    /// `(a int NOT NULL, CONSTRAINT pk PRIMARY KEY (a))`.
    #[expect(clippy::type_complexity, reason = "used in two places, both destructure it at once")]
    pub(super) fn table_elements(&mut self) -> Result<(Vec<ColumnDef>, Option<(Option<String>, Vec<String>)>)> {
        self.expect("(")?;
        let mut columns = Vec::new();
        let mut primary_key = None;
        loop {
            if self.word("CONSTRAINT") || self.word("PRIMARY") || self.word("UNIQUE") {
                if let Some(key) = self.table_constraint()? {
                    primary_key = Some(key);
                }
            } else {
                columns.push(self.column_def()?);
            }
            if !self.eat(",") || self.sym(")") {
                break;
            }
        }
        self.expect(")")?;
        if columns.is_empty() {
            return Err(self.syntax());
        }
        Ok((columns, primary_key))
    }

    fn table_constraint(&mut self) -> Result<Option<(Option<String>, Vec<String>)>> {
        let name = if self.eat_word("CONSTRAINT") {
            Some(self.identifier()?)
        } else {
            None
        };
        let primary = self.eat_words(&["PRIMARY", "KEY"]);
        if !primary && !self.eat_word("UNIQUE") {
            return Err(self.syntax());
        }
        self.eat_any(&["CLUSTERED", "NONCLUSTERED"]);
        let columns = self.key_columns()?;
        Ok(primary.then_some((name, columns)))
    }

    fn key_columns(&mut self) -> Result<Vec<String>> {
        self.expect("(")?;
        let columns = self.list(|p| {
            let name = p.identifier()?;
            p.eat_any(&["ASC", "DESC"]);
            Ok(name)
        })?;
        self.expect(")")?;
        Ok(columns)
    }

    fn column_def(&mut self) -> Result<ColumnDef> {
        let name = self.identifier()?;
        let ty = self.data_type(1)?;
        let mut column = ColumnDef {
            name,
            ty,
            nullable: None,
            identity: None,
            default: None,
            primary_key: false,
            unique: false,
            collation: None,
        };
        while self.column_property(&mut column)? {}
        Ok(column)
    }

    fn column_property(&mut self, column: &mut ColumnDef) -> Result<bool> {
        if self.eat_word("CONSTRAINT") {
            self.identifier()?;
        }
        if self.eat_words(&["NOT", "NULL"]) {
            column.nullable = Some(false);
        } else if self.eat_word("NULL") {
            column.nullable = Some(true);
        } else if self.eat_word("IDENTITY") {
            column.identity = Some(self.identity()?);
        } else if self.eat_word("DEFAULT") {
            column.default = Some(self.scalar()?);
        } else if self.eat_words(&["PRIMARY", "KEY"]) {
            self.eat_any(&["CLUSTERED", "NONCLUSTERED"]);
            column.primary_key = true;
        } else if self.eat_word("UNIQUE") {
            self.eat_any(&["CLUSTERED", "NONCLUSTERED"]);
            column.unique = true;
        } else if self.eat_word("COLLATE") {
            column.collation = Some(self.identifier()?);
        } else if !self.eat_word("ROWGUIDCOL") {
            return Ok(false);
        }
        Ok(true)
    }

    fn identity(&mut self) -> Result<(i64, i64)> {
        if !self.eat("(") {
            return Ok((1, 1));
        }
        let seed = self.integer()?;
        self.expect(",")?;
        let step = self.integer()?;
        self.expect(")")?;
        Ok((seed, step))
    }

    fn alter_table(&mut self) -> Result<Kind> {
        self.at += 1;
        let name = self.name()?;
        if self.eat_word("ADD") {
            return Ok(Kind::AlterTable(name, AlterTable::Add(self.list(Self::column_def)?)));
        }
        self.expect_words(&["DROP", "COLUMN"])?;
        self.eat_words(&["IF", "EXISTS"]);
        Ok(Kind::AlterTable(
            name,
            AlterTable::DropColumn(self.list(Self::identifier)?),
        ))
    }

    fn create_index(&mut self) -> Result<Kind> {
        let unique = self.eat_word("UNIQUE");
        self.eat_any(&["CLUSTERED", "NONCLUSTERED"]);
        self.expect_word("INDEX")?;
        let name = self.identifier()?;
        self.expect_word("ON")?;
        let table = self.name()?;
        let columns = self.key_columns()?;
        if self.eat_word("INCLUDE") {
            self.identifiers()?;
        }
        Ok(Kind::CreateIndex(CreateIndex {
            name,
            table,
            columns,
            unique,
        }))
    }

    // ---- procedures ----

    /// A procedure takes the rest of the batch; its body is checked now and stored as text.
    fn procedure_definition(&mut self, start: usize, or_alter: bool, alter: bool) -> Result<Kind> {
        self.at += 1;
        let name = self.name()?;
        let (outer_variables, outer_procedure) = (std::mem::take(&mut self.variables), self.procedure);
        self.procedure = true;
        let parsed = self.procedure_rest(name, start, or_alter, alter);
        self.variables = outer_variables;
        self.procedure = outer_procedure;
        parsed
    }

    fn procedure_rest(&mut self, name: Name, start: usize, or_alter: bool, alter: bool) -> Result<Kind> {
        let parenthesis = self.eat("(");
        let params = if matches!(self.tok(), Tok::Var(_)) {
            self.procedure_params()?
        } else {
            Vec::new()
        };
        if parenthesis {
            self.expect(")")?;
        }
        if self.eat_word("WITH") {
            self.list(|p| {
                let option = p.any_word()?;
                if option == "EXECUTE" {
                    p.expect_word("AS")?;
                    p.bump();
                }
                Ok(())
            })?;
        }
        self.expect_word("AS")?;
        let body = self.procedure_body()?;
        let text = self.text.get(start..).unwrap_or_default().to_owned();
        Ok(Kind::CreateProcedure(CreateProcedure {
            name,
            or_alter,
            alter,
            params,
            body,
            text,
        }))
    }

    fn procedure_body(&mut self) -> Result<Vec<Statement>> {
        let mut body = Vec::new();
        loop {
            while self.eat(";") {}
            if self.tok() == &Tok::End {
                return Ok(body);
            }
            body.push(self.statement(false)?);
        }
    }

    /// `@a int = 1, @b nvarchar(10) OUTPUT`.
    pub(super) fn procedure_params(&mut self) -> Result<Vec<ProcedureParam>> {
        self.list(|p| {
            let Tok::Var(name) = p.tok().clone() else {
                return Err(p.syntax());
            };
            p.at += 1;
            p.eat_word("AS");
            let ty = p.data_type(1)?;
            let default = if p.eat("=") { Some(p.param_default()?) } else { None };
            let output = p.eat_any(&["OUTPUT", "OUT"]).is_some();
            p.eat_word("READONLY");
            p.declare(&name);
            Ok(ProcedureParam {
                name,
                ty,
                default,
                output,
            })
        })
    }

    fn param_default(&mut self) -> Result<Expr> {
        if matches!(self.tok(), Tok::Word(w) if !crate::engine::lexer::is_reserved(w)) {
            return Ok(Expr::Str(self.identifier()?, true));
        }
        self.scalar()
    }

    // ---- databases ----

    fn create_database(&mut self) -> Result<Kind> {
        self.at += 1;
        let mut create = CreateDatabase {
            name: self.identifier()?,
            data: None,
            log: None,
            collation: None,
            attach: false,
        };
        if self.eat_word("ON") {
            self.eat_word("PRIMARY");
            create.data = Some(self.file_spec()?.0);
        }
        if self.eat_words(&["LOG", "ON"]) {
            create.log = Some(self.file_spec()?.0);
        }
        if self.eat_word("COLLATE") {
            create.collation = Some(self.identifier()?);
        }
        if self.eat_word("FOR") {
            self.expect_word("ATTACH")?;
            create.attach = true;
        }
        Ok(Kind::CreateDatabase(create))
    }

    /// `(NAME = a, NEWNAME = b, FILENAME = 'c', SIZE = 8 MB, MAXSIZE = UNLIMITED, FILEGROWTH = 10 %)`.
    fn file_spec(&mut self) -> Result<(FileSpec, Option<String>)> {
        let mut spec = FileSpec::default();
        let mut new_name = None;
        self.expect("(")?;
        loop {
            let key = self.any_word()?;
            self.expect("=")?;
            match key.as_str() {
                "NAME" => spec.name = Some(self.name_or_string()?),
                "NEWNAME" => new_name = Some(self.name_or_string()?),
                "FILENAME" => spec.path = Some(self.string()?),
                "SIZE" => spec.size = Some(self.size()?),
                "MAXSIZE" | "FILEGROWTH" => {
                    if !self.eat_word("UNLIMITED") {
                        self.size()?;
                    }
                }
                _ => return Err(self.syntax_at(self.at - 2)),
            }
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok((spec, new_name))
    }

    fn name_or_string(&mut self) -> Result<String> {
        if matches!(self.tok(), Tok::Str(..)) {
            self.string()
        } else {
            self.identifier()
        }
    }

    fn size(&mut self) -> Result<u64> {
        let number = u64::try_from(self.integer()?).map_err(|_| self.syntax())?;
        let unit = match self.eat_any(&["KB", "MB", "GB", "TB"]).as_deref() {
            Some("KB") => 1 << 10,
            Some("GB") => 1 << 30,
            Some("TB") => 1 << 40,
            _ => {
                self.eat("%");
                1 << 20
            }
        };
        Ok(number.saturating_mul(unit))
    }

    fn alter_database(&mut self) -> Result<Kind> {
        self.at += 1;
        let database = if self.eat_word("CURRENT") {
            None
        } else {
            Some(self.identifier()?)
        };
        let action = if self.eat_word("SET") {
            let options = self.list(Self::database_option)?;
            DatabaseAction::Set(options, self.termination()?)
        } else if self.eat_words(&["MODIFY", "NAME"]) {
            self.expect("=")?;
            DatabaseAction::Rename(self.identifier()?)
        } else if self.eat_words(&["MODIFY", "FILE"]) {
            let (spec, new_name) = self.file_spec()?;
            DatabaseAction::ModifyFile(spec, new_name)
        } else if self.eat_word("COLLATE") {
            DatabaseAction::Collate(self.identifier()?)
        } else {
            return Err(self.syntax());
        };
        Ok(Kind::AlterDatabase(AlterDatabase { database, action }))
    }

    fn database_option(&mut self) -> Result<DatabaseOption> {
        const BARE: &[&str] = &[
            "READ_ONLY",
            "READ_WRITE",
            "MULTI_USER",
            "SINGLE_USER",
            "RESTRICTED_USER",
            "ONLINE",
            "OFFLINE",
            "EMERGENCY",
            "ENABLE_BROKER",
            "DISABLE_BROKER",
            "NEW_BROKER",
            "ERROR_BROKER_CONVERSATIONS",
        ];
        const VALUED: &[(&str, &[&str])] = &[
            ("RECOVERY", &["FULL", "BULK_LOGGED", "SIMPLE"]),
            ("PAGE_VERIFY", &["CHECKSUM", "TORN_PAGE_DETECTION", "NONE"]),
            ("AUTO_CLOSE", &["ON", "OFF"]),
            ("AUTO_SHRINK", &["ON", "OFF"]),
            ("AUTO_CREATE_STATISTICS", &["ON", "OFF"]),
            ("AUTO_UPDATE_STATISTICS", &["ON", "OFF"]),
            ("AUTO_UPDATE_STATISTICS_ASYNC", &["ON", "OFF"]),
            ("TRUSTWORTHY", &["ON", "OFF"]),
            ("DB_CHAINING", &["ON", "OFF"]),
            ("READ_COMMITTED_SNAPSHOT", &["ON", "OFF"]),
            ("ALLOW_SNAPSHOT_ISOLATION", &["ON", "OFF"]),
            ("QUERY_STORE", &["ON", "OFF"]),
            ("ANSI_NULL_DEFAULT", &["ON", "OFF"]),
            ("ANSI_NULLS", &["ON", "OFF"]),
            ("ANSI_PADDING", &["ON", "OFF"]),
            ("ANSI_WARNINGS", &["ON", "OFF"]),
            ("ARITHABORT", &["ON", "OFF"]),
            ("CONCAT_NULL_YIELDS_NULL", &["ON", "OFF"]),
            ("QUOTED_IDENTIFIER", &["ON", "OFF"]),
            ("NUMERIC_ROUNDABORT", &["ON", "OFF"]),
            ("RECURSIVE_TRIGGERS", &["ON", "OFF"]),
            ("CURSOR_CLOSE_ON_COMMIT", &["ON", "OFF"]),
            ("CURSOR_DEFAULT", &["LOCAL", "GLOBAL"]),
            ("PARAMETERIZATION", &["SIMPLE", "FORCED"]),
            ("DATE_CORRELATION_OPTIMIZATION", &["ON", "OFF"]),
            ("ENCRYPTION", &["ON", "OFF"]),
        ];
        let at = self.at;
        let name = self.any_word()?;
        if BARE.contains(&name.as_str()) {
            return Ok(DatabaseOption {
                name,
                value: String::new(),
            });
        }
        if name == "COMPATIBILITY_LEVEL"
            || name == "CONTAINMENT"
            || name == "DELAYED_DURABILITY"
            || name == "TARGET_RECOVERY_TIME"
        {
            self.expect("=")?;
            return Ok(DatabaseOption {
                name,
                value: self.option_value()?,
            });
        }
        let Some((_, values)) = VALUED.iter().find(|(n, _)| *n == name) else {
            self.at = at;
            return Err(self.syntax());
        };
        self.eat("=");
        let value = self.eat_any(values).ok_or_else(|| self.syntax())?;
        Ok(DatabaseOption { name, value })
    }

    fn option_value(&mut self) -> Result<String> {
        match self.bump() {
            Tok::Word(w) => Ok(w.to_uppercase()),
            Tok::Int(i) => {
                self.eat_any(&["SECONDS", "MINUTES"]);
                Ok(i)
            }
            _ => Err(self.syntax_at(self.at.saturating_sub(1))),
        }
    }

    fn termination(&mut self) -> Result<Termination> {
        if !self.eat_word("WITH") {
            return Ok(Termination::Wait);
        }
        if self.eat_word("NO_WAIT") {
            return Ok(Termination::NoWait);
        }
        self.expect_word("ROLLBACK")?;
        if self.eat_word("IMMEDIATE") {
            return Ok(Termination::RollbackImmediate);
        }
        self.expect_word("AFTER")?;
        let seconds = u32::try_from(self.integer()?).map_err(|_| self.syntax())?;
        self.eat_word("SECONDS");
        Ok(Termination::RollbackAfter(seconds))
    }

    fn alter_authorization(&mut self) -> Result<Kind> {
        self.at += 1;
        self.expect_words(&["ON", "DATABASE"])?;
        self.expect("::")?;
        let database = self.identifier()?;
        self.expect_word("TO")?;
        Ok(Kind::AlterAuthorization(database, self.identifier()?))
    }

    // ---- DBCC, KILL ----

    pub(super) fn dbcc(&mut self) -> Result<Kind> {
        const COMMANDS: &[&str] = &[
            "CHECKDB",
            "CHECKTABLE",
            "CHECKALLOC",
            "OPENTRAN",
            "USEROPTIONS",
            "TRACEON",
            "TRACEOFF",
            "TRACESTATUS",
            "INPUTBUFFER",
            "SQLPERF",
            "FREEPROCCACHE",
            "DROPCLEANBUFFERS",
        ];
        const OPTIONS: &[&str] = &[
            "NO_INFOMSGS",
            "ALL_ERRORMSGS",
            "TABLERESULTS",
            "EXTENDED_LOGICAL_CHECKS",
            "PHYSICAL_ONLY",
            "DATA_PURITY",
            "TABLOCK",
            "ESTIMATEONLY",
            "MAXDOP",
        ];
        self.at += 1;
        let at = self.at;
        let command = self.any_word()?;
        if !COMMANDS.contains(&command.as_str()) {
            return Err(err!(2526).at(self.tokens[at].line));
        }
        let mut args = Vec::new();
        if self.eat("(") && !self.eat(")") {
            args = self.list(Self::dbcc_arg)?;
            self.expect(")")?;
        }
        let options = if self.eat_word("WITH") {
            self.list(|p| {
                let option = p.any_word()?;
                if !OPTIONS.contains(&option.as_str()) {
                    p.at -= 1;
                    return Err(p.syntax());
                }
                if option == "MAXDOP" {
                    p.expect("=")?;
                    p.integer()?;
                }
                Ok(option)
            })?
        } else {
            Vec::new()
        };
        Ok(Kind::Dbcc(Dbcc { command, args, options }))
    }

    fn dbcc_arg(&mut self) -> Result<Expr> {
        if self.at_identifier() {
            return Ok(Expr::Str(self.identifier()?, true));
        }
        self.scalar()
    }

    pub(super) fn kill(&mut self) -> Result<Kind> {
        self.at += 1;
        let target = match self.tok() {
            Tok::Int(_) => Expr::Int(self.integer()?),
            Tok::Str(..) => Expr::Str(self.string()?, false),
            _ => return Err(self.syntax()),
        };
        let status = self.eat_words(&["WITH", "STATUSONLY"]);
        Ok(Kind::Kill(target, status))
    }
}
