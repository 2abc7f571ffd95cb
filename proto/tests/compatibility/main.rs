//! An agent of one release works with a controller of the release before and after: what the wire is now is held against
//! what it was in every release that is kept in `proto/previous/`.
//!
//! At a release: `cargo run -p syncferry-proto --example descriptors proto/previous/<version>/wire.binpb`, and documents of it
//! beside that.

mod differences;
mod documents;

use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::{Label, Type};

use differences::differences;

fn present() -> FileDescriptorSet {
    FileDescriptorSet::decode(syncferry_proto::DESCRIPTORS).unwrap()
}

/// The folders of releases that are kept, oldest first.
fn releases() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/previous");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty(), "no release is kept in {folder}");
    found
}

#[test]
fn the_wire_is_what_it_was_and_more() {
    for release in releases() {
        let kept = std::fs::read(release.join("wire.binpb")).unwrap();
        let kept = FileDescriptorSet::decode(kept.as_slice()).unwrap();
        assert!(
            kept.file
                .iter()
                .any(|f| f.package() == "syncferry.v1" && !f.service.is_empty()),
            "{} is no description of our wire",
            release.display()
        );
        let found = differences(&kept, &present());
        assert!(
            found.is_empty(),
            "agents and controllers of {} do not understand this wire any more:\n{}",
            release.file_name().unwrap().to_string_lossy(),
            found.join("\n")
        );
    }
}

/// The message of the present wire that the tests below spoil.
fn spoil(change: impl FnOnce(&mut prost_types::DescriptorProto)) -> Vec<String> {
    let mut spoilt = present();
    let message = spoilt
        .file
        .iter_mut()
        .flat_map(|f| &mut f.message_type)
        .find(|m| m.name() == "HelloRequest")
        .unwrap();
    change(message);
    differences(&present(), &spoilt)
}

#[test]
fn what_would_break_is_noticed() {
    assert_eq!(spoil(|_| {}), Vec::<String>::new());
    assert_eq!(
        spoil(|m| m.field[0].number = Some(99)),
        ["syncferry.v1.HelloRequest.agent_version (1) is gone; reserve its number and its name"]
    );
    assert_eq!(
        spoil(|m| m.field[3].set_type(Type::String)),
        ["syncferry.v1.HelloRequest.journal_seq (4) was Int64 and is String"]
    );
    assert_eq!(
        spoil(|m| m.field[1].set_label(Label::Optional)),
        ["syncferry.v1.HelloRequest.capabilities (2) was Repeated and is Optional"]
    );
    assert_eq!(
        spoil(|m| m.field[2].name = Some("other".into())),
        ["syncferry.v1.HelloRequest.session_id (3) is called other now: a number is not used twice"]
    );
    assert_eq!(
        spoil(|m| m.field[8].type_name = Some(".syncferry.v1.Hint".into())),
        ["syncferry.v1.HelloRequest.host_facts (9) was .syncferry.v1.Document and is .syncferry.v1.Hint"]
    );
    assert_eq!(
        spoil(|m| {
            let gone = m.field.remove(9);
            m.reserved_name.push(gone.name().into());
            m.reserved_range.push(prost_types::descriptor_proto::ReservedRange {
                start: Some(10),
                end: Some(11),
            });
        }),
        Vec::<String>::new(),
        "reserved as it should be"
    );
    let mut without = present();
    for file in &mut without.file {
        for service in &mut file.service {
            service.method.retain(|m| m.name() != "LogChunk");
            for method in service.method.iter_mut().filter(|m| m.name() == "Session") {
                method.server_streaming = Some(false);
            }
        }
        for kind in file.enum_type.iter_mut().filter(|e| e.name() == "Order") {
            kind.value.retain(|v| v.number() != 3);
        }
        file.message_type.retain(|m| m.name() != "AttemptOrder");
    }
    assert_eq!(
        differences(&present(), &without),
        [
            "syncferry.v1.AttemptOrder is gone",
            "syncferry.v1.Order: ORDER_ABANDON (3) is gone; reserve its number",
            "syncferry.v1.Agent.Session has another shape",
            "syncferry.v1.Agent.LogChunk is gone",
        ]
    );
}
