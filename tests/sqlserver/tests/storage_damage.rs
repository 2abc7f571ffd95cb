//! Readers meet arbitrary, cut and flipped bytes: they never panic, and a flipped byte of a page never goes unnoticed.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use syncferry_sqlserver::storage::backup::{BackupError, BackupJob, BackupRequest, MediaSet, RestoreJob};
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use syncferry_sqlserver::storage::{DatabaseFile, DriveSpec, Drives, InstanceSpec, PAGE_SIZE, PageDamage};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn drives(dir: &Path) -> Drives {
    Drives::new(
        dir,
        &[DriveSpec {
            name: "D:".into(),
            root: PathBuf::from("."),
            total_bytes: None,
        }],
        "svc",
    )
}

/// The bytes of a good `.mdf`, its `.ldf` and a `.bak` with two sets, and the pages of the `.mdf` in use.
struct Good {
    mdf: Vec<u8>,
    ldf: Vec<u8>,
    bak: Vec<u8>,
    used: usize,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let drives = drives(dir.path());
        let mut database = adsync(&AdSync {
            objects: 150,
            last_sync_age: None,
            ..AdSync::new(NOW)
        });
        for (file, name) in database.files.iter_mut().zip([r"D:\x.mdf", r"D:\x.ldf"]) {
            file.physical_name = name.into();
            file.size_pages = 8;
            file.growth = 8;
        }
        let file = DatabaseFile::create(&drives, &mut database).unwrap();
        let config = InstanceSpec::standard_2022("SQL01", None, NOW).config;
        for _ in 0..2 {
            let request = BackupRequest {
                checksum: true,
                ..BackupRequest::new("sa", NOW)
            };
            let devices = [r"D:\x.bak".to_string()];
            let snapshot = file.snapshot().unwrap();
            let mut job = BackupJob::start(&drives, &devices, snapshot, &database, &config, request).unwrap();
            while job.step().unwrap().is_some() {}
            job.finish(NOW).unwrap();
        }
        let used = file.used_pages() as usize;
        drop(file);
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        Good {
            mdf: read("x.mdf"),
            ldf: read("x.ldf"),
            bak: read("x.bak"),
            used,
        }
    })
}

/// Reads a `.bak` as far as it goes: headers, then both sets with VERIFYONLY, then a RESTORE of the first.
fn read_bak(bytes: &[u8]) -> Result<usize, BackupError> {
    let dir = tempfile::tempdir().unwrap();
    let drives = drives(dir.path());
    std::fs::write(dir.path().join("x.bak"), bytes).unwrap();
    let _ = MediaSet::label(&drives, r"D:\x.bak");
    let _ = MediaSet::headers(&drives, r"D:\x.bak");
    let media = MediaSet::open(&drives, &[r"D:\x.bak".into()])?;
    for position in [1, 2] {
        let mut verify = media.verify(position)?;
        while verify.step()?.is_some() {}
    }
    let moves: Vec<_> = media
        .set(1)?
        .files
        .iter()
        .map(|f| (f.logical_name.clone(), format!(r"D:\r{}", f.file_id)))
        .collect();
    let mut job = RestoreJob::start(&media, 1, &drives, &moves)?;
    while job.step()?.is_some() {}
    Ok(job.finish()?.0.tables.len())
}

/// Opens a `.mdf` and checks it: the damages found, or the error.
fn read_mdf(bytes: &[u8]) -> Result<Vec<PageDamage>, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.mdf"), bytes).unwrap();
    std::fs::write(dir.path().join("x.ldf"), &good().ldf).unwrap();
    let (_, file) = DatabaseFile::open(&drives(dir.path()), r"D:\x.mdf").map_err(|e| e.to_string())?;
    Ok(file.check().unwrap())
}

#[test]
fn undamaged_bytes_are_fine() {
    assert!(read_bak(&good().bak).unwrap() > 10);
    assert_eq!(read_mdf(&good().mdf), Ok(vec![]));
}

#[test]
fn a_flipped_page_byte_is_named() {
    let mut bak = good().bak.clone();
    let page = bak.windows(4).position(|w| w == b"SFPG").unwrap();
    bak[page + 5000] ^= 0x10;
    let error = read_bak(&bak).unwrap_err();
    assert!(matches!(error, BackupError::PageDamaged(_)), "{error}");
    let mut mdf = good().mdf.clone();
    mdf[2 * PAGE_SIZE + 77] ^= 0x10;
    assert!(read_mdf(&mdf).unwrap_err().contains("page 2: incorrect checksum"));
    // Pages 0 and 1 are the same: one is enough to open, and CHECKDB finds the other.
    let mut mdf = good().mdf.clone();
    mdf[100] ^= 0x10;
    assert_eq!(read_mdf(&mdf).unwrap()[0].page_id, 0);
}

#[test]
fn a_set_that_ends_between_blocks_was_stopped_and_one_inside_a_block_was_cut() {
    let bak = &good().bak;
    let blocks: Vec<usize> = (0..bak.len() - 4).filter(|at| &bak[*at..at + 4] == b"SFBK").collect();
    let error = read_bak(&bak[..blocks[3]]).unwrap_err();
    assert!(matches!(error, BackupError::Incomplete { position: 1 }), "{error}");
    let error = read_bak(&bak[..blocks[3] + 100]).unwrap_err();
    assert!(matches!(error, BackupError::Read { .. }), "{error}");
    let error = read_bak(&[]).unwrap_err();
    assert!(matches!(error, BackupError::Empty { .. }), "{error}");
    let error = read_bak(b"MZ this is a program").unwrap_err();
    assert!(matches!(error, BackupError::NotAMedium { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_anywhere_in_a_bak_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bak = good().bak.clone();
        let at = at.index(bak.len());
        bak[at] ^= 1 << bit;
        prop_assert!(read_bak(&bak).is_err());
    }

    #[test]
    fn a_cut_bak_is_found(at in any::<prop::sample::Index>()) {
        let bak = &good().bak;
        prop_assert!(read_bak(&bak[..at.index(bak.len())]).is_err());
    }

    #[test]
    fn a_flipped_bit_in_a_used_page_of_a_mdf_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut mdf = good().mdf.clone();
        // A database saved once uses its first pages.
        let at = at.index(good().used * PAGE_SIZE);
        mdf[at] ^= 1 << bit;
        prop_assert_ne!(read_mdf(&mdf), Ok(vec![]));
    }

    #[test]
    fn a_cut_mdf_is_found(at in any::<prop::sample::Index>()) {
        let end = at.index(good().used * PAGE_SIZE);
        prop_assert_ne!(read_mdf(&good().mdf[..end]), Ok(vec![]));
    }

    #[test]
    fn several_changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9)) {
        let (mut bak, mut mdf) = (good().bak.clone(), good().mdf.clone());
        for (at, byte) in changes {
            let (a, b) = (at.index(bak.len()), at.index(mdf.len()));
            bak[a] = byte;
            mdf[b] = byte;
        }
        let _ = read_bak(&bak);
        let _ = read_mdf(&mdf);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40_000), signed in any::<bool>()) {
        let mut bytes = bytes;
        if signed && bytes.len() > 8 {
            bytes[..8].copy_from_slice(b"SFBKLABL");
        }
        prop_assert!(read_bak(&bytes).is_err());
        if signed && bytes.len() > 8 {
            bytes[..4].copy_from_slice(b"SFPG");
        }
        prop_assert!(read_mdf(&bytes).is_err());
    }
}
