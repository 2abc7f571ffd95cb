//! Fuzzes `syncferry_tests::fuzz::connector_xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::connector_xml::read(bytes);
});
