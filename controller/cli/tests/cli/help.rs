//! What `--help` says, verb by verb.

use syncferry_cli::command;

#[test]
fn the_command_itself() {
    insta::assert_snapshot!(command().render_long_help());
}

#[test]
fn every_verb() {
    let mut text = String::new();
    let mut command = command();
    command.build();
    for verb in command.get_subcommands_mut().filter(|v| v.get_name() != "help") {
        describe(verb, &mut text);
    }
    insta::assert_snapshot!(text);
}

fn describe(verb: &mut clap::Command, text: &mut String) {
    let help = verb.render_long_help();
    text.push_str(&format!("==== {}\n{help}\n", verb.get_bin_name().unwrap_or_default()));
    for below in verb.get_subcommands_mut().filter(|v| v.get_name() != "help") {
        describe(below, text);
    }
}
