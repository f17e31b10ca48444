//! What memcheck is told and asked. Each request is an instruction sequence that does nothing where no valgrind reads it.

use std::arch::asm;

/// From valgrind.h and memcheck.h.
const COUNT_ERRORS: usize = 0x1201;
const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;
const MAKE_MEM_DEFINED: usize = 0x4d43_0002;
const GET_VBITS: usize = 0x4d43_0008;

/// From here on nothing may branch on these octets, nor on what is computed from them, nor use it as an address.
pub(crate) fn secret<T: ?Sized>(octets: &mut T) {
    let size = size_of_val(octets);
    request(MAKE_MEM_UNDEFINED, [std::ptr::from_mut(octets).expose_provenance(), size, 0]);
}

/// From here on everything may.
pub(crate) fn known<T: ?Sized>(octets: &T) {
    request(MAKE_MEM_DEFINED, [address(octets), size_of_val(octets), 0]);
}

/// Whether some of these octets were computed from a secret.
pub(crate) fn is_secret<T: ?Sized>(octets: &T) -> bool {
    let mut bits = vec![0_u8; size_of_val(octets)];
    request(GET_VBITS, [address(octets), bits.as_mut_ptr().expose_provenance(), bits.len()]);
    bits.iter().any(|bits| *bits != 0)
}

/// How often `act` branched on a secret or looked something up by one.
pub(crate) fn leaks<T>(act: impl FnOnce() -> T) -> (usize, T) {
    let before = request(COUNT_ERRORS, [0; 3]);
    let outcome = act();
    (request(COUNT_ERRORS, [0; 3]) - before, outcome)
}

fn address<T: ?Sized>(octets: &T) -> usize {
    std::ptr::from_ref(octets).expose_provenance()
}

#[expect(unsafe_code, reason = "the way to speak to valgrind")]
fn request(number: usize, [a, b, c]: [usize; 3]) -> usize {
    let arguments = [number, a, b, c, 0, 0];
    let mut answer = 0;
    // SAFETY: four rotations, by 128 bits in all, leave their register as it was, and the last instruction does nothing.
    // Valgrind, where it runs, reads the arguments, and writes nothing but the answer and what GET_VBITS is given to fill.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inlateout("rdx") answer, options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
            in("x4") arguments.as_ptr(), inlateout("x3") answer, options(nostack),
        );
    }
    answer
}
