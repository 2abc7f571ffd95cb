//! What `csexport.exe "<connector>" file /f:x` writes: every object with a pending export, and in it the attributes. Only operations
//! and names of attributes are read, never a value. The shape is that of public scripts for this file: `cs-object` >
//! `unapplied-export` > `delta` with `operation`, and `attr` (or `dn-attr`) with `name` in it.

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
    /// Open elements, from the root.
    open: Vec<String>,
    operation: Option<String>,
    attributes: BTreeSet<String>,
}

/// Reads it: objects and attributes by operation.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, OperationExports>, ExportError> {
    let text = decoded(bytes)?;
    let mut reader = Reader::from_str(&text);
    let (mut found, mut at, mut root) = (BTreeMap::new(), Place::default(), false);
    loop {
        match reader.read_event() {
            Ok(Event::Start(e)) => {
                root |= e.local_name().as_ref() == "cs-objects";
                at.begin(&e)?;
                at.open.push(e.local_name().as_ref().to_string());
            }
            Ok(Event::Empty(e)) => {
                root |= e.local_name().as_ref() == "cs-objects";
                at.begin(&e)?;
                at.end(e.local_name().as_ref(), &mut found);
            }
            Ok(Event::End(e)) => {
                at.open.pop();
                at.end(e.local_name().as_ref(), &mut found);
            }
            Ok(Event::Eof) if !at.open.is_empty() => return Err(ExportError::Xml("it ends too early".to_string())),
            Ok(Event::Eof) if root => return Ok(found),
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

fn decoded(bytes: &[u8]) -> Result<String, ExportError> {
    let units = |order: fn([u8; 2]) -> u16| -> Result<String, ExportError> {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|c| order([c[0], c[1]])).collect();
        String::from_utf16(&units).map_err(|_| ExportError::Encoding)
    };
    match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).map_err(|_| ExportError::Encoding),
        _ => String::from_utf8(bytes.to_vec()).map_err(|_| ExportError::Encoding),
    }
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
        assert_eq!(read(b"<other/>"), Err(ExportError::Other));
        assert_eq!(read(b""), Err(ExportError::Other));
        assert_eq!(read(&[0x80, 0x81]), Err(ExportError::Encoding));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
        #[test]
        fn no_prefix_makes_it_fall_over(n in 0usize..1200) {
            let _ = read(&FILE.as_bytes()[..n.min(FILE.len())]);
        }
    }
}
