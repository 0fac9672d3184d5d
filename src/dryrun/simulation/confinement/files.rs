//! Landlock: which files the child may touch, and how.

use std::{
    fs,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest rights that are asked for; an older kernel enforces those that it knows.
const NEWEST: ABI = ABI::V6;
/// Devices that are no devices.
const SOURCES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Restricts this process. Returns whether the kernel enforces it.
pub(super) fn restrict(scratch: &Path, program: &Path) -> bool {
    match rules(scratch, program).and_then(RulesetCreated::restrict_self) {
        Ok(status) => status.ruleset != RulesetStatus::NotEnforced,
        Err(_) => false,
    }
}

fn rules(scratch: &Path, program: &Path) -> Result<RulesetCreated, RulesetError> {
    let everything = AccessFs::from_all(NEWEST);
    let mut rules = Ruleset::default()
        .handle_access(everything)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Everything but the devices: reading one can move something.
    let top = fs::read_dir("/").into_iter().flatten().flatten().map(|entry| entry.path());
    for folder in top.filter(|path| path != Path::new("/dev")) {
        rules = allow(rules, &folder, read)?;
    }
    rules = allow(rules, Path::new("/"), AccessFs::ReadDir.into())?;
    for device in SOURCES {
        rules = allow(rules, Path::new(device), AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    let own =
        everything & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    rules = allow(rules, scratch, own)?;
    for file in [Some(program.to_owned()), loader_of(program)].into_iter().flatten() {
        rules = allow(rules, &file, AccessFs::Execute | AccessFs::ReadFile)?;
    }
    Ok(rules)
}

/// Allows something beneath a path; what cannot be opened is left out, and so stays denied.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(rules) };
    // Rights of folders mean nothing for a file.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    if access.is_empty() { Ok(rules) } else { rules.add_rule(PathBeneath::new(opened, access)) }
}

/// The dynamic loader that an ELF program names: the kernel starts it as well.
fn loader_of(program: &Path) -> Option<PathBuf> {
    let program = fs::read(program).ok()?;
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(size)?)?;
        let little = bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        usize::try_from(little).ok()
    };
    // 64-bit, little-endian: the platforms that the filter of system calls knows, too.
    if program.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    const INTERPRETER: usize = 3;
    for entry in (0..count).filter_map(|n| table.checked_add(n.checked_mul(size)?)) {
        if number(entry, 4)? == INTERPRETER {
            let (start, length) = (number(entry.checked_add(8)?, 8)?, number(entry.checked_add(0x20)?, 8)?);
            let name = program.get(start..start.checked_add(length)?)?.strip_suffix(b"\0")?;
            return Some(PathBuf::from(std::str::from_utf8(name).ok()?));
        }
    }
    None
}
