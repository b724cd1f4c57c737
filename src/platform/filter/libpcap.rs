//! The compiler of pcap-filter(7) in the libpcap of the machine that rustnet runs on, looked for when it is needed: so
//! no build asks for libpcap, and none is without filters.
#![expect(unsafe_code, reason = "calls a C library")]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_uint},
    ptr::NonNull,
};

use libloading::{Library, Symbol};

use super::Instruction;

/// What is said where there is no libpcap.
pub const MISSING: &str = if cfg!(target_feature = "crt-static") {
    "filters need libpcap, which a static build cannot load"
} else {
    "filters need libpcap, which is not installed here (package libpcap0.8 or libpcap)"
};

/// What it is called: on Debian, elsewhere on Linux, on macOS, on Windows, with development files.
const NAMES: [&str; 5] = ["libpcap.so.0.8", "libpcap.so.1", "libpcap.A.dylib", "wpcap.dll", "libpcap.so"];

/// `DLT_EN10MB`.
const ETHERNET: c_int = 1;
/// Bytes of a frame that a program keeps; who runs it decides for himself.
const SNAP: c_int = 0xffff;
/// `PCAP_NETMASK_UNKNOWN`: a filter may be for several interfaces.
const NO_NETMASK: c_uint = c_uint::MAX;

/// `struct bpf_insn`.
#[repr(C)]
struct Step {
    code: u16,
    jumps: [u8; 2],
    k: u32,
}

/// `struct bpf_program`.
#[repr(C)]
struct Program {
    len: c_uint,
    steps: *mut Step,
}

/// `pcap_t`.
enum Handle {}

type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut Handle;
type Compile = unsafe extern "C" fn(*mut Handle, *mut Program, *const c_char, c_int, c_uint) -> c_int;
type GetErr = unsafe extern "C" fn(*mut Handle) -> *const c_char;
type FreeCode = unsafe extern "C" fn(*mut Program);
type Close = unsafe extern "C" fn(*mut Handle);

/// Compiles an expression for frames that begin with an Ethernet header.
///
/// # Errors
/// In words: [`MISSING`], or what the compiler says.
pub fn compile(expression: &str) -> Result<Vec<Instruction>, String> {
    let expression = CString::new(expression).map_err(|_| "there is a NUL in it")?;
    // SAFETY: neither libpcap nor what it loads relies on anything of ours when it is loaded or unloaded.
    let library = NAMES.iter().find_map(|name| unsafe { Library::new(name) }.ok()).ok_or(MISSING)?;
    // SAFETY: these are the signatures of pcap.h, the same in every version since 1.0.
    let compiler = unsafe {
        Compiler {
            open: find(&library, c"pcap_open_dead")?,
            compile: find(&library, c"pcap_compile")?,
            error: find(&library, c"pcap_geterr")?,
            free: find(&library, c"pcap_freecode")?,
            close: find(&library, c"pcap_close")?,
        }
    };
    compiler.run(&expression)
}

/// Returns a function of the library.
///
/// # Safety
/// `T` is its type.
unsafe fn find<'a, T>(library: &'a Library, name: &CStr) -> Result<Symbol<'a, T>, String> {
    // SAFETY: the caller's promise.
    unsafe { library.get(name.to_bytes_with_nul()) }.map_err(|error| format!("libpcap: {error}"))
}

struct Compiler<'a> {
    open: Symbol<'a, OpenDead>,
    compile: Symbol<'a, Compile>,
    error: Symbol<'a, GetErr>,
    free: Symbol<'a, FreeCode>,
    close: Symbol<'a, Close>,
}

impl Compiler<'_> {
    fn run(&self, expression: &CStr) -> Result<Vec<Instruction>, String> {
        const OPTIMIZED: c_int = 1;
        // SAFETY: any numbers will do.
        let handle = NonNull::new(unsafe { (self.open)(ETHERNET, SNAP) }).ok_or("libpcap has no memory")?;
        let mut program = Program { len: 0, steps: std::ptr::null_mut() };
        // SAFETY: a handle that is open, a program to be written, a string that ends.
        let code = unsafe {
            (self.compile)(handle.as_ptr(), &raw mut program, expression.as_ptr(), OPTIMIZED, NO_NETMASK)
        };
        let result = if code == 0 {
            // SAFETY: it was compiled: there are `len` steps.
            let steps = unsafe { std::slice::from_raw_parts(program.steps, program.len as usize) };
            let steps =
                steps.iter().map(|step| Instruction { code: step.code, jumps: step.jumps, k: step.k });
            let steps = steps.collect();
            // SAFETY: it was compiled, and is not used again.
            unsafe { (self.free)(&raw mut program) };
            Ok(steps)
        } else {
            // SAFETY: the text is the handle's, which is open.
            let text = unsafe { CStr::from_ptr((self.error)(handle.as_ptr())) };
            Err(text.to_string_lossy().into_owned())
        };
        // SAFETY: it is not used again.
        unsafe { (self.close)(handle.as_ptr()) };
        result
    }
}
