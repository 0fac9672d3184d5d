//! seccomp: which system calls the child may make.
//!
//! It is a list of what is denied, because what compiled libraries of scientists need cannot be listed.
//! Beside what reaches others (sockets, processes, signals) it has what Landlock does not cover.

use std::{collections::BTreeMap, env::consts::ARCH};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, sock_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// On x86-64, another set of numbers means the same calls.
const X32: i64 = 0x4000_0000;

/// In a filter for a process that does not exist yet, this stands for its number.
const ITS_NUMBER: u32 = 0x7FFF_FFFE;

/// Filters the system calls of this process. Returns whether the kernel does.
pub(super) fn install() -> bool {
    let (Ok(mut rules), Ok(own)) = (always(), own(std::process::id())) else { return false };
    rules.extend(own);
    compile(rules, libc::EPERM).is_ok_and(|program| apply(&program))
}

/// Filters those that neither this process may make nor any that it forks. Returns the filter with which these
/// are to seal themselves off, so that the same holds for them as after [`install`]: one instruction after the
/// other as the kernel takes them, in hexadecimal, with [`ITS_NUMBER`] where the number of the process is to be.
/// `None` when the kernel does not filter.
pub(super) fn install_but_own() -> Option<String> {
    let program = always().and_then(|rules| compile(rules, libc::EPERM)).ok()?;
    let rest = own(ITS_NUMBER).and_then(|rules| compile(rules, libc::EPERM)).ok()?;
    apply(&program).then(|| rest.iter().map(in_hexadecimal).collect())
}

fn in_hexadecimal(instruction: &sock_filter) -> String {
    let sock_filter { code, jt, jf, k } = instruction;
    let bytes = code.to_ne_bytes().into_iter().chain([*jt, *jf]).chain(k.to_ne_bytes());
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn apply(program: &BpfProgram) -> bool {
    // The C library makes threads by the older call when this one does not exist; it alone says by its
    // arguments whether it makes a thread or a process.
    let absent = compile(Rules::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS);
    absent.is_ok_and(|absent| apply_filter(program).is_ok() && apply_filter(&absent).is_ok())
}

fn compile(rules: Rules, number: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture: TargetArch = ARCH.try_into()?;
    let with_others = rules.into_iter().flat_map(|(call, rules)| {
        let other = (ARCH == "x86_64").then(|| (call + X32, rules.clone()));
        std::iter::once((call, rules)).chain(other)
    });
    let error = SeccompAction::Errno(number.unsigned_abs());
    SeccompFilter::new(with_others.collect(), SeccompAction::Allow, error, architecture)?.try_into()
}

/// What is denied to every process.
fn always() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend(ALWAYS_ON_X86_64.iter().map(|call| (*call, Vec::new())));
    // Through a pair of sockets of its own, but to no address.
    let to_address = SeccompCondition::new(4, Length::Qword, Is::Ne, 0)?;
    rules.insert(libc::SYS_sendto, vec![SeccompRule::new(vec![to_address])?]);
    Ok(rules)
}

/// What is denied to the process of this number that it may do to itself.
fn own(number: u32) -> Result<Rules, seccompiler::BackendError> {
    let mut rules = Rules::new();
    let me = u64::from(number);
    let when = |conditions: Vec<SeccompCondition>| SeccompRule::new(conditions);
    // Python may send a signal to itself.
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        rules.insert(call, vec![when(vec![SeccompCondition::new(0, Length::Dword, Is::Ne, me)?])?]);
    }
    let other_than_me = |argument| -> Result<_, seccompiler::BackendError> {
        when(vec![
            SeccompCondition::new(argument, Length::Dword, Is::Ne, 0)?,
            SeccompCondition::new(argument, Length::Dword, Is::Ne, me)?,
        ])
    };
    rules.insert(libc::SYS_prlimit64, vec![other_than_me(0)?]);
    let of_many = when(vec![SeccompCondition::new(0, Length::Dword, Is::Ne, 0)?])?;
    rules.insert(libc::SYS_setpriority, vec![of_many, other_than_me(1)?]);
    // A thread, but no process.
    let thread = libc::CLONE_THREAD.unsigned_abs().into();
    let process = SeccompCondition::new(0, Length::Qword, Is::MaskedEq(thread), 0)?;
    rules.insert(libc::SYS_clone, vec![when(vec![process])?]);
    Ok(rules)
}

const ALWAYS: &[i64] = &[
    // The network. Pairs of sockets within the process are made by another call.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    // Other processes.
    libc::SYS_execveat,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_ioprio_set,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Whom a file belongs to and who may use it, which Landlock leaves open.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_open_by_handle_at,
    // The system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_io_uring_setup,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const ALWAYS_ON_X86_64: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_kexec_file_load,
];
