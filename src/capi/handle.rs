//! The one place where raw pointers turn into references, text and structs, and back.
//!
//! INVARIANT, kept by the caller in C as the header asks: a pointer that is not NULL points to what
//! its type says, a handle that the library gave and that was not freed, or as many bytes as its
//! length or its size says; nobody writes there during the call, and for outputs, nobody reads. The
//! SAFETY comments of this folder refer to it as *the contract of the header*.

use crate::capi::status::{
    Checked, FSV_STATUS_BUFFER_TOO_SMALL, FSV_STATUS_INVALID_SIZE, FSV_STATUS_NOT_UTF8,
    FSV_STATUS_NULL_POINTER, FSV_STATUS_TOO_LARGE,
};
use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

/// The largest size that a struct may claim, in bytes: one that was not set is most often larger.
const MAX_STRUCT_BYTES: usize = 4096;

/// Returns what `pointer` points to.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`.
#[inline(always)]
pub(super) unsafe fn borrow<'a, T>(pointer: *const T) -> Checked<&'a T> {
    // SAFETY: passed on.
    unsafe { pointer.as_ref() }.ok_or(FSV_STATUS_NULL_POINTER)
}

/// Returns what `pointer` points to, to be changed.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`; no other thread uses the handle.
pub(super) unsafe fn borrow_mut<'a, T>(pointer: *mut T) -> Checked<&'a mut T> {
    // SAFETY: passed on.
    unsafe { pointer.as_mut() }.ok_or(FSV_STATUS_NULL_POINTER)
}

/// Returns `len` bytes, unless they are more than `limit`. NULL is taken beside a length of 0.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`.
#[inline]
pub(super) unsafe fn bytes<'a>(data: *const c_char, len: usize, limit: usize) -> Checked<&'a [u8]> {
    match len {
        0 => Ok(&[]),
        _ if len > limit => Err(FSV_STATUS_TOO_LARGE),
        _ if data.is_null() => Err(FSV_STATUS_NULL_POINTER),
        // SAFETY: the contract of the header; no limit is above `isize::MAX`.
        _ => Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) }),
    }
}

/// Returns UTF-8 text of up to `limit` bytes. NULL is taken beside a length of 0.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`.
#[inline]
pub(super) unsafe fn text<'a>(data: *const c_char, len: usize, limit: usize) -> Checked<&'a str> {
    // SAFETY: passed on.
    utf8(unsafe { bytes(data, len, limit) }?)
}

/// Returns bytes as text.
#[inline]
pub(super) fn utf8(bytes: &[u8]) -> Checked<&str> {
    if is_ascii(bytes) {
        // SAFETY: ASCII is UTF-8.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).map_err(|_| FSV_STATUS_NOT_UTF8)
}

/// Whether all bytes are ASCII, as those of nearly every text are.
// PERF: sixteen at a time, the last sixteen overlapping; decide/capi-named-1k.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<16>() else { return bytes.is_ascii() };
    let (chunks, _) = bytes.as_chunks::<16>();
    let both = |all, chunk: &[u8; 16]| all | u128::from_ne_bytes(*chunk);
    let all = chunks.iter().fold(u128::from_ne_bytes(*last), both);
    all & u128::from_ne_bytes([0x80; 16]) == 0
}

/// Returns the bytes of a socket address, which may be of any alignment.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`.
pub(super) unsafe fn memory<'a>(data: *const c_void, len: usize) -> Checked<&'a [u8]> {
    if data.is_null() {
        return Err(FSV_STATUS_NULL_POINTER);
    }
    // No socket address is longer, and what is behind one is not read.
    const MAX_ADDRESS_BYTES: usize = 128;
    // SAFETY: the contract of the header.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len.min(MAX_ADDRESS_BYTES)) })
}

/// Gives a value to the caller, who gives it back to [`free`].
pub(super) fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Drops what [`give`] gave; nothing for NULL.
///
/// # Safety
///
/// The contract of the header; the handle is not used afterwards.
pub(super) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: it came from `give`, by the contract of the header.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Gives a share of a value to the caller, who gives it back to [`unshare`].
pub(super) fn share<T>(value: Arc<T>) -> *mut T {
    Arc::into_raw(value).cast_mut()
}

/// Drops a share that [`share`] gave; nothing for NULL.
///
/// # Safety
///
/// The contract of the header; the handle is not used afterwards.
pub(super) unsafe fn unshare<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: it came from `share`, by the contract of the header.
        drop(unsafe { Arc::from_raw(handle.cast_const()) });
    }
}

/// Where an output goes. INVARIANT: may be written to.
#[derive(Clone, Copy)]
pub(super) struct Out<T>(NonNull<T>);

/// Returns where an output goes.
///
/// # Safety
///
/// The contract of the header, for as long as the result is used.
pub(super) unsafe fn out<T>(pointer: *mut T) -> Checked<Out<T>> {
    NonNull::new(pointer).map(Out).ok_or(FSV_STATUS_NULL_POINTER)
}

impl<T> Out<T> {
    pub(super) fn write(self, value: T) {
        // SAFETY: INVARIANT of `Out`.
        unsafe { self.0.write(value) }
    }
}

/// A struct that the caller makes and that begins with its size.
///
/// # Safety
///
/// The type is `repr(C)`, begins with its size as a `u32`, has no padding, and any bytes are a value
/// of it. `MIN_SIZE` is at least 4 and at most its size.
pub(super) unsafe trait Sized32: Copy {
    /// The size of its first version, in bytes.
    const MIN_SIZE: usize;
}

/// Returns the size that a struct claims.
///
/// # Safety
///
/// The contract of the header for `pointer`, which is not NULL.
#[inline(always)]
unsafe fn claimed_size<T: Sized32>(pointer: *const T) -> usize {
    // SAFETY: it begins with its size, by the contract of `Sized32`.
    unsafe { pointer.cast::<u32>().read() as usize }
}

/// Returns an input struct, if it is not NULL and claims the size of its type.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`.
#[inline(always)]
pub(super) unsafe fn input_of_size<'a, T: Sized32>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: not NULL; the contract of the header is passed on: so many bytes are there.
    unsafe {
        let is_whole = !pointer.is_null() && claimed_size(pointer) == size_of::<T>();
        is_whole.then(|| &*pointer)
    }
}

/// Returns an input struct. One of another size is copied to `room`, where what it does not have is
/// 0.
///
/// # Safety
///
/// The contract of the header, for as long as the result is used.
#[inline(always)]
pub(super) unsafe fn input<T: Sized32>(
    pointer: *const T,
    room: &mut MaybeUninit<T>,
) -> Checked<&T> {
    if pointer.is_null() {
        return Err(FSV_STATUS_NULL_POINTER);
    }
    // SAFETY: not NULL; the contract of the header is passed on.
    unsafe {
        let size = claimed_size(pointer);
        match size == size_of::<T>() {
            true => Ok(&*pointer),
            false => Ok(room.write(copy_of_size(pointer, size)?)),
        }
    }
}

/// Returns a copy of an input struct that claims another size than that of its type.
///
/// # Safety
///
/// The contract of the header for `pointer`, which is not NULL.
#[cold]
unsafe fn copy_of_size<T: Sized32>(pointer: *const T, size: usize) -> Checked<T> {
    if !(T::MIN_SIZE..=MAX_STRUCT_BYTES).contains(&size) {
        return Err(FSV_STATUS_INVALID_SIZE);
    }
    // SAFETY: the contract of the header: so many bytes are there.
    let given = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if given.get(known..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)) {
        return Err(FSV_STATUS_INVALID_SIZE);
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are within both; any bytes are a value, by the contract of `Sized32`.
    unsafe {
        value.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(pointer.cast(), known);
        Ok(value.assume_init())
    }
}

/// Changes a struct in place; `change` changes it only where it succeeds. Of one of another size, a
/// copy is changed, which keeps its size, and written back as far as it goes.
///
/// # Safety
///
/// The contract of the header.
#[inline(always)]
pub(super) unsafe fn update<T: Sized32>(
    pointer: *mut T,
    change: impl FnOnce(&mut T) -> Checked<()>,
) -> Checked<()> {
    if pointer.is_null() {
        return Err(FSV_STATUS_NULL_POINTER);
    }
    // SAFETY: not NULL; the contract of the header is passed on.
    unsafe {
        let (size, mut room) = (claimed_size(pointer), MaybeUninit::uninit());
        let is_whole = size == size_of::<T>();
        // PERF: called in one place, so that it is part of the function; text-to-decision/ipv6-1k.
        change(match is_whole {
            true => &mut *pointer,
            false => room.write(copy_of_size(pointer, size)?),
        })?;
        if !is_whole {
            write_part(pointer, size, room.assume_init());
        }
    }
    Ok(())
}

/// Writes as much of `value` as a struct of `size` bytes has room for.
///
/// # Safety
///
/// The contract of the header: `size` bytes may be written.
// PERF: taken by value and out of line, so that a value that is written whole need not be in memory first.
#[cold]
#[inline(never)]
unsafe fn write_part<T: Sized32>(pointer: *mut T, size: usize, value: T) {
    let bytes = size.min(size_of::<T>());
    // SAFETY: so many bytes are within both, which are not the same.
    unsafe {
        pointer.cast::<u8>().copy_from_nonoverlapping((&raw const value).cast(), bytes);
    }
}

/// Where an output struct goes. INVARIANT: `size` bytes may be written to, `MIN_SIZE` or more.
#[derive(Clone, Copy)]
pub(super) struct OutStruct<T> {
    pointer: NonNull<T>,
    size: u32,
}

/// Returns where an output struct goes.
///
/// # Safety
///
/// The contract of the header, for as long as the result is used.
#[inline(always)]
pub(super) unsafe fn out_struct<T: Sized32>(pointer: *mut T) -> Checked<OutStruct<T>> {
    let pointer = NonNull::new(pointer).ok_or(FSV_STATUS_NULL_POINTER)?;
    // SAFETY: not NULL; the contract of the header is passed on.
    let size = unsafe { claimed_size(pointer.as_ptr().cast_const()) };
    match (T::MIN_SIZE..=MAX_STRUCT_BYTES).contains(&size) {
        true => Ok(OutStruct { pointer, size: size as u32 }),
        false => Err(FSV_STATUS_INVALID_SIZE),
    }
}

/// Where an output struct of the size of its type goes, beginning with its size, which stays. INVARIANT: may be
/// written to.
pub(super) struct OutWhole<T>(NonNull<T>);

/// Returns where an output struct goes, if it is not NULL and claims the size of its type.
///
/// # Safety
///
/// The contract of the header, for as long as the result is used.
// PERF: one comparison, where `out_struct` takes more, and another to write; decide/capi-ipv4-1k.
#[inline(always)]
pub(super) unsafe fn out_whole<T: Sized32>(pointer: *mut T) -> Option<OutWhole<T>> {
    let pointer = NonNull::new(pointer)?;
    // SAFETY: not NULL; the contract of the header is passed on.
    let size = unsafe { claimed_size(pointer.as_ptr().cast_const()) };
    (size == size_of::<T>()).then_some(OutWhole(pointer))
}

impl<T> OutWhole<T> {
    pub(super) fn of(value: &mut T) -> OutWhole<T> {
        OutWhole(NonNull::from(value))
    }

    /// Returns a place that may be written to.
    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T: Sized32> OutStruct<T> {
    /// Returns the size that the caller has room for, which the value to be written has to hold.
    #[inline(always)]
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    #[inline(always)]
    pub(super) fn write(self, value: T) {
        let (pointer, size) = (self.pointer.as_ptr(), self.size as usize);
        // SAFETY: INVARIANT of `OutStruct`.
        unsafe {
            match size >= size_of::<T>() {
                true => pointer.write(value),
                false => write_part(pointer, size, value),
            }
        }
    }
}

/// An array of structs that begin with their size, which is the distance between them. INVARIANT:
/// `count` structs of `size` bytes each, 0 or `MIN_SIZE` or more, may be used.
#[derive(Clone, Copy)]
pub(super) struct Structs<'a, T> {
    first: *mut T,
    size: usize,
    count: usize,
    array: PhantomData<&'a T>,
}

/// Returns an array of `count` structs. NULL is taken beside a count of 0.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`.
pub(super) unsafe fn structs<'a, T: Sized32>(
    first: *mut T,
    count: usize,
) -> Checked<Structs<'a, T>> {
    if count == 0 {
        return Ok(Structs { first, size: 0, count, array: PhantomData });
    }
    // SAFETY: the contract of the header for the first of them.
    let size = unsafe { out_struct(first) }?.size() as usize;
    // Or the size of the second could not be read.
    if !size.is_multiple_of(align_of::<T>()) {
        return Err(FSV_STATUS_INVALID_SIZE);
    }
    match size.checked_mul(count).is_some_and(|bytes| bytes <= isize::MAX as usize) {
        true => Ok(Structs { first, size, count, array: PhantomData }),
        false => Err(FSV_STATUS_TOO_LARGE),
    }
}

impl<T: Sized32> Structs<'_, T> {
    /// Returns where the struct of this index is, which has the size of the first.
    #[inline]
    pub(super) fn at(&self, index: usize) -> Checked<*mut T> {
        if index >= self.count {
            return Err(FSV_STATUS_INVALID_SIZE);
        }
        // SAFETY: INVARIANT of `Structs`.
        let (pointer, size) = unsafe {
            let pointer = self.first.byte_add(index * self.size);
            (pointer, claimed_size(pointer.cast_const()))
        };
        match size == self.size {
            true => Ok(pointer),
            false => Err(FSV_STATUS_INVALID_SIZE),
        }
    }
}

/// The caller's buffer. INVARIANT: `capacity` values may be written to, and `needed`.
pub(super) struct Buffer<T> {
    first: *mut T,
    capacity: usize,
    needed: Out<usize>,
}

/// Returns the caller's buffer. NULL is taken beside a capacity of 0.
///
/// # Safety
///
/// The contract of the header, for as long as the result is used.
pub(super) unsafe fn buffer<T: Copy>(
    first: *mut T,
    capacity: usize,
    needed: *mut usize,
) -> Checked<Buffer<T>> {
    // SAFETY: passed on.
    let needed = unsafe { out(needed) }?;
    match first.is_null() && capacity > 0 {
        true => Err(FSV_STATUS_NULL_POINTER),
        false => Ok(Buffer { first, capacity, needed }),
    }
}

impl<T: Copy> Buffer<T> {
    /// Writes all of `values`, or nothing; and how many they are in any case.
    pub(super) fn fill(self, values: &[T]) -> Checked<()> {
        self.needed.write(values.len());
        if values.len() > self.capacity {
            return Err(FSV_STATUS_BUFFER_TOO_SMALL);
        }
        // SAFETY: INVARIANT of `Buffer`; where nothing is copied, NULL will do.
        unsafe { self.first.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        Ok(())
    }
}
