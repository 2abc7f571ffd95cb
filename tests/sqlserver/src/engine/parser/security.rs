//! Logins, users, roles and permissions.

use super::Parser;
use crate::engine::ast::{
    AlterLogin, AlterRole, AlterUser, CreateLogin, CreateUser, Kind, Permission, PermissionVerb, Securable,
};
use crate::engine::errors::Result;
use crate::engine::lexer::Tok;

/// The permissions that GRANT knows, the longer ones first.
const PERMISSIONS: &[&[&str]] = &[
    &["VIEW", "SERVER", "PERFORMANCE", "STATE"],
    &["VIEW", "SERVER", "SECURITY", "STATE"],
    &["VIEW", "SERVER", "STATE"],
    &["VIEW", "DATABASE", "PERFORMANCE", "STATE"],
    &["VIEW", "DATABASE", "STATE"],
    &["VIEW", "ANY", "DEFINITION"],
    &["VIEW", "ANY", "DATABASE"],
    &["VIEW", "DEFINITION"],
    &["ALTER", "ANY", "CONNECTION"],
    &["ALTER", "ANY", "DATABASE"],
    &["ALTER", "ANY", "LOGIN"],
    &["ALTER", "ANY", "USER"],
    &["ALTER", "ANY", "ROLE"],
    &["ALTER", "TRACE"],
    &["ALTER", "SETTINGS"],
    &["CREATE", "ANY", "DATABASE"],
    &["CREATE", "DATABASE"],
    &["CREATE", "TABLE"],
    &["CREATE", "PROCEDURE"],
    &["CREATE", "SCHEMA"],
    &["CREATE", "VIEW"],
    &["CONNECT", "ANY", "DATABASE"],
    &["CONNECT", "SQL"],
    &["CONTROL", "SERVER"],
    &["BACKUP", "DATABASE"],
    &["BACKUP", "LOG"],
    &["ADMINISTER", "BULK", "OPERATIONS"],
    &["UNSAFE", "ASSEMBLY"],
    &["TAKE", "OWNERSHIP"],
    &["CONNECT"],
    &["CONTROL"],
    &["ALTER"],
    &["IMPERSONATE"],
    &["SELECT"],
    &["INSERT"],
    &["UPDATE"],
    &["DELETE"],
    &["EXECUTE"],
    &["REFERENCES"],
    &["SHOWPLAN"],
    &["SHUTDOWN"],
];

impl Parser<'_> {
    pub(super) fn create_login(&mut self) -> Result<Kind> {
        self.at += 1;
        let mut login = CreateLogin {
            name: self.identifier()?,
            windows: false,
            password: None,
            sid: None,
            default_database: None,
            default_language: None,
        };
        if self.eat_words(&["FROM", "WINDOWS"]) {
            login.windows = true;
            if !self.eat_word("WITH") {
                return Ok(Kind::CreateLogin(login));
            }
        } else {
            self.expect_word("WITH")?;
        }
        self.list(|p| p.login_option(&mut login))?;
        if !login.windows && login.password.is_none() {
            return Err(self.syntax());
        }
        Ok(Kind::CreateLogin(login))
    }

    fn login_option(&mut self, login: &mut CreateLogin) -> Result<()> {
        let key = self.any_word()?;
        self.expect("=")?;
        match key.as_str() {
            "PASSWORD" => login.password = Some(self.password()?),
            "SID" => {
                let Tok::Binary(sid) = self.bump() else {
                    return Err(self.syntax_at(self.at - 1));
                };
                login.sid = Some(sid);
            }
            "DEFAULT_DATABASE" => login.default_database = Some(self.identifier()?),
            "DEFAULT_LANGUAGE" => login.default_language = Some(self.identifier()?),
            "CHECK_EXPIRATION" | "CHECK_POLICY" => self.on_or_off()?,
            _ => return Err(self.syntax_at(self.at - 2)),
        }
        Ok(())
    }

    fn password(&mut self) -> Result<String> {
        let password = match self.bump() {
            Tok::Str(s, _) => s,
            Tok::Binary(bytes) => bytes.iter().map(|b| format!("{b:02X}")).collect(),
            _ => return Err(self.syntax_at(self.at - 1)),
        };
        while self.eat_any(&["HASHED", "MUST_CHANGE", "UNLOCK"]).is_some() {}
        Ok(password)
    }

    fn on_or_off(&mut self) -> Result<()> {
        self.eat_any(&["ON", "OFF"]).map(|_| ()).ok_or_else(|| self.syntax())
    }

    pub(super) fn alter_login(&mut self) -> Result<Kind> {
        self.at += 1;
        let name = self.identifier()?;
        if self.eat_word("ENABLE") {
            return Ok(Kind::AlterLogin(name, AlterLogin::Enable));
        }
        if self.eat_word("DISABLE") {
            return Ok(Kind::AlterLogin(name, AlterLogin::Disable));
        }
        self.expect_word("WITH")?;
        let (mut password, mut default_database, mut new_name) = (None, None, None);
        self.list(|p| {
            let key = p.any_word()?;
            p.expect("=")?;
            match key.as_str() {
                "PASSWORD" => password = Some(p.password()?),
                "OLD_PASSWORD" => drop(p.string()?),
                "DEFAULT_DATABASE" => default_database = Some(p.identifier()?),
                "DEFAULT_LANGUAGE" => drop(p.identifier()?),
                "NAME" => new_name = Some(p.identifier()?),
                "CHECK_EXPIRATION" | "CHECK_POLICY" => p.on_or_off()?,
                _ => return Err(p.syntax_at(p.at - 2)),
            }
            Ok(())
        })?;
        Ok(Kind::AlterLogin(
            name,
            AlterLogin::With {
                password,
                default_database,
                name: new_name,
            },
        ))
    }

    pub(super) fn create_user(&mut self) -> Result<Kind> {
        self.at += 1;
        let mut user = CreateUser {
            name: self.identifier()?,
            login: None,
            without_login: false,
            default_schema: None,
        };
        if self.eat_words(&["WITHOUT", "LOGIN"]) {
            user.without_login = true;
        } else if self.eat_any(&["FOR", "FROM"]).is_some() {
            self.expect_word("LOGIN")?;
            user.login = Some(self.identifier()?);
        }
        if self.eat_word("WITH") {
            self.expect_word("DEFAULT_SCHEMA")?;
            self.expect("=")?;
            user.default_schema = Some(self.identifier()?);
        }
        Ok(Kind::CreateUser(user))
    }

    pub(super) fn alter_user(&mut self) -> Result<Kind> {
        self.at += 1;
        let name = self.identifier()?;
        self.expect_word("WITH")?;
        let mut alter = AlterUser::default();
        self.list(|p| {
            let key = p.any_word()?;
            p.expect("=")?;
            let value = p.identifier()?;
            match key.as_str() {
                "LOGIN" => alter.login = Some(value),
                "NAME" => alter.name = Some(value),
                "DEFAULT_SCHEMA" => alter.default_schema = Some(value),
                _ => return Err(p.syntax_at(p.at - 3)),
            }
            Ok(())
        })?;
        Ok(Kind::AlterUser(name, alter))
    }

    pub(super) fn alter_role(&mut self) -> Result<Kind> {
        let server = self.eat_word("SERVER");
        self.expect_word("ROLE")?;
        let role = self.identifier()?;
        let verb = self.eat_any(&["ADD", "DROP"]).ok_or_else(|| self.syntax())?;
        self.expect_word("MEMBER")?;
        let member = self.identifier()?;
        Ok(Kind::AlterRole(AlterRole {
            server,
            role,
            add: verb == "ADD",
            member,
        }))
    }

    pub(super) fn permission(&mut self) -> Result<Kind> {
        let verb = match self.any_word()?.as_str() {
            "GRANT" => PermissionVerb::Grant,
            "DENY" => PermissionVerb::Deny,
            _ => PermissionVerb::Revoke,
        };
        if verb == PermissionVerb::Revoke {
            self.eat_words(&["GRANT", "OPTION", "FOR"]);
        }
        let permissions = self.list(Self::permission_name)?;
        let securable = if self.eat_word("ON") {
            self.securable()?
        } else {
            Securable::Scope
        };
        let to = if verb == PermissionVerb::Revoke {
            self.eat_any(&["FROM", "TO"])
        } else {
            self.eat_any(&["TO"])
        };
        if to.is_none() {
            return Err(self.syntax());
        }
        let principals = self.list(|p| {
            if p.eat_word("PUBLIC") {
                Ok("public".to_owned())
            } else {
                p.identifier()
            }
        })?;
        let grant_option = verb == PermissionVerb::Grant && self.eat_words(&["WITH", "GRANT", "OPTION"]);
        self.eat_word("CASCADE");
        Ok(Kind::Permission(Permission {
            verb,
            permissions,
            securable,
            principals,
            grant_option,
        }))
    }

    fn permission_name(&mut self) -> Result<String> {
        match PERMISSIONS.iter().find(|words| self.words(words)) {
            Some(words) => {
                self.at += words.len();
                Ok(words.join(" "))
            }
            None => Err(self.syntax()),
        }
    }

    fn securable(&mut self) -> Result<Securable> {
        if self.peek(1) != &Tok::Sym("::") {
            return Ok(Securable::Object(self.name()?));
        }
        let class = self.any_word()?;
        self.expect("::")?;
        Ok(match class.as_str() {
            "OBJECT" => Securable::Object(self.name()?),
            "DATABASE" => Securable::Database(self.identifier()?),
            "LOGIN" => Securable::Login(self.identifier()?),
            "SCHEMA" => Securable::Schema(self.identifier()?),
            _ => return Err(self.syntax_at(self.at - 2)),
        })
    }
}
