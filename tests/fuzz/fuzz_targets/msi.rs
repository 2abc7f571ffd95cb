//! Fuzzes `syncferry_tests::fuzz::msi`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::msi::read(bytes);
});
