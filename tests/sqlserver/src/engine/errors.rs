//! Every error and message number the stand-in can say: text, class and state in one table, as SQL Server has them.
//! Where a text takes arguments, `{}` marks them in order. Nothing here decides when an error is raised.

use crate::types::Message;

/// How far an error reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The statement ends, the batch goes on (unless XACT_ABORT is on).
    Statement,
    /// The batch ends.
    Batch,
    /// The connection ends.
    Connection,
}

/// One or more ERROR messages of one failed statement: the root cause first, `3013` and its like last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// In the order in which they are sent.
    pub messages: Vec<Message>,
    /// How far it reaches.
    pub reach: Reach,
}

/// What fallible engine functions return.
pub(super) type Result<T> = std::result::Result<T, SqlError>;

impl SqlError {
    /// The number that `@@ERROR` and `ERROR_NUMBER()` report: the last message's.
    pub fn number(&self) -> i32 {
        self.messages.last().map_or(0, |m| m.number)
    }

    /// Adds a message behind, for example 3013 behind its cause.
    #[must_use]
    pub fn then(mut self, next: SqlError) -> SqlError {
        self.reach = self.reach.max(next.reach);
        self.messages.extend(next.messages);
        self
    }

    /// Fills in the line of messages that have none.
    #[must_use]
    pub fn at(mut self, line: i32) -> SqlError {
        for message in &mut self.messages {
            if message.line == 0 {
                message.line = line;
            }
        }
        self
    }

    /// Fills in the procedure of messages that have none.
    #[must_use]
    pub fn within(mut self, procedure: &str) -> SqlError {
        for message in &mut self.messages {
            if message.procedure.is_empty() {
                message.procedure = procedure.to_owned();
            }
        }
        self
    }

    /// The same error with another state.
    #[must_use]
    pub fn state(mut self, state: u8) -> SqlError {
        for message in &mut self.messages {
            message.state = state;
        }
        self
    }

    /// Ends the batch even where the number alone would not.
    #[must_use]
    pub fn ends_batch(mut self) -> SqlError {
        self.reach = self.reach.max(Reach::Batch);
        self
    }

    /// Whether an Attention or KILL ended the statement: no message is sent for it by itself.
    pub fn is_cancelled(&self) -> bool {
        self.messages.is_empty()
    }

    /// The statement was cancelled by the client.
    pub fn cancelled() -> SqlError {
        SqlError {
            messages: Vec::new(),
            reach: Reach::Batch,
        }
    }
}

struct Entry {
    number: i32,
    class: u8,
    state: u8,
    reach: Reach,
    text: &'static str,
}

const fn s(number: i32, class: u8, state: u8, text: &'static str) -> Entry {
    Entry {
        number,
        class,
        state,
        reach: Reach::Statement,
        text,
    }
}

const fn b(number: i32, class: u8, state: u8, text: &'static str) -> Entry {
    Entry {
        number,
        class,
        state,
        reach: Reach::Batch,
        text,
    }
}

const fn c(number: i32, class: u8, state: u8, text: &'static str) -> Entry {
    Entry {
        number,
        class,
        state,
        reach: Reach::Connection,
        text,
    }
}

/// One line per number; a test holds the numbers unique.
const TABLE: &[Entry] = &[
    b(102, 15, 1, "Incorrect syntax near '{}'."),
    b(
        103,
        15,
        4,
        "The {} that starts with '{}' is too long. Maximum length is {}.",
    ),
    b(105, 15, 1, "Unclosed quotation mark after the character string '{}'."),
    s(
        107,
        15,
        1,
        "The column prefix '{}' does not match with a table name or alias name used in the query.",
    ),
    b(
        108,
        16,
        1,
        "The ORDER BY position number {} is out of range of the number of items in the select list.",
    ),
    b(
        109,
        15,
        1,
        "There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
    ),
    b(
        110,
        15,
        1,
        "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
    ),
    b(113, 15, 1, "Missing end comment mark '*/'."),
    b(
        116,
        16,
        1,
        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
    ),
    b(
        117,
        15,
        1,
        "The {} name '{}' contains more than the maximum number of prefixes. The maximum is {}.",
    ),
    b(
        119,
        15,
        1,
        "Must pass parameter number {} and subsequent parameters as '@name = value'. After the form '@name = value' has been used, all subsequent parameters must be passed in the form '@name = value'.",
    ),
    b(
        120,
        15,
        1,
        "The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.",
    ),
    b(
        121,
        15,
        1,
        "The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.",
    ),
    b(
        128,
        15,
        1,
        "The name \"{}\" is not permitted in this context. Valid expressions are constants, constant expressions, and (in some contexts) variables. Column names are not permitted.",
    ),
    b(
        130,
        16,
        1,
        "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.",
    ),
    b(
        134,
        15,
        2,
        "The variable name '{}' has already been declared. Variable names must be unique within a query batch or stored procedure.",
    ),
    b(
        135,
        15,
        1,
        "Cannot use a BREAK statement outside the scope of a WHILE statement.",
    ),
    b(
        136,
        15,
        1,
        "Cannot use a CONTINUE statement outside the scope of a WHILE statement.",
    ),
    b(137, 15, 2, "Must declare the scalar variable \"{}\"."),
    b(138, 15, 2, "Correlation clause in a subquery not permitted."),
    b(
        141,
        15,
        1,
        "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.",
    ),
    b(
        145,
        15,
        1,
        "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.",
    ),
    b(
        147,
        15,
        1,
        "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.",
    ),
    b(
        148,
        15,
        1,
        "Incorrect time syntax in time string '{}' used with WAITFOR.",
    ),
    b(153, 15, 1, "Invalid usage of the option {} in the {} statement."),
    b(155, 15, 1, "'{}' is not a recognized {} option."),
    b(156, 15, 1, "Incorrect syntax near the keyword '{}'."),
    b(
        157,
        15,
        1,
        "An aggregate may not appear in the set list of an UPDATE statement.",
    ),
    b(174, 15, 1, "The {} function requires {} argument(s)."),
    b(
        178,
        15,
        1,
        "A RETURN statement with a return value cannot be used in this context.",
    ),
    b(
        181,
        15,
        1,
        "Cannot use the OUTPUT option in a DECLARE, CREATE AGGREGATE or CREATE FUNCTION statement.",
    ),
    b(189, 15, 1, "The {} function requires {} to {} arguments."),
    b(195, 15, 10, "'{}' is not a recognized built-in function name."),
    b(195_001, 15, 5, "'{}' is not a recognized SET option."),
    s(
        201,
        16,
        4,
        "Procedure or function '{}' expects parameter '{}', which was not supplied.",
    ),
    b(
        205,
        16,
        1,
        "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
    ),
    b(206, 16, 2, "Operand type clash: {} is incompatible with {}"),
    b(207, 16, 1, "Invalid column name '{}'."),
    b(208, 16, 1, "Invalid object name '{}'."),
    b(209, 16, 1, "Ambiguous column name '{}'."),
    b(
        213,
        16,
        1,
        "Column name or number of supplied values does not match table definition.",
    ),
    s(214, 16, 2, "Procedure expects parameter '{}' of type '{}'."),
    s(
        217,
        16,
        1,
        "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
    ),
    s(220, 16, 1, "Arithmetic overflow error for data type {}, value = {}."),
    s(
        229,
        14,
        5,
        "The {} permission was denied on the object '{}', database '{}', schema '{}'.",
    ),
    b(
        241,
        16,
        1,
        "Conversion failed when converting date and/or time from character string.",
    ),
    b(
        242,
        16,
        3,
        "The conversion of a {} data type to a {} data type resulted in an out-of-range value.",
    ),
    b(243, 16, 1, "Type {} is not a defined system type."),
    b(
        244,
        16,
        1,
        "The conversion of the {} value '{}' overflowed an {} column. Use a larger integer column.",
    ),
    b(
        245,
        16,
        1,
        "Conversion failed when converting the {} value '{}' to data type {}.",
    ),
    b(
        248,
        16,
        1,
        "The conversion of the {} value '{}' overflowed an int column.",
    ),
    b(
        257,
        16,
        3,
        "Implicit conversion from data type {} to {} is not allowed. Use the CONVERT function to run this query.",
    ),
    b(
        260,
        16,
        1,
        "Disallowed implicit conversion from data type {} to data type {}, table '{}', column '{}'. Use the CONVERT function to run this query.",
    ),
    s(262, 14, 1, "{} permission denied in database '{}'."),
    b(
        264,
        16,
        1,
        "The column name '{}' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause. Modify the clause to make sure that a column is updated only once. If this statement updates or inserts columns into a view, column aliasing can conceal the duplication in your code.",
    ),
    b(
        266,
        16,
        2,
        "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count = {}, current count = {}.",
    ),
    s(297, 16, 1, "The user does not have permission to perform this action."),
    s(
        300,
        14,
        1,
        "{} permission was denied on object 'server', database 'master'.",
    ),
    b(
        306,
        16,
        2,
        "The text, ntext, and image data types cannot be compared or sorted, except when using IS NULL or LIKE operator.",
    ),
    b(
        402,
        16,
        1,
        "The data types {} and {} are incompatible in the {} operator.",
    ),
    b(
        403,
        16,
        1,
        "Invalid operator for data type. Operator equals {}, type equals {}.",
    ),
    b(412, 16, 1, "'{}' is not a recognized option."),
    b(
        443,
        16,
        15,
        "Invalid use of a side-effecting operator '{}' within a function.",
    ),
    b(447, 16, 1, "Expression type {} is invalid for COLLATE clause."),
    b(448, 16, 3, "Invalid collation '{}'."),
    b(
        502,
        16,
        1,
        "The savepoint name '{}' that was provided is too long. The maximum allowed length is {} characters.",
    ),
    s(
        512,
        16,
        1,
        "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.",
    ),
    s(
        515,
        16,
        2,
        "Cannot insert the value NULL into column '{}', table '{}'; column does not allow nulls. {} fails.",
    ),
    b(517, 16, 1, "Adding a value to a '{}' column caused an overflow."),
    s(
        535,
        16,
        0,
        "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.",
    ),
    s(536, 16, 4, "Invalid length parameter passed to the {} function."),
    s(
        537,
        16,
        3,
        "Invalid length parameter passed to the LEFT or SUBSTRING function.",
    ),
    s(
        544,
        16,
        1,
        "Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.",
    ),
    b(
        596,
        21,
        1,
        "Cannot continue the execution because the session is in the kill state.",
    ),
    s(
        824,
        24,
        2,
        "SQL Server detected a logical consistency-based I/O error: incorrect checksum (expected: 0x{}; actual: 0x{}). It occurred during a read of page ({}:{}) in database ID {} at offset {} in file '{}'.  Additional messages in the SQL Server error log or operating system error log may provide more detail. This is a severe error condition that threatens database integrity and must be corrected immediately. Complete a full database consistency check (DBCC CHECKDB). This error can be caused by many factors; for more information, see https://go.microsoft.com/fwlink/?linkid=2252374.",
    ),
    s(
        823,
        24,
        2,
        "The operating system returned error {} to SQL Server during a {} at offset {} in file '{}'. Additional messages in the SQL Server error log and operating system error log may provide more detail. This is a severe system-level error condition that threatens database integrity and must be corrected immediately. Complete a full database consistency check (DBCC CHECKDB). This error can be caused by many factors; for more information, see https://go.microsoft.com/fwlink/?linkid=2252374.",
    ),
    s(
        901,
        21,
        1,
        "Could not find descriptor for database ID {}, object ID {}.",
    ),
    s(
        904,
        16,
        1,
        "Database {} cannot be autostarted during server shutdown or startup.",
    ),
    s(
        905,
        21,
        1,
        "Database '{}' cannot be started in this edition of SQL Server because it contains a partition function '{}'. Only Enterprise edition of SQL Server supports partitioning.",
    ),
    s(
        909,
        21,
        1,
        "Database '{}' cannot be started in this edition of SQL Server because part or all of object '{}' is enabled with data compression or vardecimal storage format. Data compression and vardecimal storage format are only supported on SQL Server Enterprise Edition.",
    ),
    s(
        911,
        16,
        1,
        "Database '{}' does not exist. Make sure that the name is entered correctly.",
    ),
    s(
        916,
        14,
        2,
        "The server principal \"{}\" is not able to access the database \"{}\" under the current security context.",
    ),
    s(
        922,
        14,
        1,
        "Database '{}' is being recovered. Waiting until recovery is finished.",
    ),
    s(
        924,
        14,
        1,
        "Database '{}' is already open and can only have one user at a time.",
    ),
    s(
        927,
        14,
        2,
        "Database '{}' cannot be opened. It is in the middle of a restore.",
    ),
    s(942, 14, 4, "Database '{}' cannot be opened because it is offline."),
    s(
        945,
        14,
        2,
        "Database '{}' cannot be opened due to inaccessible files or insufficient memory or disk space.  See the SQL Server errorlog for details.",
    ),
    s(
        948,
        20,
        1,
        "The database '{}' cannot be opened because it is version {}. This server supports version {} and earlier. A downgrade path is not supported.",
    ),
    s(
        951,
        0,
        1,
        "Database '{}' running the upgrade step from version {} to version {}.",
    ),
    s(
        976,
        14,
        1,
        "The target database, '{}', is participating in an availability group and is currently not accessible for queries. Either data movement is suspended or the availability replica is not enabled for read access. To allow read-only access to this and other databases in the availability group, enable read access to one or more secondary availability replicas in the group.  For more information, see the ALTER AVAILABILITY GROUP statement in SQL Server Books Online.",
    ),
    b(
        1007,
        15,
        1,
        "The number '{}' is out of the range for numeric representation (maximum precision 38).",
    ),
    b(
        1011,
        15,
        1,
        "The correlation name '{}' is specified multiple times in a FROM clause.",
    ),
    b(
        1013,
        16,
        1,
        "The objects \"{}\" and \"{}\" in the FROM clause have the same exposed names. Use correlation names to distinguish them.",
    ),
    b(1023, 15, 1, "Invalid parameter {} specified for {}."),
    b(
        1033,
        15,
        1,
        "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.",
    ),
    s(
        1060,
        15,
        1,
        "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.",
    ),
    b(
        1088,
        16,
        11,
        "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
    ),
    b(1087, 15, 2, "Must declare the table variable \"{}\"."),
    s(
        1205,
        13,
        51,
        "Transaction (Process ID {}) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.",
    ),
    s(1222, 16, 51, "Lock request time out period exceeded."),
    s(
        1468,
        16,
        1,
        "The operation cannot be performed on database \"{}\" because it is involved in a database mirroring session or an availability group. Some operations are not allowed on a database that is participating in a database mirroring session or in an availability group.",
    ),
    s(
        1505,
        16,
        1,
        "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '{}' and the index name '{}'. The duplicate key value is ({}).",
    ),
    s(
        1801,
        16,
        3,
        "Database '{}' already exists. Choose a different database name.",
    ),
    s(
        1802,
        16,
        4,
        "CREATE DATABASE failed. Some file names listed could not be created. Check related errors.",
    ),
    s(
        1827,
        16,
        4,
        "CREATE DATABASE or ALTER DATABASE failed because the resulting cumulative database size would exceed your licensed limit of {} MB per database.",
    ),
    s(
        1834,
        16,
        1,
        "The file '{}' cannot be overwritten.  It is being used by database '{}'.",
    ),
    s(1844, 16, 1, "{} is not supported on {}."),
    s(
        1934,
        16,
        1,
        "{} failed because the following SET options have incorrect settings: '{}'.",
    ),
    s(
        2528,
        10,
        1,
        "DBCC execution completed. If DBCC printed error messages, contact your system administrator.",
    ),
    b(
        2526,
        16,
        3,
        "Incorrect DBCC statement. Check the documentation for the correct DBCC syntax and options.",
    ),
    s(2536, 10, 1, "DBCC results for '{}'."),
    s(
        2520,
        16,
        5,
        "Could not find database '{}'. The database either does not exist, or was dropped before a statement tried to use it. Verify if the database exists by querying the sys.databases catalog view.",
    ),
    s(2571, 14, 3, "User '{}' does not have permission to run DBCC {}."),
    b(2_571_001, 15, 1, "Incorrect DBCC option."),
    s(2593, 10, 1, "There are {} rows in {} pages for object \"{}\"."),
    s(
        2601,
        14,
        1,
        "Cannot insert duplicate key row in object '{}' with unique index '{}'. The duplicate key value is ({}).",
    ),
    s(
        2627,
        14,
        1,
        "Violation of PRIMARY KEY constraint '{}'. Cannot insert duplicate key in object '{}'. The duplicate key value is ({}).",
    ),
    s(
        2628,
        16,
        1,
        "String or binary data would be truncated in table '{}', column '{}'. Truncated value: '{}'.",
    ),
    s(2714, 16, 6, "There is already an object named '{}' in the database."),
    b(
        2715,
        16,
        6,
        "Column, parameter, or variable #{}: Cannot find data type {}.",
    ),
    b(
        2717,
        16,
        2,
        "The size ({}) given to the {} '{}' exceeds the maximum allowed ({}).",
    ),
    b(
        2705,
        16,
        3,
        "Column names in each table must be unique. Column name '{}' in table '{}' is specified more than once.",
    ),
    s(
        2749,
        16,
        2,
        "Identity column '{}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.",
    ),
    s(2759, 16, 0, "CREATE SCHEMA failed due to previous errors."),
    s(
        2760,
        16,
        1,
        "The specified schema name \"{}\" either does not exist or you do not have permission to use it.",
    ),
    s(2812, 16, 62, "Could not find stored procedure '{}'."),
    s(2787, 16, 1, "Invalid format specification: '{}'."),
    s(
        3009,
        16,
        1,
        "Could not insert a backup or restore history/detail record in the msdb database. This may indicate a problem with the msdb database. The backup/restore operation was still successful.",
    ),
    s(3010, 16, 1, "Invalid backup mirror specification. {}"),
    s(
        3011,
        16,
        1,
        "All backup devices must be of the same general class (for example, DISK and TAPE).",
    ),
    s(3013, 16, 1, "{} is terminating abnormally."),
    s(
        3014,
        0,
        1,
        "{} successfully processed {} pages in {} seconds ({} MB/sec).",
    ),
    s(
        3021,
        16,
        0,
        "Cannot perform a backup or restore operation within a transaction.",
    ),
    s(
        3023,
        16,
        2,
        "Backup, file manipulation operations (such as ALTER DATABASE ADD FILE) and encryption changes on a database must be serialized. Reissue the statement after the current backup or file manipulation operation is completed.",
    ),
    b(
        3031,
        16,
        1,
        "Option '{}' conflicts with option(s) '{}'. Remove the conflicting option and reissue the statement.",
    ),
    b(
        3032,
        16,
        2,
        "One or more of the options ({}) are not supported for this statement. Review the documentation for supported options.",
    ),
    s(
        3033,
        16,
        0,
        "BACKUP DATABASE cannot be used on a database opened in emergency mode.",
    ),
    s(
        3035,
        16,
        1,
        "Cannot perform a differential backup for database \"{}\", because a current database backup does not exist. Perform a full database backup by reissuing BACKUP DATABASE, omitting the WITH DIFFERENTIAL option.",
    ),
    s(
        3036,
        16,
        5,
        "The database \"{}\" is in warm-standby state (set by executing RESTORE WITH STANDBY) and cannot be backed up until the entire restore sequence is completed.",
    ),
    s(
        3043,
        16,
        1,
        "BACKUP '{}' detected an error on page ({}:{}) in file '{}'.",
    ),
    s(
        3049,
        16,
        1,
        "BACKUP detected corruption in the database log. Check the errorlog for more information.",
    ),
    s(
        3057,
        16,
        1,
        "Invalid device name. The length of the device name provided exceeds supported limit (maximum length is:{}). Reissue the BACKUP statement with a valid device name.",
    ),
    s(
        3058,
        10,
        1,
        "File or device name exceeds the supported limit (maximum length is:{}) and will be truncated: {}.",
    ),
    s(
        3095,
        16,
        1,
        "The backup cannot be performed because 'ENCRYPTION' was requested after the media was formatted with an incompatible structure. To append to this media set, either omit 'ENCRYPTION' or create a new media set by using WITH FORMAT in your BACKUP statement. If you use WITH FORMAT on an existing media set, all its backup sets will be overwritten.",
    ),
    s(
        3098,
        16,
        2,
        "The backup cannot be performed because '{}' was requested after the media was formatted with an incompatible structure. To append to this media set, either omit '{}' or specify '{}'. Alternatively, you can create a new media set by using WITH FORMAT in your BACKUP statement. If you use WITH FORMAT on an existing media set, all its backup sets will be overwritten.",
    ),
    s(
        3101,
        16,
        1,
        "Exclusive access could not be obtained because the database is in use.",
    ),
    s(
        3102,
        16,
        1,
        "{} cannot process database '{}' because it is in use by this session. It is recommended that the master database be used when performing this operation.",
    ),
    s(
        3104,
        16,
        1,
        "RESTORE cannot operate on database '{}' because it is configured for database mirroring or has joined an availability group. If you intend to restore the database, use ALTER DATABASE to remove mirroring or to remove the database from its availability group.",
    ),
    s(3110, 14, 1, "User does not have permission to RESTORE database '{}'."),
    s(
        3117,
        16,
        4,
        "The log or differential backup cannot be restored because no files are ready to rollforward.",
    ),
    s(
        3118,
        16,
        1,
        "The database \"{}\" does not exist. RESTORE can only create a database when restoring either a full backup or a file backup of the primary file.",
    ),
    s(
        3119,
        16,
        1,
        "Problems were identified while planning for the RESTORE statement. Previous messages provide details.",
    ),
    s(
        3120,
        16,
        1,
        "This backup set will not be restored because all data has already been restored to a point beyond the time covered by this backup set.",
    ),
    s(
        3132,
        16,
        1,
        "The media set has {} media families but only {} are provided. All members must be provided.",
    ),
    s(
        3136,
        16,
        1,
        "This differential backup cannot be restored because the database has not been restored to the correct earlier state.",
    ),
    s(
        3141,
        16,
        0,
        "The database to be restored was named '{}'. Reissue the statement using the WITH REPLACE option to overwrite the '{}' database.",
    ),
    s(
        3142,
        16,
        1,
        "File \"{}\" cannot be restored over the existing \"{}\". Reissue the RESTORE statement using WITH REPLACE to overwrite pre-existing files, or WITH MOVE to identify an alternate location.",
    ),
    s(
        3148,
        16,
        1,
        "This RESTORE statement is invalid in the current context. The 'Recover Data Only' option is only defined for secondary filegroups when the database is in an online state. When the database is in an offline state filegroups cannot be specified.",
    ),
    s(
        3154,
        16,
        4,
        "The backup set holds a backup of a database other than the existing '{}' database.",
    ),
    s(
        3156,
        16,
        4,
        "File '{}' cannot be restored to '{}'. Use WITH MOVE to identify a valid location for the file.",
    ),
    s(
        3159,
        16,
        1,
        "The tail of the log for the database \"{}\" has not been backed up. Use BACKUP LOG WITH NORECOVERY to backup the log if it contains work you do not want to lose. Use the WITH REPLACE or WITH STOPAT clause of the RESTORE statement to just overwrite the contents of the log.",
    ),
    s(
        3168,
        16,
        1,
        "The backup of the system database on the device {} cannot be restored because it was created by a different version of the server ({}) than this server ({}).",
    ),
    s(
        3169,
        16,
        1,
        "The database was backed up on a server running version {}. That version is incompatible with this server, which is running version {}. Either restore the database on a server that supports the backup, or use a backup that is compatible with this server.",
    ),
    s(
        3176,
        16,
        1,
        "File '{}' is claimed by '{}'({}) and '{}'({}). The WITH MOVE clause can be used to relocate one or more files.",
    ),
    s(
        3183,
        16,
        1,
        "RESTORE detected an error on page ({}:{}) in database \"{}\" as read from the backup set.",
    ),
    s(
        3187,
        16,
        1,
        "RESTORE WITH CHECKSUM cannot be specified because the backup set does not contain checksum information.",
    ),
    s(3189, 16, 1, "Damage to the backup set was detected."),
    s(
        3201,
        16,
        1,
        "Cannot open backup device '{}'. Operating system error {}.",
    ),
    s(3202, 16, 1, "Write on \"{}\" failed: {}"),
    s(3203, 16, 1, "Read on \"{}\" failed: {}"),
    s(
        3206,
        16,
        1,
        "Backup device '{}' does not exist. To view existing backup devices, use the sys.backup_devices catalog view. To create a new backup device use either sp_addumpdevice or SQL Server Management Studio.",
    ),
    s(3211, 10, 1, "{} percent processed."),
    s(
        3227,
        16,
        1,
        "The backup media on \"{}\" is part of media family {} which has already been processed on \"{}\". Ensure that backup devices are correctly specified. For tape devices, ensure that the correct volumes are loaded.",
    ),
    s(
        3231,
        16,
        1,
        "The media loaded on \"{}\" is formatted to support {} media families, but {} media families are expected according to the backup device specification.",
    ),
    s(
        3234,
        16,
        2,
        "Logical file '{}' is not part of database '{}'. Use RESTORE FILELISTONLY to list the logical file names.",
    ),
    s(
        3239,
        16,
        1,
        "The backup set on device '{}' uses a feature of the Microsoft Tape Format not supported by SQL Server.",
    ),
    s(
        3241,
        16,
        0,
        "The media family on device '{}' is incorrectly formed. SQL Server cannot process this media family.",
    ),
    s(
        3242,
        16,
        2,
        "The file on device '{}' is not a valid Microsoft Tape Format backup set.",
    ),
    s(
        3243,
        16,
        1,
        "The media family on device '{}' was created using Microsoft Tape Format version {}.{}. SQL Server supports version {}.{}.",
    ),
    s(
        3247,
        16,
        1,
        "The volume on device '{}' has the wrong media sequence number ({}). Remove it and insert volume {}.",
    ),
    s(3250, 16, 1, "The value '{}' is not within range for the {} parameter."),
    s(
        3251,
        0,
        1,
        "The media family on device '{}' is complete. The device is now being reused for one of the remaining families.",
    ),
    s(3254, 16, 1, "The volume on device '{}' is empty."),
    s(
        3256,
        16,
        1,
        "The backup set on device '{}' was terminated while it was being created and is incomplete. RESTORE sequence is terminated abnormally.",
    ),
    s(
        3257,
        16,
        1,
        "There is insufficient free space on disk volume '{}' to create the database. The database requires {} additional free bytes, while only {} bytes are available.",
    ),
    s(
        3258,
        16,
        1,
        "The volume on the device \"{}\" is not part of the media set that is currently being processed. Ensure that the backup devices are loaded with the correct media.",
    ),
    s(3262, 0, 1, "The backup set on file {} is valid."),
    s(
        3268,
        16,
        1,
        "Cannot use the backup file '{}' because it was originally formatted with sector size {} and is now on a device with sector size {}.",
    ),
    s(3279, 16, 6, "Access is denied due to a password failure"),
    s(
        3287,
        16,
        1,
        "The file ID {} on device '{}' is incorrectly formed and can not be read.",
    ),
    s(
        3449,
        21,
        1,
        "SQL Server must shut down in order to recover a database (database ID {}). The database is either a user database that could not be shut down or a system database. Restart SQL Server. If the database fails to recover after another startup, repair or restore the database.",
    ),
    s(
        3609,
        16,
        1,
        "The transaction ended in the trigger. The batch has been aborted.",
    ),
    s(
        3611,
        10,
        1,
        "{} transactions rolled forward in database '{}' ({}). This is an informational message only. No user action is required.",
    ),
    s(
        3616,
        16,
        1,
        "An error was raised during trigger execution. The batch has been aborted and the user transaction, if any, has been rolled back.",
    ),
    s(3621, 0, 0, "The statement has been terminated."),
    s(
        3630,
        0,
        1,
        "Nonqualified transactions are being rolled back. Estimated rollback completion: {}%.",
    ),
    s(
        3701,
        11,
        5,
        "Cannot drop the {} '{}', because it does not exist or you do not have permission.",
    ),
    s(
        3702,
        16,
        3,
        "Cannot drop database \"{}\" because it is currently in use.",
    ),
    s(3708, 16, 4, "Cannot drop the {} '{}' because it is a system {}."),
    s(3723, 16, 4, "An explicit DROP INDEX is not allowed on index '{}'. {}"),
    s(
        3752,
        16,
        1,
        "The database '{}' is currently joined to an availability group.  Before you can drop the database, you need to remove it from the availability group.",
    ),
    s(
        3902,
        16,
        1,
        "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
    ),
    s(
        3903,
        16,
        1,
        "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.",
    ),
    s(
        3906,
        16,
        1,
        "Failed to update database \"{}\" because the database is read-only.",
    ),
    s(
        3915,
        16,
        0,
        "Cannot use the ROLLBACK statement within an INSERT-EXEC statement.",
    ),
    s(
        3930,
        16,
        1,
        "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
    ),
    s(
        3998,
        16,
        1,
        "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.",
    ),
    s(
        4035,
        0,
        1,
        "Processed {} pages for database '{}', file '{}' on file {}.",
    ),
    c(
        4060,
        11,
        1,
        "Cannot open database \"{}\" requested by the login. The login failed.",
    ),
    c(4064, 11, 1, "Cannot open user default database. Login failed."),
    b(4104, 16, 1, "The multi-part identifier \"{}\" could not be bound."),
    b(
        4108,
        15,
        1,
        "Windowed functions can only appear in the SELECT or ORDER BY clauses.",
    ),
    b(
        4121,
        16,
        1,
        "Cannot find either column \"{}\" or the user-defined function or aggregate \"{}\", or the name is ambiguous.",
    ),
    b(
        4145,
        15,
        1,
        "An expression of non-boolean type specified in a context where a condition is expected, near '{}'.",
    ),
    s(
        4208,
        16,
        1,
        "The statement {} is not allowed while the recovery model is SIMPLE. Use BACKUP DATABASE or change the recovery model using ALTER DATABASE.",
    ),
    s(
        4214,
        16,
        1,
        "BACKUP LOG cannot be performed because there is no current database backup.",
    ),
    s(
        4305,
        16,
        1,
        "The log in this backup set begins at LSN {}, which is too recent to apply to the database. An earlier log backup that includes LSN {} can be restored.",
    ),
    s(
        4326,
        16,
        1,
        "The log in this backup set terminates at LSN {}, which is too early to apply to the database. A more recent log backup that includes LSN {} can be restored.",
    ),
    s(
        4502,
        16,
        1,
        "View or function '{}' has more column names specified than columns defined.",
    ),
    s(
        4604,
        16,
        1,
        "There is no such user or group '{}' or you do not have permission.",
    ),
    s(
        4606,
        16,
        1,
        "Granted or revoked privilege {} is not compatible with object.",
    ),
    s(4613, 16, 1, "Grantor does not have GRANT permission."),
    s(
        4902,
        16,
        1,
        "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
    ),
    b(
        5008,
        16,
        1,
        "This ALTER DATABASE statement is not supported. Correct the syntax and execute the statement again.",
    ),
    s(
        5011,
        14,
        5,
        "User does not have permission to alter database '{}', the database does not exist, or the database is not in a state that allows access checks.",
    ),
    s(
        5030,
        16,
        12,
        "The database could not be exclusively locked to perform the operation.",
    ),
    s(5058, 16, 1, "Option '{}' cannot be set in database '{}'."),
    s(
        5060,
        10,
        1,
        "Nonqualified transactions are being rolled back. Estimated rollback completion: {}%.",
    ),
    s(
        5061,
        16,
        1,
        "ALTER DATABASE failed because a lock could not be placed on database '{}'. Try again later.",
    ),
    s(5062, 16, 1, "The option \"{}\" requires a value of {}."),
    s(
        5063,
        16,
        1,
        "Database '{}' is in warm standby. A warm-standby database is read-only.",
    ),
    s(
        5064,
        16,
        1,
        "Changes to the state or options of database '{}' cannot be made at this time. The database is in single-user mode, and a user is currently connected to it.",
    ),
    s(5069, 16, 1, "ALTER DATABASE statement failed."),
    s(
        5070,
        16,
        2,
        "Database state cannot be changed while other users are using the database '{}'",
    ),
    s(
        5072,
        16,
        1,
        "ALTER DATABASE failed. The default collation of database '{}' cannot be set to {}.",
    ),
    s(
        5120,
        16,
        101,
        "Unable to open the physical file \"{}\". Operating system error {}: \"{}\".",
    ),
    s(
        5123,
        16,
        1,
        "CREATE FILE encountered operating system error {} while attempting to open or create the physical file '{}'.",
    ),
    s(
        5133,
        16,
        1,
        "Directory lookup for the file \"{}\" failed with the operating system error {}.",
    ),
    s(
        5149,
        16,
        1,
        "MODIFY FILE encountered operating system error {} while attempting to expand the physical file '{}'.",
    ),
    s(
        5170,
        16,
        1,
        "Cannot create file '{}' because it already exists. Change the file path or the file name, and retry the operation.",
    ),
    s(
        5505,
        16,
        1,
        "A table that has FILESTREAM columns must have a nonnull unique column with the ROWGUID property.",
    ),
    s(5701, 0, 2, "Changed database context to '{}'."),
    s(5703, 0, 1, "Changed language setting to {}."),
    s(5808, 10, 1, "Ad hoc update to system catalogs is not supported."),
    s(6101, 16, 1, "Session ID {} is not valid."),
    s(6102, 14, 1, "User does not have permission to use the KILL statement."),
    s(6104, 16, 1, "Cannot use KILL to kill your own process."),
    s(6106, 16, 2, "Process ID {} is not an active process ID."),
    s(6107, 14, 1, "Only user processes can be killed."),
    s(
        6120,
        16,
        1,
        "Status report cannot be obtained. Rollback operation for Process ID {} is not in progress.",
    ),
    s(
        8101,
        16,
        1,
        "An explicit value for the identity column in table '{}' can only be specified when a column list is used and IDENTITY_INSERT is ON.",
    ),
    s(8102, 16, 1, "Cannot update identity column '{}'."),
    b(8114, 16, 5, "Error converting data type {} to {}."),
    s(8115, 16, 2, "Arithmetic overflow error converting {} to data type {}."),
    b(
        8116,
        16,
        1,
        "Argument data type {} is invalid for argument {} of {} function.",
    ),
    b(8117, 16, 1, "Operand data type {} is invalid for {} operator."),
    b(
        8120,
        16,
        1,
        "Column '{}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.",
    ),
    s(8134, 16, 1, "Divide by zero error encountered."),
    s(
        8144,
        16,
        2,
        "Procedure or function {} has too many arguments specified.",
    ),
    s(8145, 16, 1, "{} is not a parameter for procedure {}."),
    s(
        8146,
        16,
        2,
        "Procedure {} has no parameters and arguments were supplied.",
    ),
    s(8152, 16, 10, "String or binary data would be truncated."),
    b(8155, 16, 2, "No column name was specified for column {} of '{}'."),
    b(8156, 16, 1, "The column '{}' was specified multiple times for '{}'."),
    b(
        8158,
        16,
        1,
        "'{}' has more columns than were specified in the column list.",
    ),
    b(
        8159,
        16,
        1,
        "'{}' has fewer columns than were specified in the column list.",
    ),
    s(
        8162,
        16,
        2,
        "The formal parameter \"{}\" was not declared as an OUTPUT parameter, but the actual parameter passed in requested output.",
    ),
    b(
        8163,
        16,
        1,
        "The {} data type cannot be selected as DISTINCT because it is not comparable.",
    ),
    s(
        8169,
        16,
        2,
        "Conversion failed when converting from a character string to uniqueidentifier.",
    ),
    s(
        8170,
        16,
        2,
        "Insufficient result space to convert uniqueidentifier value to char.",
    ),
    s(
        8178,
        16,
        1,
        "The parameterized query '{}' expects the parameter '{}', which was not supplied.",
    ),
    s(8179, 16, 5, "Could not find prepared statement with handle {}."),
    s(
        8621,
        16,
        1,
        "The query processor ran out of stack space during query optimization. Please simplify the query.",
    ),
    s(
        8914,
        16,
        1,
        "Incorrect PFS free space information for page ({}:{}) in object ID {}.",
    ),
    s(
        8921,
        16,
        1,
        "Check terminated. A failure was detected while collecting facts. Possibly tempdb out of space or a system table is inconsistent. Check previous errors.",
    ),
    s(
        8928,
        16,
        1,
        "Object ID {}, index ID {}, partition ID {}, alloc unit ID {} (type In-row data): Page ({}:{}) could not be processed.  See other errors for details.",
    ),
    s(
        8939,
        16,
        98,
        "Table error: Object ID {}, index ID {}, partition ID {}, alloc unit ID {} (type In-row data), page ({}:{}). Test (IS_OFF (BUF_IOERR, pBUF->bstat)) failed. Values are {} and {}.",
    ),
    s(
        8957,
        10,
        1,
        "{} executed by {} found {} errors and repaired {} errors. Elapsed time: {} hours {} minutes {} seconds.",
    ),
    s(
        8954,
        10,
        1,
        "CHECKDB found {} allocation errors and {} consistency errors not associated with any single object.",
    ),
    s(
        8958,
        10,
        1,
        "{} is the minimum repair level for the errors found by {}.",
    ),
    s(
        8989,
        10,
        1,
        "CHECKDB found {} allocation errors and {} consistency errors in database '{}'.",
    ),
    s(
        8990,
        10,
        1,
        "CHECKDB found {} allocation errors and {} consistency errors in table '{}' (object ID {}).",
    ),
    s(
        9002,
        17,
        4,
        "The transaction log for database '{}' is full due to '{}'.",
    ),
    s(9104, 16, 1, "auto statistics internal"),
    b(10137, 16, 1, "The name \"{}\" is not permitted."),
    b(
        10704,
        15,
        1,
        "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.",
    ),
    b(10753, 15, 3, "The function '{}' must have an OVER clause."),
    b(
        10709,
        16,
        1,
        "The number of columns for each row in a table value constructor must be the same.",
    ),
    s(13535, 16, 1, "Data modification failed on system-versioned table."),
    s(14259, 16, 1, "A schedule named '{}' already exists."),
    s(
        15002,
        16,
        1,
        "The procedure '{}' cannot be executed within a transaction.",
    ),
    s(15007, 16, 1, "'{}' is not a valid login or you do not have permission."),
    s(15008, 16, 1, "User '{}' does not exist in the current database."),
    s(
        15009,
        16,
        1,
        "The object '{}' does not exist in database '{}' or is invalid for this operation.",
    ),
    s(
        15010,
        16,
        1,
        "The database '{}' does not exist. Supply a valid database name. To see available databases, use sys.databases.",
    ),
    s(
        15023,
        16,
        1,
        "User, group, or role '{}' already exists in the current database.",
    ),
    s(15025, 16, 1, "The server principal '{}' already exists."),
    s(
        15063,
        16,
        1,
        "The login already has an account under a different user name.",
    ),
    s(
        15110,
        16,
        1,
        "The proposed new database owner is already a user or aliased in the database.",
    ),
    s(
        15123,
        16,
        1,
        "The configuration option '{}' does not exist, or it may be an advanced option.",
    ),
    s(
        15135,
        16,
        8,
        "Object is invalid. Extended properties are not permitted on '{}', or the object does not exist.",
    ),
    s(
        15138,
        16,
        1,
        "The database principal owns a {} in the database, and cannot be dropped.",
    ),
    s(
        15151,
        16,
        1,
        "Cannot {} the {} '{}', because it does not exist or you do not have permission.",
    ),
    s(
        15173,
        16,
        1,
        "Server principal '{}' has granted one or more permission(s). Revoke the permission(s) before dropping the server principal.",
    ),
    s(
        15174,
        16,
        1,
        "Login '{}' owns one or more database(s). Change the owner of the database(s) before dropping the login.",
    ),
    s(
        15199,
        16,
        1,
        "The current security context cannot be reverted. Please switch to the original database where '{}' was called and try it again.",
    ),
    s(
        15217,
        16,
        2,
        "Property cannot be updated or deleted. Property '{}' does not exist for '{}'.",
    ),
    s(
        15233,
        16,
        1,
        "Property cannot be added. Property '{}' already exists for '{}'.",
    ),
    s(15247, 16, 1, "User does not have permission to perform this action."),
    s(
        15281,
        16,
        1,
        "SQL Server blocked access to {} '{}' of component '{}' because this component is turned off as part of the security configuration for this server. A system administrator can enable the use of '{}' by using sp_configure. For more information about enabling '{}', search for '{}' in SQL Server Books Online.",
    ),
    s(
        15401,
        16,
        1,
        "Windows NT user or group '{}' not found. Check the name again.",
    ),
    s(
        15404,
        16,
        19,
        "Could not obtain information about Windows NT group/user '{}', error code {}.",
    ),
    s(
        15406,
        16,
        1,
        "Cannot execute as the server principal because the principal \"{}\" does not exist, this type of principal cannot be impersonated, or you do not have permission.",
    ),
    s(15410, 16, 1, "User or role '{}' does not exist in this database."),
    s(
        15434,
        16,
        1,
        "Could not drop login '{}' as the user is currently logged in.",
    ),
    s(
        15457,
        0,
        1,
        "Configuration option '{}' changed from {} to {}. Run the RECONFIGURE statement to install.",
    ),
    s(
        15517,
        16,
        1,
        "Cannot execute as the database principal because the principal \"{}\" does not exist, this type of principal cannot be impersonated, or you do not have permission.",
    ),
    s(
        15600,
        15,
        1,
        "An invalid parameter or option was specified for procedure '{}'.",
    ),
    s(15650, 0, 1, "Updating {}"),
    s(
        15651,
        0,
        1,
        "    {} index(es)/statistic(s) have been updated, {} did not require update.",
    ),
    s(15652, 0, 1, "    {} has been updated..."),
    s(15005, 0, 1, "Statistics for all tables have been updated."),
    s(16931, 16, 1, "There are no rows in the current fetch buffer."),
    c(
        17806,
        20,
        14,
        "SSPI handshake failed with error code 0x8009030c, state 14 while establishing a connection with integrated security; the connection has been closed. Reason: AcceptSecurityContext failed.",
    ),
    c(
        18452,
        14,
        1,
        "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.",
    ),
    c(18456, 14, 1, "Login failed for user '{}'."),
    c(
        18470,
        14,
        1,
        "Login failed for user '{}'. Reason: The account is disabled.",
    ),
    s(21_001, 10, 1, "{}"),
    s(
        22_049,
        15,
        1,
        "Error executing extended stored procedure: Invalid Parameter",
    ),
    s(22_001, 1, 1, "{}"),
    s(22_048, 16, 1, "{}"),
    s(33_111, 16, 3, "Cannot find server certificate with thumbprint '{}'."),
    s(
        33_101,
        16,
        1,
        "Cannot use {} '{}', because its private key is not present or it is not protected by the database master key. SQL Server requires the ability to automatically access the private key of the {} used for this operation.",
    ),
    s(
        49_903,
        0,
        1,
        "Detected {} MB of RAM. This is an informational message; no user action is required.",
    ),
    s(50_000, 16, 1, "{}"),
];

/// Numbers that SQL Server uses with more than one text stand in the table under `number * 1000 + n`.
fn real_number(number: i32) -> i32 {
    match number {
        195_001 => 195,
        2_571_001 => 2526,
        22_048 => 22_048,
        other => other,
    }
}

/// The message with its arguments filled in. A number that is not in the table is a mistake in the engine; it is
/// said as an internal error rather than by a panic, so that a lab run shows it.
pub(super) fn message(number: i32, args: &[&(dyn std::fmt::Display + Sync)]) -> Message {
    let Some(entry) = TABLE.iter().find(|e| e.number == number) else {
        return raw(number, 16, 1, format!("The stand-in has no text for message {number}."));
    };
    let mut text = String::with_capacity(entry.text.len() + 32);
    let mut rest = entry.text;
    for arg in args {
        let Some(at) = rest.find("{}") else { break };
        text.push_str(&rest[..at]);
        text.push_str(&arg.to_string());
        rest = &rest[at + 2..];
    }
    text.push_str(rest);
    raw(real_number(number), entry.class, entry.state, text)
}

/// A message that is not in the table: RAISERROR, THROW, PRINT, a fault plan's number.
pub(super) fn raw(number: i32, class: u8, state: u8, text: String) -> Message {
    Message {
        number,
        state,
        class,
        text,
        server: String::new(),
        procedure: String::new(),
        line: 0,
    }
}

/// An error from the table.
pub(super) fn error(number: i32, args: &[&(dyn std::fmt::Display + Sync)]) -> SqlError {
    let reach = TABLE
        .iter()
        .find(|e| e.number == number)
        .map_or(Reach::Statement, |e| e.reach);
    SqlError {
        messages: vec![message(number, args)],
        reach,
    }
}

/// An error that is not in the table.
pub(super) fn raw_error(number: i32, class: u8, state: u8, text: String) -> SqlError {
    let reach = if class >= 20 {
        Reach::Connection
    } else {
        Reach::Statement
    };
    SqlError {
        messages: vec![raw(number, class, state, text)],
        reach,
    }
}

/// `err!(208, name)` is the error 208 with its arguments.
macro_rules! err {
    ($number:expr $(, $arg:expr)* $(,)?) => {
        $crate::engine::errors::error($number, &[$(&$arg as &(dyn std::fmt::Display + Sync)),*])
    };
}
pub(crate) use err;

/// `msg!(3211, 10)` is the message 3211 with its arguments.
macro_rules! msg {
    ($number:expr $(, $arg:expr)* $(,)?) => {
        $crate::engine::errors::message($number, &[$(&$arg as &(dyn std::fmt::Display + Sync)),*])
    };
}
pub(crate) use msg;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in TABLE {
            assert!(seen.insert(entry.number), "{} stands twice", entry.number);
        }
    }

    #[test]
    fn arguments_are_filled_in_order() {
        let m = message(1834, &[&"E:\\a.mdf", &"ADSync"]);
        assert_eq!(
            m.text,
            "The file 'E:\\a.mdf' cannot be overwritten.  It is being used by database 'ADSync'."
        );
        assert_eq!((m.number, m.class), (1834, 16));
    }

    #[test]
    fn braces_in_an_argument_stay() {
        assert_eq!(message(208, &[&"a{}b"]).text, "Invalid object name 'a{}b'.");
    }
}
