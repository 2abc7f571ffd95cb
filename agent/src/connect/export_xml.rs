//! What `csexport.exe "<connector>" file /f:x` writes: every object with a pending export, and in it the attributes. Only operations
//! and names of attributes are read, never a value. The shape is that of public scripts for this file: `cs-object` >
//! `unapplied-export` > `delta` with `operation`, and `attr` (or `dn-attr`) with `name` in it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use syncferry_shared::exports::OperationExports;

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It is no XML.
    #[error("it is not well-formed: {0}")]
    Xml(String),
    /// It is text of neither encoding that the tool writes.
    #[error("it is neither UTF-8 nor UTF-16")]
    Encoding,
    /// It is another file.
    #[error("it has no cs-objects")]
    Other,
}

/// Where the reader is.
#[derive(Debug, Default)]
struct Place {
    /// Whether the root was there.
    root: bool,
    /// Open elements, from the root.
    open: Vec<String>,
    operation: Option<String>,
    attributes: BTreeSet<String>,
}

/// Reads it: objects and attributes by operation.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, OperationExports>, ExportError> {
    let text = decoded(bytes)?;
    let mut reader = Reader::from_str(&text);
    let (mut found, mut at) = (BTreeMap::new(), Place::default());
    loop {
        match reader.read_event() {
            Ok(Event::Start(e)) => {
                at.begin(&e)?;
                at.open.push(e.local_name().as_ref().to_string());
            }
            Ok(Event::Empty(e)) => {
                at.begin(&e)?;
                at.end(e.local_name().as_ref(), &mut found);
            }
            Ok(Event::End(e)) => {
                at.open.pop();
                at.end(e.local_name().as_ref(), &mut found);
            }
            Ok(Event::Eof) if !at.open.is_empty() => return Err(ExportError::Xml("it ends too early".to_string())),
            Ok(Event::Eof) if at.root => return Ok(found),
            Ok(Event::Eof) => return Err(ExportError::Other),
            Ok(_) => {}
            Err(e) => return Err(ExportError::Xml(e.to_string())),
        }
    }
}

impl Place {
    fn is_in(&self, name: &str) -> bool {
        self.open.iter().any(|o| o == name)
    }

    fn begin(&mut self, e: &BytesStart<'_>) -> Result<(), ExportError> {
        if self.open.is_empty() {
            if self.root {
                return Err(ExportError::Xml("it goes on behind its end".to_string()));
            }
            if e.local_name().as_ref() != "cs-objects" {
                return Err(ExportError::Other);
            }
            self.root = true;
        }
        if !self.is_in("unapplied-export") {
            return Ok(());
        }
        match e.local_name().as_ref() {
            "delta" if self.operation.is_none() => {
                self.operation = Some(value(e, "operation")?.unwrap_or_else(|| "unknown".to_string()));
            }
            "attr" | "dn-attr" if self.operation.is_some() => self.attributes.extend(value(e, "name")?),
            _ => {}
        }
        Ok(())
    }

    /// An object ends: it counts once for its operation, and once for each attribute.
    fn end(&mut self, name: &str, found: &mut BTreeMap<String, OperationExports>) {
        if name != "cs-object" {
            return;
        }
        let attributes = std::mem::take(&mut self.attributes);
        // `none` is an object that is listed and has nothing to export.
        let Some(operation) = self.operation.take().filter(|o| o != "none") else {
            return;
        };
        let of_it = found.entry(operation).or_default();
        of_it.objects += 1;
        for name in attributes {
            *of_it.attributes.entry(name).or_default() += 1;
        }
    }
}

fn value(e: &BytesStart<'_>, name: &str) -> Result<Option<String>, ExportError> {
    let wrong = |e: &dyn std::fmt::Display| ExportError::Xml(e.to_string());
    let Some(attribute) = e.try_get_attribute(name).map_err(|e| wrong(&e))? else {
        return Ok(None);
    };
    let text = attribute
        .normalized_value(XmlVersion::Implicit1_0)
        .map_err(|e| wrong(&e))?;
    Ok(Some(text.into_owned()))
}

fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, ExportError> {
    let wide = |rest: &[u8], order: fn([u8; 2]) -> u16| {
        let (units, half) = rest.as_chunks::<2>();
        let units: Vec<u16> = units.iter().copied().map(order).collect();
        let text = String::from_utf16(&units).ok().filter(|_| half.is_empty());
        text.map(Cow::Owned)
    };
    let narrow = |rest| std::str::from_utf8(rest).ok().map(Cow::Borrowed);
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => narrow(rest),
        _ => narrow(bytes),
    };
    text.ok_or(ExportError::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = r#"<?xml version="1.0"?>
<cs-objects>
 <cs-object cs-dn="CN={1}" id="{1}" object-type="user">
  <pending-import><delta operation="update" dn="x"><attr name="notAnExport" operation="replace"/></delta></pending-import>
  <unapplied-export>
   <delta operation="update" dn="CN={1}">
    <attr name="mail" type="string" operation="replace"><value>ada@contoso.example</value></attr>
    <attr name="proxyAddresses" multivalued="true" operation="update">
     <value operation="add">SMTP:a</value><value operation="delete">smtp:b</value>
    </attr>
   </delta>
  </unapplied-export>
  <unapplied-export-hologram><entry><attr name="everything"/></entry></unapplied-export-hologram>
 </cs-object>
 <cs-object cs-dn="CN={2}" object-type="user"><unapplied-export><delta operation="update"><attr name="mail"/></delta></unapplied-export></cs-object>
 <cs-object cs-dn="CN={3}" object-type="group"><unapplied-export><delta operation="delete"/></unapplied-export></cs-object>
 <cs-object cs-dn="CN={4}" object-type="group"><unapplied-export><delta operation="add"><dn-attr name="member"/></delta></unapplied-export></cs-object>
 <cs-object cs-dn="CN={5}" object-type="group"><unapplied-export><delta operation="none"/></unapplied-export></cs-object>
</cs-objects>"#;

    fn shown(found: &BTreeMap<String, OperationExports>) -> Vec<String> {
        found.iter().map(|(o, e)| format!("{o}: {}", e.shown())).collect()
    }

    #[test]
    fn operations_and_attributes_are_counted_and_values_are_not_read() {
        let expected = [
            "add: 1 object: member 1",
            "delete: 1 object",
            "update: 2 objects: mail 2, proxyAddresses 1",
        ];
        assert_eq!(shown(&read(FILE.as_bytes()).unwrap()), expected);
        let wide: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(FILE.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(shown(&read(&wide).unwrap()), expected);
        assert_eq!(read(b"<cs-objects/>").unwrap(), BTreeMap::new());
    }

    #[test]
    fn half_a_file_and_another_one_are_no_list() {
        assert!(matches!(
            read(&FILE.as_bytes()[..FILE.len() / 2]),
            Err(ExportError::Xml(_))
        ));
        for foreign in [
            "<other/>",
            "<other><cs-objects/></other>",
            "",
            "csexport: not found",
            "{}",
        ] {
            assert_eq!(read(foreign.as_bytes()), Err(ExportError::Other), "{foreign}");
        }
        assert_eq!(read(&[0x80, 0x81]), Err(ExportError::Encoding));
        assert_eq!(
            read(&[0xff, 0xfe, b'<']),
            Err(ExportError::Encoding),
            "half a character"
        );
        assert!(matches!(read(b"<cs-objects/><cs-objects/>"), Err(ExportError::Xml(_))));
        // What a file says of other files is not looked up.
        let entity = br#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><cs-objects><cs-object><unapplied-export><delta operation="&e;"/></unapplied-export></cs-object></cs-objects>"#;
        assert!(matches!(read(entity), Err(ExportError::Xml(_))));
    }

    /// An object: its operation, and the attributes of it.
    type Object = (&'static str, BTreeSet<String>);

    fn an_object() -> impl Strategy<Value = Object> {
        let operation = prop::sample::select(vec!["add", "update", "delete", "replace", "none"]);
        (operation, prop::collection::btree_set("[a-z&<>'\" ]{1,6}", 0..5))
    }

    fn written(objects: &[Object]) -> String {
        let mut text = String::from("<?xml version=\"1.0\"?>\n<cs-objects>");
        for (operation, attributes) in objects {
            text += "<cs-object><unapplied-export>";
            text += &format!("<delta operation=\"{operation}\">");
            for name in attributes {
                let name = quick_xml::escape::escape(name.as_str());
                text += &format!("<attr name=\"{name}\"><value>&lt;attr name='no'/&gt;</value></attr>");
            }
            text += "</delta></unapplied-export></cs-object>";
        }
        text + "</cs-objects>"
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            // Noise is no list, and is said to be none.
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn text_that_looks_like_a_file_is_refused_or_read(text in "(</?(cs-objects|cs-object|unapplied-export|delta|attr)( (operation|name)=\"[a-z&;]{0,4}\")?/?>|[a-z<>&;]){0,40}") {
            if let Err(e) = read(text.as_bytes()) {
                prop_assert!(!e.to_string().is_empty());
            }
        }

        #[test]
        fn a_file_that_was_cut_off_is_never_a_list(objects in prop::collection::vec(an_object(), 0..6), cut in any::<prop::sample::Index>()) {
            let text = written(&objects);
            let cut = cut.index(text.len());
            prop_assert!(read(&text.as_bytes()[..cut]).is_err(), "{}", &text[..cut]);
            let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
            prop_assert!(read(&wide[..2 + cut]).is_err());
        }

        #[test]
        fn a_byte_that_flipped_does_not_make_it_fall_over(objects in prop::collection::vec(an_object(), 1..4), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = written(&objects).into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Err(e) = read(&bytes) {
                prop_assert!(!e.to_string().is_empty());
            }
        }

        #[test]
        fn what_is_written_is_counted(objects in prop::collection::vec(an_object(), 0..8)) {
            let mut expected: BTreeMap<String, OperationExports> = BTreeMap::new();
            for (operation, attributes) in objects.iter().filter(|(o, _)| *o != "none") {
                let of_it = expected.entry((*operation).to_string()).or_default();
                of_it.objects += 1;
                for name in attributes {
                    *of_it.attributes.entry(name.clone()).or_default() += 1;
                }
            }
            prop_assert_eq!(read(written(&objects).as_bytes()), Ok(expected));
        }
    }
}
