//! Where PostgreSQL is: one URL, which may name several hosts. The one that takes writes is looked for at the start, and again
//! when the one in use is lost.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use syncferry_store::Cause;

use crate::error::cause;
use crate::line::within;

/// How long one host may take to say who it is.
const HOST_PATIENCE: Duration = Duration::from_secs(5);

/// `postgres://user@one:5432,two:5432/name?…` as one URL for each host.
pub(crate) fn split(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return vec![url.to_string()];
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    hosts
        .split(',')
        .map(|host| format!("{scheme}://{user}{host}{tail}"))
        .collect()
}

/// The first of the places that takes writes, or what is wrong with the first one.
pub(crate) async fn primary(places: &[PgConnectOptions]) -> Result<&PgConnectOptions, Cause> {
    let mut why = None;
    for place in places {
        match takes_writes(place).await {
            Ok(()) => return Ok(place),
            Err(c) => {
                tracing::debug!(place = name(place), cause = %c, "PostgreSQL cannot be used here");
                why.get_or_insert(c);
            }
        }
    }
    Err(why.unwrap_or(Cause::Other("the connection string names no host".into())))
}

/// A place as an operator knows it. Never with a password.
pub(crate) fn name(place: &PgConnectOptions) -> String {
    match place.get_socket() {
        Some(socket) => format!("{}:{}", socket.display(), place.get_port()),
        None => format!("{}:{}", place.get_host(), place.get_port()),
    }
}

async fn takes_writes(place: &PgConnectOptions) -> Result<(), Cause> {
    let look = async {
        let mut conn = place.connect().await?;
        let asked =
            "SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') = 'on' AS refuses";
        let row = sqlx::query(asked).fetch_one(&mut conn).await?;
        let said: (bool, bool) = (row.try_get("standby")?, row.try_get("refuses")?);
        conn.close().await?;
        Ok(said)
    };
    match within(HOST_PATIENCE, look).await {
        Ok((false, false)) => Ok(()),
        Ok((true, _)) => Err(Cause::Unavailable(format!(
            "PostgreSQL at {} is a standby, which takes no writes; name the primary too",
            name(place)
        ))),
        Ok((_, true)) => Err(Cause::Unavailable(format!(
            "PostgreSQL at {} takes no writes: default_transaction_read_only is on",
            name(place)
        ))),
        Err(e) => Err(match cause(e) {
            Cause::Unavailable(why) => Cause::Unavailable(format!("{} ({})", why, name(place))),
            other => other,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_are_several_urls() {
        assert_eq!(
            split("postgres://u:p@one:5432,two/name?sslmode=verify-full"),
            [
                "postgres://u:p@one:5432/name?sslmode=verify-full",
                "postgres://u:p@two/name?sslmode=verify-full"
            ]
        );
        assert_eq!(split("postgres:///name?host=/run"), ["postgres:///name?host=/run"]);
        assert_eq!(split("postgres://[::1]:5432/name"), ["postgres://[::1]:5432/name"]);
    }
}
