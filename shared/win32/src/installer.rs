//! What Windows Installer knows: products and their properties.

use std::io;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS, ERROR_UNKNOWN_PROPERTY};
use windows_sys::Win32::System::ApplicationInstallationAndServicing::{
    MsiEnumProductsW, MsiEnumRelatedProductsW, MsiGetProductInfoW,
};

use crate::wide::{status, text, wide};

/// A product code with its zero.
const CODE: usize = 39;
/// More products than any machine has.
const MOST: u32 = 10_000;

fn codes(mut next: impl FnMut(u32, &mut [u16; CODE]) -> u32) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for index in 0..MOST {
        let mut code = [0; CODE];
        match next(index, &mut code) {
            ERROR_SUCCESS => found.push(text(&code)),
            ERROR_NO_MORE_ITEMS => break,
            error => return Err(io::Error::from_raw_os_error(error as i32)),
        }
    }
    Ok(found)
}

/// Product codes of everything that is installed for this machine or this account.
pub fn products() -> io::Result<Vec<String>> {
    // SAFETY: the buffer has the 39 units that the function demands.
    codes(|index, code| unsafe { MsiEnumProductsW(index, code.as_mut_ptr()) })
}

/// Product codes of what was installed under an UpgradeCode (`{…}`).
pub fn related(upgrade_code: &str) -> io::Result<Vec<String>> {
    let upgrade_code = wide(upgrade_code)?;
    // SAFETY: the code is zero-terminated, the buffer has the 39 units that the function demands.
    codes(|index, code| unsafe { MsiEnumRelatedProductsW(upgrade_code.as_ptr(), 0, index, code.as_mut_ptr()) })
}

/// A property of an installed product, for example `ProductName` or `VersionString`; `None` where it has no such property.
pub fn property(product_code: &str, name: &str) -> io::Result<Option<String>> {
    let (product, name) = (wide(product_code)?, wide(name)?);
    let mut length = 0;
    // SAFETY: without a buffer only the length is written.
    match unsafe { MsiGetProductInfoW(product.as_ptr(), name.as_ptr(), null_mut(), &raw mut length) } {
        ERROR_SUCCESS | ERROR_MORE_DATA => {}
        ERROR_UNKNOWN_PROPERTY => return Ok(None),
        error => return Err(io::Error::from_raw_os_error(error as i32)),
    }
    let mut value = vec![0; length as usize + 1];
    let mut length = length + 1;
    // SAFETY: the buffer is as long as said.
    status(unsafe { MsiGetProductInfoW(product.as_ptr(), name.as_ptr(), value.as_mut_ptr(), &raw mut length) })?;
    Ok(Some(text(&value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_ends_and_unknown_products_are_errors() {
        products().unwrap();
        assert_eq!(
            related("{11111111-1111-4111-8111-111111111111}").unwrap(),
            Vec::<String>::new()
        );
        assert!(property("{11111111-1111-4111-8111-111111111111}", "ProductName").is_err());
    }
}
