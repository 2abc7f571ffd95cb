//! What an older program would not understand of a newer wire, or the other way round. What is only added breaks nobody.

use std::collections::BTreeMap;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
};

/// Everything of our packages by its full name; other packages are not ours to change.
#[derive(Default)]
struct Wire<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
    services: BTreeMap<String, &'a ServiceDescriptorProto>,
}

impl<'a> Wire<'a> {
    fn of(set: &'a FileDescriptorSet) -> Wire<'a> {
        let mut wire = Wire::default();
        for file in set.file.iter().filter(|f| f.package().starts_with("syncferry.")) {
            for message in &file.message_type {
                wire.add(file.package(), message);
            }
            for kind in &file.enum_type {
                wire.enums.insert(format!("{}.{}", file.package(), kind.name()), kind);
            }
            for service in &file.service {
                wire.services
                    .insert(format!("{}.{}", file.package(), service.name()), service);
            }
        }
        wire
    }

    fn add(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for kind in &message.enum_type {
            self.enums.insert(format!("{name}.{}", kind.name()), kind);
        }
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        self.messages.insert(name, message);
    }
}

/// A line for each thing that is gone, or is something else now.
pub(super) fn differences(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<String> {
    let (old, new) = (Wire::of(old), Wire::of(new));
    let mut found = Vec::new();
    for (name, message) in &old.messages {
        match new.messages.get(name) {
            Some(now) => found.extend(of_message(name, message, now)),
            None => found.push(format!("{name} is gone")),
        }
    }
    for (name, kind) in &old.enums {
        match new.enums.get(name) {
            Some(now) => found.extend(of_enum(name, kind, now)),
            None => found.push(format!("{name} is gone")),
        }
    }
    for (name, service) in &old.services {
        match new.services.get(name) {
            Some(now) => found.extend(of_service(name, service, now)),
            None => found.push(format!("{name} is gone")),
        }
    }
    found
}

fn of_message(name: &str, old: &DescriptorProto, new: &DescriptorProto) -> Vec<String> {
    let mut found = Vec::new();
    for field in &old.field {
        let number = field.number();
        let what = format!("{name}.{} ({number})", field.name());
        let Some(now) = new.field.iter().find(|f| f.number() == number) else {
            let reserved = new
                .reserved_range
                .iter()
                .any(|r| (r.start()..r.end()).contains(&number))
                && new.reserved_name.iter().any(|n| n == field.name());
            if !reserved {
                found.push(format!("{what} is gone; reserve its number and its name"));
            }
            continue;
        };
        if now.name() != field.name() {
            found.push(format!(
                "{what} is called {} now: a number is not used twice",
                now.name()
            ));
        } else if now.r#type() != field.r#type() {
            found.push(format!("{what} was {:?} and is {:?}", field.r#type(), now.r#type()));
        } else if now.type_name() != field.type_name() {
            found.push(format!("{what} was {} and is {}", field.type_name(), now.type_name()));
        } else if now.label() != field.label() {
            found.push(format!("{what} was {:?} and is {:?}", field.label(), now.label()));
        } else if choice(old, field) != choice(new, now) {
            found.push(format!("{what} went into a choice (oneof) or out of it"));
        }
    }
    found
}

/// The choice that a field is part of; one made by `optional` is none.
fn choice<'a>(message: &'a DescriptorProto, field: &FieldDescriptorProto) -> Option<&'a str> {
    let index = field.oneof_index.filter(|_| !field.proto3_optional())?;
    message.oneof_decl.get(usize::try_from(index).ok()?).map(|o| o.name())
}

fn of_enum(name: &str, old: &EnumDescriptorProto, new: &EnumDescriptorProto) -> Vec<String> {
    let mut found = Vec::new();
    for value in &old.value {
        let (number, word) = (value.number(), value.name());
        match new.value.iter().find(|v| v.number() == number) {
            Some(now) if now.name() == word => {}
            Some(now) => found.push(format!("{name}: {word} ({number}) is called {} now", now.name())),
            None if new
                .reserved_range
                .iter()
                .any(|r| (r.start()..=r.end()).contains(&number)) => {}
            None => found.push(format!("{name}: {word} ({number}) is gone; reserve its number")),
        }
    }
    found
}

fn of_service(name: &str, old: &ServiceDescriptorProto, new: &ServiceDescriptorProto) -> Vec<String> {
    let mut found = Vec::new();
    for method in &old.method {
        let shape = |m: &prost_types::MethodDescriptorProto| {
            (
                m.input_type().to_string(),
                m.output_type().to_string(),
                m.client_streaming(),
                m.server_streaming(),
            )
        };
        match new.method.iter().find(|m| m.name() == method.name()) {
            Some(now) if shape(now) == shape(method) => {}
            Some(_) => found.push(format!("{name}.{} has another shape", method.name())),
            None => found.push(format!("{name}.{} is gone", method.name())),
        }
    }
    found
}
