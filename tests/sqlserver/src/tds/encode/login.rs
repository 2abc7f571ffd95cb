//! The answer to LOGIN7, in SQL Server's order.

use crate::tds::backend::LoginReply;
use crate::tds::bytes::put_b_varchar;
use crate::tds::collation;
use crate::tds::login7::{FEATURE_UTF8, Login7};
use crate::tds::packet::DEFAULT_SIZE;
use crate::tds::version::Version;

use super::token::{Done, Text, put_done, put_env_bytes, put_env_text, put_message, put_token};

const TOKEN_LOGIN_ACK: u8 = 0xAD;
const TOKEN_FEATURE_EXT_ACK: u8 = 0xAE;
const ENV_DATABASE: u8 = 1;
const ENV_LANGUAGE: u8 = 2;
const ENV_PACKET_SIZE: u8 = 4;
const ENV_COLLATION: u8 = 7;
const INFO_DATABASE: i32 = 5701;
const FEATURE_END: u8 = 0xFF;

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) product: (u8, u8, u16),
}

pub(crate) fn put_login_reply(out: &mut Vec<u8>, login: &Login7, reply: &LoginReply, server: &Server) {
    let version = login.version;
    let (about_database, other): (Vec<_>, Vec<_>) = reply.infos.iter().partition(|info| info.number == INFO_DATABASE);
    put_env_text(out, ENV_DATABASE, &reply.database, "master");
    for info in about_database {
        put_message(out, Text::Info, info, &server.name, version);
    }
    put_env_bytes(out, ENV_COLLATION, &collation::DEFAULT, &[]);
    put_env_text(out, ENV_LANGUAGE, &reply.language, "");
    for info in other {
        put_message(out, Text::Info, info, &server.name, version);
    }
    put_login_ack(out, version, server.product);
    let size = login.negotiated_packet_size();
    put_env_text(out, ENV_PACKET_SIZE, &size.to_string(), &DEFAULT_SIZE.to_string());
    put_feature_acks(out, &login.features);
    put_done(out, Done::EMPTY, version);
}

fn put_login_ack(out: &mut Vec<u8>, version: Version, product: (u8, u8, u16)) {
    // Interface 1: T-SQL.
    let mut body = vec![1];
    body.extend(version.acknowledged().to_be_bytes());
    put_b_varchar(&mut body, "Microsoft SQL Server");
    body.extend([product.0, product.1]);
    body.extend(product.2.to_be_bytes());
    put_token(out, TOKEN_LOGIN_ACK, &body);
}

/// UTF-8 is the only feature that the stand-in has. What is not acknowledged the client must not use.
fn put_feature_acks(out: &mut Vec<u8>, features: &[u8]) {
    if features.contains(&FEATURE_UTF8) {
        out.extend([TOKEN_FEATURE_EXT_ACK, FEATURE_UTF8]);
        out.extend(1_u32.to_le_bytes());
        out.extend([1, FEATURE_END]);
    }
}
