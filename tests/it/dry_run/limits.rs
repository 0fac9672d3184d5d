//! What the system keeps from a confined interpreter, with none of Python's guards in place.

use std::{fs, net::TcpListener, path::Path, process::Command};

use crate::support::program;

/// Runs a program of Python under the limits. Returns what it printed.
fn confined(scratch: &Path, source: &str) -> String {
    confined_with(&[], scratch, source)
}

/// Runs it in a child that a process forks which is there for that.
fn confined_and_forked(scratch: &Path, source: &str) -> String {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dryrun/simulation/lib");
    let forking = format!(
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {library:?})\n\
         import ctypes, os\nfrom beamq_dryrun import many\nprctl = ctypes.CDLL(None).prctl\n\
         filters = bytes.fromhex(os.environ['BEAMQ_SEALED_BY'])\nchild = os.fork()\n\
         if child:\n    os.waitpid(child, 0)\n    sys.exit()\nassert many.seal(filters, prctl)\n"
    );
    confined_with(&["--many"], scratch, &format!("{forking}{source}"))
}

fn confined_with(options: &[&str], scratch: &Path, source: &str) -> String {
    let interpreter =
        Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    let interpreter = String::from_utf8(interpreter.stdout).unwrap();
    let ended = program()
        .args(["confined-python", "--memory", "1000000000", "--seconds", "20", "--scratch"])
        .arg(scratch)
        .args(options)
        .args(["--", interpreter.trim(), "-I", "-c", source])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(!said.is_empty(), "{source}: {}", String::from_utf8_lossy(&ended.stderr));
    said
}

/// What each line does is denied with an error of the system.
pub(super) const DENIED: [(&str, &str); 27] = [
    ("making a file", "open('OUT/made', 'w')"),
    ("changing a file", "open('OUT/precious', 'r+')"),
    ("truncating a file", "os.truncate('OUT/precious', 0)"),
    ("removing a file", "os.remove('OUT/precious')"),
    ("renaming a file", "os.rename('OUT/precious', 'OUT/other')"),
    ("moving a file away", "os.rename('OUT/precious', 'mine')"),
    ("a second name for a file", "os.link('OUT/precious', 'mine')"),
    ("making a folder", "os.mkdir('OUT/folder')"),
    ("making a link", "os.symlink('x', 'OUT/link')"),
    ("the mode of a file", "os.chmod('OUT/precious', 0o777)"),
    ("the owner of a file", "os.chown('OUT/precious', 1, 1)"),
    ("the times of a file", "os.utime('OUT/precious')"),
    ("an attribute of a file", "os.setxattr('OUT/precious', 'user.x', b'1')"),
    ("a device", "open('/dev/tty')"),
    ("a connection", "socket.create_connection(('127.0.0.1', PORT))"),
    ("a datagram", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"),
    ("a local socket", "socket.socket(socket.AF_UNIX)"),
    (
        "a datagram through a pair",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'', '/dev/log')",
    ),
    ("a process", "os.fork()"),
    ("a program in a process", "os.posix_spawn('/bin/true', ['true'], {})"),
    ("a program instead", "os.execv('/bin/true', ['true'])"),
    ("a signal to the parent", "os.kill(os.getppid(), 0)"),
    ("the memory of the parent", "open('/proc/%d/mem' % os.getppid(), 'r+b')"),
    ("a signal to everybody", "os.kill(-1, 0)"),
    ("a signal through a descriptor", "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)"),
    ("limits of others", "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))"),
    ("the name of the computer", "socket.sethostname('x')"),
];

#[test]
fn the_system_denies_what_reaches_the_outside() {
    denies_what_reaches_the_outside(confined);
}

/// A process that forks children may do more than they may.
#[test]
#[cfg(target_os = "linux")]
fn the_system_denies_a_forked_child_the_same() {
    denies_what_reaches_the_outside(confined_and_forked);
}

fn denies_what_reaches_the_outside(confined: fn(&Path, &str) -> String) {
    let (outside, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("precious"), "precious").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    for (name, attempt) in DENIED {
        let attempt = attempt
            .replace("OUT", &outside.path().display().to_string())
            .replace("PORT", &port.local_addr().unwrap().port().to_string());
        let source = format!(
            "import os, resource, signal, socket\nfrom errno import *\nos.chdir({:?})\ntry:\n    {attempt}\n    print('done')\n\
             except OSError as error:\n    print('denied' if error.errno in (EPERM, EACCES, EXDEV) else error)\n",
            scratch.path().display().to_string()
        );
        assert_eq!(confined(scratch.path(), &source), "denied\n", "{name}");
    }
    assert_eq!(fs::read_to_string(outside.path().join("precious")).unwrap(), "precious");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn the_system_allows_what_a_simulation_needs() {
    allows_what_a_simulation_needs(confined);
}

#[test]
#[cfg(target_os = "linux")]
fn the_system_allows_a_forked_child_the_same() {
    allows_what_a_simulation_needs(confined_and_forked);
}

fn allows_what_a_simulation_needs(confined: fn(&Path, &str) -> String) {
    let scratch = tempfile::tempdir().unwrap();
    let source = format!(
        "import os, socket, threading\n\
         os.chdir({:?})\n\
         os.mkdir('a'); open('a/b', 'w').write('x'); os.rename('a/b', 'c'); os.remove('c'); os.rmdir('a')\n\
         t = threading.Thread(target=open, args=('d', 'w')); t.start(); t.join()\n\
         a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n\
         open('/etc/passwd').read(); open('/dev/null', 'w').write('x'); os.urandom(4)\n\
         os.kill(os.getpid(), 0)\n\
         print(os.environ['BEAMQ_CONFINED'])",
        scratch.path().display().to_string()
    );
    let holds = confined(scratch.path(), &source);
    if cfg!(target_os = "linux") {
        assert_eq!(holds, "rlimits no_new_privs landlock seccomp\n");
    }
}

#[test]
fn the_system_bounds_memory_and_files() {
    let scratch = tempfile::tempdir().unwrap();
    let source = "try:\n    bytearray(2 << 30)\nexcept MemoryError:\n    print('bounded')\n";
    assert_eq!(confined(scratch.path(), source), "bounded\n");
    let file = scratch.path().join("large").display().to_string();
    let source = format!(
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ntry:\n    f = open({file:?}, 'wb')\n    \
         f.seek(1 << 40)\n    f.write(b'x')\n    f.flush()\nexcept OSError as error:\n    print(error.strerror)\n"
    );
    assert_eq!(confined(scratch.path(), &source), "File too large\n");
}
