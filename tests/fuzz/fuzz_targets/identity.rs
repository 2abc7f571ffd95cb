//! Fuzzes `syncferry_tests::fuzz::identity`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::identity::read(bytes);
});
