//! Fuzzes `syncferry_tests::fuzz::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::wire::read(bytes);
});
