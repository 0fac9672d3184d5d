//! The data directory's promises.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use super::data_dir::{DataDir, DataDirError, Endpoint};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn endpoint() -> Endpoint {
    Endpoint {
        pid: 4711,
        stomp: Some("127.0.0.1:61613".into()),
        http: None,
        instrument: "DEMO".into(),
        version: "0.1.0".into(),
    }
}

#[test]
fn it_is_created_for_its_owner_alone_and_names_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/beamq");
    let data_dir = DataDir::open(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert!(data_dir.path().is_absolute());
    assert!(data_dir.work().is_dir());
    for (file, name) in [
        (data_dir.journal(), "beamq.db"),
        (data_dir.token(), "token"),
        (data_dir.work(), "work"),
        (data_dir.endpoint(), "endpoint.json"),
    ] {
        assert_eq!(file, data_dir.path().join(name));
    }
}

#[test]
fn a_second_server_is_refused_with_the_pid_of_the_first_until_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = DataDir::open(folder.path()).unwrap();
    let error = DataDir::open(folder.path()).unwrap_err();
    assert!(matches!(error, DataDirError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    let expected = format!(
        "another beamq (process {}) already serves the data directory {}; stop it, or name another directory \
         with --data DIR",
        std::process::id(),
        first.path().display()
    );
    assert_eq!(error.to_string(), expected);
    drop(first);
    DataDir::open(folder.path()).unwrap();
}

#[test]
fn the_lock_goes_with_a_killed_process_and_is_not_inherited_by_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let first = DataDir::open(folder.path()).unwrap();
    // A worker that outlives the server for a moment must not keep the next server out.
    let mut worker = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    drop(first);
    let second = DataDir::open(folder.path());
    worker.kill().unwrap();
    worker.wait().unwrap();
    second.unwrap();
}

#[test]
fn clients_find_the_server_by_the_endpoint_file_and_a_stale_one_is_removed_at_start() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Endpoint::read(folder.path()).unwrap(), None);
    let data_dir = DataDir::open(folder.path()).unwrap();
    data_dir.write_endpoint(&endpoint()).unwrap();
    assert_eq!(mode(&data_dir.endpoint()), 0o600);
    assert_eq!(Endpoint::read(folder.path()).unwrap(), Some(endpoint()));
    drop(data_dir);
    let data_dir = DataDir::open(folder.path()).unwrap();
    assert_eq!(Endpoint::read(folder.path()).unwrap(), None, "left by a crash");
    data_dir.write_endpoint(&endpoint()).unwrap();
    data_dir.remove_endpoint().unwrap();
    data_dir.remove_endpoint().unwrap();
    assert_eq!(Endpoint::read(folder.path()).unwrap(), None);
    std::fs::write(data_dir.endpoint(), "rubbish").unwrap();
    assert!(matches!(Endpoint::read(folder.path()), Err(DataDirError::File { .. })));
}

#[test]
fn a_place_that_cannot_be_a_data_directory_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = DataDir::open(&file).unwrap_err();
    assert!(matches!(error, DataDirError::NotAFolder { .. }), "{error}");
    let error = DataDir::open(&file.join("below")).unwrap_err();
    assert!(matches!(error, DataDirError::Create { .. }), "{error}");
    assert!(error.to_string().contains("name another one with --data DIR"), "{error}");
    let error = DataDir::open(Path::new("/proc/beamq")).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[test]
fn the_next_server_learns_when_the_last_one_was_alive() {
    let folder = tempfile::tempdir().unwrap();
    let first = DataDir::open(folder.path()).unwrap();
    assert_eq!(first.last_alive(), None, "there was nobody before");
    let before = std::time::SystemTime::now();
    first.sign_of_life();
    let after = std::time::SystemTime::now();
    assert!(matches!(DataDir::open(folder.path()), Err(DataDirError::InUse { .. })));
    drop(first);
    let second = DataDir::open(folder.path()).unwrap();
    let alive = second.last_alive().unwrap();
    assert!(before <= alive && alive <= after, "{before:?} {alive:?} {after:?}");
}
