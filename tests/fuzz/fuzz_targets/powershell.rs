//! Fuzzes `syncferry_tests::fuzz::powershell`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::powershell::read(bytes);
});
