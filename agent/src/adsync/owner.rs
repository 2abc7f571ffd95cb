//! The server that used the database last, from the name of the Entra connector's account: `Sync_<SERVER>_<hash>` or, with
//! application authentication, `ConnectSyncProvisioning_<SERVER>_<hash>`. It is a hint, never proof.

const PREFIXES: &[&str] = &["Sync_", "ConnectSyncProvisioning_"];

/// Finds the server's name in an Entra connector's configuration.
pub fn last_owner(xml: &str) -> Option<String> {
    // The longer prefix ends in the shorter one's letters only by accident of case; each is tried at every word.
    words(xml).find_map(server_in)
}

/// The server inside one account name.
fn server_in(word: &str) -> Option<String> {
    let rest = PREFIXES.iter().find_map(|p| strip(word, p))?;
    let (server, hash) = rest.rsplit_once('_')?;
    let is_hash = hash.len() >= 8 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let is_name =
        !server.is_empty() && server.len() <= 63 && server.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    (is_hash && is_name).then(|| server.to_string())
}

fn strip<'a>(word: &'a str, prefix: &str) -> Option<&'a str> {
    let head = word.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &word[prefix.len()..])
}

/// Runs of characters that an account name can have.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
        .filter(|w| !w.is_empty())
}

/// The text of the first element of a name. Enough for the flat documents that connectors keep; no document type is ever read.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let mut rest = xml;
    loop {
        let at = rest.find(&format!("<{name}"))?;
        let after = &rest[at + 1 + name.len()..];
        // No start tag has a '<' inside: what comes before one is none, and nothing is looked at twice.
        let end = after.find(['<', '>'])?;
        let (head, body) = (&after[..end], &after[end + 1..]);
        if after[end..].starts_with('<') {
            rest = &after[end..];
            continue;
        }
        let same_name = head.is_empty() || head.starts_with(|c: char| c.is_whitespace());
        if same_name && !head.ends_with('/') {
            let (inner, _) = body.split_once('<')?;
            return Some(unescape(inner.trim())).filter(|t| !t.is_empty());
        }
        rest = after;
    }
}

/// An attribute inside a start tag.
pub fn attribute(head: &str, name: &str) -> Option<String> {
    let mut rest = head;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        let after = rest[at + name.len()..].trim_start();
        if before.is_none_or(char::is_whitespace)
            && let Some(value) = after.strip_prefix('=')
        {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|q| matches!(q, '"' | '\''))?;
            return value[1..].split_once(quote).map(|(v, _)| unescape(v));
        }
        rest = &rest[at + name.len()..];
    }
}

/// The five entities of XML.
pub fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn account_names_tell_the_server() {
        let owner = |t: &str| last_owner(t);
        assert_eq!(
            owner("Sync_AADC-01_5d3a1b9e2c4f@contoso.onmicrosoft.com").as_deref(),
            Some("AADC-01")
        );
        assert_eq!(
            owner("<x>ConnectSyncProvisioning_SRV_01_0123456789abcdef</x>").as_deref(),
            Some("SRV_01")
        );
        assert_eq!(
            owner("name=\"UserName\">sync_old01_0a1b2c3d@x").as_deref(),
            Some("old01")
        );
        for unknown in [
            "",
            "Sync_",
            "Sync_SRV",
            "Sync_SRV_zz",
            "Sync__0123456789",
            "NotSync_SRV_0123456789",
            "Sync_SRV_1",
        ] {
            assert_eq!(owner(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn elements_and_attributes() {
        let xml =
            "<a><forest-name-x>no</forest-name-x><forest-name/><forest-name kind='dns'> a&amp;b </forest-name></a>";
        assert_eq!(element(xml, "forest-name").as_deref(), Some("a&b"));
        assert_eq!(element("<forest-name", "forest-name"), None);
        assert_eq!(element("<a<a>b</a>", "a").as_deref(), Some("b"));
        // Half a million tags that never end: looked at once each, or this takes hours.
        assert_eq!(element(&format!("{}>", "<a".repeat(500_000)), "a"), None);
        assert_eq!(attribute(" xname='no' name = \"yes\"", "name").as_deref(), Some("yes"));
        assert_eq!(attribute("name", "name"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".*", xml in "[<>/='\"a-z _&;é😀-]*") {
            let _ = last_owner(&text);
            let _ = element(&xml, "a");
            let _ = attribute(&xml, "a");
        }
        #[test]
        fn a_server_is_found_again(server in "[A-Z][A-Z0-9-]{0,14}", hash in "[0-9a-f]{12}") {
            prop_assert_eq!(last_owner(&format!("<u>Sync_{server}_{hash}@t.onmicrosoft.com</u>")), Some(server));
        }
    }
}
